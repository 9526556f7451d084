"""Fits over blocks: as in memory, whatever the cut, in few passes, with a certificate."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from streaming_cases import D, K, M, N, contingency, cut, labels_of, people, problem

from fairjax import FCA, fca
from fairjax.assignment import fair
from fairjax.fca.fitting import Fairness
from fairjax.fca.streaming import fitting, iterations, sampling
from fairjax.fca.streaming.feed import ahead
from fairjax.fca.streaming.intake import Intake
from fairjax.fca.streaming.survey import survey

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    "fairness",
    [
        pytest.param(Fairness("gap", 0.0), id="perfect", marks=pytest.mark.slow),
        pytest.param(Fairness("gap", 0.2), id="gap"),
        pytest.param(Fairness("balance", 0.5), id="balance", marks=pytest.mark.slow),
    ],
)
def test_an_assignment_from_the_same_centres_is_that_in_memory(fairness):
    X, groups = people()
    ids = np.unique(groups, return_inverse=True)[1]
    whole, _ = problem(cut(X, groups, 2000, 2000, N - 1), fairness)
    start = X[:K].astype(np.float64)
    found = fitting.finish(whole, fitting.begin(whole, start))

    with jax.enable_x64(True):  # in single precision its prices are known to the square root of the gap only
        points = fca.prepare(jnp.asarray(X - X.mean(0), float), ids, n_groups=M)
        name = "epsilon" if fairness.kind == "gap" else "min_balance"
        control = fair.control(points.masses, **{name: fairness.value})
        state = fca.run(points, control, fca.init(points, start - X.mean(0), max_iter=1), until=0)
        best = fca.finish(points, control, state).assignment
    assert found.status == int(best.status) == 0
    assert found.gap <= 1e-5
    assert found.met
    assert found.primal == pytest.approx(float(best.primal), rel=1e-6)
    counts = contingency(groups, np.asarray(best.labels)[:N])
    if fairness.value == 0:
        np.testing.assert_array_equal(found.counts, counts)
    else:
        np.testing.assert_allclose(found.counts, counts, atol=1)
    np.testing.assert_array_equal(contingency(groups, labels_of(whole.intake, found.rule)), found.counts)
    np.testing.assert_allclose(found.prices - found.prices[:, :1], best.prices - best.prices[:, :1], atol=1e-3)


def test_iterations_take_about_one_pass_each_and_end_proven():
    X, groups = people()
    whole, _ = problem(cut(X, groups, 100, 101, 4000))
    state = fitting.run(whole, fitting.begin(whole, X[:K].astype(np.float64)), 12)
    found = fitting.finish(whole, state)
    assert found.status == 0
    assert found.gap <= 1e-5
    assert found.n_passes <= 1.3 * (found.n_iter + 1) + 2
    assert (np.diff(found.history) <= 1e-5 * found.history[0]).all()
    # every group is spread alike, to less than a row
    sizes = found.counts.sum(1)
    assert np.abs(found.counts - np.outer(sizes, found.counts.sum(0)) / N).max() < 1


def test_prices_of_rows_that_run_out_are_not_followed(monkeypatch):
    """They say what it would cost other rows to follow, far beyond what the next iteration needs."""
    X, groups = people()
    whole, _ = problem(cut(X, groups, 100, 101, 4000))
    state = fitting.run(whole, fitting.begin(whole, X[:K].astype(np.float64)), 3)
    foresee, solve, foreseen = iterations._foreseen, iterations._attempted, []
    monkeypatch.setattr(iterations, "_foreseen", lambda *args: foreseen.append(foresee(*args)) or foreseen[-1])
    calm = iterations.step(whole, state)
    assert np.abs(calm.y - foreseen[-1][0]).max() > 0

    def scarce(*args):
        return solve(*args)._replace(shift=np.float64(np.inf), held=np.array(False))

    monkeypatch.setattr(iterations, "_attempted", scarce)
    np.testing.assert_array_equal(iterations.step(whole, state).y, foreseen[-1][0])


def test_an_assignment_that_is_not_quite_fair_costs_no_less_than_fair_ones(monkeypatch):
    X, groups = people()
    whole, _ = problem(cut(X, groups, 100, 101, 4000))
    state = fitting.begin(whole, X[:K].astype(np.float64))
    cost = fitting.finish(whole, state).primal / whole.layout.scale**2
    solve = iterations._attempted
    monkeypatch.setattr(iterations, "_attempted", lambda *args: solve(*args)._replace(cost=np.float64(0)))
    assert iterations.step(whole, state).cost == pytest.approx(cost, rel=1e-4)


def test_centres_without_rows_are_put_to_use():
    """Groups that lie apart, and centres that are far from all of them, as in a fit in memory."""
    rng = np.random.default_rng(5)
    ids = np.arange(N) % M
    X, groups = (rng.normal(size=(N, D)) + 20 * ids[:, None]).astype(np.float32), np.array(["a", "b", "c"])[ids]
    start = np.array([[20.0] * D, [21.0] * D, [300.0] * D, [300.0] * D])
    whole, _ = problem(cut(X, groups, 700))
    state = iterations.step(whole, fitting.begin(whole, start))
    assert (state.sizes[2:] == 0).all()
    while not state.converged:
        state = iterations.step(whole, state)
    found = fitting.finish(whole, fitting.run(whole, state, 60))
    assert found.status == 0
    assert (found.counts > 0).all()
    assert found.cost < state.best_cost * whole.layout.scale**2 - 0.1  # of the variance of 3 within a group
    # where there is nothing to split, it ends
    same = (np.ones((N, D)) + ids[:, None]).astype(np.float32)
    whole, _ = problem(cut(same, groups, 700))
    state = fitting.run(whole, fitting.begin(whole, start), 60)
    assert state.converged
    assert len(state.history) < 10


def test_a_group_that_only_the_last_block_has():
    X, groups = people()
    order = np.argsort(groups, kind="stable")
    last = int(np.argmax(groups[order] == "c"))
    start, counts = X[:K].astype(float), []
    for blocks in (cut(X, groups, 2000), cut(X[order], groups[order], 1000, last)):
        whole, seen = problem(blocks)
        assert seen.groups.tolist() == ["a", "b", "c"]
        found = fitting.finish(whole, fitting.begin(whole, start))
        assert found.status == 0
        counts.append(found.counts)
    np.testing.assert_array_equal(*counts)


def test_the_cut_changes_nothing():
    X, groups = people()
    rng = np.random.default_rng(3)
    weights = rng.integers(1, 4, N).astype(float)
    ends = []
    for places in ([], [1, 5], [1024, 2048, 2048, N - 1]):
        whole, seen = problem(cut(X, groups, *places, weights=weights))
        assert seen.masses.sum() == weights.sum()
        ends.append(fitting.finish(whole, fitting.run(whole, fitting.begin(whole, X[:K].astype(float)), 2)))
    assert all(end.status == 0 and end.gap <= 1e-5 for end in ends)
    for end in ends[1:]:
        assert end.cost == pytest.approx(ends[0].cost, rel=1e-6)
        np.testing.assert_allclose(end.counts, ends[0].counts, atol=3)  # the weight of a row


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_with_many_copies_are_dealt_out(weighted):
    X, groups = people()
    X = np.round(X / 2)  # some hundred distinct rows, and more copies of each than may stay open
    weights = np.where(np.arange(N) % 3 == 0, 2.0, 1.0) if weighted else None
    blocks = cut(X, groups, 2500, weights=weights)
    whole, seen = problem(blocks, n_open=512)
    assert len(np.unique(X, axis=0)) < 200
    found = fitting.finish(whole, fitting.run(whole, fitting.begin(whole, X[:K] + 0.1), 3))
    assert found.status == 0
    assert found.gap <= 1e-5
    assert len(found.rule.keys)
    fair_counts = np.outer(seen.masses, found.counts.sum(0)) / seen.masses.sum()
    assert np.abs(found.counts - fair_counts).max() < 4
    labels_found = labels_of(whole.intake, found.rule)
    table = np.zeros((M, K))
    np.add.at(table, (np.unique(groups, return_inverse=True)[1], labels_found), 1 if weights is None else weights)
    np.testing.assert_allclose(table, found.counts)
    cost = np.average(((X - found.centers[labels_found]) ** 2).sum(1), weights=weights)
    assert found.cost == pytest.approx(cost, rel=1e-5)


def test_a_sample_stands_for_all_rows():
    X, groups = people()
    groups = np.where(np.arange(N) < 20, "rare", groups)
    intake = Intake(cut(X, groups, 500, 3000))
    seen = survey(intake, 1000)
    assert seen.groups.tolist() == ["a", "b", "c", "rare"]
    assert (seen.n_rows, seen.sizes.sum(), seen.sizes[3]) == (N, N, 20)
    assert 990 <= len(seen.sample.X) <= 1000
    assert np.bincount(seen.sample.ids)[3] == 20  # all of them
    np.testing.assert_allclose(np.bincount(seen.sample.ids, seen.sample.weights), seen.masses)
    np.testing.assert_allclose(seen.shift, X.astype(float).mean(0), rtol=1e-6)
    spread = ((X - seen.shift) ** 2).sum(1).mean() / seen.scale**2
    assert seen.spread == pytest.approx(spread, rel=1e-5)


def test_a_start_has_the_sample_that_a_smaller_one_would_be(monkeypatch):
    X, groups = people()
    groups = np.where(np.arange(N) < 20, "rare", groups)
    large, small = (survey(Intake(cut(X, groups, 500, 3000)), size).sample for size in (1000, 300))
    monkeypatch.setattr(sampling, "_START", 300)
    seen = np.bincount(np.unique(groups, return_inverse=True)[1])
    for found, expected in zip(sampling.for_start(large, seen), small, strict=True):
        np.testing.assert_allclose(found, expected)
    assert sampling.for_start(small, seen) is small


def test_fit_blocks_of_the_estimator():
    X, groups = people(2000)
    model = FCA(K, random_state=0).fit_blocks(cut(X, groups, 700))
    whole = FCA(K, random_state=0).fit(X, sensitive_features=groups)
    assert model.cost_ == pytest.approx(whole.cost_, rel=2e-3)
    assert model.balance_ == pytest.approx(whole.balance_, rel=1e-2)
    assert model.status_ == 0
    assert model.group_names_ == ("a", "b", "c")
    assert model.cluster_centers_.shape == (K, D)
    assert model.streamed_.counts.sum() == 2000
    assert not hasattr(model, "labels_")
    with pytest.raises(AttributeError, match=r"write_labels\(table, folder\)"):
        _ = model.labels_
    differ = model.predict(X, sensitive_features=groups) != labels_of(Intake(cut(X, groups)), model.streamed_.rule)
    assert np.mean(differ) < 0.01
    # on a boundary, or moved so that counts are whole
    costs = ((X[:, None] - model.cluster_centers_) ** 2).sum(-1)
    paid = np.sort(costs + model.multipliers_[np.unique(groups, return_inverse=True)[1]], 1)
    assert np.sum((paid[:, 1] - paid[:, 0])[differ] > 1e-3 * model.cost_) <= (M - 1) * (K - 1)
    assert FCA(K, random_state=0).fit_blocks([(np.ones((2000, D)), groups)]).cost_ < 1e-15
    one = FCA(K, random_state=0).fit_blocks([(X, None)])
    assert one.group_names_ == ("all",)
    # a fit in memory afterwards has labels again
    assert len(model.fit(X, sensitive_features=groups).labels_) == 2000


def test_reading_ahead_ends_with_its_reader():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i
        raise AssertionError("nobody asked for the end")

    with ThreadPoolExecutor(1) as reader:
        source = ahead(items(), reader)
        assert next(source) == 0
        source.close()
        assert len(made) < 10
        with pytest.raises(ZeroDivisionError):
            list(ahead((1 // i for i in (1, 0)), reader))


_MEMORY = """
import sys, warnings
import numpy as np
from fairjax import FCA
warnings.simplefilter("ignore")

class Table:
    def __iter__(self):
        for i in range(int(sys.argv[1])):
            rng = np.random.default_rng(i)
            groups = rng.integers(0, 2, 2**18)
            yield (rng.normal(size=(2**18, 4)) + groups[:, None]).astype(np.float32), groups

model = FCA(8, random_state=0, max_iter=2, n_init=1).fit_blocks(Table())
lines = open("/proc/self/status").read().splitlines()
print(model.status_, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_peak_memory_is_that_of_a_quarter_of_the_rows():
    peaks = []
    for n_blocks in (16, 64):  # with fewer rows the sample, and what it is drawn from, are not full
        done = subprocess.run(
            [sys.executable, "-c", _MEMORY, str(n_blocks)], capture_output=True, text=True, check=True
        )
        status, peak = done.stdout.split()
        assert status == "0"
        peaks.append(int(peak))
    assert peaks[1] < 1.05 * peaks[0], peaks


def test_memory_does_not_grow_with_the_rows():
    """What is kept of a pass is bounded: the open rows, and the blocks that were read ahead."""
    X, groups = people(1024)
    alive = []

    class Endless:
        def __init__(self, n_blocks):
            self.n_blocks = n_blocks

        def __iter__(self):
            for i in range(self.n_blocks):
                yield np.roll(X, i, 0), np.roll(groups, i)

    sizes = []
    for n_blocks in (8, 32):
        whole, seen = problem(Endless(n_blocks), n_open=256, size=512)
        found = iterations.one_pass(whole.intake, whole.layout, X[:K] * 0, np.zeros((M, K), np.float32), n_open=256)
        sizes.append((len(seen.sample.X), len(found.open.rows)))
        alive.append(found.counts.sum())
    assert alive == [8 * 1024, 32 * 1024]
    assert all(sample <= 512 and opened <= 256 for sample, opened in sizes)
