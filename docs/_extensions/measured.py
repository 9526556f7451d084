"""The role ``measured`` and the directive ``measured-table``: figures of the records, read when the site is built."""

import re
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from benchmarks import records

_NUMBER = re.compile(r"(< )?-?[\d,.]*(e[+-]?\d+)?")  # or nothing


class Measured(SphinxRole):
    """One figure in a line of text; see `records` for how it is named."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The figure, or an error that names what is missing."""
        try:
            shown = records.figure(self.text)
        except records.MissingFigureError as error:
            message = self.inliner.reporter.error(f"{error}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        name = self.text.partition(" / ")[0].strip()
        return [nodes.inline("", shown, classes=["measured"], reftitle=f"benchmarks/results/{name}.json")], []


class MeasuredTable(SphinxDirective):
    """A table of the items of a list (or an object) in a record.

    The argument is the path to it. Each line of the body is a column, ``Title = path from the item -> format``; the
    path ``key`` is an object's key. ``:where:`` keeps the items that have certain values (``a=1; b=2``), ``:sum:`` adds
    up those that agree in the keys it names, ``:optional:`` names columns that are left out where they would be empty.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "where": directives.unchanged,
        "sum": directives.unchanged,
        "optional": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """The table, and below it where its figures are from."""
        try:
            titles, rows = records.table(self.arguments[0], list(self.content), **self.options)
        except records.MissingFigureError as error:
            raise self.error(f"{error}") from error
        command, where = records.origin(self.arguments[0].partition(" / ")[0].strip()).split("; ", 1)
        said = nodes.paragraph("", "", nodes.literal("", command), nodes.Text(f"; {where}"), classes=["origin"])
        return [_table(titles, rows), said]


def _table(titles: list[str], rows: list[list[str]]) -> nodes.table:
    """Text in columns, the first of them as wide as it needs."""
    group = nodes.tgroup(cols=len(titles))
    group += [nodes.colspec(colwidth=1) for _ in titles]
    head, body = nodes.thead(), nodes.tbody()
    numeric = [all(_NUMBER.fullmatch(row[i]) for row in rows) for i in range(len(titles))]
    for part, cells in [(head, titles), *((body, row) for row in rows)]:
        part += nodes.row("", *map(_entry, cells, numeric))
    group += [head, body]
    return nodes.table("", group, classes=["measured-table", "colwidths-auto"])


def _entry(text: str, numeric: bool) -> nodes.entry:
    return nodes.entry("", nodes.paragraph("", text), classes=["number"] if numeric else [])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both."""
    app.add_role("measured", Measured())
    app.add_directive("measured-table", MeasuredTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
