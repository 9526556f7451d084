"""Models on the command line: written by fit, and used on other tables by predict."""

import csv
import io
import json
import random
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from cli_cases import run

import fairjax
from fairjax import FCA, cli

K = 3


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("FAIRJAX_DATA", raising=False)


def people(n=60, seed=0):
    rng = np.random.default_rng(seed)
    sex = rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "age": (40 + 10 * rng.normal(size=n) + 5 * sex).round(2),
            "income": (3 + rng.normal(size=n)).round(3),
            "city": np.array(["Bern", "Rome", "Oslo"])[rng.integers(0, 3, n)],
            "sex": np.array(["F", "M"])[sex],
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, a model of it, and the clusters that the fit gave."""
    place = tmp_path_factory.mktemp("models")
    people().to_csv(place / "people.csv", index=False)
    options = ("--sensitive", "sex", "--clusters", K, "--categorical", "one-hot", "--init", "k-means++", "--quiet")
    arguments = (
        "fit", place / "people.csv", *options, "--model", place / "model.npz", "--out", place / "labels.csv"
    )  # fmt: skip
    assert cli.main(list(map(str, arguments))) == 0
    return place


def test_new_rows_are_assigned_as_the_fitted_ones(folder, tmp_path, capsys):
    shuffled = people().iloc[:, [3, 2, 1, 0]]
    shuffled.to_parquet(tmp_path / "other.parquet")
    code, out, err = run(
        capsys, "predict", folder / "model.npz", tmp_path / "other.parquet", "--out", tmp_path / "labels.csv", "--json"
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["n"], found["n_clusters"], sum(found["sizes"])) == (60, K, 60)
    assert set(found["groups"]) == {"F", "M"}
    assert 0 < found["balance"] <= found["max_balance"]
    fitted, predicted = pd.read_csv(folder / "labels.csv"), pd.read_csv(tmp_path / "labels.csv")
    # only points on a boundary, at most K - 1 in each group, may go elsewhere
    assert (fitted["cluster"] != predicted["cluster"]).sum() <= 2 * (K - 1)
    assert predicted.columns.tolist() == ["sex", "city", "income", "age", "cluster"]


def test_the_model_is_that_of_the_library(folder):
    model = fairjax.load(folder / "model.npz")
    assert type(model) is FCA
    assert model.groups_.tolist() == ["F", "M"]
    how = model.preparation_
    assert how.columns == ("age", "income", "city=Bern", "city=Oslo", "city=Rome")
    assert how.sensitive == ("sex",)


def test_one_row_and_its_summary(folder, tmp_path, capsys):
    people(n=1, seed=5).to_csv(tmp_path / "one.tsv", sep="\t", index=False)
    code, out, err = run(capsys, "predict", folder / "model.npz", tmp_path / "one.tsv")
    assert (code, err) == (0, "")
    assert "1 row of one.tsv in 3 clusters of" in out
    assert run(capsys, "predict", folder / "model.npz", tmp_path / "one.tsv", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda t: t.drop(columns="income"), (), "there is no column 'income', which the model was fitted to"),
        (lambda t: t.rename(columns={"age": "Age"}), (), "did you mean 'Age'?"),
        (lambda t: t.drop(columns="sex"), (), "there is no column 'sex' for --sensitive"),
        (lambda t: t.replace({"sex": {"M": "divers"}}), (), "holds 'divers', not seen when fitting; the groups of"),
        (lambda t: t.replace({"city": {"Rome": "Pisa"}}), (), "holds 'Pisa', not seen when fitting"),
        (lambda t: t.assign(age="old"), (), "the column 'age' is not numeric, as it was when fitting"),
        (lambda t: t.assign(age=t["age"].where(t.index > 3)), (), "missing values and had none when fitting"),
        (lambda t: t.assign(age=np.inf), (), "has an infinite value in row 1"),
        (lambda t: t.iloc[:0], (), "a header but no rows; expected at least one row"),
        (lambda t: t, ("--sensitive", "town"), "there is no column 'town' for --sensitive"),
        (lambda t: t, ("--out", "t.csv"), "is the input itself"),
        (lambda t: t, ("--out", "absent/labels.csv"), "cannot write --out"),
    ],
)
def test_other_tables_are_told_in_a_sentence(folder, tmp_path, capsys, monkeypatch, change, options, words):
    monkeypatch.chdir(tmp_path)
    change(people()).to_csv("t.csv", index=False)
    code, out, err = run(capsys, "predict", folder / "model.npz", "t.csv", "--out", "labels.csv", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_what_is_no_model(folder, capsys):
    table = folder / "people.csv"
    for model, words in ((table, "is not a saved model"), (folder / "absent.npz", "there is no file")):
        code, out, err = run(capsys, "predict", model, table)
        assert (code, out) == (2, "")
        assert words in err
    code, _, err = run(capsys, "predict", folder / "model.npz", "diabets")
    assert code == 2
    assert "did you mean 'diabetes'?" in err


def test_a_known_set_and_a_model_of_python(tmp_path, capsys):
    """Groups are matched by their names, features by theirs."""
    data = fairjax.datasets.load_diabetes(standardize=False)
    frame = pd.DataFrame(data.X, columns=data.feature_names)[["bmi", "age", "bp", "s1", "s6"]]
    some = slice(0, 60)
    model = FCA(K, init="k-means++", random_state=0).fit(frame[some], sensitive_features=data.sensitive[some])
    model.save(tmp_path / "model.npz")
    code, out, _ = run(capsys, "predict", tmp_path / "model.npz", "diabetes", "--json")
    assert code == 0
    assert sum(json.loads(out)["sizes"]) == 442
    # columns are told apart from others by their names
    frame.assign(patient=range(442), sex=data.sensitive).to_csv(tmp_path / "patients.csv", index=False)
    arguments = ("predict", tmp_path / "model.npz", tmp_path / "patients.csv", "--out", tmp_path / "labels.csv")
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert "name the column that tells them with --sensitive" in err
    assert run(capsys, *arguments, "--sensitive", "sex", "--quiet") == (0, "", "")
    with open(tmp_path / "labels.csv", newline="") as stream:
        labels = [int(row["cluster"]) for row in csv.DictReader(stream)]
    np.testing.assert_array_equal(labels, model.predict(frame, sensitive_features=data.sensitive))


def test_a_model_without_groups_or_names(tmp_path, capsys):
    frame = people()[["age", "income"]]
    FCA(K, init="k-means++", random_state=0).fit(frame.to_numpy()).save(tmp_path / "model.npz")
    frame.to_csv(tmp_path / "two.csv", index=False)
    assert run(capsys, "predict", tmp_path / "model.npz", tmp_path / "two.csv", "--quiet") == (0, "", "")
    code, _, err = run(capsys, "predict", tmp_path / "model.npz", tmp_path / "two.csv", "--sensitive", "age")
    assert code == 2
    assert "was fitted without groups" in err
    frame.assign(more=1).to_csv(tmp_path / "three.csv", index=False)
    code, _, err = run(capsys, "predict", tmp_path / "model.npz", tmp_path / "three.csv")
    assert code == 2
    assert "has 3 columns to cluster on, and the model was fitted to 2" in err


@pytest.mark.slow
def test_a_deep_model_asks_for_no_group(folder, tmp_path, capsys):
    options = ("--sensitive", "sex", "--features", "age,income", "--clusters", K, "--method", "ae", "--quiet")
    model = tmp_path / "deep.npz"
    assert run(capsys, "fit", folder / "people.csv", *options, "--model", model)[0] == 0
    people()[["income", "age"]].to_csv(tmp_path / "bare.csv", index=False)
    code, out, _ = run(capsys, "predict", model, tmp_path / "bare.csv", "--json")
    assert code == 0
    assert sum(json.loads(out)["sizes"]) == 60


def test_groups_that_were_ranges_are_cut_as_in_the_fit(tmp_path, capsys):
    frame = people().assign(age=people()["age"].round().astype(int))
    frame.to_csv(tmp_path / "all.csv", index=False)
    options = ("--sensitive", "age,sex", "--bins", 2, "--drop", "city", "--clusters", 2, "--init", "k-means++")
    outputs = ("--model", tmp_path / "m.npz", "--out", tmp_path / "fit.csv", "--quiet")
    assert run(capsys, "fit", tmp_path / "all.csv", *options, *outputs)[0] == 0
    fitted = pd.read_csv(tmp_path / "fit.csv")
    older = frame["age"] >= frame["age"].median()
    frame[older].to_csv(tmp_path / "older.csv", index=False)
    code, out, err = run(
        capsys, "predict", tmp_path / "m.npz", tmp_path / "older.csv", "--out", tmp_path / "o.csv", "--json"
    )
    assert (code, err) == (0, "")
    # the older half alone has another median
    found = pd.read_csv(tmp_path / "o.csv")
    assert found["group"].tolist() == fitted["group"][older].tolist()
    assert (found["cluster"].to_numpy() == fitted["cluster"][older].to_numpy()).mean() > 0.9
    assert set(json.loads(out)["attributes"]) == {"age", "sex"}
    again = fairjax.load(tmp_path / "m.npz").preparation_
    assert again.ranges["age"].names[-1].endswith("and above")
    frame.assign(age="old").to_csv(tmp_path / "words.csv", index=False)
    code, _, err = run(capsys, "predict", tmp_path / "m.npz", tmp_path / "words.csv")
    assert (code, "holds text values; expected numbers, since the fit cut them" in err) == (2, True), err


HOSTILE = (None, -1, 2**70, 1e308, "", "x" * 10_000, [], {}, True, "\x1b[31m", [[1.5]], {"a": [None]}, 0.5, "nan")


def tampered(content, draw):
    """A saved model with something changed: a byte, a word of its text, or one of its arrays."""
    if draw.random() < 0.2:
        data = bytearray(content)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        return bytes(data)
    arrays = dict(np.load(io.BytesIO(content)))
    if draw.random() < 0.6:
        words = json.loads(arrays["words"].tobytes())
        place = words
        while True:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            inside = place[key]
            if not (isinstance(inside, (dict, list)) and inside) or draw.random() < 0.2:
                break
            place = inside
        if draw.random() < 0.2:
            del place[key]
        else:
            place[key] = draw.choice(HOSTILE)
        arrays["words"] = np.frombuffer(json.dumps(words).encode(), np.uint8)
    else:
        name = draw.choice([name for name in arrays if name != "words"])
        array = arrays.pop(name)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            change = draw.randrange(6)
            if change < 5:
                arrays[name] = (
                    array.astype(draw.choice(["f2", "i1", "u8", "c16", "S3"])),
                    array[..., None],
                    array.ravel()[:-1],
                    np.where(np.ones_like(array, bool), draw.choice([np.nan, -np.inf, -1, 1e300]), array),
                    np.concatenate([np.atleast_1d(array)] * 2),
                )[change]
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def check_tampered(folder, tmp_path, capsys, count, seed):
    draw, content = random.Random(seed), (folder / "model.npz").read_bytes()
    codes = []
    for _ in range(count):
        (tmp_path / "m.npz").write_bytes(tampered(content, draw))
        began = time.process_time()
        code, out, err = run(capsys, "predict", tmp_path / "m.npz", folder / "people.csv")
        assert code in (0, 2)
        assert time.process_time() - began < 10
        assert (err.count("\n"), bool(out)) == ((0, True) if code == 0 else (1, False))
        assert len(err) < 2500
        assert not (set(out) | set(err)) & {chr(c) for c in (*range(10), *range(11, 32), *range(127, 160))}
        codes.append(code)
    assert set(codes) == {0, 2}


def test_a_few_tampered_models(folder, tmp_path, capsys):
    check_tampered(folder, tmp_path, capsys, 30, 0)


@pytest.mark.slow
def test_a_thousand_tampered_models(folder, tmp_path, capsys):
    resource = pytest.importorskip("resource")
    check_tampered(folder, tmp_path, capsys, 1000, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 << 20  # KiB
