"""k-means with bounds on the size of clusters."""

import numpy as np
import pytest
from test_baselines_common import SEX, K, X

from fairjax.baselines import KMeans
from fairjax.errors import InputError


@pytest.mark.parametrize(("low", "high"), [(20, 20), (18, 22), (None, 21), (19, None)])
def test_sizes_are_kept(low, high):
    model = KMeans(K, size_min=low, size_max=high, random_state=0).fit(X, sensitive_features=SEX)
    sizes = np.bincount(model.labels_, minlength=K)
    assert sizes.min() >= (low or 0)
    assert sizes.max() <= (high or len(X))
    assert model.status_ == "converged"
    assert model.gap_ <= 1e-5
    assert model.multipliers_.shape == (2, K)
    assert model.cost_ >= KMeans(K, random_state=0).fit(X).cost_ * (1 - 1e-6)
    assert np.mean(model.predict(X, sensitive_features=SEX) != model.labels_) <= 0.05


def test_loose_bounds_change_nothing():
    free = KMeans(K, random_state=0, tol=0).fit(X)
    loose = KMeans(K, size_min=0, size_max=60, random_state=0, tol=0).fit(X)
    np.testing.assert_array_equal(free.labels_, loose.labels_)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size_min": 21}, "size_min=21 asks for 63 points in 3 clusters, and there are 60; ask for at most 20"),
        ({"size_max": 19}, "size_max=19 leaves room for 57 points in 3 clusters, and there are 60"),
        ({"size_min": -1}, "size_min is -1; expected a whole number of at least 0"),
    ],
)
def test_impossible_sizes(settings, message):
    with pytest.raises(InputError, match=message):
        KMeans(K, **settings).fit(X)
    with pytest.raises(InputError, match="sizes count points"):
        KMeans(K, size_min=2).fit(X, sample_weight=np.arange(60))
