"""The few pieces of HTML that every section is made of."""

import re
from collections.abc import Iterable, Sequence
from html import escape

_BREAK = re.compile(r"([=_/.])(?=\w)")
_NARROW, _BROAD = 5, 10  # columns beyond which a table is wider than a phone, or than the page


class Html(str):
    """Text that is already markup and must not be escaped again."""

    __slots__ = ()


def esc(text: object) -> str:
    """Escape any value for use in HTML text and in quoted attributes."""
    return escape(str(text), quote=True)


def section(ident: str, title: str, *body: str) -> str:
    """Return a titled section that the page's contents can link to."""
    inner = "\n".join(part for part in body if part)
    head = f'<h2 id="{ident}-t">{esc(title)}</h2>'
    return f'<section id="{ident}" aria-labelledby="{ident}-t">{head}\n{inner}\n</section>'


def paragraph(text: str, kind: str = "") -> str:
    """Return an escaped paragraph, or nothing for an empty text."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{esc(text)}</p>" if text else ""


def figure(content: str, caption: str, kind: str = "") -> str:
    """Return a figure with its caption above it, where it is read first."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<figure{attribute}><figcaption>{esc(caption)}</figcaption>\n{content}</figure>"


def cell_of(markup: str, kind: str = "") -> Html:
    """Return a table cell around ready markup."""
    return Html(f'<td class="{kind}">{markup}</td>' if kind else f"<td>{markup}</td>")


def _broken(name: str) -> str:
    """Escape the name of a column, which breaks where its parts are joined rather than within a word."""
    return _BREAK.sub(r"\1<wbr>", esc(name))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, kind: str = "") -> str:
    """Return a table whose first column names its rows; other cells are plain text or :func:`cell_of`."""
    top = "".join(f'<th scope="col">{_broken(name)}</th>' for name in head)
    lines = []
    for first, *rest in rows:
        cells = "".join(cell if isinstance(cell, Html) else cell_of(esc(cell)) for cell in rest)
        lines.append(f'<tr><th scope="row">{esc(first)}</th>{cells}</tr>')
    body = "\n".join(lines)
    wide = "broad-hint" if len(head) > _BROAD else "narrow-hint" if len(head) > _NARROW else ""
    hint = f' <span class="sideways {wide}">Scroll sideways for more →</span>' if wide else ""
    return (
        # The caption that is seen stands outside the scrolling box, so that it wraps on a phone.
        f'<p class="caption" aria-hidden="true">{esc(caption)}{hint}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(caption)}">'
        f'<table class="{kind}"><caption class="hidden">{esc(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def fold(summary: str, content: str, opened: bool = False) -> str:
    """Return content behind a disclosure triangle; print always shows it."""
    return f"<details{' open' if opened else ''}><summary>{esc(summary)}</summary>\n{content}</details>"


def columns(parts: Sequence[str], kind: str = "") -> str:
    """Return parts side by side if the window is wide enough."""
    return f'<div class="columns {kind}">' + "\n".join(parts) + "</div>"
