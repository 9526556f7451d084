"""Labels of a fit over blocks: written as a whole, the same after saving, refused for other tables."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.exceptions import ConvergenceWarning
from streaming_cases import K, contingency, cut, people

import fairjax
from fairjax import FCA
from fairjax.errors import InputError
from fairjax.estimators import stream_labels

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def fitted():
    X, groups = people(2000)
    table = cut(X, groups, 700, 1999)
    with pytest.warns(ConvergenceWarning):
        return FCA(K, random_state=0, max_iter=2).fit_blocks(table), table, groups


def test_labels_are_written_as_a_whole(fitted, tmp_path):
    model, table, groups = fitted
    folder = tmp_path / "labels"
    for _ in range(2):  # the second time in place of the first
        model.write_labels(table, folder)
        assert [path.name for path in tmp_path.iterdir()] == ["labels"]
        found = pq.read_table(folder / "part-00000.parquet")
        assert found["row"].to_pylist() == list(range(2000))
        np.testing.assert_array_equal(contingency(groups, found["cluster"].to_numpy()), model.streamed_.counts)
    told = json.loads((folder / "manifest.json").read_text())
    assert told["rows"] == 2000
    assert told["counts"] == model.streamed_.counts.tolist()
    assert told["parts"] == [{"name": "part-00000.parquet", "source": None, "first_row": 0, "rows": 2000}]


def test_labels_after_saving_are_the_same(fitted, tmp_path):
    model, table, _ = fitted
    model.save(tmp_path / "model.npz")
    loaded = fairjax.load(tmp_path / "model.npz")
    assert not hasattr(loaded, "labels_")
    assert loaded.cost_ == model.cost_
    for name, one in (("a", model), ("b", loaded)):
        one.write_labels(table, tmp_path / name)
    parts = [pq.read_table(tmp_path / name / "part-00000.parquet") for name in "ab"]
    assert parts[0].equals(parts[1])


def test_labels_of_another_table_or_to_another_place_are_refused(fitted, tmp_path):
    model, table, _ = fitted
    other = [(block[0] + 1, block[1]) for block in table]
    with pytest.raises(InputError, match="not the one that the model was fitted to"):
        model.write_labels(other, tmp_path / "labels")
    with pytest.raises(InputError, match="had 2,000 rows"):
        model.write_labels(table[:1], tmp_path / "labels")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="other files"):
        model.write_labels(table, tmp_path / "mine")
    with pytest.raises(InputError, match="is a file"):
        model.write_labels(table, tmp_path / "mine" / "thesis.txt")
    X, groups = people(2000)
    with pytest.raises(Exception, match="only a fit over blocks"):
        FCA(K, init=X[:K], max_iter=1).fit(X, sensitive_features=groups).write_labels(table, tmp_path / "labels")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_full_disk_leaves_nothing(fitted, tmp_path, monkeypatch):
    model, table, _ = fitted
    model.write_labels(table, tmp_path / "labels")
    before = (tmp_path / "labels" / "manifest.json").read_bytes()

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(stream_labels.Parts, "add", full)
    with pytest.raises(InputError, match="No space left on device"):
        model.write_labels(table, tmp_path / "labels")
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]
    assert (tmp_path / "labels" / "manifest.json").read_bytes() == before


_WRITER = """
import sys, warnings
from fairjax import FCA
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
from streaming_cases import K, cut, people
X, groups = people(2000)
table = cut(X, groups, 700)
model = FCA(K, random_state=0, init=X[:K], max_iter=1).fit_blocks(table)
print("ready", flush=True)
while True:
    model.write_labels(table, sys.argv[2])
"""


@pytest.mark.slow
def test_killed_writers_leave_whole_labels_or_none(tmp_path):
    rng, n_whole = np.random.default_rng(0), 0
    for trial in range(5):
        folder = tmp_path / str(trial) / "labels"
        folder.parent.mkdir()
        arguments = [sys.executable, "-c", _WRITER, str(Path(__file__).parent), str(folder)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            time.sleep(rng.random())
        finally:
            process.kill()
            process.communicate(timeout=60)
        if folder.exists():
            n_whole += 1
            told = json.loads((folder / "manifest.json").read_text())
            assert sum(part["rows"] for part in told["parts"]) == told["rows"] == 2000
            assert pq.read_table(folder / "part-00000.parquet").num_rows == 2000
    assert n_whole
