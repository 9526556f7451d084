"""IMSAT on each group alone, clusters matched by the distances between them, exact fair labels: as a piece to run.

No network sees two groups, so that what is compared between them is the structure of the clusters alone.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fairjax import fair_assignment
from fairjax.deep import Data, imsat, log_assignment, match_groups, prepare


class Matched(NamedTuple):
    """Labels (N,) or (S, N), loss terms of every group's training, and how far the groups' structures differ."""

    labels: Any
    history: dict[str, np.ndarray]
    misfits: Any
    before: Any  # the labels before they were made fair


def soft_labels(keys: jax.Array, data: Data, config: imsat.IMSATConfig, **options: Any) -> tuple[np.ndarray, Any]:
    """Soft assignments (S, N, K) by a network of each group's own, and the terms of the losses."""
    groups = np.asarray(data.groups)
    found = np.zeros((len(keys), len(groups), config.n_clusters), np.float32)
    history = {}
    for group in range(data.n_groups):
        own = groups == group
        rows = config.completed(prepare(np.asarray(data.x)[own]))
        result = imsat.run(jax.vmap(lambda key, g=group: jax.random.fold_in(key, g))(keys), rows, config, **options)
        history |= {f"group {group}, {name}": terms for name, terms in result.history.items()}
        for seed in range(len(keys)):
            clusterer = jax.tree.map(lambda values, s=seed: values[s], result.clusterer)
            found[seed, own] = np.exp(log_assignment(config.soft, config.network, clusterer, rows.x))
    return found, history


def run(keys: jax.Array, data: Data, config: imsat.IMSATConfig, **options: Any) -> Matched:
    """As the methods' `run`; with one key the results have no axis of seeds."""
    several = keys if keys.ndim else keys[None]
    soft, history = soft_labels(several, data, config, **options)
    groups, rows = np.asarray(data.groups), np.asarray(data.x)
    fair, before, misfits = [], [], []
    for seed, q in enumerate(soft):
        first = q.argmax(1)
        found = match_groups(rows, first, sensitive_features=groups, random_state=seed)
        costs = np.empty((len(q), found.centers.shape[1]), q.dtype)  # clusters without rows are left out
        for group in range(data.n_groups):
            own = groups == group
            # the group's cluster of each common number, read off the labels before and after
            order = [first[own & (found.labels == number)][0] for number in range(costs.shape[1])]
            costs[own] = -np.log(q[own][:, order] + 1e-12)
        fair.append(np.asarray(fair_assignment(jnp.asarray(costs), groups).labels))
        before.append(found.labels)
        misfits.append(found.misfits.max())
    ended = Matched(np.stack(fair), history, np.array(misfits), np.stack(before))
    if keys.ndim:
        return ended
    return Matched(ended.labels[0], {name: terms[0] for name, terms in history.items()}, *(
        values[0] for values in ended[2:]
    ))  # fmt: skip
