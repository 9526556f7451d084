"""Models as files: what comes back, and what damaged or foreign files end in."""

import io
import json
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest

import fairjax
from fairjax import FCA, deep
from fairjax.datasets import Preparation
from fairjax.errors import InputError
from fairjax.saving import archive

K, D = 3, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, D)) + 4.0 * np.eye(K, D)[RNG.integers(0, K, 60)]
SEX = np.array(["female", "male"])[RNG.integers(0, 2, 60)]
PREPARATION = Preparation(columns=tuple("abcd"), centers=np.arange(4) / 3, spreads=np.full(4, 0.1), sensitive=("sex",))


def attributes(model):
    """Fitted attributes in plain values."""
    found = {name: value for name, value in vars(model).items() if name.endswith("_") and name != "preparation_"}
    found |= {f"result/{name}": value for name, value in found.pop("result_")._asdict().items()}
    found |= {f"assignment/{name}": value for name, value in found.pop("result/assignment")._asdict().items()}
    return found


def same(one, other):
    if isinstance(one, tuple) and one and isinstance(one[-1], np.ndarray):
        return all(map(same, one, other))
    if isinstance(one, (np.ndarray, np.generic)):
        equal_nan = one.dtype.kind == "f"
        return one.dtype.kind in (other.dtype.kind, "U") and np.array_equal(one, other, equal_nan=equal_nan)
    return one == other


@pytest.fixture(scope="module")
def fitted():
    return FCA(K, init="k-means++", random_state=0).fit(pd.DataFrame(X, columns=list("abcd")), sensitive_features=SEX)


@pytest.mark.parametrize(
    "changes",
    [
        {"init": "k-means++", "random_state": np.random.RandomState(0)},
        {"init": X[:K], "max_iter": 1, "min_balance": 0.3},
    ],
    ids=["k-means++", "given start"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_comes_back_is_what_was_fitted(changes, tmp_path):
    path = tmp_path / "model.npz"
    model = FCA(K, **changes).fit(X.astype(np.float32), sensitive_features=SEX)
    model.save(path, preparation=PREPARATION)
    back = fairjax.load(path)
    found, wanted = attributes(back), attributes(model)
    assert [name for name in wanted if not same(wanted[name], found[name])] == []
    assert set(found) == set(wanted)
    np.testing.assert_array_equal(back.predict(X, sensitive_features=SEX), model.predict(X, sensitive_features=SEX))
    np.testing.assert_array_equal(back.assignment(), model.assignment())
    assert back.preparation_.to_json() == PREPARATION.to_json()
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]
    # what was loaded is saved as it was, what it was fitted from included
    back.save(path)
    assert fairjax.load(path).preparation_.columns == PREPARATION.columns


@pytest.mark.parametrize(
    "groups", [None, [True, False] * 30, [4, 7] * 30, [("a", 1), ("b", 2)] * 30, np.array([0.5, 7.0] * 30)]
)
def test_group_values_keep_their_type(groups, tmp_path):
    model = FCA(K, init="k-means++", random_state=0).fit(X, sensitive_features=groups)
    model.save(tmp_path / "model.npz")
    back = fairjax.load(tmp_path / "model.npz")
    assert back.groups_.tolist() == model.groups_.tolist()
    assert list(map(type, back.groups_)) == list(map(type, model.groups_.tolist()))
    np.testing.assert_array_equal(
        back.predict(X, sensitive_features=groups), model.predict(X, sensitive_features=groups)
    )


def test_names_of_features_come_back(fitted, tmp_path):
    fitted.save(tmp_path / "model.npz")
    back = fairjax.load(tmp_path / "model.npz")
    assert back.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        back.predict(pd.DataFrame(X, columns=list("abdc")), sensitive_features=SEX)


def test_group_values_that_are_not_plain(tmp_path):
    model = FCA(K, init="k-means++", random_state=0).fit(
        X, sensitive_features=np.array(["2020", "2021"] * 30, "datetime64[Y]").astype(object)
    )
    with pytest.raises(InputError, match=r"the group datetime.* is neither text nor a number"):
        model.save(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


# Tampering: each case changes words or arrays of a file that a fit left


def without(name):
    return lambda words, arrays: (words if name not in words else words.pop(name), arrays.pop(name, None))


def word(*path, value):
    def change(words, arrays):
        *above, last = path
        for name in above:
            words = words[name]
        words[last] = value

    return change


def array(name, value):
    return lambda words, arrays: arrays.update({name: np.asarray(value)})


def entry(name, value):
    """One entry of an array."""

    def change(words, arrays):
        arrays[name] = arrays[name].copy()
        arrays[name].flat[0] = value

    return change


def both(*changes):
    return lambda words, arrays: [change(words, arrays) for change in changes]


FCA_TAMPERED = {
    "no class": (without("class"), "does not tell class"),
    "unknown class": (word("class", value="Popen"), "there is no class 'Popen'"),
    "class is a list": (word("class", value=["FCA"]), "expected a text"),
    "a later format": (word("format", value=2), "has format 2, and this version"),
    "no settings": (without("settings"), "does not tell settings"),
    "unknown setting": (word("settings", "x", value=1), "FCA has no setting 'x'"),
    "setting of another type": (word("settings", "n_clusters", value="3"), "n_clusters is '3'"),
    "setting out of range": (word("settings", "epsilon", value=-1), "epsilon is -1"),
    "setting beyond floats": (word("settings", "tol", value=10**400), "damaged"),
    "method": (word("settings", "method", value={}), "method is {}"),
    "way to start": (word("settings", "init", value="best"), "init is 'best'"),
    "start by array": (word("settings", "init", value=None), "lacks the array 'init'"),
    "seed": (word("settings", "random_state", value="now"), "random_state is 'now'"),
    "more clusters": (word("settings", "n_clusters", value=5), r"expected shape \(60, 5\)"),
    "the other route": (word("settings", "method", value="exact"), "transport is None"),
    "features": (both(word("n_features", value=3), word("feature_names", value=[])), r"expected shape \(3, 3\)"),
    "names": (word("feature_names", value=["a"]), "1 feature_names for 4 features"),
    "names that are none": (word("feature_names", value=[1, 2, 3, 4]), "expected texts"),
    "more groups": (word("groups", value=["a", "b", "c"]), "as many distinct values"),
    "the same group twice": (word("groups", value=["a", "a"]), "distinct values"),
    "groups in lists": (word("groups", value=[["a", {}], ["b"]]), "expected plain values"),
    "no groups": (both(word("groups", value=[]), word("group_names", value=[])), "expected plain values"),
    "balance": (word("balance", value=[2, 0.5]), "balance is"),
    "balance by text": (word("balance", value="01"), "balance is '01'"),
    "inertia": (word("inertia", value=-1), "inertia is -1"),
    "inertia beyond floats": (word("inertia", value=10**400), "inertia is 1000"),
    "dtype": (word("dtype", value="object"), "dtype is 'object'"),
    "preparation": (word("preparation", value={"columns": ["a"]}), "no object with the names"),
    "preparation of other columns": (
        word("preparation", value=Preparation(columns="ab").to_json()),
        "2 columns for 4 features",
    ),
    "preparation of text": (
        word("preparation", value=Preparation(columns="abcd").to_json() | {"centers": "x", "spreads": "y"}),
        "preparation is not as it should be",
    ),
    "no centres": (without("result/centers"), "lacks the array 'result/centers'"),
    "centres too many": (array("result/centers", np.zeros((5, D))), r"shape \(5, 4\).*expected shape \(3, 4\)"),
    "centres NaN": (entry("result/centers", np.nan), "not finite"),
    "centres of whole numbers": (array("result/centers", np.zeros((K, D), int)), "type int64"),
    "prices infinite": (entry("result/assignment/prices", np.inf), "not finite"),
    "prices of more groups": (array("result/assignment/prices", np.zeros((3, K))), r"expected shape \(2, 3\)"),
    "a label of no cluster": (entry("result/assignment/labels", K), "out of their range"),
    "a label below zero": (entry("result/assignment/labels", -1), "out of their range"),
    "labels of another length": (array("unfair_labels", np.zeros(7, np.int32)), r"expected shape \(60,\)"),
    "a row that is not there": (entry("result/assignment/rows", 60), "out of their range"),
    "a status that is none": (array("result/assignment/status", np.int32(3)), "status is 3"),
    "cost": (array("result/cost", np.float64(np.nan)), "not finite"),
    "cost by array": (array("result/cost", np.zeros(3)), r"expected shape \(\)"),
    "start": (entry("start_centers", np.nan), "not finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", FCA_TAMPERED)
def test_a_tampered_model_is_told(name, fitted, tmp_path):
    change, message = FCA_TAMPERED[name]
    path = tmp_path / "model.npz"
    fitted.save(path)
    words, arrays = archive.read(path)
    change(words, arrays)
    archive.write(path, words, arrays)
    with pytest.raises(InputError, match=f"model.npz.*{message}") as caught:
        fairjax.load(path)
    assert len(str(caught.value)) < 400 + len(str(path))


@pytest.fixture(scope="module")
def learned():
    model = deep.FCMI(K, epochs=1, warmup_epochs=0, batch_size=32, n_latent=K, n_init=1, random_state=0)
    return model.fit(RNG.random((60, D)).astype(np.float32), sensitive_features=SEX)


BIAS = "clusterer/params/encoder/0/bias"
DEEP_TAMPERED = {
    "no shape": (without("shape"), "does not tell shape"),
    "shape of text": (word("shape", value="4"), "shape is '4'"),
    "shape of another size": (word("shape", value=[5]), "expected shape"),
    "shape of images": (word("shape", value=[4, 4, 1]), "damaged"),
    "no rows": (word("shape", value=[]), "damaged"),
    "scale": (word("scale", value=[1e9, 0, "linear"]), "scale is"),
    "unknown setting": (word("settings", "x", value=1), "FCMI has no setting 'x'"),
    "an unknown network": (word("settings", "network", value="os"), "has no network 'os'"),
    "a network of one's own": (word("settings", "network", value=None), "give it as network="),
    "setting of another type": (word("settings", "tau", value="1"), "tau is '1'"),
    "huge network": (word("settings", "n_latent", value=2**31 - 1), "expected shape"),
    "more groups": (
        both(word("groups", value=["a", "b", "c"]), word("group_names", value=["a", "b", "c"])),
        "lacks the array|expected shape",
    ),
    "centres too many": (array("clusterer/centers", np.zeros((5, K), np.float32)), r"expected shape \(3, 3\)"),
    "centres of another width": (array("clusterer/centers", np.zeros((3, 7), np.float32)), r"expected shape \(3, 3\)"),
    "centres NaN": (entry("clusterer/centers", np.nan), "not finite"),
    "temperature": (array("clusterer/tau", np.float32(np.inf)), "not finite"),
    "prices": (array("clusterer/prices", np.zeros(4)), r"expected shape \(2, 3\)"),
    "bias of another shape": (array(BIAS, np.zeros((60, 128), np.float32)), "expected shape"),
    "bias of text": (array(BIAS, np.zeros(128, np.uint8)), "type uint8"),
    "no bias": (without(BIAS), "lacks the array"),
    "labels": (entry("labels", 9), "out of their range"),
    "no labels": (without("labels"), "lacks the array 'labels'"),
    "history": (array("history/training: loss", np.float32(0)), "shape"),
    "balance": (word("balance", value=[0.5]), "balance is"),
    "notes": (word("notes", value=[1]), "expected texts"),
    "steps": (word("n_iter", value=True), "n_iter is True"),
}


@pytest.mark.parametrize("name", DEEP_TAMPERED)
def test_a_tampered_deep_model_is_told(name, learned, tmp_path):
    change, message = DEEP_TAMPERED[name]
    path = tmp_path / "model.npz"
    learned.save(path)
    words, arrays = archive.read(path)
    change(words, arrays)
    archive.write(path, words, arrays)
    for load in (fairjax.load, deep.FCMI.load):
        with pytest.raises(InputError, match=f"model.npz.*({message})"):
            load(path)


def test_a_deep_model_comes_back(learned, tmp_path):
    learned.save(tmp_path / "model.npz")
    back = fairjax.load(tmp_path / "model.npz")
    assert type(back) is deep.FCMI
    assert back.get_params() == learned.get_params()
    rows = RNG.random((7, D)).astype(np.float32)
    np.testing.assert_array_equal(back.predict_proba(rows), learned.predict_proba(rows))


# Files that no model left


def npz(**members):
    """An archive of raw members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, body in members.items():
            file.writestr(f"{name}.npy", body)
    return content.getvalue()


def npy(array, **options):
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


def words(text):
    return npz(words=npy(np.frombuffer(text.encode(), np.uint8)))


def claim(shape):
    """An array that says it is of a shape, with no number behind."""
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def compressed():
    content = io.BytesIO()
    np.savez_compressed(content, words=np.zeros(10_000_000, np.uint8))
    return content.getvalue()


def twice():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("words.npy", npy(np.zeros(1, np.uint8)))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("words.npy", npy(np.zeros(1, np.uint8)))
    return content.getvalue()


FOREIGN = {
    "empty": lambda: b"",
    "text": lambda: b"a,b\n1,2\n",
    "zip of nothing": lambda: npz(),
    "npy": lambda: npy(np.zeros(3)),
    "member that is no array": lambda: npz(words=b"hello"),
    "pickle": lambda: npz(words=npy(np.array([{}], dtype=object), allow_pickle=True)),
    "text array": lambda: npz(words=npy(np.array(["a"]))),
    "words that are no JSON": lambda: words("{"),
    "words that are no object": lambda: words("[1]"),
    "words not in UTF-8": lambda: npz(words=npy(np.array([255, 254], np.uint8))),
    "nested words": lambda: words("[" * 100_000),
    "not a number": lambda: words('{"class": NaN}'),
    "a huge number": lambda: words('{"format": ' + "9" * 5000 + "}"),
    "huge claim": lambda: npz(words=claim((2**40,))),
    "claim below zero": lambda: npz(words=claim((-1, -8))),
    "claim without end": lambda: npz(words=claim((2**62, 2**62))),
    "compressed": compressed,
    "twice": twice,
    "header of code": lambda: npz(words=b"\x93NUMPY\x01\x00" + struct.pack("<H", 14) + b"__import__(1)\n"),
    "an archive of another kind": lambda: npz(words=npy(np.frombuffer(json.dumps({"class": "x"}).encode(), np.uint8))),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_told(name, tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(FOREIGN[name]())
    with pytest.raises(InputError, match="is not a saved model, or is damaged") as caught:
        fairjax.load(path)
    assert "\n" not in str(caught.value)


def test_places_without_a_model(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        fairjax.load(tmp_path / "absent.npz")
    with pytest.raises(InputError, match="is not a file"):
        fairjax.load(tmp_path)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="loop"):
        fairjax.load(loop)


def test_a_file_cut_or_changed_anywhere(fitted, tmp_path):
    """Every ending is the model or one sentence."""
    path = tmp_path / "model.npz"
    fitted.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    told = 0
    for i in range(200):
        spoilt = bytearray(whole)
        if i % 4 == 0:
            spoilt = spoilt[: rng.integers(len(spoilt))]
        else:
            for place in rng.integers(len(spoilt), size=1 + i % 3):
                spoilt[place] = rng.integers(256)
        path.write_bytes(spoilt)
        try:
            fairjax.load(path)
        except InputError:
            told += 1
    # some bytes of the container say nothing of the model
    assert told > 150
