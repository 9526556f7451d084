"""Algorithm 1 of Fair Clustering via Alignment (Kim et al., ICML 2025), in plain JAX and as the paper writes it.

For reading, and to test the package against: it aligns the groups by one assignment problem over all points, so it is
for some hundred points at most.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from optax.assignment import hungarian_algorithm


class Iteration(NamedTuple):
    """Centres (K, d), the assignment of each group (n_s, K) by eq. (6), and what was reached."""

    centers: jax.Array
    assignment: tuple[jax.Array, jax.Array]
    objective: jax.Array
    cost: jax.Array


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sum((x[:, None] - y) ** 2, -1)


def alignment_costs(x: jax.Array, y: jax.Array, centers: jax.Array, shares: tuple, weight: float):
    """What it costs to align x_i with y_j, and how far their aligned point is from a centre."""
    aligned = shares[0] * x[:, None] + shares[1] * y
    to_center = jnp.min(jnp.sum((aligned[..., None, :] - centers) ** 2, -1), -1)
    return weight * shares[0] * shares[1] * squared_distances(x, y) + to_center


def iterate(X0: jax.Array, X1: jax.Array, centers: jax.Array, weight: float = 2.0) -> Iteration:
    """One iteration. ``weight`` is a multiple of π0π1: 2 in the paper."""
    n0, n1, n_clusters = len(X0), len(X1), len(centers)
    shares = (n0 / (n0 + n1), n1 / (n0 + n1))
    # transport between n0 and n1 points is an assignment problem between copies of these points
    size = math.lcm(n0, n1)
    x, y = jnp.repeat(X0, size // n0, 0), jnp.repeat(X1, size // n1, 0)

    # Phase 1: align the groups
    costs = alignment_costs(x, y, centers, shares, weight)
    left, right = hungarian_algorithm(costs)
    objective = jnp.mean(costs[left, right])

    # Phase 2: k-means on the aligned points
    aligned = shares[0] * x[left] + shares[1] * y[right]
    labels = jnp.argmin(squared_distances(aligned, centers), -1)
    members = jax.nn.one_hot(labels, n_clusters)
    sizes = members.sum(0)[:, None]
    centers = jnp.where(sizes > 0, members.T @ aligned / jnp.maximum(sizes, 1), centers)

    # eq. (6): a point is shared out as its copies are, and so both groups are spread alike
    first = jnp.zeros((n0, n_clusters)).at[left // (size // n0)].add(members) * n0 / size
    second = jnp.zeros((n1, n_clusters)).at[right // (size // n1)].add(members) * n1 / size
    cost0 = jnp.sum(first * squared_distances(X0, centers)) / n0
    cost1 = jnp.sum(second * squared_distances(X1, centers)) / n1
    cost = shares[0] * cost0 + shares[1] * cost1
    return Iteration(centers, (first, second), objective, cost)


def main() -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    X0, X1 = jax.random.normal(keys[0], (40, 2)), jax.random.normal(keys[1], (20, 2)) + 1.0
    centers = X0[:3]
    step = jax.jit(iterate)
    for number in range(1, 7):
        centers, assignment, objective, cost = step(X0, X1, centers)
        print(f"iteration {number}: objective {objective:.4f}, cost {cost:.4f}")
    proportions = [group.mean(0).round(3).tolist() for group in assignment]
    print(f"proportions of the clusters: {proportions[0]} and {proportions[1]}")


if __name__ == "__main__":
    main()
