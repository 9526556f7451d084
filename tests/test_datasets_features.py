"""Features computed elsewhere: the file, FCMI's transform of ResNet50 features, and its checks."""

import numpy as np
import pytest

from fairjax.datasets import load_features
from fairjax.errors import InputError

RNG = np.random.default_rng(0)


def write(tmp_path, **changes):
    arrays = {
        "features": RNG.random((6, 3)),
        "labels": np.array(["cup", "pen", "cup", "pen", "cup", "cup"]),
        "groups": np.array([1, 0, 1, 0, 0, 1]),
    }
    path = tmp_path / "features.npz"
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    return path


def mtfl():
    """Numbers that have, transformed, the mean and deviation of the authors' features: a normal one, as it happens."""
    t = np.clip(RNG.normal(-0.1147, 0.5310, 2048), -0.999999, 0.999999)
    t = np.clip((t - t.mean()) / t.std() * 0.5310 - 0.1147, -0.999999, 0.999999)
    labels = np.repeat([0, 1, 0, 1], [346, 654, 346, 654])
    return {
        "features": np.tile((np.arctanh(t) * 0.38059562 + 0.34949973).astype(np.float32), (2000, 1)),
        "labels": labels,
        "groups": np.repeat([0, 1], 1000),
    }


def test_features_as_they_are(tmp_path, monkeypatch):
    data = load_features(write(tmp_path), dtype=np.float64)
    np.testing.assert_array_equal(data.X, data.raw)
    assert data.target.tolist() == [0, 1, 0, 1, 0, 0]
    assert (data.target_names, data.group_names) == (("cup", "pen"), ("0", "1"))
    assert data.groups.tolist() == [1, 0, 1, 0, 0, 1]
    monkeypatch.setenv("FAIRJAX_DATA", str(tmp_path))
    monkeypatch.chdir("/")
    assert load_features("features.npz").n_samples == 6


def test_the_transform_of_mtfl(tmp_path):
    arrays = mtfl()
    path = write(tmp_path, **arrays)
    data = load_features(path, protocol="mtfl")
    wanted = np.tanh((arrays["features"].astype(float) - 0.34949973) / 0.38059562)
    np.testing.assert_allclose(data.X, wanted, atol=1e-6)
    assert data.max_balance == 1
    for changes, message in (
        ({"features": arrays["features"] + 0.1}, "after the transform of mtfl the features have the mean"),
        ({"labels": arrays["groups"]}, "mtfl has 1308, 692 rows in its classes, and these features 1000, 1000"),
        ({"groups": arrays["labels"]}, "mtfl has 1000, 1000 rows in its groups, and these features 1308, 692"),
    ):
        with pytest.raises(InputError, match=message):
            load_features(write(tmp_path, **arrays | changes), protocol="mtfl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "lacks the array 'labels'; expected features, labels, groups"),
        ({"labels": np.zeros(5)}, r"have shapes \(5,\) and \(6,\); expected \(6,\)"),
        ({"features": np.zeros((6, 3), int)}, "the features in .* are int64 of shape"),
        ({"features": np.full((6, 3), np.nan)}, "not finite in row 0"),
    ],
)
def test_files_that_do_not_fit(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load_features(write(tmp_path, **changes))


def test_other_features_and_names(tmp_path):
    path = write(tmp_path)
    with pytest.raises(InputError, match="office-31 has 2048 numbers a row, and these features 3"):
        load_features(path, protocol="office-31")
    with pytest.raises(InputError, match="protocol='office' is not known"):
        load_features(path, protocol="office")
    with pytest.raises(InputError, match=r"there is no file 'absent\.npz'; give an NPZ file"):
        load_features("absent.npz")
    path.write_bytes(b"not a file of arrays")
    with pytest.raises(InputError, match="is not an NPZ file that can be read"):
        load_features(path)
