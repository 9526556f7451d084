"""The rule that assigns new points, exported by jax.export: a program in bytes that runs where fairjax is not.

JAX writes such programs by flatbuffers: pip install flatbuffers.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from fairjax import FCA, datasets


def rule(X: jax.Array, groups: jax.Array, centers: jax.Array, prices: jax.Array) -> jax.Array:
    """Cluster of each point: the least squared distance plus the price that its group pays."""
    squares = jnp.sum((X[:, None] - centers) ** 2, -1)
    return jnp.argmin(squares + prices[groups], axis=1).astype(jnp.int32)


def exported(model: FCA) -> bytes:
    """Return the rule of a fitted model, for any number of points and for CPUs and GPUs alike."""
    centers = jnp.asarray(model.cluster_centers_, jnp.float32)
    prices = jnp.asarray(model.multipliers_, jnp.float32)
    (n,) = export.symbolic_shape("n")
    points = jax.ShapeDtypeStruct((n, centers.shape[1]), jnp.float32)
    groups = jax.ShapeDtypeStruct((n,), jnp.int32)
    # centres and prices are constants of the program
    program = jax.jit(lambda X, groups: rule(X, groups, centers, prices))
    return export.export(program, platforms=("cpu", "cuda"))(points, groups).serialize()


def main() -> None:
    data = datasets.load_diabetes()
    model = FCA(5, random_state=0).fit(data.X, sensitive_features=data.groups)
    with TemporaryDirectory() as folder:
        file = Path(folder, "assignment.bin")
        file.write_bytes(exported(model))
        print(f"the rule takes {file.stat().st_size:,} bytes")
        # from here on as in a service that has JAX alone
        assign = export.deserialize(bytearray(file.read_bytes())).call
    for n in (3, 442):
        labels = assign(data.X[:n].astype(np.float32), data.groups[:n])
        expected = model.predict(data.X[:n], sensitive_features=data.groups[:n])
        print(f"{n} points: {(np.asarray(labels) == expected).mean():.1%} assigned as by predict")


if __name__ == "__main__":
    main()
