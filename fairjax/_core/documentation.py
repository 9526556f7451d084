"""Documentation of estimators, written from their settings."""

import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from fairjax._core.settings import Setting, settings_of

__all__ = ["described", "documented", "type_words"]

_WIDTH = 116


def described(kind: Any, more: Mapping[str, str] | None = None) -> list[tuple[str, str, str]]:
    """Name, type and sentence of every setting of an estimator; ``more`` is what to add to some sentences."""
    more = more or {}
    return [
        (about.name, type_words(about), f"{about.doc} {more.get(about.name, '')}".strip())
        for about in settings_of(kind)
    ]


def documented(kind: Any, attributes: str = "", more: Mapping[str, str] | None = None) -> str:
    """The docstring of a class, completed by a section on its parameters and one on its attributes.

    Parameters
    ----------
    kind : type
        An estimator. Its own docstring has the summary and any other section; an own section "Attributes" comes before
        the attributes that all methods have.
    attributes : str
        Those that all methods have.
    more : mapping, optional
        As for `described`.
    """
    head, own, rest = _parts(inspect.cleandoc(kind.__doc__ or ""))
    parameters = "\n".join(_parameter(*about) for about in described(kind, more))
    own = "\n".join(part for part in (own, attributes.strip()) if part)
    sections = [head, _section("Parameters", parameters), _section("Attributes", own) if own else "", rest]
    return "\n\n".join(part for part in sections if part) + "\n"


def type_words(about: Setting) -> str:
    """The type of a setting as documentation has it, such as ``float, default=0.1``."""
    names = {"number": "float", "whole": "int", "flag": "bool", "path": "path", "other": "object"}
    options = ", ".join(f'"{word}"' for word in about.choices)
    found = about.words or (f"{{{options}}}" if about.choices else names[about.kind])
    if about.default is None and not about.words.endswith(("optional", "None")):
        return f"{found}, optional"
    if about.words.endswith("optional"):
        return found
    default = f'"{about.default}"' if isinstance(about.default, str) else repr(about.default)
    return f"{found}, default={default}"


def _parameter(name: str, words: str, sentence: str) -> str:
    lines = textwrap.fill(sentence, _WIDTH, break_on_hyphens=False)
    return f"{name} : {words}\n{textwrap.indent(lines, '    ')}"


def _section(title: str, text: str) -> str:
    return f"{title}\n{'-' * len(title)}\n{text}"


def _parts(doc: str) -> tuple[str, str, str]:
    """What comes before the first section, the text of an own section "Attributes", all other sections."""
    head, *sections = re.split(r"\n\n(?=[A-Z]\w+\n-{3,}\n)", doc)
    own = [section for section in sections if section.startswith("Attributes\n")]
    others = [section for section in sections if section not in own]
    return head, "\n".join(section.split("\n", 2)[2] for section in own), "\n\n".join(others)
