"""Fits over blocks: as in memory, whatever the cut, in few passes, with a certificate; labels and checkpoints."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.exceptions import ConvergenceWarning

import fairjax
from fairjax import FCA, fca
from fairjax.assignment import fair
from fairjax.errors import InputError
from fairjax.estimators import stream_labels
from fairjax.fca.fitting import Fairness
from fairjax.fca.streaming import fitting, iterations, labels
from fairjax.fca.streaming.feed import ahead
from fairjax.fca.streaming.intake import Intake
from fairjax.fca.streaming.survey import survey

N, D, K, M = 6000, 3, 4, 3
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def people(n=N, seed=0):
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, K, n)
    X = (2 * rng.normal(size=(K, D))[blob] + rng.normal(size=(n, D)) + 100).astype(np.float32)
    groups = np.where(rng.random(n) < 0.4, blob % M, rng.integers(0, M, n))
    groups[:M] = np.arange(M)
    return X, np.array(["a", "b", "c"])[groups]


def cut(X, groups, *places, weights=None):
    """Blocks that end at these places."""
    edges = [0, *places, len(X)]
    parts = [slice(*edge) for edge in itertools.pairwise(edges)]
    if weights is None:
        return [(X[part], groups[part]) for part in parts]
    return [(X[part], groups[part], weights[part]) for part in parts]


def contingency(groups, found):
    table = np.zeros((M, K))
    np.add.at(table, (np.unique(groups, return_inverse=True)[1], found), 1)
    return table


def problem(blocks, fairness=None, size=1500, n_open=512, block_rows=1024):
    intake = Intake(blocks)
    seen = survey(intake, size)
    fairness = Fairness("gap", 0.0) if fairness is None else fairness
    return fitting.problem_of(intake, seen, fairness, np.float32, n_open=n_open, block_rows=block_rows), seen


def labels_of(intake, rule):
    return np.concatenate([block.labels for block in labels.labelled(intake, rule)])


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

    points = fca.prepare(jnp.asarray(X - X.mean(0)), ids, n_groups=M)
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


class Changing:
    """A table that is another one when it is read again."""

    def __init__(self, *tables):
        self.tables = list(tables)

    def __iter__(self):
        return iter(self.tables.pop(0) if len(self.tables) > 1 else self.tables[0])


def bad(**changes):
    X, groups = people(40)
    X[7, 1] = changes.get("value", X[7, 1])
    return cut(X, groups, 5, 20)


X40, G40 = people(40)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (iter(cut(X40, G40)), "can be read only once"),
        (X40, "expected blocks"),
        ([], "no rows"),
        ([X40], "expected (features, groups)"),
        (bad(value=np.nan), "row 7 (from 0) holds nan in feature 1"),
        ([(X40, G40), (X40[:, :2], G40)], "has 2 features, those before 3"),
        ([(X40, G40), (X40, None)], "in a block with groups, others in one without"),
        ([(X40, G40[:3])], "3 values for 40 rows"),
        ([(X40.astype(str), G40)], "expected numbers"),
        ([(X40, G40, np.full(40, -1.0))], "row 0 (from 0) has the weight -1"),
        ([(X40, G40, np.ones(40)), (X40, G40)], "only some blocks have weights"),
        ([(X40, G40, (G40 != "b").astype(float))], "the group 'b' has no weight"),
        ([(X40[:3], G40[:3])], "3 rows, less than n_clusters=4"),
        (Changing(cut(X40, G40), cut(X40[:30], G40[:30])), "had 40 rows when it was first read and now has 30"),
        (Changing(cut(X40, G40), cut(X40, np.where(np.arange(40) == 9, "d", G40))), "row 9 (from 0) has the group 'd'"),
    ],
)  # fmt: skip
def test_bad_tables_end_in_a_sentence(table, words):
    with pytest.raises(InputError) as told:
        FCA(K, random_state=0).fit_blocks(table)
    assert words in str(told.value)


def test_other_routes_are_refused():
    with pytest.raises(InputError, match="direct"):
        FCA(K, method="exact").fit_blocks(cut(X40, G40))
    with pytest.raises(InputError, match="each combination of several attributes is a group"):
        FCA(K, attributes="separately").fit_blocks(cut(X40, G40))
    with pytest.raises(InputError, match="on one device"):
        FCA(K, n_devices=2).fit_blocks(cut(X40, G40))
    with pytest.raises(InputError, match="checkpoint_dir"):
        FCA(K).fit_blocks(cut(X40, G40), resume=True)


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


# Labels


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


# Checkpoints

_CHILD = """
import sys, warnings
import numpy as np
from fairjax import FCA
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
from compilation import optimiser
from test_streaming_fit import K, cut, people
X, groups = people(2000)
model = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=int(sys.argv[3]))
with optimiser(False):  # as here, or last digits would differ
    model.fit_blocks(cut(X, groups, 700), checkpoint_dir=sys.argv[2], resume=True)
"""


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    X, groups = people(2000)
    table = cut(X, groups, 700)
    whole = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=5).fit_blocks(table)
    FCA(K, random_state=0, init=X[:K], tol=0, max_iter=2).fit_blocks(table, checkpoint_dir=tmp_path)
    assert (tmp_path / "fit.npz").stat().st_size < 10_000
    with pytest.raises(InputError, match="holds the checkpoint of a fit already"):
        FCA(K, max_iter=2).fit_blocks(table, checkpoint_dir=tmp_path)
    model = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=5).fit_blocks(
        table, checkpoint_dir=tmp_path, resume=True
    )
    assert model.n_iter_ == 5
    assert model.cost_ == whole.cost_
    np.testing.assert_array_equal(model.cluster_centers_, whole.cluster_centers_)
    np.testing.assert_array_equal(model.result_.history, whole.result_.history)
    np.testing.assert_array_equal(model.streamed_.rule.labels, whole.streamed_.rule.labels)
    np.testing.assert_array_equal(model.start_centers_, whole.start_centers_)
    for other, words in (
        (FCA(K, epsilon=0.1), "a fit with epsilon=0.0, and this one has 0.1"),
        (FCA(K + 1), "n_clusters=4"),
    ):
        with pytest.raises(InputError, match=words):
            other.fit_blocks(table, checkpoint_dir=tmp_path, resume=True)
    X[0] += 1
    with pytest.raises(InputError, match="of other data"):
        FCA(K).fit_blocks(cut(X, groups), checkpoint_dir=tmp_path, resume=True)
    (tmp_path / "fit.npz").write_bytes(b"torn")
    with pytest.raises(InputError, match="damaged"):
        FCA(K).fit_blocks(table, checkpoint_dir=tmp_path, resume=True)


def test_a_disk_that_is_full_at_a_checkpoint(tmp_path, monkeypatch):
    """The fit ends with a sentence, and the checkpoint before is as it was."""
    X, groups = people(2000)
    table, settings = cut(X, groups, 700), {"random_state": 0, "init": X[:K], "tol": 0}
    FCA(K, max_iter=1, **settings).fit_blocks(table, checkpoint_dir=tmp_path)
    before = (tmp_path / "fit.npz").read_bytes()

    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(InputError, match="No space left on device"):
        FCA(K, max_iter=2, **settings).fit_blocks(table, checkpoint_dir=tmp_path, resume=True)
    assert (tmp_path / "fit.npz").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"fit.npz", ".lock"}


def killed(tmp_path, n_kills, n_iter, rng):
    """Kill a fit so many times, each a moment after it has got on; then let it end here."""
    folder = tmp_path / "run"
    for _ in range(n_kills):
        before = iteration_of(folder)
        arguments = [sys.executable, "-c", _CHILD, str(Path(__file__).parent), str(folder), str(n_iter)]
        settings = {"JAX_COMPILATION_CACHE_DIR": os.environ["FAIRJAX_TEST_PROGRAMS"]}
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=os.environ | settings)
        try:
            while iteration_of(folder) <= before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(0.3 * rng.random())
            process.send_signal(signal.SIGKILL)
            _, words = process.communicate(timeout=60)
            assert process.returncode in (0, -signal.SIGKILL), words
        finally:
            process.kill()
    X, groups = people(2000)
    model = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=n_iter)
    return model.fit_blocks(cut(X, groups, 700), checkpoint_dir=folder, resume=True)


def iteration_of(folder):
    """Iterations of the fit that is kept there; a torn file would be none."""
    if not (folder / "fit.npz").exists():
        return 0
    with np.load(folder / "fit.npz") as kept:
        return len(kept["history"])


@pytest.mark.parametrize(("n_kills", "n_iter"), [(2, 40), pytest.param(20, 400, marks=pytest.mark.slow)])
def test_a_killed_fit_ends_as_if_it_had_not_been(tmp_path, n_kills, n_iter):
    X, groups = people(2000)
    whole = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=n_iter).fit_blocks(cut(X, groups, 700))
    model = killed(tmp_path, n_kills, n_iter, np.random.default_rng(0))
    assert model.n_iter_ == whole.n_iter_
    assert model.cost_ == whole.cost_
    np.testing.assert_array_equal(model.result_.history, whole.result_.history)


_WRITER = """
import sys, warnings
from fairjax import FCA
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
from test_streaming_fit import K, cut, people
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
    for n_blocks in (4, 16):
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
