"""What the clusters are like: their means, tinted by how far they lie from the overall mean."""

import numpy as np

from fairjax.report.data import ReportData
from fairjax.report.formats import decimals, fixed, signed
from fairjax.report.markup import Html, cell_of, esc, table
from fairjax.report.words import traits

MOST_FEATURES = 12
_LEVELS = 4


def picture(data: ReportData) -> str:
    """Return the table of cluster means; with many features, of those that set clusters apart most."""
    shown = chosen_features(data)
    names = [data.features[j] for j in shown]
    places = [decimals(float(data.overall_std[j])) for j in shown]
    rows = []
    named = tuple(names)
    for k in range(data.n_clusters):
        cells = [_cell(data.centers[k, j], data.deviations[k, j], p) for j, p in zip(shown, places, strict=True)]
        rows.append([str(k), cell_of(esc(traits(named, data.deviations[k, shown])), "words"), *cells])
    means = [fixed(float(data.overall_mean[j]), p) for j, p in zip(shown, places, strict=True)]
    spreads = [fixed(float(data.overall_std[j]), p) for j, p in zip(shown, places, strict=True)]
    rows.append(["All", cell_of("overall mean", "words"), *means])
    rows.append(["SD", cell_of("standard deviation", "words"), *spreads])
    units = "in the data's own units" if data.raw is not None else "in the units that were clustered"
    return table(["Cluster", "Stands out by", *names], rows, f"Mean of each feature in each cluster, {units}", "means")


def chosen_features(data: ReportData) -> np.ndarray:
    """Return the columns to show, in data order: all of up to 12, otherwise the 12 in which clusters stand out.

    Each cluster in turn names the feature in which it deviates most, then its second, and so on: one extreme
    cluster cannot fill the table with its own features.
    """
    if data.n_features <= MOST_FEATURES:
        return np.arange(data.n_features)
    reach = np.abs(data.deviations[data.counts.sum(axis=1) > 0])
    ranked = np.argsort(-reach, axis=1, kind="stable")[:, :MOST_FEATURES].T.ravel()
    _, first = np.unique(ranked, return_index=True)
    return np.sort(ranked[np.sort(first)[:MOST_FEATURES]])


def _cell(value: float, deviation: float, places: int) -> Html:
    if not np.isfinite(value):
        return cell_of("–")
    # One step of tint per half a standard deviation, full at two.
    level = int(np.clip(np.rint(2 * deviation), -_LEVELS, _LEVELS))
    shift = signed(round(deviation, 1), fixed(deviation, 1))
    return cell_of(f"{fixed(float(value), places)} <small>{shift} SD</small>", f"d{level}")
