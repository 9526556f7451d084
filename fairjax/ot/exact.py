"""Exact transport (stand-in: the host's solver until the native one is in)."""

from jax.typing import ArrayLike

from fairjax.ot.host import host
from fairjax.ot.problem import Duals
from fairjax.ot.solution import OTSolution


def exact(
    costs: ArrayLike, a: ArrayLike | None = None, b: ArrayLike | None = None, *, init: Duals | None = None
) -> OTSolution:
    """Optimal transport (stand-in)."""
    return host(costs, a, b, init=init)
