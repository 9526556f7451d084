"""The report's only input: one frozen record of plain arrays and numbers, and values derived from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypedDict

import numpy as np

from fairjax.errors import InputError
from fairjax.report.chance import Chance

_BARE = {"true", "false", "yes", "no", "y", "n", "t", "f", "nan", "none", ""}


class Unfair(TypedDict):
    """Ordinary k-means on the same points: its cost, balance and labels (n,)."""

    cost: float
    balance: float
    labels: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportData:
    """Everything a report shows; fields left at their defaults are omitted from the page, with a note why.

    Parameters
    ----------
    title : str
        Name of the data.
    X : ndarray (n, d)
        Points as they were clustered.
    labels, groups : ndarray (n,), integers
        Cluster ids ``0..n_clusters-1`` and group ids ``0..len(group_names)-1``.
    group_names : sequence of str
        Names of the groups, in the order of their ids.
    n_clusters : int
        Number of clusters asked for; clusters without points are shown as empty.
    cost : float
        Mean squared distance of a point to its cluster's centre.
    balance, max_balance : float
        Smallest ratio of two groups' counts within a cluster, and the best value that the data allow.
    sensitive : str, optional
        Name of the sensitive feature.
    feature_names : sequence of str, optional
        Names of the d columns.
    raw : ndarray (n, d), optional
        The points in the data's own units (before scaling).
    weights : ndarray (n,), optional
        Sample weights >= 0; counts, shares and means are then weighted.
    method, version : str
        Description of the method, version of the package.
    parameters : mapping
        Settings of the run, shown as given.
    command : str, optional
        Command line that repeats the run.
    seconds : float, optional
        Wall-clock time of the run.
    notes : tuple of str
        Sentences that the reader should see.
    status : str
        The solver's own message on how it ended.
    proof : sequence of str
        Sentences on what is proven, replacing those derived from primal and dual values.
    converged : bool
        Whether it ended by its tolerance rather than by its limit of iterations.
    n_iter : int, optional
        Iterations used.
    primal, dual, gap : float, optional
        Cost of the assignment to the final centres, its proven lower bound, and ``(primal - dual) / primal``.
    group_violation : float, optional
        Largest ``sum_k |q_sk - q_tk|`` over pairs of groups s, t; q_s are the cluster proportions of group s.
    unfair : Unfair, optional
        Ordinary k-means on the same points.
    curve : sequence of (control, balance, cost) or (control, balance, cost, violation)
        Price of fairness: the values asked for, and the results.
    control : str
        Name of the control that the curve varies.
    history : sequence of float
        Cost after each iteration.
    chance : Chance, optional
        Fits from other random starts.
    latent : ndarray (n, d'), optional
        The points in the learned space that was clustered; the plane shown is then one of that space.
    image_shape : (height, width, channels), optional
        If the points are images; average images then replace the means.
    whole : ndarray (K, M), optional
        Counts of all points, if X, labels and groups are those of a weighted sample.
    n_whole : int, optional
        Number of all points in that case.
    separately : bool
        Whether groups are combinations of several attributes, each fair by itself: balances are then the least over
        them.

    Raises
    ------
    InputError
        If shapes, ids or names do not match.

    Examples
    --------
    >>> import numpy as np
    >>> data = ReportData(
    ...     title="four points", X=np.arange(4.0)[:, None], labels=np.array([0, 0, 1, 1]),
    ...     groups=np.array([0, 1, 0, 1]), group_names=["a", "b"], n_clusters=2,
    ...     cost=0.25, balance=1.0, max_balance=1.0)
    >>> data.counts.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """

    title: str
    X: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    group_names: Sequence[str]
    n_clusters: int
    cost: float
    balance: float
    max_balance: float
    sensitive: str | None = None
    feature_names: Sequence[str] | None = None
    raw: np.ndarray | None = None
    weights: np.ndarray | None = None
    method: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    command: str | None = None
    version: str = ""
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    status: str = ""
    proof: Sequence[str] = ()
    converged: bool = True
    n_iter: int | None = None
    primal: float | None = None
    dual: float | None = None
    gap: float | None = None
    group_violation: float | None = None
    unfair: Unfair | None = None
    curve: Sequence[tuple[float, ...]] = ()
    control: str = "min_balance"
    history: Sequence[float] = ()
    chance: Chance | None = None
    latent: np.ndarray | None = None
    image_shape: tuple[int, int, int] | None = None
    whole: np.ndarray | None = None
    n_whole: int | None = None
    separately: bool = False

    def __post_init__(self) -> None:
        arrays = {"X": self.X, "labels": self.labels, "groups": self.groups}
        if self.raw is not None:
            arrays["raw"] = self.raw
        if self.weights is not None:
            arrays["weights"] = self.weights
        for name, value in arrays.items():
            object.__setattr__(self, name, np.asarray(value))
        if self.X.ndim != 2 or 0 in self.X.shape:
            raise InputError(f"X has shape {self.X.shape}; expected (n, d) with at least one point and one feature.")
        _check_ids("labels", self.labels, self.n, self.n_clusters)
        _check_ids("groups", self.groups, self.n, self.n_groups)
        if self.unfair is not None:
            other = np.asarray(self.unfair["labels"])
            _check_ids("unfair labels", other, self.n, self.n_clusters)
            object.__setattr__(self, "unfair", {**self.unfair, "labels": other})
        if self.raw is not None and self.raw.shape != self.X.shape:
            raise InputError(f"raw has shape {self.raw.shape}; expected that of X, {self.X.shape}.")
        if self.weights is not None and self.weights.shape != (self.n,):
            raise InputError(f"weights has shape {self.weights.shape}; expected ({self.n},).")
        if self.latent is not None:
            object.__setattr__(self, "latent", np.asarray(self.latent))
            if self.latent.ndim != 2 or len(self.latent) != self.n:
                raise InputError(f"latent has shape {self.latent.shape}; expected ({self.n}, d).")
        if self.image_shape is not None and int(np.prod(self.image_shape)) != self.n_features:
            raise InputError(f"image_shape is {self.image_shape}; expected {self.n_features} numbers in all.")
        if self.feature_names is not None and len(self.feature_names) != self.n_features:
            raise InputError(
                f"{len(self.feature_names)} feature names were given for {self.n_features} columns of X; "
                "give one name for each column."
            )

    @property
    def n(self) -> int:
        """Number of points."""
        return int(self.X.shape[0])

    @property
    def n_points(self) -> int:
        """Number of points that were clustered, of which ``X`` may be a sample."""
        return self.n if self.n_whole is None else self.n_whole

    @property
    def weighted(self) -> bool:
        """Whether counts are weights rather than whole points."""
        if self.whole is not None:
            return not np.array_equal(self.whole, np.round(self.whole))
        return self.weights is not None

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return int(self.X.shape[1])

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.group_names)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """Column names, numbered if none were given."""
        if self.feature_names is None:
            return tuple(f"feature {j}" for j in range(self.n_features))
        return tuple(str(name) for name in self.feature_names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Group names that can stand alone: if one is a bare 0, yes or f, all start with the sensitive feature's
        name.
        """
        texts = [str(name) for name in self.group_names]
        if self.sensitive is None or not any(map(_is_bare, texts)):
            return tuple(texts)
        return tuple(f"{self.sensitive} = {text}" for text in texts)

    @cached_property
    def counts(self) -> np.ndarray:
        """Points, or weight, of each group in each cluster: (K, M)."""
        return self._table(self.labels) if self.whole is None else self.whole

    @cached_property
    def unfair_order(self) -> np.ndarray:
        """Unfair cluster shown beside each fair one: (K,), a permutation that favours overlap.

        Cluster ids of two clusterings are unrelated. The pair with most points in common is matched first, then the
        next one among the rest: O(K^3) and good enough for a picture.
        """
        if self.unfair is None:
            return np.arange(self.n_clusters)
        pairs = self.labels.astype(np.int64) * self.n_clusters + self.unfair["labels"]
        overlap = np.bincount(pairs, minlength=self.n_clusters**2).reshape(self.n_clusters, -1).astype(float)
        order = np.zeros(self.n_clusters, dtype=np.int64)
        for _ in range(self.n_clusters):
            i, j = np.unravel_index(np.argmax(overlap), overlap.shape)
            order[i] = j
            overlap[i, :] = -1.0
            overlap[:, j] = -1.0
        return order

    @cached_property
    def unfair_counts(self) -> np.ndarray | None:
        """As ``counts`` for unfair k-means, rows in ``unfair_order``."""
        return None if self.unfair is None else self._table(self.unfair["labels"])[self.unfair_order]

    @cached_property
    def overall(self) -> np.ndarray:
        """Share of each group in the whole: (M,)."""
        totals = self.counts.sum(axis=0)
        return totals / max(totals.sum(), np.finfo(float).tiny)

    @property
    def price(self) -> float | None:
        """Relative rise of the cost over unfair k-means; None if unknown."""
        if self.unfair is None or not self.unfair["cost"] > 0:
            return None
        return self.cost / self.unfair["cost"] - 1.0

    @cached_property
    def explained(self) -> float | None:
        """Share of the points' spread that lies between clusters, 1 - cost / variance; None if unknown."""
        total = float(np.average(((self.X - self._mean(self.X)) ** 2).sum(axis=1), weights=self.weights))
        return 1.0 - self.cost / total if total > 0 and 0 <= self.cost <= total else None

    @property
    def space(self) -> np.ndarray:
        """The points as the plane shows them: ``latent`` if given, else ``X``."""
        return self.X if self.latent is None else self.latent

    @property
    def values(self) -> np.ndarray:
        """The points in units for people to read: ``raw`` if given, else ``X``."""
        return self.X if self.raw is None else self.raw

    @cached_property
    def overall_mean(self) -> np.ndarray:
        """Mean of ``values`` over all points: (d,)."""
        return self._mean(self.values)

    @cached_property
    def overall_std(self) -> np.ndarray:
        """Population standard deviation of ``values``: (d,)."""
        return np.sqrt(self._mean((self.values - self.overall_mean) ** 2))

    @cached_property
    def centers(self) -> np.ndarray:
        """Cluster means of ``values``: (K, d), NaN for empty clusters."""
        return self.cluster_means(self.values)

    @cached_property
    def deviations(self) -> np.ndarray:
        """Distance of ``centers`` from the overall mean in standard deviations: (K, d); 0 if constant."""
        shift = self.centers - self.overall_mean
        return np.divide(shift, self.overall_std, out=np.zeros_like(shift), where=self.overall_std > 0)

    def cluster_means(self, values: np.ndarray) -> np.ndarray:
        """Return the (weighted) mean of ``values`` (n, d) in each cluster: (K, d), NaN for empty clusters."""
        weights = np.ones(self.n) if self.weights is None else self.weights
        mass = np.bincount(self.labels, weights=weights, minlength=self.n_clusters)
        columns = [np.bincount(self.labels, weights=weights * x, minlength=self.n_clusters) for x in values.T]
        sums = np.stack(columns, axis=1)
        return np.divide(sums, mass[:, None], out=np.full_like(sums, np.nan), where=mass[:, None] > 0)

    def _table(self, labels: np.ndarray) -> np.ndarray:
        shape = (self.n_clusters, self.n_groups)
        cells = labels.astype(np.int64) * self.n_groups + self.groups
        return np.bincount(cells, weights=self.weights, minlength=shape[0] * shape[1]).astype(float).reshape(shape)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return np.average(np.asarray(values, dtype=float), axis=0, weights=self.weights)


def shares(counts: np.ndarray) -> np.ndarray:
    """Return each row of ``counts`` (K, M) divided by its sum; rows of empty clusters stay 0."""
    sizes = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, sizes, out=np.zeros_like(counts), where=sizes > 0)


def row_balance(counts: np.ndarray) -> np.ndarray:
    """Return smallest over largest group count of each row of ``counts`` (K, M); NaN for empty clusters."""
    top = counts.max(axis=1)
    return np.divide(counts.min(axis=1), top, out=np.full(top.shape, np.nan), where=top > 0)


def _is_bare(text: str) -> bool:
    return text.strip().lower() in _BARE or text.strip().lstrip("+-").replace(".", "", 1).isdigit()


def _check_ids(name: str, ids: np.ndarray, n: int, upper: int) -> None:
    if ids.shape != (n,) or not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"{name} has shape {ids.shape} and type {ids.dtype}; expected ({n},) integers.")
    if ids.min() < 0 or ids.max() >= upper:
        raise InputError(f"{name} runs from {ids.min()} to {ids.max()}; expected ids from 0 to {upper - 1}.")
