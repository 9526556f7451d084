"""Exact fair assignment: the dual in a few prices per group, a feasible sparse primal, and the gap between them."""

from fairjax.assignment.controls import Control
from fairjax.assignment.fair import FairAssignment, control, fair_assignment
from fairjax.assignment.solution import MESSAGES, Prices, Solution, Tolerances, default_tolerances

__all__ = [
    "MESSAGES",
    "Control",
    "FairAssignment",
    "Prices",
    "Solution",
    "Tolerances",
    "control",
    "default_tolerances",
    "fair_assignment",
]
