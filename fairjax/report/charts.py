"""Two line charts in hand-written SVG, which adopts the page's colours in light, dark and print."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fairjax.metrics import host
from fairjax.report import labels
from fairjax.report.data import ReportData
from fairjax.report.formats import decimals, fixed, number, share, signed
from fairjax.report.markup import esc, figure

_W, _H = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 22, 42
_NO_BALANCE = 0.05  # share of the best balance below which it says nothing
_FAR = 25  # distance from which a line connects a mark with its name
_MOST_DIGITS = 5  # decimals that fit


def by_violation(data: ReportData) -> bool:
    """Whether to draw violations, since most balances are near 0 and say nothing about the curve."""
    balances = [level[1] for level in data.curve if len(level) > 3]
    return bool(balances) and float(np.median(balances)) < _NO_BALANCE * data.max_balance


def price_curve(data: ReportData) -> str:
    """Return cost against fairness with ordinary k-means and this run marked; empty without a curve.

    Fairness is the balance or, where that is 0 nearly everywhere, the share of a group that would have to move.
    """
    finite = [level for level in data.curve if math.isfinite(level[1]) and math.isfinite(level[2])]
    if not finite:
        return ""
    moved = by_violation(data)
    name = "to be moved" if moved else "balance"
    points = sorted((50 * level[3] if moved else level[1], level[2], level[0]) for level in finite)
    own = 50 * (data.group_violation or 0.0) if moved else data.balance
    marks = [(own, data.cost, "this run", "chosen")]
    if data.unfair is not None and data.unfair_counts is not None:
        other = 50 * host.group_violation(data.unfair_counts) if moved else data.unfair["balance"]
        marks.append((other, data.unfair["cost"], "ordinary k-means", "unfair"))
    fairest = 0.0 if moved else data.max_balance
    xs = [p[0] for p in points] + [m[0] for m in marks] + [fairest]
    ys = [p[1] for p in points] + [m[1] for m in marks]
    axes = Axes.around(xs, ys, reverse=moved)
    best = axes.x(fairest)
    path = [(axes.x(x), axes.y(c)) for x, c, _ in points]
    across = "% of a group to be moved (right is fairer)" if moved else "balance reached (further right is fairer)"
    parts = [
        axes.draw(across, "cost"),
        line(best, best, _TOP, _H - _BOTTOM, "best"),
        axes.path([(x, c) for x, c, _ in points]),
    ]
    for x, c, asked in points:
        hint = f"{data.control} {number(asked, 3)}: {name} {number(x, 3)}{'%' if moved else ''}, cost {number(c)}"
        parts.append(circle(axes.x(x), axes.y(c), 3.5, "dot", hint))
    upright = [(best, float(_TOP)), (best, float(_H - _BOTTOM))]
    taken = [labels.box(best, _H - _BOTTOM - 8, "best possible", "end", -5)]
    parts.append(text_at(best - 5, _H - _BOTTOM - 8, "best possible", "end"))
    for x, c, text, kind in marks:
        place = (axes.x(x), axes.y(c))
        parts.append(circle(*place, 7, kind) if kind == "chosen" else square(*place, 5.5, kind))
        left, low, anchor, box = labels.place(text, place, [path, upright], taken, (_LEFT, 4, _W, _H - _BOTTOM))
        taken.append(box)
        if abs(low - place[1]) > _FAR:
            parts.append(line(place[0], place[0], place[1] + math.copysign(7, low - place[1]), low + 3, "leader"))
        parts.append(text_at(left, low, text, anchor, "name"))
    label = (
        f"Price of fairness: cost from {number(min(ys))} to {number(max(ys))} as {name} goes from "
        f"{number(min(p[0] for p in points), 3)} to {number(max(p[0] for p in points), 3)}."
    )
    return svg("".join(parts), label)


def history(data: ReportData) -> str:
    """Return the cost after each iteration as a line; empty for fewer than two values."""
    costs = [float(c) for c in data.history]
    if len(costs) < 2 or not all(map(math.isfinite, costs)):
        return ""
    steps = list(range(1, len(costs) + 1))
    axes = Axes.around(steps, costs, whole_x=True)
    label = f"Cost after each of {len(costs)} iterations, from {number(costs[0])} to {number(costs[-1])}."
    caption = f"Cost after each iteration: {number(costs[0])} at first, {number(costs[-1])} at last."
    end = circle(axes.x(steps[-1]), axes.y(costs[-1]), 4.5, "chosen")
    body = axes.draw("iteration", "cost") + axes.path(list(zip(steps, costs, strict=True))) + end
    return figure(svg(body, label), caption, kind="chart")


def curve_rows(data: ReportData) -> list[list[str]]:
    """Return the curve as rows of text: control, balance, share to be moved if known, cost, price over k-means."""
    base = None if data.unfair is None else data.unfair["cost"]
    top = max((abs(level[2]) for level in data.curve if math.isfinite(level[2])), default=1.0)
    places = decimals(top / 100)
    moved = by_violation(data)
    rows = []
    for asked, balance, cost, *violation in data.curve:
        change = cost / base - 1.0 if base else math.nan
        price = signed(round(change, 3), share(change)) if math.isfinite(change) else "n/a"
        more = [share(violation[0] / 2)] if moved else []
        rows.append([number(asked, 3), fixed(balance, 3), *more, fixed(cost, places), price])
    return rows


@dataclass(frozen=True)
class Axes:
    """Where values lie on a chart, and the marks along its edges."""

    x: Callable[[float], float]
    y: Callable[[float], float]
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    @classmethod
    def around(cls, xs: Sequence[float], ys: Sequence[float], whole_x: bool = False, reverse: bool = False) -> "Axes":
        """Axes that hold all values, with some room: `whole_x` has whole numbers, `reverse` the greatest one on the
        left.
        """
        x_ticks = ticks(min(xs), max(xs), 8, whole=whole_x)
        y_ticks = ticks(min(ys), max(ys), 5)
        x0, x1 = _padded(xs, 0.0 if whole_x else 0.04)
        y0, y1 = _padded(ys, 0.08)

        if reverse:
            x0, x1 = x1, x0

        def across(value: float) -> float:
            return _LEFT + (value - x0) / (x1 - x0) * (_W - _LEFT - _RIGHT)

        def upward(value: float) -> float:
            return _H - _BOTTOM - (value - y0) / (y1 - y0) * (_H - _TOP - _BOTTOM)

        return cls(across, upward, x_ticks, y_ticks)

    def draw(self, x_name: str, y_name: str) -> str:
        """Return the grid, the ticks and the names of the axes."""
        right, floor = _W - _RIGHT, _H - _BOTTOM
        parts = []
        digits = _digits(self.y_ticks)
        for value in self.y_ticks:
            y = self.y(value)
            parts += [
                line(_LEFT, right, y, y, "grid"),
                text_at(_LEFT - 7, y + 4, _ticked(value, digits), "end"),
            ]
        digits = _digits(self.x_ticks)
        parts += [text_at(self.x(v), floor + 17, _ticked(v, digits), "middle") for v in self.x_ticks]
        parts.append(line(_LEFT, right, floor, floor, "axis"))
        parts += [text_at((right + _LEFT) / 2, _H - 6, x_name, "middle"), text_at(4, 12, y_name, "start")]
        return "".join(parts)

    def upright(self, value: float, kind: str) -> str:
        """Return a line from top to floor."""
        x = self.x(value)
        return line(x, x, _TOP, _H - _BOTTOM, kind)

    def path(self, points: Sequence[tuple[float, float]], kind: str = "line") -> str:
        """Return a line through points."""
        through = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<polyline class="{kind}" points="{through}"/>'


def ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """Return round numbers within [low, high], at most about ``most`` of them.

    Examples
    --------
    >>> ticks(0.17, 0.49, 5)
    [0.2, 0.3, 0.4]
    >>> ticks(1, 9, 6, whole=True)
    [2.0, 4.0, 6.0, 8.0]
    """
    span = high - low
    if not span > 0:
        return [float(low)]
    raw = span / most
    base = 10.0 ** math.floor(math.log10(raw))
    step = base * next(m for m in (1, 2, 5, 10) if m * base >= raw * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _padded(values: Sequence[float], share: float) -> tuple[float, float]:
    low, high = float(np.min(values)), float(np.max(values))
    span = high - low
    if span <= 1e-12 * max(abs(high), 1e-300):
        span = abs(high) or 1.0
        return low - 0.5 * span, high + 0.5 * span
    return low - share * span, high + share * span


def _digits(values: Sequence[float]) -> int:
    """Return the number of decimals needed to tell these ticks apart."""
    if len(values) < 2:
        return 0 if float(values[0]).is_integer() else 4
    return max(0, -math.floor(math.log10(values[1] - values[0]) + 1e-9))


def _ticked(value: float, digits: int) -> str:
    return f"{value:.1e}" if digits > _MOST_DIGITS else f"{value:,.{digits}f}"


def line(x1: float, x2: float, y1: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def text_at(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    """Return text at a point."""
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{esc(text)}</text>'


def circle(x: float, y: float, radius: float, kind: str, hint: str = "") -> str:
    """Return a disc with a hint for the pointer."""
    title = f"<title>{esc(hint)}</title>" if hint else ""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{title}</circle>'


def square(x: float, y: float, half: float, kind: str, hint: str = "") -> str:
    """Return a square with a hint for the pointer."""
    title = f"<title>{esc(hint)}</title>" if hint else ""
    place = f'x="{x - half:.1f}" y="{y - half:.1f}" width="{2 * half}" height="{2 * half}"'
    return f'<rect class="{kind}" {place}>{title}</rect>'


def svg(body: str, label: str) -> str:
    """Return a chart with a description for those who cannot see it."""
    return f'<svg class="chart" viewBox="0 0 {_W} {_H}" role="img" aria-label="{esc(label)}">{body}</svg>'
