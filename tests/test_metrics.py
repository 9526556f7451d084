"""Scores of a clustering: published count tables, scikit-learn, and the symmetries every score has."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from fairjax import metrics
from fairjax.errors import InputError

K, M, C, N = 4, 3, 5, 60


@pytest.fixture(scope="module")
def draw():
    """One random labelling in which every cluster, group and class occurs."""
    rng = np.random.default_rng(5)
    labels, groups, classes = (np.concatenate([np.arange(s), rng.integers(0, s, N - s)]) for s in (K, M, C))
    return {
        "labels": labels,
        "groups": groups,
        "classes": classes,
        "weights": rng.integers(0, 4, N),
        "X": rng.normal(size=(N, 2)),
    }


# Every score of labels and one other partition: name, function of (labels, groups, **sizes and weights).
FAIRNESS = {
    "balance": metrics.balance,
    "balance-fraction": lambda *a, **k: metrics.balance(*a, kind="fraction", **k),
    "balance-relative": lambda *a, **k: metrics.balance(*a, kind="relative", **k),
    "balance-strict": lambda *a, **k: metrics.balance(*a, strict=True, **k),
    "violation": metrics.group_violation,
    "violation-tv": lambda *a, **k: metrics.group_violation(*a, kind="tv", **k),
    "violation-bera": lambda *a, **k: metrics.group_violation(*a, kind="bera", delta=0.2, **k),
    "entropy": lambda *a, **k: metrics.entropy(*a, reduce="mean", **k),
    "mnce": metrics.mnce,
    "fwd-l1": metrics.fwd,
    "fwd-tv-max": lambda *a, **k: metrics.fwd(*a, mode="tv", reduce="max", **k),
    "fwd-w1-weighted": lambda *a, **k: metrics.fwd(*a, mode="w1_index", reduce="weighted", **k),
    "nmi": lambda a, b, *, n_groups, **k: metrics.nmi(a, b, n_classes=n_groups, **k),
    "nmi-geometric": lambda a, b, *, n_groups, **k: metrics.nmi(a, b, average="geometric", n_classes=n_groups, **k),
    "accuracy": lambda a, b, *, n_groups, **k: metrics.accuracy(a, b, n_classes=n_groups, **k),
}
SIZES = {"n_clusters": K, "n_groups": M}


class TestAgreement:
    @pytest.mark.parametrize("average", ["arithmetic", "geometric"])
    def test_nmi_equals_scikit_learn(self, draw, average):
        with jax.enable_x64(True):
            mine = metrics.nmi(draw["labels"], draw["classes"], average=average)
        theirs = normalized_mutual_info_score(draw["classes"], draw["labels"], average_method=average)
        assert mine == pytest.approx(theirs, abs=1e-14)

    @pytest.mark.parametrize(("labels", "classes"), [([0, 0, 0], [0, 0, 0]), ([0, 0, 0], [0, 1, 1])])
    def test_nmi_of_single_parts_equals_scikit_learn(self, labels, classes):
        assert metrics.nmi(labels, classes) == normalized_mutual_info_score(classes, labels)

    def test_contingency_equals_scikit_learn(self, draw):
        table = metrics.contingency(draw["labels"], draw["groups"])
        np.testing.assert_array_equal(table, contingency_matrix(draw["labels"], draw["groups"]))
        assert table.dtype == jnp.int32

    def test_accuracy_equals_all_permutations(self, draw):
        table = np.asarray(metrics.contingency(draw["labels"], draw["classes"]))
        best = max(sum(table[k, c] for k, c in enumerate(p)) for p in itertools.permutations(range(C), K))
        assert metrics.accuracy(draw["labels"], draw["classes"]) == pytest.approx(best / N)

    @pytest.mark.parametrize("shape", [(1, 1), (7, 7), (4, 9), (9, 4)])
    def test_matching_equals_scipy(self, shape):
        rng = np.random.default_rng(0)
        stacks = {
            "ties": rng.integers(0, 3, (20, *shape)),
            "counts": rng.integers(0, 10**6, (20, *shape)),
            "signs": rng.integers(-9, 9, (20, *shape)),
        }
        matching = jax.vmap(metrics.best_matching)
        for tables in stacks.values():
            for table, columns in zip(tables, np.asarray(matching(jnp.asarray(tables))), strict=True):
                matched = np.flatnonzero(columns >= 0)
                assert len(set(columns[matched])) == len(matched) == min(shape)
                rows, best = linear_sum_assignment(table, maximize=True)
                assert table[matched, columns[matched]].sum() == table[rows, best].sum()

    def test_matching_of_floats(self):
        with jax.enable_x64(True):
            table = np.random.default_rng(1).normal(size=(9, 9))
            columns = metrics.best_matching(table)
            rows, best = linear_sum_assignment(table, maximize=True)
            assert table[rows, columns].sum() == pytest.approx(table[rows, best].sum(), abs=1e-13)

    def test_matching_ends_on_nan_and_infinity(self):
        for bad in (np.nan, np.inf, -np.inf):
            columns = np.asarray(metrics.best_matching(np.full((3, 3), bad)))
            assert sorted(columns) == [0, 1, 2]

    def test_matched_labels_are_right_as_often_as_accuracy_says(self, draw):
        renamed = metrics.matched_labels(draw["labels"], draw["classes"])
        accuracy = metrics.accuracy(draw["labels"], draw["classes"])
        assert np.mean(np.asarray(renamed) == draw["classes"]) == pytest.approx(float(accuracy))

    def test_more_clusters_than_classes(self):
        labels, classes = [0, 0, 1, 2, 2, 2], [0, 0, 0, 1, 1, 1]
        assert metrics.accuracy(labels, classes) == pytest.approx(5 / 6)
        np.testing.assert_array_equal(metrics.matched_labels(labels, classes), [0, 0, -1, 1, 1, 1])

    def test_accuracy_has_a_gradient_in_the_weights(self):
        def score(weights):
            return metrics.accuracy(jnp.array([0, 0, 1]), jnp.array([0, 1, 1]), weights=weights, **sizes)

        sizes = {"n_clusters": 2, "n_classes": 2}
        gradient = jax.grad(score)(jnp.ones(3))
        np.testing.assert_allclose(gradient, [1 / 9, -2 / 9, 1 / 9], rtol=1e-6)


class TestCost:
    def test_label_means(self, draw):
        X, labels, weights = draw["X"], draw["labels"], draw["weights"]
        for w in (None, weights):
            mass = np.ones(N) if w is None else w
            means = np.stack([np.average(X[labels == k], axis=0, weights=mass[labels == k]) for k in range(K)])
            expected = np.average(((X - means[labels]) ** 2).sum(1), weights=mass)
            with jax.enable_x64(True):
                assert metrics.clustering_cost(X, labels, weights=w) == pytest.approx(expected, rel=1e-13)
                given = metrics.clustering_cost(X, labels, means, weights=w)
                assert given == pytest.approx(expected, rel=1e-13)

    def test_means_are_the_cheapest_centres(self, draw):
        free = metrics.clustering_cost(draw["X"], draw["labels"])
        assert metrics.clustering_cost(draw["X"], draw["labels"], np.zeros((K, 2))) > free

    def test_one_hot_probabilities_equal_labels(self, draw):
        centers, one_hot = draw["X"][:K], np.eye(K)[draw["labels"]]
        for given in (None, centers):
            for w in (None, draw["weights"]):
                hard = metrics.clustering_cost(draw["X"], draw["labels"], given, weights=w)
                soft = metrics.clustering_cost(draw["X"], centers=given, probabilities=one_hot, weights=w)
                assert soft == pytest.approx(float(hard), rel=2e-6)

    def test_fractional(self, draw):
        P = np.random.default_rng(2).dirichlet(np.ones(K), N)
        squared = ((draw["X"][:, None] - draw["X"][None, :K]) ** 2).sum(2)
        value = metrics.clustering_cost(draw["X"], centers=draw["X"][:K], probabilities=P)
        assert value == pytest.approx((P * squared).sum() / N, rel=1e-6)

    def test_far_from_the_origin_float32_keeps_its_digits(self, draw):
        X = (draw["X"] + 4096.0).astype(np.float32)
        with jax.enable_x64(True):
            exact = float(metrics.clustering_cost(X.astype(np.float64), draw["labels"]))
        assert metrics.clustering_cost(X, draw["labels"]) == pytest.approx(exact, rel=1e-5)

    def test_types(self, draw):
        half = jnp.asarray(draw["X"], jnp.bfloat16)
        assert metrics.clustering_cost(half, draw["labels"]).dtype == jnp.float32
        assert metrics.clustering_cost([[0], [1], [3]], [0, 0, 1]) == pytest.approx(1 / 6)
        with jax.enable_x64(True):
            assert metrics.clustering_cost(draw["X"], draw["labels"]).dtype == jnp.float64

    def test_weight_zero_hides_even_nan(self, draw):
        X = np.concatenate([draw["X"], np.full((4, 2), np.nan)])
        labels, weights = np.append(draw["labels"], [0, 1, 2, 3]), np.repeat([1.0, 0.0], [N, 4])
        P = np.eye(K)[labels]
        expected = float(metrics.clustering_cost(draw["X"], draw["labels"]))
        assert metrics.clustering_cost(X, labels, weights=weights) == pytest.approx(expected, rel=1e-6)
        assert metrics.clustering_cost(X, probabilities=P, weights=weights) == pytest.approx(expected, rel=1e-6)

    def test_jit_and_vmap(self, draw):
        X = jnp.asarray(draw["X"], jnp.float32)
        batch = jnp.stack([jnp.asarray(draw["labels"]), jnp.asarray(draw["labels"])[::-1]])
        free = jax.jit(jax.vmap(lambda row: metrics.clustering_cost(X, row, n_clusters=K)))(batch)
        to_centers = jax.jit(jax.vmap(lambda row: metrics.clustering_cost(X, row, X[:K])))(batch)
        for i in range(2):
            assert free[i] == pytest.approx(float(metrics.clustering_cost(X, batch[i])), rel=1e-6)
            assert to_centers[i] == pytest.approx(float(metrics.clustering_cost(X, batch[i], X[:K])), rel=1e-6)

    def test_empty_cluster_and_single_point(self):
        assert metrics.clustering_cost([[0.0], [2.0], [9.0]], [0, 0, 2], n_clusters=5) == pytest.approx(2 / 3)

    def test_gradient_in_the_centres(self, draw):
        X, labels = jnp.asarray(draw["X"], jnp.float32), draw["labels"]
        means = jnp.stack([X[labels == k].mean(0) for k in range(K)])
        gradient = jax.grad(lambda centers: metrics.clustering_cost(X, labels, centers))(means)
        np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_jit_and_vmap_equal_plain(draw):
    labels, groups = jnp.asarray(draw["labels"]), jnp.asarray(draw["groups"])
    batch = jnp.stack([labels, labels[::-1], jnp.roll(labels, 7)])

    def scores(row, others):
        return {name: score(row, others, **SIZES) for name, score in FAIRNESS.items()}

    # One compilation for all scores.
    batched = jax.jit(jax.vmap(scores, in_axes=(0, None)))(batch, groups)
    for i, row in enumerate(batch):
        for name, value in scores(row, groups).items():
            np.testing.assert_allclose(batched[name][i], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", FAIRNESS)
class TestEveryScore:
    def test_weights_equal_repeated_points(self, draw, name):
        labels, groups, weights = draw["labels"], draw["groups"], draw["weights"]
        repeated = FAIRNESS[name](np.repeat(labels, weights), np.repeat(groups, weights), **SIZES)
        for w in (weights, weights.astype(np.float32)):
            weighted = FAIRNESS[name](labels, groups, weights=w, **SIZES)
            np.testing.assert_allclose(weighted, repeated, rtol=1e-5, atol=1e-6)

    def test_points_in_another_order(self, draw, name):
        order = np.random.default_rng(1).permutation(N)
        first = FAIRNESS[name](draw["labels"], draw["groups"], **SIZES)
        second = FAIRNESS[name](draw["labels"][order], draw["groups"][order], **SIZES)
        assert first == second

    def test_clusters_and_groups_renamed(self, draw, name):
        clusters = np.array([2, 0, 3, 1])[draw["labels"]]
        # Ordered groups keep their order, up to reversal, for the distance along the ids.
        groups = np.array([2, 1, 0] if "w1" in name else [2, 0, 1])[draw["groups"]]
        first = FAIRNESS[name](draw["labels"], draw["groups"], **SIZES)
        second = FAIRNESS[name](clusters, groups, **SIZES)
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)

    def test_padding_with_empty_clusters_and_absent_groups(self, draw, name):
        padded = FAIRNESS[name](draw["labels"], draw["groups"], n_clusters=K + 2, n_groups=M + 1)
        if name == "balance-strict":
            assert padded == 0
        else:
            bare = FAIRNESS[name](draw["labels"], draw["groups"], **SIZES)
            np.testing.assert_allclose(padded, bare, rtol=1e-5, atol=1e-6)

    def test_one_group(self, draw, name):
        value = FAIRNESS[name](draw["labels"], np.zeros(N, int), n_clusters=K, n_groups=1)
        if name.startswith(("balance", "mnce")):
            assert value == 1
        elif name.startswith(("violation", "fwd", "nmi")):
            assert value == pytest.approx(0, abs=1e-7)
        elif name == "accuracy":
            assert value == pytest.approx(np.bincount(draw["labels"]).max() / N)

    def test_a_perfectly_fair_clustering(self, name):
        labels, groups = np.repeat(np.arange(K), N // K), np.arange(N) % M
        value = FAIRNESS[name](labels, groups, **SIZES)
        expected = {"balance-fraction": 1 / M, "accuracy": 1 / K, "entropy": np.log(K)}
        default = 1.0 if name.startswith(("balance", "mnce")) else 0.0
        assert value == pytest.approx(expected.get(name, default), abs=1e-6)

    def test_weights_that_are_all_zero_give_nan(self, draw, name):
        assert np.isnan(FAIRNESS[name](draw["labels"], draw["groups"], weights=np.zeros(N), **SIZES))

    def test_float64(self, draw, name):
        with jax.enable_x64(True):
            assert FAIRNESS[name](draw["labels"], draw["groups"], **SIZES).dtype == jnp.float64
        assert FAIRNESS[name](draw["labels"], draw["groups"], **SIZES).dtype == jnp.float32


class TestCounts:
    def test_a_missing_group_makes_the_balance_zero(self):
        labels, groups = [0, 0, 1, 1], [0, 1, 0, 0]
        for kind in ("ratio", "fraction", "relative"):
            assert metrics.balance(labels, groups, kind=kind) == 0
        assert metrics.mnce(labels, groups) == 0

    def test_max_balance_bounds_every_clustering(self, draw):
        rng = np.random.default_rng(3)
        for kind in ("ratio", "fraction", "relative"):
            bound = float(metrics.max_balance(draw["groups"], kind=kind))
            one = metrics.balance(np.zeros(N, int), draw["groups"], kind=kind)
            assert one == pytest.approx(bound)
            for _ in range(5):
                labels = rng.integers(0, K, N)
                assert metrics.balance(labels, draw["groups"], kind=kind, n_clusters=K, n_groups=M) <= bound + 1e-6
        assert metrics.max_balance([0, 1, 1], weights=[2.0, 1.0, 0.5]) == pytest.approx(0.75)

    def test_soft_contingency_of_hard_labels(self, draw):
        one_hot = np.eye(K)[draw["labels"]]
        for w in (None, draw["weights"]):
            soft = metrics.soft_contingency(one_hot, draw["groups"], weights=w)
            hard = metrics.contingency(draw["labels"], draw["groups"], weights=w)
            np.testing.assert_allclose(soft, hard)

    def test_n_nonempty(self, draw):
        assert metrics.n_nonempty(draw["labels"], n_clusters=K + 3) == K
        assert metrics.n_nonempty(draw["labels"], weights=draw["labels"] == 2) == 1

    def test_long_float32_sums_do_not_drift(self):
        n = 1_000_000
        labels, groups = np.zeros(n, np.int32), np.arange(n, dtype=np.int32) % 2
        table = metrics.contingency(labels, groups, weights=np.full(n, 0.1, np.float32))
        exact = float(np.float32(0.1)) * n / 2
        np.testing.assert_allclose(table, [[exact, exact]], rtol=5e-6)

    def test_traced_ids_out_of_range_count_nowhere(self):
        count = jax.jit(lambda a, b: metrics.contingency(a, b, n_clusters=2, n_groups=2))
        table = count(jnp.array([0, 1, -1, 2, 0]), jnp.array([0, 1, 0, 1, -1]))
        np.testing.assert_array_equal(table, [[1, 0], [0, 1]])

    def test_narrow_integer_weights_do_not_overflow(self):
        table = metrics.contingency(np.zeros(9, int), np.zeros(9, int), weights=np.full(9, 100, np.int8))
        assert table == 900

    def test_booleans_are_two_groups(self):
        np.testing.assert_array_equal(metrics.contingency([0, 1, 1], np.array([True, False, True])), [[0, 1], [1, 1]])

    def test_finite_gradients_beside_empty_rows_and_columns(self):
        table = jnp.array([[2.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 0.0]])

        @jax.jit
        @jax.grad
        def slope(counts):
            t = metrics.tables
            kinds = [t.balance(counts, kind=kind) for kind in ("ratio", "fraction", "relative")]
            return sum(kinds) + t.group_violation(counts) + t.mnce(counts) + t.nmi(counts) + t.fwd(counts)

        assert np.isfinite(slope(table)).all()


class TestBadInput:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: metrics.balance([0, 1], [0, 1, 1]), "lengths 2 and 3"),
            (lambda: metrics.balance([0.0, 1.0], [0, 1]), "integer ids"),
            (lambda: metrics.balance(["a", "b"], [0, 1]), "integer ids"),
            (lambda: metrics.balance([0, -1], [0, 1]), "the id -1"),
            (lambda: metrics.balance([0, 5], [0, 1], n_clusters=3), "raise n_clusters"),
            (lambda: metrics.balance([], []), "n ≥ 1"),
            (lambda: metrics.balance([[0]], [[0]]), r"shape \(1, 1\)"),
            (lambda: metrics.balance([0], [0], n_groups=0), "n_groups is 0"),
            (lambda: metrics.balance([0, 1], [0, 1], kind="ratios"), "'fraction', 'relative'"),
            (lambda: metrics.balance([0, 1], [0, 1], weights=[1.0]), r"expected \(2,\)"),
            (lambda: metrics.balance([0, 1], [0, 1], weights=[1.0, -1.0]), "-1.0"),
            (lambda: metrics.balance([0, 1], [0, 1], weights=[1.0, np.nan]), "NaN"),
            (lambda: metrics.balance([0, 1], [0, 1], weights=[1.0, np.inf]), "infinity"),
            (lambda: metrics.group_violation([0, 1], [0, 1], kind="l1"), "'pairwise'"),
            (lambda: metrics.entropy([0, 1], [0, 1], reduce="max"), "'none', 'mean'"),
            (lambda: metrics.nmi([0, 1], [0, 1], average="max"), "'geometric'"),
            (lambda: metrics.fwd([0, 1], [0, 1], mode="l2"), "'w1_index'"),
            (lambda: metrics.fwd([0, 1], [0, 1], reduce="sum"), "'weighted'"),
            (lambda: metrics.calders_verwer([0, 1], [0, 2], n_groups=3), "two groups"),
            (lambda: metrics.tables.balance([1, 2]), r"shape \(2,\)"),
            (lambda: metrics.best_matching(np.zeros((0, 2))), "at least 1"),
            (lambda: metrics.soft_contingency([[1.0]], [0, 1]), r"\(2, n_clusters\)"),
            (lambda: metrics.clustering_cost([1.0, 2.0], [0, 1]), r"expected \(n, d\)"),
            (lambda: metrics.clustering_cost([[1.0], [2.0]], [0]), "length 1; expected 2"),
            (lambda: metrics.clustering_cost([[1.0], [2.0]]), "exactly one"),
            (lambda: metrics.clustering_cost([[1.0]], [0], [[1.0, 2.0]]), r"expected \(K, 1\)"),
            (lambda: metrics.clustering_cost([[1.0]], [3], [[1.0]]), "allows 0..0"),
            (lambda: metrics.clustering_cost([[1.0]], probabilities=[[0.5, 0.5]], centers=[[1.0]]), "column"),
        ],
    )
    def test_told_in_one_sentence(self, call, message):
        with pytest.raises(InputError, match=message):
            call()

    def test_a_traced_array_needs_its_size(self):
        with pytest.raises(InputError, match="pass n_clusters="):
            jax.jit(metrics.balance)(jnp.array([0, 1]), jnp.array([0, 1]))
        with pytest.raises(InputError, match="pass n_groups="):
            jax.vmap(lambda g: metrics.balance([0, 1], g))(jnp.array([[0, 1]]))


def test_every_public_score_shows_an_example():
    for name in metrics.__all__:
        assert name == "tables" or ">>>" in getattr(metrics, name).__doc__, name
