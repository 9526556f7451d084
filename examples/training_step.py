"""Fair assignment inside a training step: learn a linear map whose 2-D codes cluster fairly and still reconstruct."""

import jax
import jax.numpy as jnp

from fairjax import datasets, fair_assignment

K, CODE, RATE = 4, 2, 0.05


def loss(parameters: dict[str, jax.Array], X: jax.Array, groups: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Reconstruction error plus the cost of the best fair assignment of the codes to the centres."""
    codes = X @ parameters["encode"]
    costs = jnp.sum((codes[:, None] - parameters["centers"]) ** 2, -1)
    assignment = fair_assignment(costs, groups, n_groups=2)  # its primal has a gradient
    return jnp.mean(jnp.sum((codes @ parameters["decode"] - X) ** 2, -1)) + assignment.primal, assignment.labels


@jax.jit
def step(parameters: dict[str, jax.Array], X: jax.Array, groups: jax.Array) -> tuple:
    (value, labels), gradient = jax.value_and_grad(loss, has_aux=True)(parameters, X, groups)
    return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradient), value, labels


def main() -> None:
    data = datasets.load_diabetes()
    X, groups = jnp.asarray(data.X, jnp.float32), jnp.asarray(data.groups)
    shapes = {"encode": (X.shape[1], CODE), "decode": (CODE, X.shape[1]), "centers": (K, CODE)}
    keys = jax.random.split(jax.random.key(0), 3)
    parameters = {name: 0.3 * jax.random.normal(key, shapes[name]) for name, key in zip(shapes, keys, strict=True)}
    for i in range(31):
        parameters, value, labels = step(parameters, X, groups)
        if i % 10 == 0:
            counts = [[int(jnp.sum((labels == k) & (groups == s))) for k in range(K)] for s in (0, 1)]
            print(f"step {i:2d}: loss {value:.4f}, counts per cluster {counts[0]} and {counts[1]}")


if __name__ == "__main__":
    main()
