"""From the assignment of eq. (6), where split pairs of a plan split points too, to one cluster per point."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from fairjax._core.checks import check_choice
from fairjax.assignment import primal
from fairjax.assignment.programme import Points, group_sums
from fairjax.errors import InputError

How = Literal["balanced", "argmax", "sample"]


def fractions(masses: Array) -> Array:
    """Masses (n, K) as fractions: rows on the simplex."""
    total = jnp.sum(masses, -1, keepdims=True)
    return masses / jnp.where(total > 0, total, 1)


def hard_labels(
    masses: Array,
    groups: Array,
    n_groups: int,
    how: How = "balanced",
    key: Array | None = None,
    weights: Array | None = None,
) -> Array:
    """One cluster per point.

    Parameters
    ----------
    masses : (n, K)
        Masses of eq. (6).
    groups : (n,)
        Ids.
    how : static
        "argmax" takes the cluster that holds most of the point, the lowest of equal ones, as the authors' code does;
        counts then miss the plan's if many points are split. "sample" draws from the fractions: right on average.
        "balanced" starts from the argmax and changes as little as possible until every group's counts are the plan's,
        rounded to whole points with the balance in mind.
    key
        Typed random key, for "sample".
    weights : (n,)
        Weights of the points, with sum 1, for "balanced"; equal by default.

    Returns
    -------
    (n,) int32. O(n K), plus O(n K²) per point that "balanced" has to change.

    Raises
    ------
    InputError
        For an unknown ``how``, and for "sample" without a key.

    Examples
    --------
    Both groups split their points evenly; the argmax would put all of them into cluster 0:

    >>> import jax.numpy as jnp
    >>> halves = jnp.full((4, 2), 0.25)
    >>> hard_labels(halves, jnp.array([0, 0, 1, 1]), 2).tolist()
    [0, 1, 0, 1]
    """
    check_choice("how", how, get_args(How))
    shares = fractions(masses)
    if how == "argmax":
        return jnp.argmax(shares, -1).astype(jnp.int32)
    if how == "sample":
        if key is None:
            raise InputError('key is missing; how="sample" draws the labels from a typed random key')
        return jax.random.categorical(key, jnp.log(shares)).astype(jnp.int32)
    n_points, n_clusters = shares.shape
    if weights is None:
        weights = jnp.full((n_points,), 1 / n_points, shares.dtype)
    wanted = group_sums(shares * weights[:, None], groups, n_groups)
    nothing = jnp.zeros((n_groups, n_clusters), shares.dtype)
    group_masses = jnp.sum(wanted, 1)
    # a label costs the part of the point that the plan has elsewhere
    points = Points(1 - shares, groups, weights, nothing, group_masses, jnp.zeros((), shares.dtype))
    return primal.finish(points, nothing, wanted).labels
