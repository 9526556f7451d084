"""Grouped blobs: exact shares, controlled skew."""

import numpy as np
import pytest

from fairjax.datasets import make_grouped_blobs
from fairjax.errors import InputError


def table(data):
    counts = np.zeros((data.n_groups, len(data.target_names)), dtype=int)
    np.add.at(counts, (data.groups, data.target), 1)
    return counts


def test_without_skew_every_blob_is_a_copy_of_the_whole():
    data = make_grouped_blobs(400, n_clusters=4, group_shares=(1, 3), skew=0.0)
    assert table(data).tolist() == [[25] * 4, [75] * 4]


def test_full_skew_parts_the_groups():
    assert table(make_grouped_blobs(400, n_clusters=4, skew=1.0)).tolist() == [
        [100, 0, 100, 0],
        [0, 100, 0, 100],
    ]
    few = make_grouped_blobs(90, n_clusters=2, group_shares=(1, 1, 1), skew=1.0)
    assert table(few).tolist() == [[30, 0], [0, 30], [30, 0]]


@pytest.mark.parametrize("skew", [0.0, 0.3, 0.7, 1.0])
def test_group_sizes_do_not_depend_on_skew(skew):
    data = make_grouped_blobs(1_001, 5, 7, group_shares=(0.2, 0.3, 0.5), skew=skew, random_state=2)
    assert data.X.shape == (1_001, 5)
    assert data.group_sizes.tolist() == [200, 300, 501]
    worst = (table(data) / data.group_sizes[:, None]).max()
    assert abs(worst - ((1 - skew) / 7 + skew / 2)) < 0.01


def test_seed_decides_everything():
    one, same, other = (make_grouped_blobs(50, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.X, same.X)
    np.testing.assert_array_equal(one.groups, same.groups)
    assert not np.array_equal(one.X, other.X)
    assert np.array_equal(table(one), table(other))


def test_points_lie_around_their_blob():
    data = make_grouped_blobs(3_000, 3, 3, cluster_std=0.5, dtype=np.float32)
    assert data.X.dtype == np.float32
    for k in range(3):
        np.testing.assert_allclose(data.X[data.target == k].std(axis=0), 0.5, rtol=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_shares": (0.5, -0.5)}, "group_shares"),
        ({"group_shares": ()}, "group_shares"),
        ({"group_shares": (np.nan, 1.0)}, "group_shares"),
        ({"skew": 1.5}, "skew=1.5"),
        ({"n_samples": 2}, "n_samples=2 is too small"),
        ({"n_clusters": 0}, "n_clusters=0"),
        ({"cluster_std": -1.0}, "cluster_std"),
        ({"center_box": (1.0, 0.0)}, "center_box"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        make_grouped_blobs(**options)
