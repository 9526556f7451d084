"""A streamed fit of two processes, of which one is killed: the rest ends, and what was kept is gone on from."""

import json
import random
import signal
import time

import numpy as np
import pytest
from joined_processes import START, K, ended, labels_in, running, write_people

from fairjax import FCA, datasets
from fairjax.datasets import shares

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(shares, "_PIECE", 200)


_FIT = """
import json, sys, time, warnings
import jax
from fairjax import FCA, datasets, parallel
from fairjax.datasets import blocks, shares
jax.config.update("jax_disable_most_optimizations", True)
shares._PIECE = 200
warnings.simplefilter("ignore")
folder, target, settings, pause, coordinator, size, index = sys.argv[1:]
read = blocks.BlockTable.by_file

def slowly(*arguments):
    time.sleep(float(pause))
    yield from read(*arguments)

parallel.start(coordinator, n_processes=int(size), process=int(index))
table = datasets.scan(folder, "sex", key="id").share(int(index), int(size)).standardized(together=True)
model = FCA(n_devices="all", tol=0, **json.loads(settings))
blocks.BlockTable.by_file = slowly
model.fit_blocks(table, checkpoint_dir=target + "/run", resume=True, block_rows=1024)
blocks.BlockTable.by_file = read
model.write_labels(table, target + "/labels")
print(json.dumps({"cost": model.cost_, "counts": model.streamed_.counts.tolist(), "n_iter": model.n_iter_}))
"""
_PAUSE = 0.05  # seconds by which a pass takes longer, so that a fit is killed in it rather than after it


def fitting(size, folder, target, settings, pause=0.0):
    return running(_FIT, size, folder, target, json.dumps(settings), pause)


def told(several):
    """What every process has found; all the same."""
    found = ended(several)
    assert [code for *_, code in found] == [0] * len(found), found
    every = [json.loads(out.splitlines()[-1]) for out, *_ in found]
    assert every == [every[0]] * len(every)
    return every[0]


def iterations_in(target):
    """Iterations of the fit that is kept there; a torn file would be none."""
    path = target / "run" / "fit.npz"
    if not path.exists():
        return 0
    with np.load(path) as kept:
        return len(kept["history"])


def lose_one(folder, target, settings, lost, chance):
    """Go on with a fit of two processes, and kill one a moment after an iteration; the other one ends by itself."""
    before = iterations_in(target)
    both = fitting(2, folder, target, settings, _PAUSE)
    try:
        until = time.monotonic() + 300
        while iterations_in(target) <= before and time.monotonic() < until and both[0].poll() is None:
            time.sleep(0.005)
        time.sleep(2 * _PAUSE * chance.random())
        reached = iterations_in(target)
        both[lost].send_signal(signal.SIGKILL)
    finally:
        found = ended(both)
    _, err, code = found[1 - lost]
    assert found[lost][2] == -signal.SIGKILL, found
    assert code not in (0, None), err
    # where process 0 is lost, JAX may end the other one before it can say so, or while it does
    told = f"LostProcessError: process {1 - lost} of 2 lost another one and cannot go on"
    assert told in err or (lost == 0 and "coordination service" in err), err
    assert iterations_in(target) >= reached > before, err
    assert [path.name for path in target.iterdir()] == ["run"]


def test_two_lost_processes(folder, tmp_path):
    """First one, then the other; a fit by one process alone goes on from there, and ends as if nothing had been."""
    settings = {"n_clusters": K, "init": START, "max_iter": 10}
    chance = random.Random(0)
    for lost in (1, 0):
        lose_one(folder, tmp_path, settings, lost, chance)
    assert iterations_in(tmp_path) < 10
    table = datasets.scan(folder, "sex", key="id").standardized()
    model, whole = (FCA(tol=0, **settings) for _ in range(2))
    model.fit_blocks(table, checkpoint_dir=tmp_path / "run", resume=True)
    whole.fit_blocks(table)
    assert model.n_iter_ == whole.n_iter_ == 10
    assert model.cost_ == pytest.approx(whole.cost_, rel=1e-6)
    np.testing.assert_array_equal(model.streamed_.counts, whole.streamed_.counts)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [1, 0])
def test_lost_processes_lose_an_iteration_at_most(folder, tmp_path, lost):
    """Ten times, at random moments; two that go on to the end find the same, digit by digit."""
    start = np.random.default_rng(3).normal(size=(15, 2)).tolist()
    settings, chance = {"n_clusters": 15, "init": start, "max_iter": 40}, random.Random(lost)
    (tmp_path / "lost").mkdir()
    (tmp_path / "whole").mkdir()
    for _ in range(10):
        lose_one(folder, tmp_path / "lost", settings, lost, chance)
    assert iterations_in(tmp_path / "lost") < 40
    found = [told(fitting(2, folder, tmp_path / name, settings)) for name in ("lost", "whole")]
    assert found[0] == found[1]
    for name in ("lost", "whole"):
        sizes = np.bincount(labels_in(tmp_path / name / "labels"), minlength=15)
        np.testing.assert_array_equal(sizes, np.sum(found[0]["counts"], 0))


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_a_fit_of_processes_goes_on_in_one(folder, tmp_path, size):
    """Two or three that find each other by gloo; their checkpoint is free of them."""
    settings = {"n_clusters": K, "init": START}
    found = told(fitting(size, folder, tmp_path, settings | {"max_iter": 2}))
    assert found["n_iter"] == 2
    np.testing.assert_array_equal(np.bincount(labels_in(tmp_path / "labels")), np.sum(found["counts"], 0))
    table = datasets.scan(folder, "sex", key="id").standardized()
    model, whole = (FCA(tol=0, max_iter=4, **settings) for _ in range(2))
    whole.fit_blocks(table)
    model.fit_blocks(table, checkpoint_dir=tmp_path / "run", resume=True)
    assert model.n_iter_ == whole.n_iter_ > 2
    assert model.cost_ == pytest.approx(whole.cost_, rel=1e-6)
    np.testing.assert_array_equal(model.streamed_.counts, whole.streamed_.counts)
