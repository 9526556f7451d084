"""Tables in blocks that several processes cluster together: shares, passes, labels; threads stand for processes."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as pq
import pytest
from joined_processes import START, K, N, labels_in, write_people

from fairjax import FCA, datasets
from fairjax._core import processes
from fairjax.datasets import shares
from fairjax.errors import InputError
from fairjax.fca.streaming import iterations as streaming_iterations
from fairjax.fca.streaming import together
from fairjax.fca.streaming.survey import survey

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(shares, "_PIECE", 200)


class Threads(processes.Crew):
    """Threads in place of processes, which would compile everything anew."""

    def __init__(self, size, index, meeting, table):
        self.size, self.index, self._meeting, self._table = size, index, meeting, table

    def told(self, value):
        return json.loads(json.dumps(self._exchange(value)))

    def gathered(self, arrays):
        return [dict(part) for part in self._exchange(arrays)]

    def _exchange(self, value):
        self._table[self.index] = value
        self._meeting.wait(600)
        found = list(self._table)
        self._meeting.wait(600)
        return found


def by(size, monkeypatch, work):
    """What each of several threads returns, or raises, that believe to be processes."""
    meeting, table, own = threading.Barrier(size), [None] * size, threading.local()
    monkeypatch.setattr(processes, "Crew", lambda _: own.crew)

    def run(index):
        own.crew = Threads(size, index, meeting, table)
        try:
            return work(own.crew)
        except (InputError, ZeroDivisionError) as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


def shared(table, crew):
    return table.share(crew.index, crew.size).standardized(together=True)


# Shares


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_shares_are_the_table_in_order(folder, count):
    whole = datasets.scan(folder, "sex", key="id")
    parts = [whole.share(index, count) for index in range(count)]
    found = [np.concatenate([[], *(block.keys["id"].to_numpy() for block in part)]) for part in parts]
    assert [len(rows) for rows in found] == [part.n_rows for part in parts]
    np.testing.assert_array_equal(np.concatenate(found), np.arange(N))
    if count <= 3:  # of ten pieces, one of them of a hundred rows
        assert max(map(len, found)) - min(map(len, found)) <= 300
    assert all(part.fingerprint() == whole.fingerprint() for part in parts)


def test_a_share_names_rows_as_the_file_has_them(folder):
    part = datasets.scan(folder, "sex", key="id").share(1, 2)
    first = next(iter(part))
    assert part.place(0).endswith("1.parquet, row 801")
    assert first.features[0, 0] == pq.read_table(folder / "1.parquet")["age"][800].as_py()
    with pytest.raises(InputError, match="share 2 of 2 is asked for"):
        part.share(2, 2)


def test_text_is_shared_by_files(tmp_path):
    for part in range(3):
        (tmp_path / f"{part}.csv").write_text("age,sex\n" + "20,F\n30,M\n" * (part + 1))
    parts = [datasets.scan(tmp_path, "sex").share(index, 2) for index in range(2)]
    assert [[file.path.name for file in part.files] for part in parts] == [["0.csv", "1.csv"], ["2.csv"]]


@pytest.mark.parametrize("size", [2, 3])
def test_processes_scale_and_draw_as_one(folder, monkeypatch, size):
    """Digit by digit, or a checkpoint would not be of the same table."""
    whole = datasets.scan(folder, "sex", key="id")
    one = survey(together.intake_of(processes.Crew(False), whole.standardized()), 500)

    def work(crew):
        return survey(together.intake_of(crew, shared(whole, crew)), 500, crew)

    for seen in by(size, monkeypatch, work):
        assert seen.digest == one.digest
        assert seen.groups.tolist() == ["F", "M"]
        np.testing.assert_array_equal(seen.sample.X, one.sample.X)
        np.testing.assert_allclose(seen.shift, one.shift, atol=1e-7)
        np.testing.assert_allclose(seen.mean, one.mean, atol=1e-7)
        np.testing.assert_allclose(seen.spread, one.spread, rtol=1e-6)
        assert seen.scale == one.scale


# Fits


@pytest.mark.parametrize("size", [2, pytest.param(12, id="12, of which two have no rows")])
def test_processes_fit_and_label_as_one(folder, monkeypatch, tmp_path, size):
    whole = datasets.scan(folder, "sex", key="id")
    settings = {"init": START, "tol": 0, "max_iter": 3}
    one = FCA(K, **settings).fit_blocks(whole.standardized())
    one.write_labels(whole.standardized(), tmp_path / "one")

    def work(crew):
        table = shared(whole, crew)
        model = FCA(K, n_devices="all", **settings).fit_blocks(table)
        model.write_labels(table, tmp_path / "labels")
        return model

    for model in by(size, monkeypatch, work):
        assert model.cost_ == pytest.approx(one.cost_, rel=1e-6)
        assert (model.n_iter_, model.status_, model.group_names_) == (3, 0, ("F", "M"))
        assert model.gap_ <= 1e-5
        np.testing.assert_allclose(model.cluster_centers_, one.cluster_centers_, atol=1e-5)
        np.testing.assert_array_equal(model.streamed_.counts, one.streamed_.counts)
    found = labels_in(tmp_path / "labels")
    assert np.mean(found == labels_in(tmp_path / "one")) > 0.999
    sizes = np.bincount(found, minlength=K)
    np.testing.assert_array_equal(sizes, one.streamed_.counts.sum(0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels", "one"]


def test_copies_of_a_row_are_dealt_over_processes(monkeypatch, tmp_path):
    """Rows that share a boundary to the last digit lie in several shares: each knows what those before it have used."""
    rng = np.random.default_rng(2)
    X, sex = rng.integers(0, 3, (N, 2)).astype(np.float32), rng.integers(0, 2, N)

    def work(crew):
        rows = slice(crew.index * N // 2, (crew.index + 1) * N // 2)
        table = [(X[rows], sex[rows])]
        model = FCA(K, n_devices="all", init=X[:K] + 0.1, max_iter=2).fit_blocks(table)
        model.write_labels(table, tmp_path / "labels")
        return model

    model = by(2, monkeypatch, work)[0]
    assert len(model.streamed_.rule.keys)
    found = np.zeros((2, K))
    np.add.at(found, (sex, labels_in(tmp_path / "labels")), 1)
    np.testing.assert_array_equal(found, model.streamed_.counts)


def broken(*_):
    raise ZeroDivisionError("by nothing")


def test_bad_rows_of_one_process_are_told_by_all(monkeypatch, tmp_path):
    X, sex = np.ones((10, 2)), np.arange(10) % 2
    bad = X.copy()
    bad[3, 1] = np.nan
    cases = {
        "process 1: row 3 (from 0) holds nan in feature 1": [(bad, sex)],
        "processes have other numbers of features (2, 1)": [(X[:, :1], sex)],
        "some processes have rows with groups, others without": [(X, None)],
        "cannot be told to other processes": [(X, [b"f"] * 10)],
    }
    for words, second in cases.items():
        tables = [(X, sex)], second
        found = by(2, monkeypatch, lambda crew, tables=tables: FCA(2, n_devices="all").fit_blocks(tables[crew.index]))
        assert all(words in str(error) for error in found), (words, found)
    # what only the first process finds out
    found = by(2, monkeypatch, lambda crew: FCA(30, n_devices="all").fit_blocks([(X, sex)]))
    assert all("the table has 20 rows, less than n_clusters=30" in str(error) for error in found)
    monkeypatch.setattr(streaming_iterations, "step", broken)
    found = by(2, monkeypatch, lambda crew: FCA(2, init=X[:2], n_devices="all").fit_blocks([(X, sex)]))
    assert [type(error) for error in found] == [ZeroDivisionError, processes.ToldError]
    assert "process 0: ZeroDivisionError: by nothing" in str(found[1])
    found = by(2, monkeypatch, lambda crew: FCA(2 + crew.index, n_devices="all").fit_blocks([(X, sex)]))
    assert all("processes 0 and 1 have other settings" in str(error) for error in found)
