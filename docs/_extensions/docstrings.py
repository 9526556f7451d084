"""Docstrings are written to be read in a terminal; this makes them valid reStructuredText.

Sections whose fields run together (``a : () one. b : () two.``) are taken apart, and what reStructuredText would take
for a link or a substitution (``labels_``, ``|q - p|``) is escaped outside of literals and examples.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_FIELDS = {"Attributes", "Parameters", "Returns", "Yields", "Other Parameters"}
_NAME = r"[A-Za-z_]\w*(?:, [A-Za-z_]\w*)*"
_FIELD = re.compile(rf"(?:^|(?<=[.;)] )|(?<=[.;]\n))({_NAME}) : ")
_SHAPE = re.compile(r"\((?:[\w', +-]*)\)(?: (?:bool|int32|float|int))?(?=[ ,.;:]|$)")
_MOST_WORDS = 9  # of a type
# literals, roles, and the names of fields, in which napoleon has escaped what it must
_LITERAL = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`|`[^`]+`_?|^\s*:\w+ [^:\n]*:)", re.DOTALL | re.MULTILINE)


def sections(lines: list[str]) -> list[str]:
    """The lines with the fields of every section on lines of their own.

    Examples
    --------
    >>> sections(["Attributes", "----------", "cost : () mean. gap : () what is", "proven."])
    ['Attributes', '----------', 'cost : scalar', '    mean.', 'gap : scalar', '    what is proven.', '']
    """
    out: list[str] = []
    i = 0
    while i < len(lines):
        out.append(lines[i])
        underlined = i + 1 < len(lines) and set(lines[i + 1].strip()) == {"-"}
        i += 1
        if lines[i - 1].strip() in _FIELDS and underlined:
            out.append(lines[i])
            body, i = _body(lines, i + 1)
            out += _apart(body)
    return out


def _body(lines: list[str], begin: int) -> tuple[list[str], int]:
    end = begin
    while end < len(lines) and not (lines[end].strip() and {*"".join(lines[end + 1 : end + 2]).strip()} == {"-"}):
        end += 1
    return lines[begin:end], end


def _apart(body: list[str]) -> list[str]:
    text = [line for line in body if line.strip()]
    run_together = any(
        len(_FIELD.findall(line)) > 1 or not re.match(rf"\*{{0,2}}{_NAME}(, \*\*\w+)?( : |$)", line)
        for line in text
        if not line.startswith(" ")
    )
    if not run_together:
        return _plain(body)
    joined = "\n".join(line.strip() for line in body).strip()
    starts = [*_FIELD.finditer(joined)]
    if not starts or starts[0].start() != 0:
        return body
    out: list[str] = []
    for match, following in zip(starts, [*starts[1:], None], strict=True):
        said = joined[match.end() : following.start() if following else None].replace("\n", " ").strip()
        out += _field(match[1], said)
    return [*out, ""]


def _plain(body: list[str]) -> list[str]:
    """Fields on lines of their own, of which a type is what has few words."""
    out: list[str] = []
    for i, line in enumerate(body):
        match = re.match(rf"({_NAME}) : (.*)", line)
        if match is None:
            out.append(line)
            continue
        alone = i + 1 == len(body) or not body[i + 1].startswith(" ")
        prose = len(match[2].split()) > _MOST_WORDS or (alone and match[2].endswith("."))
        out += _field(match[1], match[2]) if prose else [f"{match[1]} : {_shape_last(match[2])}"]
    return out


def _field(names: str, said: str) -> list[str]:
    """A field whose type, if any, and description stand on one line."""
    shape = _SHAPE.match(said)
    kind = shape.group() if shape else ""
    rest = said[len(kind) :].lstrip(" ,.;" if kind else " ")
    return [f"{names} : {_shape_last(kind)}".rstrip(" :"), *([f"    {rest}"] if rest else [])]


def _shape_last(kind: str) -> str:
    """A type with its shape behind it: ``(n, K) float, optional`` is ``float (n, K), optional``.

    Examples
    --------
    >>> _shape_last("(n, K) float, optional"), _shape_last("(n,)"), _shape_last("() int32"), _shape_last("()")
    ('float (n, K), optional', 'array (n,)', 'int32 scalar', 'scalar')
    """
    match = re.match(r"\(([^()]*)\)(?=[ ,]|$) ?(.*)$", kind)
    if match is None or re.search(r"\b[fg]\b", match[1]):  # a pair of duals
        return kind
    word, comma, rest = match[2].partition(",")
    shaped = f"{word or 'array'} ({match[1]})" if match[1] else f"{word} scalar".strip()
    return shaped + comma + rest


def escaped(lines: list[str]) -> list[str]:
    r"""The lines without accidental markup, and without notes that stand in another docstring.

    Examples
    --------
    >>> escaped(["`labels_` and cost_ of |p - q|", ">>> model.cost_"])
    ['`labels_` and cost\\_ of \\|p - q\\|', '>>> model.cost_']
    """
    out: list[str] = []
    plain: list[str] = []
    example = False
    notes = any(line.lstrip().startswith(".. [") for line in lines)
    for line in [*lines, ">>>"]:
        bare = line.lstrip()
        example = bare.startswith(">>>") or (example and bool(bare))
        directive = bare.startswith("..")
        if not example and not directive:
            plain.append(line)
            continue
        if plain:
            out += _without_markup("\n".join(plain), notes).split("\n")
        plain = []
        out.append(line)
    return out[:-1]


def _without_markup(text: str, notes: bool) -> str:
    if not notes:
        text = re.sub(r"\s?\[\d+\]_", "", text)
    parts = _LITERAL.split(text)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"(?<=\w)(?<!\\)_(?!\w)", r"\\_", re.sub(r"(?<!\\)\|", r"\\|", parts[i]))
    return "".join(parts)


def setup(app: Sphinx) -> dict[str, Any]:
    """Before and after napoleon."""

    def before(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = sections(lines)

    def after(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = escaped(lines)

    app.connect("autodoc-process-docstring", before, priority=400)
    app.connect("autodoc-process-docstring", after, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
