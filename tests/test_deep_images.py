"""A deep method on real images: what it gains over k-means on the pixels."""

import jax
import numpy as np
import pytest
from data_files import need
from sklearn.cluster import KMeans

from fairjax import metrics
from fairjax.datasets import load_reverse_mnist
from fairjax.datasets.sources import MNIST
from fairjax.deep import Network, fcmi, prepare


@pytest.mark.slow
def test_fcmi_of_real_digits_against_kmeans_on_pixels():
    """1,500 digits and their reversals, 690 steps. Seen with three other seeds: SEEN."""
    need(*MNIST["train"])
    digits = load_reverse_mnist(size=28, signed=True, max_per_group=1500)
    pixels = KMeans(10, n_init=3, random_state=0).fit_predict(digits.X.reshape(len(digits.X), -1))
    branches = (("n_groups", 2), ("output", "tanh"), ("unit_norm", True))
    settings = fcmi.FCMIConfig(
        network=Network(kind="conv", shape=(28, 28, 1), n_latent=10, options=branches),
        n_clusters=10,
        batch=128,
        epochs=30,
        warmup_epochs=15,
        center_refresh="warm",
    )
    labels = np.asarray(fcmi.run(jax.random.key(SEED), prepare(digits.X, digits.groups), settings).labels)
    accuracy, of_pixels = (float(metrics.accuracy(found, digits.target)) for found in (labels, pixels))
    print(SEED, accuracy, of_pixels, float(metrics.nmi(labels, digits.target)), float(metrics.balance(labels, digits.groups)), float(metrics.balance(pixels, digits.groups)), np.bincount(labels), flush=True)
