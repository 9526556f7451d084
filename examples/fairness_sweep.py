"""The price of fairness: ten levels of admitted unfairness from one start, solved together in one vmapped call."""

import jax
import jax.numpy as jnp

from fairjax import datasets, fca, kmeans
from fairjax.assignment import control
from fairjax.metrics import balance

K = 6


@jax.jit
def fit(points: fca.GroupedPoints, centers: jax.Array, epsilon: jax.Array) -> fca.FairClustering:
    """Fair k-means at one level; epsilon is traced, so that all levels share one program."""
    fairness = control(points.masses, epsilon=epsilon)
    state = fca.run(points, fairness, fca.init(points, centers))
    return fca.finish(points, fairness, state)


def main() -> None:
    data = datasets.load_diabetes()
    X, groups = jnp.asarray(data.X, jnp.float32), jnp.asarray(data.groups)
    start = kmeans.fit(jax.random.key(0), X, K, n_init=20)
    points = fca.prepare(X, groups, n_groups=data.n_groups)
    levels = jnp.linspace(0.0, 0.45, 10)
    found = jax.vmap(fit, in_axes=(None, None, 0))(points, start.centers, levels)
    print("epsilon    cost  balance      gap")
    for i, epsilon in enumerate(levels):
        reached = balance(found.assignment.labels[i, : data.n_samples], groups, n_clusters=K)
        print(f"{epsilon:7.2f} {found.cost[i]:7.4f} {reached:8.4f} {found.assignment.gap[i]:8.1e}")
    print(f"unfair  {start.cost:7.4f} {balance(start.labels, groups, n_clusters=K):8.4f}")


if __name__ == "__main__":
    main()
