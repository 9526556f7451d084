"""The data projected onto the plane of its two widest directions, dots coloured by cluster."""

from dataclasses import dataclass

import numpy as np

from fairjax.report.data import ReportData
from fairjax.report.formats import number, percent, plural
from fairjax.report.markup import columns, esc, figure
from fairjax.report.palette import CLUSTERS, spread_colours

MOST_POINTS = 4000
MOST_PANELS = 6
_FIT_POINTS = 1000
_WIDE = 500
_W, _H, _PAD = 3200, 2700, 120
# Dots are drawn in several passes over the clusters, so that the last cluster does not hide the others.
_PASSES = 3


@dataclass(frozen=True)
class Plane:
    """Sampled points and cluster centres on the plane of the two widest directions.

    Attributes
    ----------
    rows : ndarray (m,)
        Which points were sampled, m <= MOST_POINTS.
    points : ndarray (m, 2)
        Their coordinates.
    centres : ndarray (K, 2)
        Coordinates of the cluster means, NaN for empty clusters.
    explained : ndarray (2,)
        Share of the sample's variance along each direction.
    directions : ndarray (2, d)
        Unit vectors; the second is zero for d = 1.
    """

    rows: np.ndarray
    points: np.ndarray
    centres: np.ndarray
    explained: np.ndarray
    directions: np.ndarray


def project(data: ReportData, *, most: int = MOST_POINTS) -> Plane:
    """Project a fixed random sample of ``data.space`` onto its first two principal directions.

    The directions come from a singular value decomposition of the sample, or of its first 1000 points if there are
    more than 500 features: O(m d min(m, d)). The shares of variance are those of the whole sample.
    """
    rng = np.random.default_rng(0)
    rows = np.arange(data.n) if data.n <= most else np.sort(rng.choice(data.n, most, replace=False))
    sample = np.asarray(data.space[rows], dtype=float)
    n_features = sample.shape[1]
    mean = sample.mean(axis=0)
    sample = sample - mean
    fit = sample if n_features <= _WIDE else sample[rng.permutation(len(rows))[:_FIT_POINTS]]
    _, _, basis = np.linalg.svd(fit, full_matrices=False)
    directions = np.zeros((2, n_features))
    directions[: min(2, len(basis))] = basis[:2]
    # A direction's sign is arbitrary; fix it so that the same data always give the same picture.
    lead = np.abs(directions).argmax(axis=1)
    directions *= np.where(directions[[0, 1], lead] < 0, -1.0, 1.0)[:, None]
    points = sample @ directions.T
    total = max(float((sample**2).sum()), np.finfo(float).tiny)
    centres = (data.cluster_means(data.space) - mean) @ directions.T
    return Plane(rows, points, centres, (points**2).sum(axis=0) / total, directions)


def picture(data: ReportData) -> str:
    """Return panels of the plane: one per group if groups are few, else fair beside ordinary clusters."""
    plane = project(data)
    frame, outside = _limits(plane.points)
    groups, labels = data.groups[plane.rows], data.labels[plane.rows]
    colours = spread_colours(plane.centres)
    whole = np.ones(len(labels), dtype=bool)
    panels: list[str] = []

    def add(title: str, mask: np.ndarray, ids: np.ndarray, centres: np.ndarray, hues: np.ndarray) -> None:
        label = f"{title}: {plural(int(mask.sum()), 'point')} on the plane of the two widest directions"
        panels.append(figure(_panel(plane.points[mask], ids[mask], centres, hues, frame, label), title, kind="panel"))

    if 2 <= data.n_groups <= MOST_PANELS:
        for g, name in enumerate(data.names):
            add(f"{name} ({percent(data.overall[g])} of all)", groups == g, labels, plane.centres, colours)
    else:
        add("Fair clusters" if data.n_groups > 1 else "Clusters", whole, labels, plane.centres, colours)
        if data.unfair is not None:
            position = np.argsort(data.unfair_order)[data.unfair["labels"][plane.rows]]
            centres = _sample_means(plane.points, position, data.n_clusters)
            add("Ordinary k-means, groups ignored", whole, position, centres, colours)
    return columns(panels, "panels") + _axes(data, plane, outside)


def explained(data: ReportData, plane: Plane) -> str:
    """Say how much of the data the plane shows."""
    share = float(plane.explained.sum())
    part = f"a random sample of {number(len(plane.rows), 6)} of " if len(plane.rows) < data.n_points else ""
    seen = f"This plane shows {percent(share)} of the variance of {part}{plural(data.n_points, 'point')}"
    if share < 0.6:
        return f"{seen}: most of what sets clusters apart may lie outside it, so overlap here means little."
    return f"{seen}."


def cluster_styles() -> str:
    """Return the CSS rules of the clusters' colours."""
    return "\n".join(f".c{i}{{stroke:{c}}}.f{i}{{fill:{c}}}" for i, c in enumerate(CLUSTERS))


def _axes(data: ReportData, plane: Plane, outside: int) -> str:
    lines = [explained(data, plane)]
    for name, share, direction in zip(("Across", "Up"), plane.explained, plane.directions, strict=True):
        if data.latent is not None:
            break  # learned features have no names
        lead = [j for j in np.argsort(-np.abs(direction), kind="stable")[:3] if abs(direction[j]) >= 0.25]
        parts = ", ".join(("more " if direction[j] > 0 else "less ") + data.features[j] for j in lead)
        if share > 0:
            lines.append(f"{name} ({percent(float(share))}): {parts or 'a mixture of many features'}.")
    if outside:
        lines.append(
            f"{plural(outside, 'far point')} lie beyond the edges." if outside > 1 else "1 far point lies beyond."
        )
    used = "Numbers mark the clusters' means."
    if data.n_clusters > len(CLUSTERS):
        used += " Colours repeat; clusters that share one lie far apart."
    lines.append(used)
    return f'<p class="note">{esc(" ".join(lines))}</p>'


def _limits(points: np.ndarray) -> tuple[np.ndarray, int]:
    """Return [[x0, y0], [x1, y1]] and how many points lie outside: far outliers must not squeeze the rest."""
    low, high = points.min(axis=0), points.max(axis=0)
    near, far = np.percentile(points, [0.5, 99.5], axis=0)
    margin = 0.15 * (far - near)
    squeezed = (high - low) > 1.8 * (far - near)
    low = np.where(squeezed & (far > near), near - margin, low)
    high = np.where(squeezed & (far > near), far + margin, high)
    outside = int(((points < low) | (points > high)).any(axis=1).sum())
    flat = high - low <= 1e-12
    return np.stack([np.where(flat, low - 1.0, low), np.where(flat, high + 1.0, high)]), outside


def _panel(
    points: np.ndarray, ids: np.ndarray, centres: np.ndarray, hues: np.ndarray, frame: np.ndarray, label: str
) -> str:
    places = _place(points, frame)
    inside = ((places >= 0) & (places <= (_W, _H))).all(axis=1)
    places, ids = places[inside], ids[inside]
    size = 70 if len(places) < 400 else 48 if len(places) < 1500 else 34
    paths = []
    for turn in range(_PASSES):
        for k in np.unique(ids):
            chosen = places[ids == k][turn::_PASSES]
            if len(chosen):
                # A zero-length stroke with round caps is a dot, in a tenth of the text of a circle.
                trace = "".join(f"M{x} {y}h0" for x, y in chosen)
                paths.append(f'<path class="c{hues[k]}" d="{trace}"/>')
    dots = f'fill="none" stroke-width="{size}" stroke-linecap="round" stroke-opacity=".75"'
    return (
        f'<svg class="plane" viewBox="0 0 {_W} {_H}" role="img" aria-label="{esc(label)}">'
        f"<g {dots}>{''.join(paths)}</g>"
        f"{_badges(centres, hues, frame)}</svg>"
    )


def _badges(centres: np.ndarray, hues: np.ndarray, frame: np.ndarray) -> str:
    """Return numbered discs at the clusters' means, moved apart if they would cover each other."""
    ids = np.flatnonzero(np.isfinite(centres).all(axis=1))
    radius = 92 if len(ids) <= 12 else 76 if len(ids) <= 25 else 62
    true = _place(centres[ids], frame)
    shown = _apart(true, 2.15 * radius)
    parts = []
    for (x, y), (u, v) in zip(true, shown, strict=True):
        if np.hypot(u - x, v - y) > 0.7 * radius:
            parts.append(f'<path d="M{x} {y}L{u} {v}"/>')
    for k, (u, v) in zip(ids, shown, strict=True):
        parts.append(f'<circle class="f{hues[k]}" cx="{u}" cy="{v}" r="{radius}"/>')
        parts.append(f'<text x="{u}" y="{v}">{k}</text>')
    return f'<g class="marks" font-size="{1.12 * radius:.0f}">{"".join(parts)}</g>'


def _apart(places: np.ndarray, least: float) -> np.ndarray:
    """Push places (K, 2) apart until all distances are ``least``, for at most 200 rounds of O(K^2)."""
    # Coinciding places need a direction to move apart; any fixed one works.
    angles = 2.4 * np.arange(len(places))
    moved = places + np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for _ in range(200):
        away = moved[:, None] - moved
        distance = np.hypot(away[..., 0], away[..., 1])
        np.fill_diagonal(distance, np.inf)
        push = np.clip(least - distance, 0.0, None)
        if push.max(initial=0.0) < 1.0:
            break
        moved = moved + 0.25 * ((push / distance)[..., None] * away).sum(axis=1)
        moved = np.clip(moved, least / 2, np.array([_W, _H]) - least / 2)
    return np.rint(moved).astype(int)


def _place(points: np.ndarray, frame: np.ndarray) -> np.ndarray:
    unit = (np.nan_to_num(points) - frame[0]) / (frame[1] - frame[0])
    spans = np.array([_W - 2 * _PAD, _H - 2 * _PAD])
    return np.rint(_PAD + np.stack([unit[:, 0], 1.0 - unit[:, 1]], axis=1) * spans).astype(int)


def _sample_means(points: np.ndarray, ids: np.ndarray, count: int) -> np.ndarray:
    mass = np.bincount(ids, minlength=count).astype(float)
    sums = np.stack([np.bincount(ids, weights=column, minlength=count) for column in points.T], axis=1)
    return np.divide(sums, mass[:, None], out=np.full_like(sums, np.nan), where=mass[:, None] > 0)
