"""Who is in which cluster: stacked bars or a map of deviations, sizes, and the counts behind them.

Bars are HTML, not SVG: their text keeps its size on a phone, wraps, and can be selected.
"""

import math

import numpy as np

from fairjax.report.data import ReportData, row_balance, shares
from fairjax.report.formats import number, percent
from fairjax.report.formats import share as as_share
from fairjax.report.markup import cell_of, columns, esc, figure, fold, table
from fairjax.report.palette import GROUPS, ink_on

# More colours than these cannot be told apart; from there on, position and deviation carry the message.
MOST_BARS = len(GROUPS)
_LEVELS = 4


def group_styles(n_groups: int) -> str:
    """Return the CSS rules of the groups' colours."""
    return "\n".join(f".g{i}{{background:{c};color:{ink_on(c)}}}" for i, c in enumerate(GROUPS[:n_groups]))


def picture(data: ReportData) -> str:
    """Return the groups' shares of every cluster, fair beside unfair."""
    draw, legend = (_bars, _names) if data.n_groups <= MOST_BARS else (_map, _scale)
    parts = [figure(draw(data, data.counts, "Fair clusters"), "Fair clusters")]
    if data.unfair_counts is not None:
        parts.append(figure(draw(data, data.unfair_counts, "Ordinary k-means"), "Ordinary k-means, groups ignored"))
    return legend(data) + columns(parts, "pair" if len(parts) > 1 else "single")


def sizes(data: ReportData) -> str:
    """Return one bar per cluster for its size, with a tick for the matching cluster of ordinary k-means."""
    fair = data.counts.sum(axis=1)
    other = None if data.unfair_counts is None else data.unfair_counts.sum(axis=1)
    top = max(fair.max(), 0.0 if other is None else other.max(), np.finfo(float).tiny)
    total = max(fair.sum(), np.finfo(float).tiny)
    rows = []
    for k, size in enumerate(fair):
        tick = "" if other is None else f'<b class="tick" style="left:{100 * other[k] / top:.2f}%"></b>'
        rows.append(
            f'<div class="row"><span class="key">{k}</span><span class="bar plain">'
            f'<i style="width:{100 * size / top:.2f}%"></i>{tick}</span>'
            f'<span class="num">{number(size)} <small>{as_share(size / total)}</small></span></div>'
        )
    label = f"Size of each cluster: from {number(fair.min())} to {number(fair.max())} points."
    mark = "" if other is None else " The upright mark shows the matching cluster of ordinary k-means."
    many = " many" if data.n_clusters > 12 else ""
    return figure(
        f'<div class="sizes{many}" role="img" aria-label="{esc(label)}">{"".join(rows)}</div>',
        f"Points in each cluster.{mark}",
    )


def counts_table(data: ReportData) -> str:
    """Return counts and shares of every group in every cluster, folded if there are many."""
    totals = data.counts.sum(axis=0, keepdims=True)
    counts = np.vstack([data.counts, totals])
    rows = []
    for name, row, part, ratio in zip(
        [*map(str, range(data.n_clusters)), "All"], counts, shares(counts), row_balance(counts), strict=True
    ):
        parts = [
            cell_of(f"{number(v, 7)} <small>{_whole(s) if row.any() else ''}</small>")
            for v, s in zip(row, part, strict=True)
        ]
        rows.append([name, number(row.sum(), 7), *parts, "empty" if math.isnan(ratio) else f"{ratio:.3f}"])
    unit = "Weight" if data.weighted else "Points"
    grid: list[list[str]] = [["Cluster", "All", *data.names, "Ratio"], *rows]
    if data.n_groups > data.n_clusters:
        grid = [list(column) for column in zip(*grid, strict=True)]
    caption = f"{unit} of each group in each fair cluster, with their share of it; ratio of rarest to most common"
    kind = "total broad" if len(grid[0]) > 14 else "total"
    full = table(grid[0], grid[1:], caption, kind)
    return fold("The numbers behind the picture", full, opened=data.counts.size <= 60)


def _bars(data: ReportData, counts: np.ndarray, title: str) -> str:
    rows = []
    for k, row in enumerate(shares(counts)):
        if not row.any():
            rows.append(f'<div class="row"><span class="key">{k}</span><span class="bar empty">empty</span></div>')
            continue
        parts = []
        for g, share in enumerate(row):
            if share > 0:
                text = _whole(share) if share >= 0.085 else ""
                hint = f"{data.names[g]}: {percent(share)} of cluster {k}, {percent(data.overall[g])} of all"
                parts.append(
                    f'<i class="g{g}" style="width:{100 * share:.3f}%" title="{esc(hint)}"><span>{text}</span></i>'
                )
        rows.append(f'<div class="row"><span class="key">{k}</span><span class="bar">{"".join(parts)}</span></div>')
    edges = np.cumsum(data.overall)[:-1]
    lines = "".join(f'<b style="left:{100 * e:.3f}%"></b>' for e in edges)
    dense = " dense" if data.n_clusters > 20 else ""
    return (
        f'<div class="stack{dense}" role="img" aria-label="{esc(_ranges(data, counts, title))}">'
        f'{"".join(rows)}<div class="refs">{lines}</div></div>'
    )


def _map(data: ReportData, counts: np.ndarray, title: str) -> str:
    share = shares(counts)
    ratio = np.divide(share, data.overall, out=np.ones_like(share), where=data.overall > 0)
    with np.errstate(divide="ignore"):
        level = np.clip(np.rint(_LEVELS * np.log2(ratio)), -_LEVELS, _LEVELS).astype(int)
    head = "".join(f'<th scope="col" title="{esc(name)}"><span>{esc(name)}</span></th>' for name in data.names)
    rows = []
    for k in range(data.n_clusters):
        if not counts[k].any():
            cells = f'<td class="none" colspan="{data.n_groups}">empty</td>'
        else:
            cells = "".join(
                f'<td class="d{v}" title="{esc(data.names[g])}: {_whole(share[k, g])} of cluster {k}, '
                f'{_whole(data.overall[g])} of all"></td>'
                for g, v in enumerate(level[k])
            )
        rows.append(f'<tr><th scope="row">{k}</th>{cells}</tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(title)}">'
        f'<table class="heat" style="min-width:{11 * data.n_groups + 40}px">'
        f'<caption class="hidden">{esc(_ranges(data, counts, title))}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _names(data: ReportData) -> str:
    items = "".join(
        f'<li><i class="g{g}"></i><span>{esc(name)}</span> <small>{percent(data.overall[g])} of all</small></li>'
        for g, name in enumerate(data.names)
    )
    line = '<li><i class="ref"></i><span>share in all the data</span></li>' if data.n_groups > 1 else ""
    return f'<ul class="legend">{items}{line}</ul>'


def _scale(data: ReportData) -> str:
    steps = "".join(f'<i class="d{v}"></i>' for v in range(-_LEVELS, _LEVELS + 1))
    return (
        '<p class="scale"><span>half as common as in all the data, or rarer</span>'
        f"<span>{steps}</span><span>twice as common, or more</span></p>"
    )


def _ranges(data: ReportData, counts: np.ndarray, title: str) -> str:
    share = shares(counts)[counts.sum(axis=1) > 0]
    if not len(share):
        return title
    spans = [
        f"{data.names[g]} {percent(share[:, g].min())} to {percent(share[:, g].max())}"
        for g in range(min(data.n_groups, MOST_BARS))
    ]
    rest = data.n_groups - len(spans)
    more = f", and {rest} more groups" if rest else ""
    return f"{title}: share of each group over {len(share)} clusters: {', '.join(spans)}{more}."


def _whole(share: float) -> str:
    return as_share(share, 0 if share >= 0.095 or share == 0 else 1)
