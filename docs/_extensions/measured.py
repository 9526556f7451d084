"""The role ``measured`` and the directive ``measured-table``: figures of the records, read when the site is built."""

from typing import Any, ClassVar

import records
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole


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
    path ``key`` is an object's key. ``:where:`` keeps the items that have certain values (``a=1; b=2``), ``:sum:`` adds up
    those that agree in the keys it names.
    """

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"where": directives.unchanged, "sum": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """The table, and below it where its figures are from."""
        name, _, path = self.arguments[0].partition(" / ")
        try:
            rows = self._rows(name.strip(), path)
        except records.MissingFigureError as error:
            raise self.error(f"{error}") from error
        if not rows:
            raise self.error(f"no item of {self.arguments[0]!r} is left")
        titles = [line.split(" = ", 1)[0].strip() for line in self.content if line.strip()]
        command, where = records.origin(name.strip()).split("; ", 1)
        said = nodes.paragraph("", "", nodes.literal("", command), nodes.Text(f"; {where}"), classes=["origin"])
        return [_table(titles, rows), said]

    def _rows(self, name: str, path: str) -> list[list[str]]:
        found = records.follow(records.record(name), path)
        items = [{"key": key, **item} for key, item in found.items()] if isinstance(found, dict) else found
        wanted = [part.strip().split("=", 1) for part in self.options.get("where", "").split(";") if "=" in part]
        items = [item for item in items if all(str(item.get(key)) == value for key, value in wanted)]
        if "sum" in self.options:
            items = _added_up(items, [key.strip() for key in self.options["sum"].split(",")])
        columns = [line.split(" = ", 1)[1].partition(" -> ") for line in self.content if line.strip()]
        return [[_cell(item, path.strip(), form.strip()) for path, _, form in columns] for item in items]


def _table(titles: list[str], rows: list[list[str]]) -> nodes.table:
    """Text in columns, the first of them as wide as it needs."""
    group = nodes.tgroup(cols=len(titles))
    group += [nodes.colspec(colwidth=1) for _ in titles]
    head, body = nodes.thead(), nodes.tbody()
    for part, cells in [(head, titles), *((body, row) for row in rows)]:
        part += nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))
    group += [head, body]
    return nodes.table("", group, classes=["measured-table", "colwidths-auto"])


def _added_up(items: list[dict[str, Any]], keys: list[str]) -> list[dict[str, Any]]:
    """Items that agree in the keys as one, with the sums of their whole numbers."""
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in items:
        total = sums.setdefault(tuple(item[key] for key in keys), {key: item[key] for key in keys})
        for key, value in item.items():
            if key not in keys and isinstance(value, int):
                total[key] = total.get(key, 0) + value
    return list(sums.values())


def _cell(item: dict[str, Any], path: str, form: str) -> str:
    """A cell; empty where an item lacks the figure, as rows of other methods do."""
    try:
        return records.written(records.follow(item, path), form)
    except records.MissingFigureError:
        return ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both."""
    app.add_role("measured", Measured())
    app.add_directive("measured-table", MeasuredTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
