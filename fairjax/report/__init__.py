"""A clustering run presented to people: one self-contained HTML page, or a few lines on a terminal.

:func:`from_model` reports on a fitted estimator, :func:`from_blocks` on one of a table that is read in blocks. For
labels from any other source, fill a :class:`ReportData` with plain arrays and numbers, then :func:`render` or
:func:`write` it, or pass it to :func:`print_summary`.
"""

from fairjax.report.console import print_summary
from fairjax.report.data import ReportData, Unfair
from fairjax.report.models import Report, from_model
from fairjax.report.page import render, write
from fairjax.report.streams import from_blocks

__all__ = ["Report", "ReportData", "Unfair", "from_blocks", "from_model", "print_summary", "render", "write"]
