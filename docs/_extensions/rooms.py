"""The directives ``room`` and ``methods``: what ``__all__`` of a module names, at the time the site is built."""

import importlib
import inspect
import re
from types import ModuleType
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_WORDS = {"MESSAGES": "What each status means."}


def public(module: ModuleType) -> dict[str, Any]:
    """Public names of a module and what they are, in alphabetical order."""
    own = [name for name, found in vars(module).items() if getattr(found, "__module__", None) == module.__name__]
    names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    return {name: getattr(module, name) for name in sorted(names, key=str.lower)}


def home(name: str, found: Any, module: str) -> str:
    """The name under which something is documented: that in the room above, where it is public there, too."""
    parent = module.rpartition(".")[0]
    if parent.count(".") and getattr(importlib.import_module(parent), name, None) is found:
        return f"{parent}.{name}"
    return f"{module}.{name}"


def first_sentence(found: Any) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
    text = re.sub(r"\s*\[\d+\]_", "", text)  # notes at the end of a docstring
    # not after an initial
    return re.split(r"(?<=[^A-Z][.])\s+(?=[A-Z`])", text)[0]


def members(found: type) -> list[str]:
    """Public methods and properties that this package documents, inherited ones included."""
    if issubclass(found, tuple) or issubclass(found, BaseException):
        return []
    chosen = []
    for name in dir(found):
        holder = next((kind for kind in found.__mro__ if name in vars(kind)), None)
        own = holder is not None and holder.__module__.startswith("fairjax")
        value = inspect.getattr_static(found, name, None)
        documented = callable(value) or isinstance(value, property | staticmethod | classmethod)
        written = not name.startswith("_") and not re.fullmatch("set_.*_request", name)
        if own and written and documented and inspect.getdoc(getattr(found, name)):
            chosen.append(name)
    return chosen


def is_method(found: Any) -> bool:
    """Whether it is an estimator: something with a public ``fit`` that can be made."""
    return inspect.isclass(found) and hasattr(found, "fit") and not inspect.isabstract(found)


class _Listing(SphinxDirective):
    required_arguments = 1

    def parsed(self, lines: list[str]) -> list[nodes.Node]:
        holder = nodes.Element()
        self.state.nested_parse(StringList(lines, source=self.env.docname), self.content_offset, holder, match_titles=1)
        return list(holder.children)

    def table(self, names: dict[str, Any], module: str) -> list[str]:
        lines = [".. list-table::", "   :class: names", "   :widths: 28 72", ""]
        for name, found in names.items():
            role, where, said = "func", home(name, found, module), first_sentence(found)
            if inspect.ismodule(found):
                role, where = "mod", found.__name__
            elif inspect.isclass(found):
                role = "class"
            elif not callable(found):
                role, said = "data", _WORDS.get(name, "")
            lines += [f"   * - :py:{role}:`{name} <{where}>`", f"     - {said}".replace("|", r"\|")]
        return [*lines, ""]


class Room(_Listing):
    """A module of the package: what it is for, a table of its names, and the documentation of each."""

    option_spec: ClassVar[dict[str, Any]] = {"only": directives.unchanged, "brief": directives.flag}

    def run(self) -> list[nodes.Node]:
        """The nodes of the page."""
        name = self.arguments[0]
        names = public(importlib.import_module(name))
        if "only" in self.options:
            names = {one: names[one] for one in self.options["only"].split()}
            lines = []
        else:
            lines = [f".. automodule:: {name}", "   :noindex:" if "brief" in self.options else "", ""]
        lines += self.table(names, name) if len(names) > 1 else []
        for one, found in names.items():
            lines += _documented(one, found, name)
        return self.parsed(lines)


class Methods(_Listing):
    """A table of the estimators of a module."""

    def run(self) -> list[nodes.Node]:
        """One row a class."""
        name = self.arguments[0]
        found = {one: what for one, what in public(importlib.import_module(name)).items() if is_method(what)}
        return self.parsed(self.table(found, name))


def _documented(name: str, found: Any, module: str) -> list[str]:
    where = f"{module}.{name}"
    if inspect.ismodule(found) or home(name, found, module) != where:
        return []
    if inspect.isclass(found):
        lines = [f".. autoclass:: {where}", ""]
        for one in members(found):
            kind = "autoproperty" if isinstance(inspect.getattr_static(found, one), property) else "automethod"
            lines += [f"   .. {kind}:: {where}.{one}", ""]
        return lines
    if callable(found):
        return [f".. autofunction:: {where}", ""]
    lines = [f".. py:data:: {where}", "", f"   {_WORDS.get(name, '')}", ""]
    if isinstance(found, dict):
        lines += [f"   - {key}: {value}" for key, value in found.items()]
    return [*lines, ""]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both."""
    app.add_directive("room", Room)
    app.add_directive("methods", Methods)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
