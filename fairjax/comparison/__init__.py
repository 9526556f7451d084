"""Methods side by side on the same data, from the same starts: `compare` and what it finds."""

from fairjax.comparison.comparing import LEVELS, METHODS, compare
from fairjax.comparison.quoted import quoted
from fairjax.comparison.table import Comparison

__all__ = ["LEVELS", "METHODS", "Comparison", "compare", "quoted"]
