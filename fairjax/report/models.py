"""The report of a fitted model: from an estimator and its points to a page."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairjax._core import frames, group_codes
from fairjax.errors import InputError
from fairjax.report.data import ReportData
from fairjax.report.files import write_text
from fairjax.report.markup import esc
from fairjax.report.page import render


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A report to display or save; in a notebook it displays itself.

    Attributes
    ----------
    data : ReportData
        Everything that it shows.
    """

    data: ReportData

    @cached_property
    def html(self) -> str:
        """The page: one HTML document that loads nothing and runs no script."""
        return render(self.data)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to ``path``, completely or not at all, and return its path.

        Raises
        ------
        InputError
            If ``path`` cannot be written. An existing file is then unchanged.
        """
        return write_text(path, self.html)

    def __repr__(self) -> str:
        data = self.data
        return f"<Report of {data.title!r}: {data.n_points} points, {data.n_clusters} clusters; .save(path)>"

    def _repr_html_(self) -> str:
        # in a frame of its own, so that the styles of page and notebook do not affect each other
        return f'<iframe srcdoc="{esc(self.html)}" style="width:100%;height:80vh;border:0" sandbox></iframe>'


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What is known about a run besides the model, in the form that every kind of report uses.

    Attributes
    ----------
    X : ndarray (n, d)
        The points, rows laid out as vectors.
    rows : ndarray (n, ...)
        The same in the shape that the model takes.
    groups : ndarray (n,), int32
        Ids in the order of the model's groups.
    weights : ndarray (n,) or None
    notes : tuple of str
        Sentences for the reader.
    details : bool
        Whether to compute what takes long.
    parts : dict
        Fields passed on to `ReportData` unchanged.
    """

    X: npt.NDArray[Any]
    rows: npt.NDArray[Any]
    groups: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64] | None
    notes: tuple[str, ...]
    details: bool
    parts: dict[str, Any]


def from_model(
    model: Any,
    X: Any,
    *,
    sensitive_features: Any = None,
    sample_weight: Any = None,
    feature_names: Sequence[str] | None = None,
    group_names: Sequence[str] | None = None,
    sensitive: str | None = None,
    raw: Any = None,
    title: str = "Fair clusters",
    details: bool = True,
    command: str | None = None,
    seconds: float | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Report on a fitted `FCA`, baseline or deep estimator and the points that it was fitted to.

    Parameters
    ----------
    model : FCA or an estimator of :mod:`fairjax.baselines` or :mod:`fairjax.deep`, fitted
    X : array-like (n, d), a frame of any library, or images (n, height, width, channels)
        The points of the fit, in the same order.
    sensitive_features : array-like (n,)
        The protected attribute, exactly if it was given to `fit`.
    sample_weight : array-like (n,), optional
        The weights of the fit; counts and shares are then weighted.
    feature_names : sequence of str, optional
        Names of the d columns; those of a frame by default.
    group_names : sequence of str, optional
        Names of the groups in the order of ``model.groups_``; ``model.group_names_`` by default.
    sensitive : str, optional
        Name of the protected attribute; the name of a Series by default.
    raw : array-like, as X, optional
        The points in the data's own units, before scaling.
    title : str
        Title of the report.
    details : bool
        Whether to compute what takes as long as further fits, or a pass of a network: the price of other levels of
        fairness, and the plane of the learned space.
    command, seconds, notes
        The command that repeats the run, how long it took, and sentences that the reader should see.

    Returns
    -------
    Report
        ``save(path)`` writes it, ``html`` is the page, ``data`` the figures behind it.

    Raises
    ------
    InputError
        If the model is not fitted, or the points, groups or weights are not those of the fit.

    Notes
    -----
    For `FCA` this runs some ten fits at other levels of fairness, whose programs are mostly compiled already; they use
    a random sample of more than 100,000 points.

    Examples
    --------
    >>> import tempfile
    >>> from fairjax import FCA, datasets, report
    >>> data = datasets.load_diabetes()
    >>> model = FCA(3, random_state=0).fit(data.X, sensitive_features=data.sensitive)
    >>> page = report.from_model(model, data.X, sensitive_features=data.sensitive, details=False, title="Patients")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page.save(f"{folder}/report.html").name
    'report.html'
    """
    from sklearn.utils.validation import check_is_fitted

    from fairjax import __version__
    from fairjax.baselines import Baseline
    from fairjax.estimators import FCA, inputs

    check_is_fitted(model)
    X, sensitive_features = frames.points(X), frames.held(sensitive_features)
    if feature_names is None:
        feature_names = frames.names(X) or getattr(model, "feature_names_in_", None)
    group_codes.check_pairing(X, sensitive_features, None, sample_weight)
    rows = np.asarray(X)
    if rows.ndim < 2 or len(rows) != len(model.labels_):
        raise InputError(
            f"X has shape {rows.shape}, and the model was fitted to {len(model.labels_)} points; give those of the fit"
        )
    groups = inputs.known_groups_of(sensitive_features, len(rows), model.groups_)
    weights = inputs.weights_of(sample_weight, len(rows))
    if sensitive_features is not None:
        names, told = _attributes(sensitive_features, model, weights)
        sensitive = names if sensitive is None else sensitive
        notes = [*notes, *told]
    matrix = rows.reshape(len(rows), -1)
    run = Run(
        X=matrix,
        rows=rows,
        groups=groups,
        weights=weights,
        notes=tuple(notes),
        details=details,
        parts={
            "title": title,
            "X": matrix,
            "labels": model.labels_,
            "groups": groups,
            "group_names": model.group_names_ if group_names is None else tuple(group_names),
            "n_clusters": int(model.n_clusters),
            "sensitive": sensitive,
            "feature_names": None if feature_names is None else tuple(map(str, feature_names)),
            "raw": None if raw is None else _as_matrix("raw", raw, matrix.shape),
            "command": command,
            "version": f"fairjax {__version__}",
            "seconds": seconds,
        },
    )
    if isinstance(model, FCA):
        from fairjax.report.fca import report_data
    elif isinstance(model, Baseline):
        from fairjax.report.baselines import report_data
    else:
        from fairjax.report.deep import report_data
    return Report(report_data(model, run))


def _attributes(
    sensitive_features: Any, model: Any, weights: npt.NDArray[np.float64] | None
) -> tuple[str | None, list[str]]:
    """The names of the protected attributes, if they have any, and the balance for each of several."""
    from fairjax.metrics import frame
    from fairjax.report import words

    found = [name for name, _ in group_codes.attributes(sensitive_features, len(model.labels_))]
    names = " and ".join(map(str, found)) if all(isinstance(name, str) for name in found) else None
    if len(found) < 2:
        return names, []
    table = frame(model.labels_, sensitive_features, by="attribute", weights=weights).iloc[:-1]
    pairs = zip(table["balance"], table["max_balance"], strict=True)
    return names, [words.attributes(dict(zip(table.index, pairs, strict=True)))]


def _as_matrix(name: str, values: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    found = np.asarray(frames.points(values))
    if found.size != shape[0] * shape[1] or len(found) != shape[0]:
        raise InputError(f"{name} has shape {found.shape}; expected that of X, {shape}")
    return found.reshape(shape)
