"""The reduced protocols on the bundled digits, which several benchmarks share, and the figures of a clustering."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from fairjax import datasets, metrics
from fairjax.deep import Network, aekmeans, dec, deepfca, dfc, fcmi

K = 10


def mlp(**options: Any) -> Network:
    """The small network of the protocols: 64-128-64-10 and back."""
    return Network(kind="mlp", shape=(64,), n_latent=K, options=tuple(sorted(options.items())))


def configs(quick: bool) -> dict[str, Any]:
    """Settings of each method; FCMI's and DeepFCA's are for pixels in [-1, 1]."""
    few = 20 if quick else None
    plain: dict[str, Any] = {"network": mlp(output="sigmoid"), "n_clusters": K, "batch_size": 128}
    branches: dict[str, Any] = {
        "network": mlp(n_groups=2, output="tanh", unit_norm=True), "n_clusters": K, "batch_size": 128,
    }  # fmt: skip
    return {
        "AE + k-means": aekmeans.AEKMeansConfig(**plain, steps=few or 1500),
        "DEC": dec.DECConfig(
            **plain, pretrain_steps=few or 1500, steps=few or 500, optimizer="adam", lr=1e-3, target="batch"
        ),
        "DFC": dfc.DFCConfig(
            **plain, pretrain_steps=few or 1500, group_pretrain_steps=few or 1000, group_steps=few or 500,
            group_lr=1e-3, steps=few or 4000,
        ),
        "FCMI": fcmi.FCMIConfig(
            **branches, epochs=4 if quick else 60, warmup_epochs=2 if quick else 20, center_refresh="warm"
        ),
        "DeepFCA": deepfca.DeepFCAConfig(
            **branches, pretrain_epochs=1 if quick else 20, epochs=2 if quick else 40
        ),
    }  # fmt: skip


def scores(labels: Any, data: datasets.Dataset) -> dict[str, float]:
    """Agreement and fairness of labels (N,)."""
    found = {
        "accuracy": metrics.accuracy(labels, data.target),
        "nmi": metrics.nmi(labels, data.target),
        "balance": metrics.balance(labels, data.groups),
        "mnce": metrics.mnce(labels, data.groups),
        "fwd": metrics.fwd(labels, data.groups),
        "entropy": jnp.mean(metrics.entropy(labels, data.groups)),
    }
    return {name: round(float(value), 4) for name, value in found.items()} | {"clusters": len(np.unique(labels))}


def detailed(labels: Any, data: datasets.Dataset) -> dict[str, Any]:
    """The same; agreement inside each group, and the share of errors in the worst pair of classes."""
    found: dict[str, Any] = scores(labels, data)
    found["accuracy_of_groups"] = [
        round(float(metrics.accuracy(labels[own], data.target[own])), 4)
        for own in (data.groups == group for group in range(data.n_groups))
    ]
    size = 1 + int(max(np.max(labels), np.max(data.target)))
    counts = np.zeros((size, size))
    np.add.at(counts, (np.asarray(labels), data.target), 1)
    clusters, classes = linear_sum_assignment(-counts)
    table = np.zeros_like(counts)
    table[classes] = counts[clusters]
    errors = table + table.T
    np.fill_diagonal(errors, 0)
    pair = np.unravel_index(np.argmax(errors), errors.shape)
    found["worst_pair"] = [int(min(pair)), int(max(pair))]
    found["worst_pair_share"] = round(float(errors.max() / max(errors.sum() / 2, 1)), 3)
    return found
