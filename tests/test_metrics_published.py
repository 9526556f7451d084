"""Scores of published count tables, and of tables that a reader can check by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fairjax import metrics

# Count tables that follow from the results published for FCMI, with their scores to all printed digits.
MNIST_BY_GROUP = np.array(
    [
        [6019, 6017],
        [6568, 6568],
        [6104, 6091],
        [6076, 6070],
        [5816, 5803],
        [5388, 5393],
        [5884, 5891],
        [6188, 6191],
        [5877, 5868],
        [6080, 6108],
    ]
)
MNIST_CLASSES = np.array(
    [
        [11735, 9, 8, 0, 10, 10, 39, 1, 32, 2],
        [2, 13032, 243, 26, 38, 5, 8, 96, 7, 27],
        [8, 17, 11596, 34, 32, 0, 22, 161, 46, 0],
        [4, 17, 146, 11817, 17, 74, 2, 90, 86, 9],
        [3, 0, 22, 0, 6217, 0, 58, 8, 10, 5366],
        [8, 2, 9, 113, 18, 10527, 95, 4, 53, 13],
        [178, 6, 4, 0, 9, 72, 11487, 0, 77, 3],
        [28, 20, 120, 6, 325, 12, 0, 11888, 4, 127],
        [40, 26, 39, 44, 81, 44, 49, 15, 11247, 117],
        [30, 7, 8, 106, 4872, 37, 15, 116, 183, 6524],
    ]
)
MTFL_BY_GROUP = np.array([[594, 551], [406, 449]])
MTFL_CLASSES = np.array([[620, 72], [525, 783]])
# fmt: off
HAR_BY_PERSON = np.array([
    [83,59,58,59,54,59,56,48,52,54,57,53,57,57,54,61,61,56,52,56,50,51,56,65,74,59,57,63,53,66],
    [65,50,61,53,49,51,51,43,48,45,52,49,57,56,50,43,51,61,45,56,56,46,57,55,67,55,51,55,49,65],
    [55,47,52,47,49,47,52,41,42,41,47,48,49,50,46,50,47,52,50,48,50,45,55,55,57,58,50,48,52,63],
    [30,25,29,35,28,39,34,33,24,28,38,30,42,32,43,31,38,35,56,40,45,49,50,48,44,59,58,42,47,44],
    [66,73,79,69,70,72,64,62,71,76,65,81,63,80,66,114,101,95,77,88,125,68,82,87,95,85,89,103,77,75],
    [48,48,62,54,52,57,51,54,51,50,57,59,59,48,69,67,70,65,80,66,82,62,72,71,72,76,71,71,66,70],
])
# fmt: on
HAR_PERSONS = [
    *(347, 302, 341, 317, 302, 325, 308, 281, 288, 294, 316, 320, 327, 323, 328),
    *(366, 368, 364, 360, 354, 408, 321, 372, 381, 409, 392, 376, 382, 344, 383),
]


def points_of(table):
    """Row and column ids of points that have this count table."""
    rows, columns = np.indices(table.shape)
    return np.repeat(rows.ravel(), table.ravel()), np.repeat(columns.ravel(), table.ravel())


def points_of_both(class_table, group_table):
    """Labels, classes and groups with both count tables (any joint with them has the same scores)."""
    labels, classes = points_of(class_table.T)
    group_labels, groups = points_of(group_table)
    np.testing.assert_array_equal(labels, group_labels)
    return labels, classes, groups


class TestPublishedTables:
    def test_reversed_mnist(self):
        with jax.enable_x64(True):
            labels, classes, groups = points_of_both(MNIST_CLASSES, MNIST_BY_GROUP)
            np.testing.assert_array_equal(metrics.contingency(labels, groups), MNIST_BY_GROUP)
            assert metrics.balance(labels, groups) == pytest.approx(0.995416, abs=5e-7)
            assert metrics.balance(labels, groups, kind="fraction") == pytest.approx(0.498851, abs=5e-7)
            assert metrics.mnce(labels, groups) == pytest.approx(0.9999962, abs=5e-8)
            np.testing.assert_allclose(metrics.entropy(labels, groups), [2.30144, 2.30144], rtol=0, atol=5e-6)
            assert metrics.accuracy(labels, classes) == pytest.approx(0.883917, abs=5e-7)
            assert metrics.nmi(labels, classes) == pytest.approx(0.863729, abs=5e-7)
            assert metrics.f_beta(labels, classes, groups) == pytest.approx(0.926881, abs=5e-7)
            assert metrics.n_nonempty(labels) == 10

    def test_mtfl(self):
        with jax.enable_x64(True):
            labels, classes, groups = points_of_both(MTFL_CLASSES, MTFL_BY_GROUP)
            assert metrics.accuracy(labels, classes) == pytest.approx(0.7015, abs=1e-12)
            assert metrics.nmi(labels, classes) == pytest.approx(0.190672, abs=5e-7)
            assert metrics.nmi(labels, classes, average="geometric") == pytest.approx(0.190749, abs=5e-7)
            assert metrics.balance(labels, groups) == pytest.approx(0.904232, abs=5e-7)
            assert metrics.balance(labels, groups, kind="fraction") == pytest.approx(0.474854, abs=5e-7)
            assert metrics.mnce(labels, groups) == pytest.approx(0.998175, abs=5e-7)
            assert metrics.f_beta(labels, classes, groups) == pytest.approx(0.32018, abs=5e-6)
            assert metrics.fwd(labels, groups) == pytest.approx(0.043923, abs=5e-7)
            assert metrics.calders_verwer(labels, groups, reduce="mean") == pytest.approx(0.043923, abs=5e-7)
            np.testing.assert_allclose(metrics.entropy(labels, groups), [0.67537, 0.68794], rtol=0, atol=5e-6)

    def test_har_by_person(self):
        with jax.enable_x64(True):
            labels, persons = points_of(HAR_BY_PERSON)
            np.testing.assert_array_equal(np.bincount(persons), HAR_PERSONS)
            shares = HAR_BY_PERSON / HAR_BY_PERSON.sum(1, keepdims=True)
            overall = np.array(HAR_PERSONS) / sum(HAR_PERSONS)
            assert -np.sum(overall * np.log(overall)) == pytest.approx(3.395969, abs=5e-7)
            assert (-np.sum(shares * np.log(shares), axis=1)).min() == pytest.approx(3.372549, abs=5e-7)
            assert metrics.balance(labels, persons) == pytest.approx(0.406780, abs=5e-7)
            assert metrics.mnce(labels, persons) == pytest.approx(0.993103, abs=5e-7)
            assert metrics.fwd(labels, persons) == pytest.approx(0.122419, abs=5e-7)
            assert metrics.fwd(np.zeros_like(persons), persons) == pytest.approx(0.0886, abs=5e-5)

    def test_float32_keeps_the_printed_digits(self):
        tables = metrics.tables
        assert tables.balance(MNIST_BY_GROUP).dtype == jnp.float32
        assert tables.balance(MNIST_BY_GROUP) == pytest.approx(0.995416, abs=1e-6)
        assert tables.mnce(MNIST_BY_GROUP) == pytest.approx(0.9999962, abs=5e-7)
        assert tables.nmi(MNIST_CLASSES) == pytest.approx(0.863729, abs=2e-6)
        assert tables.accuracy(MNIST_CLASSES) == pytest.approx(0.883917, abs=1e-6)

    def test_greatest_balance_of_the_benchmarks(self):
        adult = np.repeat([0, 1], [10771, 21790])
        bank = np.repeat([0, 1], [24928, 16180])
        assert metrics.max_balance(adult) == pytest.approx(0.4943, abs=5e-5)
        assert metrics.max_balance(bank) == pytest.approx(0.6491, abs=5e-5)


class TestFormulas:
    """Plain numpy, written from the definitions, on a random table."""

    table = np.array([[5, 2, 9], [4, 4, 1], [7, 3, 3], [1, 6, 8]])

    def test_balance(self):
        t = self.table
        assert metrics.tables.balance(t) == pytest.approx((t.min(1) / t.max(1)).min())
        assert metrics.tables.balance(t, kind="fraction") == pytest.approx((t / t.sum(1)[:, None]).min())
        r = (t / t.sum(1)[:, None]) / (t.sum(0) / t.sum())
        assert metrics.tables.balance(t, kind="relative") == pytest.approx(min(r.min(), (1 / r).min()))

    def test_two_groups_tie_ratio_and_fraction(self):
        fraction = float(metrics.tables.balance(self.table[:, :2], kind="fraction"))
        assert metrics.tables.balance(self.table[:, :2]) == pytest.approx(fraction / (1 - fraction), rel=1e-6)

    def test_violation(self):
        q = self.table / self.table.sum(0)
        pairs = [np.abs(q[:, s] - q[:, t]).sum() for s, t in itertools.combinations(range(3), 2)]
        assert metrics.tables.group_violation(self.table) == pytest.approx(max(pairs))
        assert metrics.tables.group_violation(self.table, kind="tv") == pytest.approx(max(pairs) / 2)
        two = np.abs(q[:, 0] - q[:, 1]).sum()
        assert metrics.tables.group_violation(self.table[:, :2]) == pytest.approx(two)

    @pytest.mark.parametrize("delta", [0.0, 0.3, 10.0])
    def test_bera_violation(self, delta):
        share, overall = self.table / self.table.sum(1)[:, None], self.table.sum(0) / self.table.sum()
        excess = np.maximum(share - (1 + delta) * overall, (1 - delta) * overall - share)
        expected = max(0.0, excess.max())
        value = metrics.tables.group_violation(self.table, kind="bera", delta=delta)
        assert value == pytest.approx(expected, abs=1e-6)

    def test_entropy(self):
        q = self.table / self.table.sum(0)
        exact = -(q * np.log(q)).sum(0)
        np.testing.assert_allclose(metrics.tables.entropy(self.table), exact, rtol=1e-5)
        assert metrics.tables.entropy(self.table, reduce="mean") == pytest.approx(exact.mean())
        smoothed = metrics.tables.entropy(self.table, smoothing=0.01)
        np.testing.assert_allclose(smoothed, -(q * np.log(q + 0.01)).sum(0), rtol=1e-5)
        with_gap = np.asarray(metrics.tables.entropy([[2, 0, 5], [2, 0, 0]]))
        np.testing.assert_allclose(with_gap, [np.log(2), np.nan, 0], rtol=1e-6)

    @pytest.mark.parametrize("reduce", ["mean", "max", "weighted"])
    def test_fwd(self, reduce):
        gap = self.table / self.table.sum(1)[:, None] - 1 / 3
        distances = {
            "l1": np.abs(gap).sum(1),
            "tv": np.abs(gap).sum(1) / 2,
            "w1_index": np.abs(np.cumsum(gap, axis=1)).sum(1),
        }
        for mode, distance in distances.items():
            sizes = self.table.sum(1) if reduce == "weighted" else np.ones(4)
            expected = distance.max() if reduce == "max" else np.average(distance, weights=sizes)
            assert metrics.tables.fwd(self.table, mode=mode, reduce=reduce) == pytest.approx(expected)

    def test_weighted_fwd_is_at_least_that_of_the_data(self):
        whole = metrics.tables.fwd(self.table.sum(0, keepdims=True))
        assert metrics.tables.fwd(self.table, reduce="weighted") >= whole

    def test_calders_verwer(self):
        two = self.table[:, :2]
        gap = np.abs(two[:, 0] - two[:, 1]) / two.sum(1)
        for reduce, expected in {
            "max": gap.max(),
            "mean": gap.mean(),
            "weighted": np.average(gap, weights=two.sum(1)),
        }.items():
            assert metrics.tables.calders_verwer(two, reduce=reduce) == pytest.approx(expected)
        assert metrics.tables.calders_verwer(two, reduce="mean") == pytest.approx(float(metrics.tables.fwd(two)))

    def test_mnce_of_uneven_groups_can_exceed_one(self):
        assert metrics.tables.mnce([[1, 1], [9, 9]]) == pytest.approx(1.0)
        assert metrics.tables.mnce([[2, 6], [3, 6]]) > 0.9
        assert metrics.tables.mnce([[3, 3], [2, 4], [2, 4]]) < 1 < metrics.tables.mnce([[1, 3]]) + 1e-6

    @pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
    def test_f_beta(self, beta):
        expected = (1 + beta**2) * 0.3 * 0.9 / (beta**2 * 0.3 + 0.9)
        assert metrics.tables.f_beta(0.3, 0.9, beta=beta) == pytest.approx(expected)
        assert metrics.tables.f_beta(0.0, 0.0, beta=beta) == 0
