"""The page: one HTML file that opens from disk, loads nothing, runs no script, and prints."""

import os
from importlib.resources import files as resources
from pathlib import Path

from fairjax.report import composition, plane, sections
from fairjax.report.data import ReportData
from fairjax.report.files import write_text
from fairjax.report.markup import esc

# The browser itself then refuses to load anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(data: ReportData) -> str:
    """Return the whole report as one HTML document.

    Parameters
    ----------
    data : ReportData
        The run.

    Returns
    -------
    str
        HTML with its style and figures inside; some 50 to 600 kB. O(n d) work plus one small SVD.

    Examples
    --------
    >>> import numpy as np
    >>> data = ReportData(
    ...     title="four points", X=np.arange(4.0)[:, None], labels=np.array([0, 0, 1, 1]),
    ...     groups=np.array([0, 1, 0, 1]), group_names=["a", "b"], n_clusters=2,
    ...     cost=0.25, balance=1.0, max_balance=1.0)
    >>> "Every cluster holds a and b in a ratio of at least 1" in render(data)
    True
    """
    style = "\n".join(
        [
            resources("fairjax.report").joinpath("style.css").read_text(encoding="utf-8"),
            composition.group_styles(min(data.n_groups, composition.MOST_BARS)),
            plane.cluster_styles(),
        ]
    )
    parts = [build(data) for build in sections.ALL]
    there = "".join(parts)
    links = "".join(
        f'<a href="#{ident}">{esc(name)}</a>' for ident, name in sections.CONTENTS if f'<section id="{ident}"' in there
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<link rel="icon" href="data:,">',
            f"<title>{esc(data.title)}: fair clustering report</title>",
            f"<style>\n{style}\n</style></head>",
            "<body>",
            sections.header(data),
            f'<nav aria-label="Sections"><div>{links}</div></nav>',
            "<main>",
            *parts,
            "</main>",
            sections.footer(data),
            "</body></html>\n",
        ]
    )


def write(data: ReportData, path: str | os.PathLike[str]) -> Path:
    """Render the report and write it to ``path``, completely or not at all.

    Raises
    ------
    InputError
        If ``path`` cannot be written. An existing file is then unchanged.
    """
    return write_text(path, render(data))
