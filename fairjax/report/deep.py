"""What a report says about a fitted deep estimator: the learned space beside that of the data."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax.metrics import host
from fairjax.report.data import ReportData

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer
    from fairjax.report.models import Run

_NO_SETTINGS = ("checkpoint_dir", "resume", "checkpoint_every", "n_devices")


def report_data(model: "DeepClusterer", run: "Run") -> ReportData:
    """Everything that the report of a fitted deep estimator shows."""
    shape = (int(model.n_clusters), len(model.groups_))
    table = host.contingency(model.labels_, run.groups, run.weights, shape)
    notes = ["The clusters were found in a learned space; the cost is measured in the space of the data."]
    notes += model.notes_
    empty = shape[0] - int(np.count_nonzero(table.sum(1)))
    if empty:
        notes.append(f"{empty} of {shape[0]} clusters have no rows; balance and violation leave them out.")
    return ReportData(
        **run.parts,
        weights=run.weights,
        cost=_cost(run.X, model.labels_, shape[0]),
        balance=model.balance_,
        max_balance=model.max_balance_,
        method=model.title,
        parameters=parameters(model),
        notes=(*run.notes, *notes),
        status="ended early: few labels still changed" if model.ended_early_ else "went through all its steps",
        n_iter=model.n_iter_,
        group_violation=host.group_violation(table) if shape[1] > 1 else None,
        latent=model.embed(run.rows, sensitive_features=_named(model, run.groups)) if run.details else None,
        image_shape=_image_shape(run.rows, run.parts["feature_names"]),
    )


def parameters(model: "DeepClusterer") -> dict[str, Any]:
    """Settings that affected the result."""
    return {name: value for name, value in model.get_params(deep=False).items() if name not in _NO_SETTINGS}


def _named(model: "DeepClusterer", groups: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """The groups' own values, as `embed` takes them; None where there is one group without a name."""
    return None if model.groups_[0] is None else model.groups_[groups]


def _image_shape(rows: npt.NDArray[Any], names: tuple[str, ...] | None) -> tuple[int, int, int] | None:
    """Height, width and channels if rows are images, or were images before they were flattened into vectors."""
    if rows.ndim == 4:
        return rows.shape[1:]
    side = math.isqrt(rows.shape[1])
    pixels = tuple(f"pixel {i}" for i in range(rows.shape[1]))
    return (side, side, 1) if side**2 == len(pixels) and names == pixels else None


def _cost(X: npt.NDArray[Any], labels: npt.NDArray[Any], n_clusters: int) -> float:
    """Mean squared distance of the points to their clusters' means."""
    total = 0.0
    for cluster in range(n_clusters):
        points = np.asarray(X[labels == cluster], dtype=np.float64)
        if len(points):
            total += float(((points - points.mean(0)) ** 2).sum())
    return total / len(X)
