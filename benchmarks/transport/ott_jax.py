"""Entropic transport by ott-jax, at the error that all solvers are asked for."""

import warnings
from typing import Any

import jax

REG, ERROR = 0.01, 1e-3  # weight of the entropy over the mean cost, and the ℓ1 error of the marginals


def solve(
    cost: jax.Array,
    reg: Any,
    *,
    momentum: float = 1.0,
    anderson: int = 0,
    annealed: bool = False,
    lse_mode: bool = True,
) -> Any:
    """One problem, cost (n, m), as ott-jax returns it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from ott.geometry import epsilon_scheduler, geometry
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import acceleration, sinkhorn
    # from a tenth of the mean cost, as fairjax anneals
    epsilon = epsilon_scheduler.Epsilon(target=reg, init=0.1 / REG, decay=0.9) if annealed else reg
    solver = sinkhorn.Sinkhorn(
        lse_mode=lse_mode,
        threshold=ERROR,
        max_iterations=20_000,
        momentum=acceleration.Momentum(value=momentum, start=0),
        anderson=acceleration.AndersonAcceleration(memory=anderson, refresh_every=1) if anderson else None,
        implicit_diff=None,
    )
    return solver(linear_problem.LinearProblem(geometry.Geometry(cost, epsilon=epsilon)))
