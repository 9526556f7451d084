"""What a clustering run looks like to people: one self-contained HTML page, or a few lines on a terminal.

Fill a :class:`ReportData` with plain arrays and numbers, then :func:`render` or :func:`write` it, or hand it
to :func:`print_summary`. No solver is imported here: any labelling can be reported on, whoever made it.
"""

from fairjax.report.console import print_summary
from fairjax.report.data import ReportData, Unfair
from fairjax.report.page import render, write

__all__ = ["ReportData", "Unfair", "print_summary", "render", "write"]
