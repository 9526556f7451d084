"""Batched optimal transport between weighted point sets; it does not deal with fairness."""

from fairjax.ot.exact import exact
from fairjax.ot.factors import Factors
from fairjax.ot.host import host, host_basic
from fairjax.ot.problem import gap_tolerance, mass_tolerance
from fairjax.ot.rounding import rounded
from fairjax.ot.sinkhorn import sinkhorn
from fairjax.ot.solution import MESSAGES, BasicSolution, OTSolution, Support, check, support

__all__ = [
    "MESSAGES",
    "BasicSolution",
    "Factors",
    "OTSolution",
    "Support",
    "check",
    "exact",
    "gap_tolerance",
    "host",
    "host_basic",
    "mass_tolerance",
    "rounded",
    "sinkhorn",
    "support",
]
