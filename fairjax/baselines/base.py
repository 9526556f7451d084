"""What the estimators of all methods share: checks, groups, starts, and what is measured of the labels."""

import dataclasses
import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fairjax._core import group_codes
from fairjax._core.checks import check_choice, check_count
from fairjax._core.documentation import documented
from fairjax._core.settings import Setting, setting, settings_of
from fairjax.baselines.problem import STATUSES, Found, Labels, Problem, Start, Status, Table
from fairjax.errors import InputError
from fairjax.estimators import endings, inputs, rule
from fairjax.metrics import host

__all__ = ["Baseline", "PricedRule", "check_between", "estimator", "recomputed"]

Made = TypeVar("Made", bound="Baseline")

_SHARED = ("n_init", "max_iter", "tol", "init", "random_state")  # parameters that all methods have


@dataclasses.dataclass(eq=False, repr=False)
class Baseline(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator, ABC):
    """A method of clustering; a subclass has its parameters, and finds labels from one start.

    Parameters are fields of a dataclass: constructor, checks and documentation follow from them (see `estimator`).

    Every fitted estimator has these attributes; each class says only what it has besides.

    Attributes
    ----------
    control : str or None
        Of the class: name of the parameter that trades cost for fairness.
    labels_ : ndarray (n,), int32
        Cluster of each point.
    cluster_centers_ : ndarray (K, d)
        Means of the clusters; of one without points the centre that it had, or NaN.
    cost_ : float
        (Weighted) mean squared distance of the points to the means of their clusters, whatever the method minimises.
    objective_ : float
        What the method minimises, in its own terms.
    balance_, max_balance_ : float
        Smallest ratio of two groups' weights in a cluster, and the best value that the data allow; 1 for one group.
    n_iter_ : int
        Iterations of the start that was kept.
    status_ : str
        ``optimal`` (a proven optimum of the stated problem), ``converged``, ``stopped`` (at a limit), ``collapsed``
        (fewer than K clusters), ``diverged``, ``infeasible`` (no labels; `fit` raises).
    message_ : str
        What there is to say of the ending, if anything.
    converged_ : bool
        Whether the status is one of the first two.
    groups_, group_names_
        The values of `sensitive_features`, sorted, and the same as text; ``[None]`` and ``("all",)`` for none.
    gap_ : float or None
        Proven relative distance from the optimum of the stated problem, where there is a proof.
    result_ : Found
        What the method found, with details of its own.
    preparation_ : :class:`~fairjax.datasets.Preparation` or None
        Of a model that was loaded: how the columns of its table became points.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.
    """

    control: ClassVar[str | None] = None
    _weighted: ClassVar[bool] = False  # whether points may weigh differently
    _most_groups: ClassVar[int | None] = None

    n_clusters: int = setting(8, "Number of clusters K.")
    _: dataclasses.KW_ONLY
    n_init: int = setting(1, "Number of starts; the one of least `objective_` is kept. 1 if `init` is an array.")
    max_iter: int = setting(300, "Most iterations of one start.")
    tol: float = setting(1e-4, "The iterations end when they change less than this.")
    init: Any = setting("k-means++", "Seeds.", words='{"k-means++", "random"} or array-like (K, d)')
    random_state: Any = setting(
        None, "Source of the seeds; an int repeats the run.", words="int, RandomState instance or None"
    )

    @abstractmethod
    def _find(self, problem: Problem, start: Start) -> Found:
        """What the method finds from one start."""

    def _check(self, problem: Problem) -> None:
        """Raise InputError for parameters that do not suit the data, or whose range is more than a field says."""

    def fit(self, X: Any, y: Any = None, *, sensitive_features: Any = None, sample_weight: Any = None) -> Self:
        """Cluster the points.

        Parameters
        ----------
        X : array-like (n, d)
            Points: an array or a frame of numbers, finite.
        y : ignored
        sensitive_features : array-like (n,) or several of them, optional
            The protected attribute, as for :meth:`fairjax.FCA.fit`. None means one group.
        sample_weight : array-like (n,), optional
            Weights ≥ 0 of the points, in cost and in counts. Methods that know none take equal ones only.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For a parameter out of its range, a control that cannot be met (then `status_` is ``infeasible``), lengths
            that differ, missing values, and weights or groups that the method does not take. It is a ValueError.
        """
        check_settings(self)
        group_codes.check_pairing(X, sensitive_features, y, sample_weight)
        X = inputs.points_of(self, X, reset=True)
        problem = self._problem(X, sensitive_features, sample_weight)
        self._check(problem)
        self.groups_ = problem.known
        given = sensitive_features is not None
        self.group_names_ = tuple(group_codes.name_of(value) for value in problem.known) if given else ("all",)
        self.max_balance_ = problem.max_balance
        best: tuple[int, float, float, Found] | None = None
        for start in self._starts(problem):
            found = self._find(problem, start)
            rank = STATUSES.index(self._ending(found, problem))
            cost = recomputed(problem, found.labels)[1] if found.status != "infeasible" else np.inf
            if best is None or (rank, found.objective, cost) < best[:3]:
                best = rank, found.objective, cost, found
        assert best is not None
        self._keep(best[-1], problem)
        return self

    def fit_predict(
        self, X: Any, y: Any = None, *, sensitive_features: Any = None, sample_weight: Any = None
    ) -> Labels:
        """Fit, and return ``labels_``; parameters as in `fit`."""
        return self.fit(X, y, sensitive_features=sensitive_features, sample_weight=sample_weight).labels_

    def transform(self, X: Any) -> npt.NDArray[Any]:
        """Euclidean distance (n, K) of points X (n, d) to the mean of every cluster."""
        check_is_fitted(self)
        X = inputs.points_of(self, X)
        return rule.distances(X, self.cluster_centers_)

    def save(self, path: Any, *, preparation: Any = None) -> None:
        """Write the fitted estimator to one file (NPZ: arrays and a JSON text, no pickle), whole or not at all.

        It holds the fitted attributes, the labels of the fitted rows among them, but not the rows.

        Parameters
        ----------
        path : path, or stream of bytes
            :func:`fairjax.load` reads it.
        preparation : fairjax.datasets.Preparation, optional
            How the columns of a table became X, for ``fairjax predict``.

        Raises
        ------
        InputError
            For a method that does not predict, if the file cannot be written, or group values are no text or numbers.
        """
        from fairjax.baselines import files

        check_is_fitted(self)
        files.save(self, path, getattr(self, "preparation_", None) if preparation is None else preparation)

    def _problem(self, X: Table, sensitive_features: Any, sample_weight: Any) -> Problem:
        n_samples, name = X.shape[0], type(self).__name__
        if self.n_clusters > n_samples:
            raise InputError(
                f"n_samples={n_samples} is less than n_clusters={self.n_clusters}; ask for at most as many clusters "
                "as there are points"
            )
        weights = inputs.weights_of(sample_weight, n_samples)
        if weights is not None and not self._weighted:
            if weights.min() < weights.max():
                raise InputError(
                    f"sample_weight holds different weights, which {name} does not know; leave it out, or take "
                    f"{_others(lambda kind: kind._weighted)}"
                )
            weights = None
        groups, known = inputs.groups_of(sensitive_features, n_samples)
        if self._most_groups is not None and len(known) > self._most_groups:
            raise InputError(
                f"sensitive_features has {len(known)} groups, and {name} takes {self._most_groups}; for more groups "
                f"take {_others(lambda kind: kind._most_groups is None and kind.control is not None)}"
            )
        masses = inputs.masses_of(groups, weights, known)
        balance = float(masses.min() / masses.max())
        return Problem(X, groups, known, weights, masses, int(self.n_clusters), balance)

    def _starts(self, problem: Problem) -> Iterator[Start]:
        """The starts; each has a key of its own, and is the same whatever their number."""
        import jax

        centers = _centers_of(self.init, (problem.n_clusters, problem.X.shape[1]))
        key = jax.random.key(int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max)))
        for number in range(int(self.n_init) if centers is None else 1):
            name = self.init if centers is None else ""
            yield Start(number, jax.random.fold_in(key, number), centers, name)

    def _ending(self, found: Found, problem: Problem) -> Status:
        """The status, where clusters were lost, too."""
        good = found.status in ("optimal", "converged", "stopped")
        if good and len(np.unique(found.labels)) < problem.n_clusters:
            return "collapsed"
        return found.status

    def _keep(self, found: Found, problem: Problem) -> None:
        """Set the attributes, and tell how it ended."""
        self.status_ = self._ending(found, problem)
        self.converged_ = self.status_ in ("optimal", "converged")
        self.result_ = found
        self.preparation_: Any = None
        if self.status_ == "infeasible":
            raise InputError(found.message or "no clustering satisfies the control: loosen it")
        self.labels_ = np.asarray(found.labels, np.int32)
        centers, self.cost_ = recomputed(problem, self.labels_, found.centers)
        self.cluster_centers_ = centers.astype(problem.X.dtype)
        self.objective_ = float(found.objective)
        self.n_iter_ = int(found.n_iter)
        self.gap_ = found.gap
        table = host.contingency(self.labels_, problem.groups, problem.weights, (problem.n_clusters, problem.n_groups))
        self.balance_ = host.balance(table)
        self.message_ = self._remark(found, table)
        if self.message_:
            warnings.warn(self.message_, ConvergenceWarning, stacklevel=3)

    def _remark(self, found: Found, table: npt.NDArray[np.float64]) -> str:
        """What there is to warn of, if anything; ``table`` (K, M) of weights."""
        if found.message:
            return found.message
        if self.status_ == "stopped":
            return (
                f"{type(self).__name__} had not settled after max_iter={self.max_iter} iterations; more of them or a "
                "larger tol may end at a better clustering"
            )
        if self.status_ == "collapsed":
            return f"only {np.count_nonzero(table.sum(1))} of the {len(table)} clusters have points; ask for fewer"
        if self.status_ == "diverged":
            return f"{type(self).__name__} diverged; the labels are the last ones before that"
        return endings.remark(table, self.cluster_centers_)

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _others(fits: Callable[[type[Baseline]], bool]) -> str:
    """The methods that fit a purpose, for a sentence."""
    from fairjax.baselines.catalogue import METHODS

    kinds = {entry.kind: entry.estimator for entry in METHODS.values() if entry.is_baseline}
    return f"{', '.join(name for name, kind in kinds.items() if fits(kind))} or FCA"


class PricedRule(Baseline):
    """A method whose labels follow a rule that holds for new points, too: the least of squared distance plus price.

    Attributes
    ----------
    assigned_centers_ : ndarray (K, d)
        Centres that the labels were assigned to; `cluster_centers_` are the means that came of it.
    multipliers_ : ndarray (M, K)
        Price in cost units that a point of a group pays to enter a cluster.
    """

    def predict(self, X: Any, *, sensitive_features: Any = None) -> Labels:
        """Assign points, new ones too: x of group s to the k of least ‖x − c_k‖² + p_sk, or ‖x − c_k‖ for k-median.

        c are `assigned_centers_` and p `multipliers_`. A fitted point on a boundary may be assigned elsewhere.

        Parameters
        ----------
        X : array-like (n, d)
        sensitive_features : array-like (n,)
            Required exactly if it was given to `fit`.

        Returns
        -------
        ndarray (n,), int32

        Raises
        ------
        InputError
            For a group value that `fit` has not seen, and where `sensitive_features` is missing or superfluous.
        """
        check_is_fitted(self)
        group_codes.check_pairing(X, sensitive_features)
        X = inputs.points_of(self, X)
        groups = inputs.known_groups_of(sensitive_features, X.shape[0], self.groups_)
        if getattr(self, "objective", "kmeans") == "kmedian":
            return np.argmin(rule.distances(X, self.assigned_centers_) + self.multipliers_[groups], 1).astype(np.int32)
        return rule.cheapest(X, groups, self.assigned_centers_, self.multipliers_)

    def _keep(self, found: Found, problem: Problem) -> None:
        super()._keep(found, problem)
        assert found.centers is not None
        self.assigned_centers_ = np.asarray(found.centers, np.float64)
        none = np.zeros((problem.n_groups, problem.n_clusters))
        self.multipliers_ = none if found.prices is None else np.asarray(found.prices, np.float64)


@dataclass_transform(kw_only_default=True, eq_default=False)
def estimator(kind: type[Made]) -> type[Made]:
    """Complete a method: its constructor and the section on parameters of its docstring follow from its fields.

    Parameters
    ----------
    kind : type
        A class derived from `Baseline`, with fields ``name: type = setting(default, sentence)``; one that `Baseline`
        has may get another default or sentence.
    """
    made = dataclasses.dataclass(eq=False, repr=False, kw_only=True)(kind)
    # dataclasses begin with what is inherited; readers look for what the method has of its own
    fields, given = made.__dataclass_fields__, inspect.signature(made)
    reordered = {
        "__dataclass_fields__": {name: fields[name] for name in sorted(fields, key=_SHARED.__contains__)},
        "__signature__": given.replace(parameters=sorted(given.parameters.values(), key=lambda p: p.name in _SHARED)),
    }
    for name, value in reordered.items():
        setattr(made, name, value)
    made.__doc__ = documented(made)
    return made


def check_settings(model: Baseline) -> None:
    """Raise InputError for a parameter that is not what its field says."""
    for about in settings_of(type(model)):
        value = getattr(model, about.name)
        if not (value is None and about.optional):
            _check_setting(about, value)
    if isinstance(model.init, str):
        check_choice("init", model.init, ("k-means++", "random"))


def _check_setting(about: Setting, value: Any) -> None:
    if about.kind == "choice":
        check_choice(about.name, value, about.choices)
    elif about.kind == "flag" and not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{about.name} is {value!r}; expected True or False")
    elif about.kind == "whole":
        check_count(about.name, value, 1 if about.least is None else int(about.least))
    elif about.kind == "number":
        highest = about.most if about.below is None else about.below
        high = np.inf if highest is None else highest
        check_between(about.name, value, about.least or 0.0, high, below=about.below is not None)
        if about.above is not None and value <= about.above:
            raise InputError(f"{about.name} is {value!r}; expected more than {about.above:g}")


def check_between(name: str, value: Any, low: float, high: float = np.inf, *, below: bool = False) -> None:
    """Raise InputError unless a parameter is a finite number from ``low`` to ``high``, or ``below`` that."""
    number = isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(float(value))
    if number and low <= float(value) and (float(value) < high if below else float(value) <= high):
        return
    if np.isinf(high):
        bounds = f"finite number of at least {low:g}"
    else:
        bounds = f"number from {low:g} to {'below ' if below else ''}{high:g}"
    raise InputError(f"{name} is {value!r}; expected a {bounds}")


def recomputed(problem: Problem, labels: Labels, otherwise: Table | None = None) -> tuple[Table, float]:
    """Means (K, d) of the labels and the (weighted) mean squared distance to them, in double precision; O(n d).

    A cluster without weight has the centre ``otherwise``, or NaN.
    """
    middle = problem.X.mean(0, dtype=np.float64)
    counts = np.bincount(labels, problem.weights, problem.n_clusters)
    filled = counts > 0
    means = np.full((problem.n_clusters, problem.X.shape[1]), np.nan)
    for column, values in enumerate(problem.X.T):
        sums = np.bincount(labels, (values - middle[column]) * problem.each, problem.n_clusters)
        means[filled, column] = sums[filled] / counts[filled] + middle[column]
    if otherwise is not None:
        means[~filled] = otherwise[~filled]
    total = rule.spread(problem.X, labels, means, problem.weights)
    return means, total / float(problem.masses.sum())


def _centers_of(init: Any, shape: tuple[int, int]) -> npt.NDArray[np.float64] | None:
    """Finite centres (K, d), or None for the name of a way to find them."""
    if isinstance(init, str):
        return None
    try:
        centers = np.asarray(init, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"init is not an array of numbers ({error}); expected (K, d) centres") from error
    if centers.shape != shape or not np.isfinite(centers).all():
        raise InputError(f"init has shape {centers.shape}; expected finite centres of shape {shape}")
    return centers
