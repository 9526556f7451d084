"""Exact fair assignment: the dual in a few prices per group, a feasible sparse primal, and the gap between them."""

from fairjax.assignment.asking import control
from fairjax.assignment.capacity import CapacityAssignment, capacity_assignment
from fairjax.assignment.controls import Control
from fairjax.assignment.fair import fair_assignment
from fairjax.assignment.solution import MESSAGES, Solution
from fairjax.assignment.solving import FairAssignment
from fairjax.assignment.terms import Prices, Tolerances, default_tolerances

__all__ = [
    "MESSAGES",
    "CapacityAssignment",
    "Control",
    "FairAssignment",
    "Prices",
    "Solution",
    "Tolerances",
    "capacity_assignment",
    "control",
    "default_tolerances",
    "fair_assignment",
]
