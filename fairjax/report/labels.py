"""Names of marks in a chart, placed so that they cover neither a line nor another name."""

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom

_WIDE, _HIGH = 8.2, 15.0  # size of a letter at the largest size on the page, on a phone
_ROUND = (
    (-13, 4, "end"), (13, 4, "start"), (-6, -14, "end"), (6, -14, "start"), (-6, 24, "end"), (6, 24, "start"),
    (0, -18, "middle"), (0, 28, "middle"), (-13, -30, "end"), (13, 38, "start"), (13, -30, "start"), (-13, 38, "end"),
    (0, -46, "start"), (0, -62, "start"), (0, -46, "end"), (0, 54, "start"), (0, -80, "start"),
)  # fmt: skip


def place(
    text: str, mark: Point, lines: Sequence[Sequence[Point]], taken: Sequence[Box], frame: Box
) -> tuple[float, float, str, Box]:
    """Where the name of a mark goes: x, y and anchor of its text, and the box that it fills.

    Parameters
    ----------
    text, mark
        The name, and where its mark is.
    lines
        Polylines that it should not cover.
    taken
        Boxes of other names.
    frame
        Box in which it must stay.

    Examples
    --------
    >>> place("here", (50.0, 50.0), [[(0.0, 50.0), (100.0, 50.0)]], [], (0.0, 0.0, 100.0, 100.0))[:3]
    (44.0, 36.0, 'end')
    """
    found = []
    for order, (right, down, anchor) in enumerate(_ROUND):
        own = box(mark[0], mark[1] + down, text, anchor, right)
        outside = max(frame[0] - own[0], own[2] - frame[2], frame[1] - own[1], own[3] - frame[3], 0.0)
        covered = sum(_meets(own, a, b) for line in lines for a, b in pairwise(line))
        covered += 3 * sum(_overlap(own, other) for other in taken)
        found.append((outside > 0, covered, outside, order, (mark[0] + right, mark[1] + down, anchor, own)))
    return min(found)[-1]


def box(x: float, y: float, text: str, anchor: str, shift: float = 0.0) -> Box:
    """Return the box that a text with its baseline at y fills."""
    width = _WIDE * len(text)
    left = x + shift - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return left, y - _HIGH + 2, left + width, y + 4


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _meets(area: Box, a: Point, b: Point) -> bool:
    """Whether a segment passes through a box, found by clipping it."""
    low, high = 0.0, 1.0
    for start, end, least, most in ((a[0], b[0], area[0], area[2]), (a[1], b[1], area[1], area[3])):
        step = end - start
        if step == 0:
            if not least <= start <= most:
                return False
            continue
        first, last = sorted(((least - start) / step, (most - start) / step))
        low, high = max(low, first), min(high, last)
    return low <= high
