"""Two line charts in hand-written SVG, which takes the page's colours in light, dark and print."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fairjax.report.data import ReportData
from fairjax.report.formats import decimals, fixed, number, share, signed
from fairjax.report.markup import esc, figure

_W, _H = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 22, 42


def price_curve(data: ReportData) -> str:
    """Return cost against balance with ordinary k-means and this run marked; empty without a curve."""
    points = sorted((b, c, v) for v, b, c in data.curve if math.isfinite(b) and math.isfinite(c))
    if not points:
        return ""
    marks = [(data.balance, data.cost, "this run", "chosen")]
    if data.unfair is not None:
        marks.append((data.unfair["balance"], data.unfair["cost"], "ordinary k-means", "unfair"))
    xs = [p[0] for p in points] + [m[0] for m in marks] + [data.max_balance]
    ys = [p[1] for p in points] + [m[1] for m in marks]
    axes = _Axes.around(xs, ys)
    best = axes.x(data.max_balance)
    parts = [
        axes.draw("balance reached (further right is fairer)", "cost"),
        _line(best, best, _TOP, _H - _BOTTOM, "best"),
        _text(best - 5, _H - _BOTTOM - 8, "best possible", "end"),
        axes.path([(b, c) for b, c, _ in points]),
    ]
    for b, c, asked in points:
        hint = f"{data.control} {number(asked, 3)}: balance {number(b, 3)}, cost {number(c)}"
        parts.append(_circle(axes.x(b), axes.y(c), 3.5, "dot", hint))
    for b, c, name, kind in marks:
        x, y = axes.x(b), axes.y(c)
        # Names stand where a rising curve leaves room: above on the left, before the mark on the right.
        right = x > (_W + _LEFT) / 2
        parts.append(_circle(x, y, 7, kind) if kind == "chosen" else _square(x, y, 5.5, kind))
        parts.append(
            _text(x - 12, y + 1, name, "end", "name") if right else _text(x - 6, y - 16, name, "start", "name")
        )
    label = (
        f"Price of fairness: cost from {number(min(ys))} to {number(max(ys))} as balance goes from "
        f"{number(min(p[0] for p in points), 3)} to {number(max(p[0] for p in points), 3)}."
    )
    return _svg("".join(parts), label)


def history(data: ReportData) -> str:
    """Return the cost after each iteration as a line; empty for fewer than two values."""
    costs = [float(c) for c in data.history]
    if len(costs) < 2 or not all(map(math.isfinite, costs)):
        return ""
    steps = list(range(1, len(costs) + 1))
    axes = _Axes.around(steps, costs, whole_x=True)
    label = f"Cost after each of {len(costs)} iterations, from {number(costs[0])} to {number(costs[-1])}."
    caption = f"Cost after each iteration: {number(costs[0])} at first, {number(costs[-1])} at last."
    end = _circle(axes.x(steps[-1]), axes.y(costs[-1]), 4.5, "chosen")
    body = axes.draw("iteration", "cost") + axes.path(list(zip(steps, costs, strict=True))) + end
    return figure(_svg(body, label), caption, kind="chart")


def curve_rows(data: ReportData) -> list[list[str]]:
    """Return the curve as rows of text: control, balance, cost, price against ordinary k-means."""
    base = None if data.unfair is None else data.unfair["cost"]
    top = max((abs(c) for _, _, c in data.curve if math.isfinite(c)), default=1.0)
    places = decimals(top / 100)
    rows = []
    for asked, balance, cost in data.curve:
        change = cost / base - 1.0 if base else math.nan
        price = signed(round(change, 3), share(change)) if math.isfinite(change) else "n/a"
        rows.append([number(asked, 3), fixed(balance, 3), fixed(cost, places), price])
    return rows


@dataclass(frozen=True)
class _Axes:
    x: Callable[[float], float]
    y: Callable[[float], float]
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    @classmethod
    def around(cls, xs: Sequence[float], ys: Sequence[float], whole_x: bool = False) -> "_Axes":
        x_ticks = ticks(min(xs), max(xs), 8, whole=whole_x)
        y_ticks = ticks(min(ys), max(ys), 5)
        x0, x1 = _padded(xs, 0.0 if whole_x else 0.04)
        y0, y1 = _padded(ys, 0.08)

        def across(value: float) -> float:
            return _LEFT + (value - x0) / (x1 - x0) * (_W - _LEFT - _RIGHT)

        def upward(value: float) -> float:
            return _H - _BOTTOM - (value - y0) / (y1 - y0) * (_H - _TOP - _BOTTOM)

        return cls(across, upward, x_ticks, y_ticks)

    def draw(self, x_name: str, y_name: str) -> str:
        right, floor = _W - _RIGHT, _H - _BOTTOM
        parts = []
        digits = _digits(self.y_ticks)
        for value in self.y_ticks:
            y = self.y(value)
            parts += [
                _line(_LEFT, right, y, y, "grid"),
                _text(_LEFT - 7, y + 4, f"{value:,.{digits}f}", "end"),
            ]
        digits = _digits(self.x_ticks)
        parts += [_text(self.x(v), floor + 17, f"{v:,.{digits}f}", "middle") for v in self.x_ticks]
        parts.append(_line(_LEFT, right, floor, floor, "axis"))
        parts += [_text((right + _LEFT) / 2, _H - 6, x_name, "middle"), _text(4, 12, y_name, "start")]
        return "".join(parts)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        line = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<polyline class="line" points="{line}"/>'


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
    return [round(float(i * step), 12) for i in range(first, last + 1)]


def _padded(values: Sequence[float], share: float) -> tuple[float, float]:
    low, high = float(np.min(values)), float(np.max(values))
    span = high - low
    if span <= 1e-12 * max(abs(high), 1e-300):
        span = abs(high) or 1.0
        return low - 0.5 * span, high + 0.5 * span
    return low - share * span, high + share * span


def _digits(values: Sequence[float]) -> int:
    """Return the decimals that set these ticks apart."""
    if len(values) < 2:
        return 0 if float(values[0]).is_integer() else 4
    return max(0, -math.floor(math.log10(values[1] - values[0]) + 1e-9))


def _line(x1: float, x2: float, y1: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">{esc(text)}</text>'


def _circle(x: float, y: float, radius: float, kind: str, hint: str = "") -> str:
    title = f"<title>{esc(hint)}</title>" if hint else ""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{title}</circle>'


def _square(x: float, y: float, half: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x - half:.1f}" y="{y - half:.1f}" width="{2 * half}" height="{2 * half}"/>'


def _svg(body: str, label: str) -> str:
    return f'<svg class="chart" viewBox="0 0 {_W} {_H}" role="img" aria-label="{esc(label)}">{body}</svg>'
