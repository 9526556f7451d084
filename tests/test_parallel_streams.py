"""Tables in files that several processes cluster together: shares, passes, labels, checkpoints, and a process lost."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairjax
from fairjax import FCA, cli, datasets
from fairjax._core import processes
from fairjax.datasets import shares
from fairjax.errors import InputError
from fairjax.fca.streaming import iterations as streaming_iterations
from fairjax.fca.streaming import together
from fairjax.fca.streaming.survey import survey

N, K = 2000, 3
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three files of unequal length, in row groups of a hundred rows."""
    rng = np.random.default_rng(0)
    blob, sex = rng.integers(0, K, N), rng.integers(0, 2, N)
    columns = {
        "id": np.arange(N),
        "age": 40 + 5 * blob + 15 * rng.normal(size=N),
        "income": 3e4 + 1e4 * blob * sex + 1e4 * rng.normal(size=N),
        "sex": np.array(["F", "M"])[sex],
    }
    path = tmp_path_factory.mktemp("people")
    for part, rows in enumerate((slice(0, 300), slice(300, 1500), slice(1500, N))):
        found = pa.table({name: column[rows] for name, column in columns.items()})
        pq.write_table(found, path / f"{part}.parquet", row_group_size=100)
    return path


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


def labels_in(folder, n_rows=N):
    parts = [
        pq.read_table(folder / part["name"]) for part in json.loads((folder / "manifest.json").read_text())["parts"]
    ]
    whole = pa.concat_tables(parts)
    assert whole["row"].to_pylist() == list(range(n_rows))
    return whole["cluster"].to_numpy()


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


# The command


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


_COMMAND = """
import sys
import jax
jax.config.update("jax_disable_most_optimizations", True)
from fairjax import cli
from fairjax.datasets import shares
shares._PIECE = 200
sys.exit(cli.main(sys.argv[1:]))
"""
_FIT = """
import json, sys, warnings
from fairjax import FCA, datasets, parallel
from fairjax.datasets import shares
shares._PIECE = 200
warnings.simplefilter("ignore")
folder, target, settings, coordinator, size, index = sys.argv[1:]
parallel.start(coordinator, n_processes=int(size), process=int(index))
table = datasets.scan(folder, "sex", key="id").share(int(index), int(size)).standardized(together=True)
model = FCA(n_devices="all", tol=0, **json.loads(settings))
model.fit_blocks(table, checkpoint_dir=target + "/run", resume=True, block_rows=1024)
model.write_labels(table, target + "/labels")
print(json.dumps({"cost": model.cost_, "sizes": model.streamed_.counts.sum(0).tolist(), "n_iter": model.n_iter_}))
"""


def running(code, size, *arguments, numbers=("--coordinator", "--processes", "--process")):
    """Processes that run the same code, each with its number."""
    surroundings = os.environ | {
        "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parent.parent),
        "JAX_COMPILATION_CACHE_DIR": os.environ["FAIRJAX_TEST_PROGRAMS"],
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }  # fmt: skip
    told = [f"127.0.0.1:{free_port()}", size]
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments), *_named(numbers, [*told, index])],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings,
        )
        for index in range(size)
    ]  # fmt: skip


def _named(names, values):
    return [str(word) for pair in zip(names, values, strict=True) for word in pair if word is not None]


def started(size, *arguments):
    """Processes that run the command together."""
    return running(_COMMAND, size, "fit", *arguments, "--distributed")


def ended(several):
    """Standard output and error, and exit code, of each."""
    try:
        return [(*process.communicate(timeout=900), process.returncode) for process in several]
    finally:
        for process in several:
            process.kill()


def options(folder, *more):
    return (f"{folder}/*.parquet", "--sensitive", "sex", "--clusters", K, "--drop", "id", *more)


def alone(capsys, *arguments):
    assert cli.main(["fit", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


START = [[-1.0, -1], [0, 0], [1, 1]]


def told_to(**settings):
    return json.dumps({"n_clusters": K, "init": START} | settings)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_a_fit_of_processes_goes_on_in_one(folder, tmp_path, size):
    """Two or three that find each other by gloo; their checkpoint is free of them."""
    found = ended(running(_FIT, size, folder, tmp_path, told_to(max_iter=2), numbers=(None,) * 3))
    assert [code for *_, code in found] == [0] * size, found
    told = [json.loads(out.splitlines()[-1]) for out, *_ in found]
    assert told == [told[0]] * size
    assert told[0]["n_iter"] == 2
    np.testing.assert_array_equal(np.bincount(labels_in(tmp_path / "labels")), told[0]["sizes"])
    table = datasets.scan(folder, "sex", key="id").standardized()
    model = FCA(K, init=START, tol=0, max_iter=4)
    whole = FCA(K, init=START, tol=0, max_iter=4).fit_blocks(table)
    model.fit_blocks(table, checkpoint_dir=tmp_path / "run", resume=True)
    assert model.n_iter_ == whole.n_iter_ > 2
    assert model.cost_ == pytest.approx(whole.cost_, rel=1e-6)
    np.testing.assert_array_equal(model.streamed_.counts, whole.streamed_.counts)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_the_command_streams_shares(folder, tmp_path, size):
    """The first process alone says what came out, in one JSON object; what others print is out of its way."""
    stream = options(folder, "--stream", "--tol", 0, "--max-iter", 2, "--json")
    found = ended(
        started(
            size,
            *stream,
            "--out",
            tmp_path / "labels",
            "--model",
            tmp_path / "model.npz",
            "--report",
            tmp_path / "page.html",
        )
    )
    assert [code for *_, code in found] == [0] * size, found
    assert [bool(out) for out, *_ in found] == [True] + [False] * (size - 1)
    told = json.loads(found[0][0])
    assert (told["n"], told["n_iter"], told["n_processes"], told["status"]) == (N, 2, size, 0)
    np.testing.assert_array_equal(np.bincount(labels_in(tmp_path / "labels")), told["sizes"])
    assert f"{size} processes clustered a share of the rows each" in (tmp_path / "page.html").read_text()
    assert fairjax.load(tmp_path / "model.npz").cost_ == pytest.approx(told["cost"])


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_a_fit_in_memory_of_shares(capsys, folder, tmp_path, size):
    found = ended(started(
        size, *options(folder), "--out", tmp_path / "labels", "--model", tmp_path / "model.npz", "--json"
    ))  # fmt: skip
    assert [code for *_, code in found] == [0] * size, found
    told = json.loads(found[0][0])
    one = alone(capsys, folder / "0.parquet", "--sensitive", "sex", "--clusters", K, "--drop", "id")
    assert one.keys() - told.keys() <= {"attributes", "search", "unfair_cost", "unfair_balance"}
    assert (told["n"], told["status"], told["n_passes"]) == (N, 0, None)
    assert told["gap"] <= 1e-5
    np.testing.assert_array_equal(np.bincount(labels_in(tmp_path / "labels")), told["sizes"])
    assert json.loads((tmp_path / "labels" / "manifest.json").read_text())["cost"] == told["cost"]
    code = cli.main(["predict", str(tmp_path / "model.npz"), str(folder / "1.parquet"), "--json"])
    assert code == 0


def iterations_in(folder):
    if not (folder / "fit.npz").exists():
        return 0
    with np.load(folder / "fit.npz") as kept:
        return len(kept["history"])


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 0])
def test_lost_processes_lose_an_iteration_at_most(folder, tmp_path, lost):
    """Killed at random moments, ten times: the rest ends with a sentence, and no labels are half-written."""
    chance, n_lost = random.Random(lost), 0
    start = np.random.default_rng(3).normal(size=(15, 2)).tolist()
    settings = told_to(n_clusters=15, init=start, max_iter=400)
    for _ in range(10):
        before = iterations_in(tmp_path / "run")
        both = running(_FIT, 2, folder, tmp_path, settings, numbers=(None,) * 3)
        until = time.monotonic() + 600
        while iterations_in(tmp_path / "run") <= before and time.monotonic() < until and both[0].poll() is None:
            time.sleep(0.001)
        time.sleep(0.02 * chance.random())
        reached = iterations_in(tmp_path / "run")
        both[lost].send_signal(signal.SIGKILL)
        _, err, code = ended(both)[1 - lost]
        if code == 0:  # it was at its end
            break
        n_lost += 1
        assert iterations_in(tmp_path / "run") >= reached > before, err
        # where process 0 is lost, JAX may end the other one before it can say so
        if lost == 1 or code == 1:
            assert code == 1, err
            assert f"LostProcessError: process {1 - lost} of 2 lost another one and cannot go on" in err
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert n_lost >= 3
    table = datasets.scan(folder, "sex", key="id").standardized()
    model, whole = (FCA(15, init=start, tol=0, max_iter=400) for _ in range(2))
    model.fit_blocks(table, checkpoint_dir=tmp_path / "run", resume=True)
    assert model.gap_ <= 1e-5
    assert model.cost_ == pytest.approx(whole.fit_blocks(table).cost_, rel=0.02)


ADDRESS = ("--coordinator", "127.0.0.1:1", "--processes", "2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--coordinator", "a:1"), "--coordinator belongs to --distributed"),
        (("--distributed", "--coordinator", "a:1"), "--coordinator is given without --processes"),
        (("--distributed", "--block-rows", "9"), "--block-rows belongs to --stream"),
        (("--distributed", "--method", "falg"), "--distributed is for --method direct"),
        (("--distributed", "--missing", "mean"), "no meaning with --distributed"),
        (("--distributed", "--join-timeout", "0"), "--join-timeout is 0; expected a number of seconds above 0"),
        (
            ("--distributed", *ADDRESS, "--process", "1", "--join-timeout", "0.3"),
            "no coordinator answered at 127.0.0.1:1 within 0.3 s; start process 0 there",
        ),
        (
            ("--distributed", *ADDRESS, "--process", "2"),
            "process is 2 of 2; expected 0 to 1",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(capsys, folder, arguments, words):
    code = cli.main(["fit", str(folder), "--sensitive", "sex", *arguments])
    found = capsys.readouterr()
    assert (code, found.out) == (2, "")
    assert words in found.err
    assert found.err.count("\n") == 1
