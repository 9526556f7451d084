"""The fairlets of SFC: points of two colours are matched in the cells of a quadtree, the smallest cells last.

A node keeps a prefix of either colour's points in each of its cells for the levels below, and the rest become fairlets
at once. So what a node has to know are counts, and the points lie in one order for all levels.

References
----------
.. [1] A. Backurs, P. Indyk, K. Onak, B. Schieber, A. Vakilian, T. Wagner, "Scalable fair clustering", ICML 2019.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax.baselines.decomposition import Fairlets, Rows, Table, gather, in_chunks, is_balanced
from fairjax.errors import InputError

_SMALLEST = 1e-4  # side of a cell that is not cut, absolute as in the authors' code
_DEEPEST = 60  # halvings that the integers hold


class _Tree(NamedTuple):
    """Cells as ranges of the points in one order; cells of one level are numbered in that order."""

    order: Rows  # (n,) rows
    bounds: list[list[int]]  # per level, where cells begin, and n
    children: list[list[int]]  # per level, the number of each cell's first cell in the next level, and their count


def quadtree_fairlets(X: Table, colors: npt.NDArray[np.integer], p: int, q: int, shift: Table | None) -> Fairlets:
    """Cut points of two colours into fairlets of balance at least p/q, near-linear in n.

    Parameters
    ----------
    X : (n, d) points.
    colors : (n,) 0 or 1; their counts are within p:q.
    p, q : coprime, 1 ≤ p ≤ q.
    shift : (d,) offset of the points in a box twice their spread, random between 0 and that as a rule. None for a box
        of their spread and no offset.

    Returns
    -------
    Fairlets
        Time O(n (d log(spread / 1e-4) + p + q)). Equal points end in one cell, and are not told apart.

    Raises
    ------
    InputError
        Where the colours are further apart than p:q.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [5.0], [6.0], [2.0], [3.0], [4.0], [9.0]])
    >>> found = quadtree_fairlets(X, np.repeat([0, 1], 4), 1, 1, None)
    >>> [sorted(rows.tolist()) for rows in found.sets()], found.centers.tolist(), float(found.costs.sum())
    ([[3, 6], [1, 5], [0, 4], [2, 7]], [3, 1, 0, 2], 10.0)
    """
    colors = np.asarray(colors)
    counts = np.bincount(colors, minlength=2).tolist()
    if len(counts) > 2 or not is_balanced(p, q, *counts):
        raise InputError(f"{counts} points of the colours; expected two colours within {p}:{q}")
    return gather(X, list(_matched(_grow(np.asarray(X, np.float64), shift), colors, p, q)))


def _grow(X: Table, shift: Table | None) -> _Tree:
    n = len(X)
    low = X.min(0)
    box = X.max(0) - low
    if shift is not None:
        box = 2 * box
    sides = np.where(box > 0, box, 1)
    depth = int(np.clip(np.ceil(np.log2(max(float(box.max()), _SMALLEST) / _SMALLEST)), 0, _DEEPEST))
    # within (0, 1]; a point on the line between two cells belongs to the lower one, as in the authors' code
    places = np.ceil((X - low + (0 if shift is None else shift)) / sides * 2.0**depth).astype(np.int64) - 1
    places = np.maximum(places, 0)
    # a cell is named by its first point, which is also the authors' order of cells
    names = [np.zeros(n, np.int64)]
    active = np.arange(n)
    for level in range(1, depth + 1):
        if len(active) == 0:
            break
        bits = np.packbits((places[active] >> (depth - level)) & 1 == 1, axis=1)
        named = np.concatenate([names[-1][active].view(np.uint8).reshape(-1, 8), bits], axis=1)
        keys = np.ascontiguousarray(named).view(np.dtype((np.void, named.shape[1]))).ravel()
        _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        name = names[-1].copy()
        name[active] = active[first][inverse]
        names.append(name)
        active = active[counts[inverse] > 1]
    order = np.lexsort(names[::-1])  # stable, hence by row within a cell
    starts = [np.flatnonzero(np.diff(name[order], prepend=-1)) for name in names]
    children = [np.searchsorted(below, above) for above, below in pairwise(starts)]
    return _Tree(
        order,
        [[*cells.tolist(), n] for cells in starts],
        [[*first.tolist(), len(below)] for first, below in zip(children, starts[1:], strict=True)],
    )


def _matched(tree: _Tree, colors: npt.NDArray[np.integer], p: int, q: int) -> Iterator[list[int]]:
    """The rows of each fairlet, node before its cells."""
    sorted_colors = colors[tree.order]
    lists = [tree.order[sorted_colors == color].tolist() for color in (0, 1)]
    # where the points of either colour in a cell begin in its list
    offsets = [[[before[i] for i in level] for level in tree.bounds] for before in _counts_before(sorted_colors)]
    stack = [(0, 0, len(lists[0]), len(lists[1]))]
    while stack:
        level, cell, n_red, n_blue = stack.pop()
        if n_red == 0 and n_blue == 0:
            continue
        # a cell with one cell inside is left as it is
        while level < len(tree.children) and tree.children[level][cell + 1] - tree.children[level][cell] == 1:
            level, cell = level + 1, tree.children[level][cell]
        red, blue = offsets[0][level][cell], offsets[1][level][cell]
        if level == len(tree.children):
            kept = lists[0][red : red + n_red], lists[1][blue : blue + n_blue]
            yield from map(list, in_chunks(p, q, *kept))
            continue
        inner = range(tree.children[level][cell], tree.children[level][cell + 1])
        at = [[offsets[color][level + 1][i] for i in (*inner, inner.stop)] for color in (0, 1)]
        held = [
            [max(0, min(end, begin + n) - here) for here, end in pairwise(places)]
            for places, begin, n in ((at[0], red, n_red), (at[1], blue, n_blue))
        ]
        left = keep(p, q, *held)
        removed: list[list[int]] = [
            [
                row
                for here, before, after in zip(at[color], held[color], left[color], strict=False)
                for row in lists[color][here + after : here + before]
            ]
            for color in (0, 1)
        ]
        yield from map(list, in_chunks(p, q, *removed))
        stack.extend((level + 1, i, *counts) for i, *counts in reversed(list(zip(inner, *left, strict=True))))  # type: ignore[misc]


def _counts_before(sorted_colors: npt.NDArray[np.integer]) -> list[list[int]]:
    """Points of either colour before each place, (n + 1,)."""
    return [np.concatenate([[0], np.cumsum(sorted_colors == color)]).tolist() for color in (0, 1)]


def keep(p: int, q: int, red: list[int], blue: list[int]) -> tuple[list[int], list[int]]:
    """How many points of either colour stay in the cells of a node; what leaves them is balanced, as is what stays.

    Parameters
    ----------
    p, q : coprime, 1 ≤ p ≤ q.
    red, blue : counts in each cell, all together balanced.

    Examples
    --------
    >>> keep(1, 2, [5, 1], [1, 3])
    ([2, 1], [1, 1])
    """
    red, blue = list(red), list(blue)
    taken_red = taken_blue = 0
    for i, (r, b) in enumerate(zip(red, blue, strict=True)):
        # more of a colour than the other can go with
        if r >= b:
            excess = max(0, r - b * q // p)
            red[i] -= excess
            taken_red += excess
        else:
            excess = max(0, b - r * q // p)
            blue[i] -= excess
            taken_blue += excess
    taken_red, taken_blue = _complete(p, q, red, blue, taken_red, taken_blue)
    for i, (r, b) in enumerate(zip(red, blue, strict=True)):
        if is_balanced(p, q, taken_red, taken_blue):
            break
        # all but full fairlets
        full = max(r, b) // q
        red[i], blue[i] = (q * full, p * full) if r >= b else (p * full, q * full)
        taken_red += r - red[i]
        taken_blue += b - blue[i]
    return red, blue


def _complete(p: int, q: int, red: list[int], blue: list[int], taken_red: int, taken_blue: int) -> tuple[int, int]:
    """Take points of the scarcer colour from cells that can spare them, in turn; changes the lists."""
    missing = max(0, -(-max(taken_red, taken_blue) * p // q) - min(taken_red, taken_blue))
    for i, (r, b) in enumerate(zip(red, blue, strict=True)):
        if missing == 0:
            break
        if taken_red >= taken_blue:
            spare = min(b - -(-r * p // q), missing)
            blue[i] -= spare
            taken_blue += spare
        else:
            spare = min(r - -(-b * p // q), missing)
            red[i] -= spare
            taken_red += spare
        missing -= spare
    return taken_red, taken_blue
