"""The scikit-learn surface: numpy in, one transfer, a compiled run, numpy out."""

import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fairjax import _groups
from fairjax._checks import check_choice, check_count
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.fca.alignment.fitting import Route
    from fairjax.fca.fitting import Fairness
    from fairjax.fca.restarts import Outcome

__all__ = ["FCA"]

How = Literal["soft", "argmax", "sample"]
_ROWS = 1 << 16  # rows that predict takes at a time


class FCA(ClusterMixin, BaseEstimator):
    """Fair k-means: every protected group is spread over the clusters as over the whole data set.

    Minimises the mean squared distance of the points to their cluster's centre, under a fairness control: turns of
    exact fair assignment and centre update (Fair Clustering via Alignment, Kim et al., ICML 2025), from the k-means
    solution. The cost falls with every turn; the end is a local optimum, as in k-means, with a proof that no
    assignment to its centres that is as fair costs less than a stated bound.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters K, from 1 to the number of points.
    epsilon : float in [0, 2], default=0.0
        Additive gap. 0 is perfect fairness: each group has the same proportions over the clusters. For two groups
        Σ_k |q_0k − q_1k| ≤ ε, with q_s the proportions of group s; for more, each group's proportions lie within
        ε/2 (in ℓ1) of a common profile. Small sets meet it up to the rounding of whole points.
    min_balance : float, optional
        In place of `epsilon`: a floor on the ratio of any two groups' weights in every cluster, at most the
        ratio in the whole data set. At equal balance it costs less than `epsilon`.
    method : {"direct", "exact", "sinkhorn"}, default="direct"
        Route: the direct one solves each assignment exactly through its dual. The alignment routes are the paper's:
        optimal transport between the groups, exact or entropy-regularised, block by block. They give perfect fairness
        only, any `transport_weight`, and take longer. (The paper's FCA-C is in :mod:`fairjax.fca.alignment`; its ε
        bounds a share of pairs, not the unfairness, which `epsilon` of the direct route does.)
    n_init : int, default=1
        Number of restarts; the cheapest result is kept. 1 if `init` is an array. The first starts are the same
        whatever their number.
    max_iter : int, default=100
        Most turns of one restart.
    tol : float, default=1e-4
        The turns end when the centres' root mean square movement falls below this share of the points' standard
        deviation; on the alignment routes when for some turns nothing fell by this share, neither cost nor objective.
    init : {"aligned", "k-means++", "random"} or array-like (K, d), default="aligned"
        Starting centres: the solution of k-means on points matched between the groups (see
        `fairjax.fca.aligned_starts`; as a rule the end is cheaper, and no cluster lies where only one group is), that
        of plain k-means from a k-means++ seeding (the protocol of the paper; also where no group has K distinct
        points), K distinct random points, or those given.
    center_update : {"lloyd", "gradient"}, default="lloyd"
        Centre update of the alignment routes: means of the aligned points, or steps of Adam. The direct route moves
        every centre to its points' mean.
    partition_size : int, default=1024
        Alignment routes: transport in blocks of about as many points of the smallest group. Larger is nearer to the
        whole problem; time and memory grow in proportion. Exact transport between two groups refines the partition
        from turn to turn, so that the blocks cost little.
    reg : float, default=0.01
        Entropy of method "sinkhorn", in cost units (squared distance). Larger is faster and less fair.
    transport_weight : float, default=1.0
        Alignment routes: weight of the squared distance between aligned points, as a multiple of π0π1. 1.0 makes the
        objective the cost of the fair clustering, which the direct route solves faster; 2.0 is the paper's.
    random_state : int, RandomState instance or None, default=None
        Source of the random starts; an int repeats the run.

    Attributes
    ----------
    labels_ : ndarray (n,), int32
        Cluster of each point.
    cluster_centers_ : ndarray (K, d)
        Centres; a cluster that the optimum leaves empty keeps its last one.
    cost_ : float
        (Weighted) mean squared distance of the points to the centres of their clusters.
    balance_, max_balance_ : float
        Smallest ratio of two groups' weights in a cluster, and the best value that the data allow; 1 for one group.
    n_iter_ : int
        Turns of the restart that was kept.
    converged_ : bool
        Whether its centres settled within `max_iter` turns.
    gap_ : float
        How far, at most, the assignment is above the cheapest one to these centres that is as fair: (cost − proven
        bound) / cost, before points on a boundary are rounded to one cluster. Where the cost is next to nothing it is
        relative to a thousandth of what another cluster typically costs more. On the alignment routes it shows what
        blocks, regularisation and a `transport_weight` other than 1 cost.
    labels_gap_ : float
        The same of `labels_`, (`cost_` − proven bound) / `cost_`: what rounding costs. It may be below zero, since the
        labels' counts may be up to one point off the fair ones.
    multipliers_ : ndarray (M, K)
        Price in cost units that a point of a group pays to enter a cluster: the rule for new points.
    groups_ : ndarray (M,)
        The values of `sensitive_features`, sorted; ``[None]`` if none were given, which means one group.
    group_names_ : tuple of str
        The same as text; ``("all",)`` if none were given.
    result_ : :class:`~fairjax.fca.FairClustering` or :class:`~fairjax.fca.Alignment`
        The whole result as numpy: history of the cost, fractions of split points (all of them: `assignment`), primal
        and dual values, status; on the alignment routes also the share of the blocks that the last turn solved.
    transport_ : :class:`~fairjax.fca.alignment.Settings` or None
        How the alignment routes were run: the solver ("host", POT's, where that is the faster one), blocks and scheme.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Notes
    -----
    O(n K d) time per turn, as one Lloyd step of k-means takes; 32-bit floats unless JAX's 64-bit mode is on. Points
    are centred in their own type first. The first fit of a new size compiles for some seconds.

    Examples
    --------
    Clusters as balanced as the data, and what lies near together where groups need not be spread alike:

    >>> import numpy as np
    >>> from fairjax import FCA
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> sex = ["f", "f", "m", "m", "m", "f"]
    >>> model = FCA(n_clusters=2, random_state=0).fit(X, sensitive_features=sex)
    >>> model.balance_, model.max_balance_, model.group_names_
    (1.0, 1.0, ('f', 'm'))
    >>> model = FCA(n_clusters=2, epsilon=2.0, random_state=0).fit(X, sensitive_features=sex)
    >>> model.balance_, round(model.cost_, 3), sorted(model.cluster_centers_.ravel().round().tolist())
    (0.5, 0.667, [1.0, 11.0])
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        epsilon: float = 0.0,
        min_balance: float | None = None,
        method: Literal["direct", "exact", "sinkhorn"] = "direct",
        n_init: int = 1,
        max_iter: int = 100,
        tol: float = 1e-4,
        init: Any = "aligned",
        center_update: Literal["lloyd", "gradient"] = "lloyd",
        partition_size: int = 1024,
        reg: float = 0.01,
        transport_weight: float = 1.0,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.epsilon = epsilon
        self.min_balance = min_balance
        self.method = method
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.center_update = center_update
        self.partition_size = partition_size
        self.reg = reg
        self.transport_weight = transport_weight
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, sensitive_features: Any = None, sample_weight: Any = None) -> Self:
        """Cluster the points.

        Parameters
        ----------
        X : array-like (n, d)
            Points: an array or a pandas or Polars frame of numbers, finite.
        y : ignored
            With a warning where it may have been meant for `sensitive_features`, which is not given.
        sensitive_features : array-like (n,) or several of them, optional
            The protected attribute: any hashable values, of any number of groups. A frame, a dict or a list of columns,
            or an array (n, m) holds several, of which each combination is a group. None means one group, for which
            this is plain k-means; `group_names_` then says ``("all",)``.
        sample_weight : array-like (n,), optional
            Weights ≥ 0 of the points, in cost and in counts.

        Returns
        -------
        FCA
            The fitted estimator.

        Raises
        ------
        InputError
            For a parameter out of its range, both controls at once, a balance that the data do not allow, lengths
            that differ, missing values, and weights that are negative, not finite or all zero. It is a ValueError.
        """
        from fairjax.fca import fitting, restarts
        from fairjax.fca.alignment import fitting as alignment_fitting
        from fairjax.fca.scaled_points import scale_points
        from fairjax.metrics import host

        self._check_parameters()
        _groups.check_pairing(X, sensitive_features, y, sample_weight)
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=1)
        n_samples = X.shape[0]
        if self.n_clusters > n_samples:
            raise InputError(
                f"n_samples={n_samples} is less than n_clusters={self.n_clusters}; ask for at most as many clusters "
                "as there are points"
            )
        weights = _check_weights(sample_weight, n_samples)
        if sensitive_features is None:
            groups, known = np.zeros(n_samples, np.int32), np.array([None], dtype=object)
        else:
            groups, known = _groups.encode(sensitive_features, n_samples)
        masses = np.bincount(groups, weights, len(known)).astype(np.float64)
        _check_masses(masses, known)
        max_balance = float(masses.min() / masses.max())
        fairness = self._fairness(max_balance)
        init = self._check_init(X)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

        points = scale_points(X, groups, weights, n_groups=len(known))
        options: dict[str, Any] = {
            "init": init,
            "n_clusters": int(self.n_clusters),
            "n_init": int(self.n_init),
            "max_iter": int(self.max_iter),
            "tol": float(self.tol),
            "seed": seed,
        }
        if self.method == "direct":
            outcome: Outcome[Any] = fitting.fit(points, fairness, **options)
            self.transport_ = None
        else:
            outcome, self.transport_ = alignment_fitting.fit(points, self._route(), weights, **options)
        result = outcome.result
        self.result_ = result
        self.labels_ = np.asarray(result.assignment.labels)
        self.cluster_centers_ = result.centers.astype(X.dtype)
        table = host.contingency(self.labels_, groups, weights, (int(self.n_clusters), len(known)))
        self.cost_ = float(result.cost)
        self.balance_ = host.balance(table)
        self.max_balance_ = max_balance
        self.n_iter_ = int(result.n_iter)
        self.converged_ = bool(result.converged)
        self.gap_ = float(result.assignment.gap)
        above = self.cost_ - float(result.assignment.dual)
        self.labels_gap_ = above / self.cost_ if self.cost_ > 0 else 0.0
        self.multipliers_ = np.asarray(result.assignment.prices)
        self.groups_ = known
        given = sensitive_features is not None
        self.group_names_ = tuple(_groups.name_of(value) for value in known) if given else ("all",)
        self._control = fairness
        # what the report compares with: plain k-means where the fit began with it, and the start
        unfair = outcome.start.unfair
        self._start_centers = points.centers_of(outcome.start.centers)
        self._unfair = None if unfair is None else restarts.cost_and_labels(points, unfair)
        self._explain_end()
        if note := self._note_on_clusters(table):
            warnings.warn(note, ConvergenceWarning, stacklevel=2)
        return self

    def predict(self, X: Any, *, sensitive_features: Any = None) -> npt.NDArray[np.int32]:
        """Assign points, new ones too, by the rule that is optimal for the fitted ones.

        A point x of group s belongs to the cluster k of least ‖x − μ_k‖² + multipliers_[s, k]. For points like the
        fitted ones the clusters stay as fair, up to chance; a fitted point on a boundary may be assigned elsewhere.

        Parameters
        ----------
        X : array-like (n, d)
        sensitive_features : array-like (n,)
            The protected attribute; required exactly if it was given to `fit`.

        Returns
        -------
        ndarray (n,), int32

        Raises
        ------
        InputError
            For a group value that `fit` has not seen, and where `sensitive_features` is missing or superfluous.
        """
        check_is_fitted(self)
        _groups.check_pairing(X, sensitive_features)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        fitted_with_groups = self.groups_[0] is not None
        if fitted_with_groups and sensitive_features is None:
            raise InputError("sensitive_features is missing; it was given to fit, so predict needs it too")
        if not fitted_with_groups and sensitive_features is not None:
            raise InputError("sensitive_features is given, but was not to fit; fit with it, or leave it out")
        if fitted_with_groups:
            groups = _groups.encode_known(sensitive_features, X.shape[0], self.groups_)
        else:
            groups = np.zeros(X.shape[0], np.int32)

        # distances from a point amid the centres, so that a common offset costs no digits
        middle = self.cluster_centers_.mean(0, dtype=np.float64)
        centers = self.cluster_centers_ - middle
        prices = self.multipliers_ + (centers**2).sum(1)
        labels = np.empty(X.shape[0], np.int32)
        for first in range(0, X.shape[0], _ROWS):
            rows = slice(first, first + _ROWS)
            labels[rows] = np.argmin(prices[groups[rows]] - 2 * (X[rows] - middle) @ centers.T, 1)
        return labels

    def fit_predict(
        self, X: Any, y: Any = None, *, sensitive_features: Any = None, sample_weight: Any = None
    ) -> npt.NDArray[np.int32]:
        """Fit, and return ``labels_``; parameters as in `fit`."""
        return self.fit(X, y, sensitive_features=sensitive_features, sample_weight=sample_weight).labels_

    def assignment(self, how: How = "soft", *, random_state: Any = None) -> npt.NDArray[Any]:
        """The fair assignment of the fitted points as it was before `labels_` were rounded to the groups' counts.

        On the alignment routes it is eq. (6) of the paper: a point that the coupling splits belongs to several clusters
        in part. Many points are split by Sinkhorn, few by exact transport and a handful by the direct route.

        Parameters
        ----------
        how : {"soft", "argmax", "sample"}, default="soft"
            The fractions; the cluster that holds most of each point, the lowest among equals, as the authors' code
            labels; or one drawn from the fractions, which is right on average.
        random_state : int, RandomState instance or None, default=None
            Source of the draw.

        Returns
        -------
        ndarray
            (n, K) fractions, rows on the simplex, for "soft"; (n,) int32 labels otherwise.

        Raises
        ------
        InputError
            For another `how`.
        """
        if how not in get_args(How):
            raise InputError(f"how is {how!r}; expected 'soft', 'argmax' or 'sample'")
        check_is_fitted(self)
        solution = self.result_.assignment
        fractions = np.eye(int(self.n_clusters), dtype=solution.fractions.dtype)[self.labels_]
        fractions[solution.rows] = solution.fractions
        if how == "soft":
            return fractions
        if how == "argmax":
            return fractions.argmax(1).astype(np.int32)
        reached = fractions.cumsum(1)
        drawn = check_random_state(random_state).random_sample((len(reached), 1)) * reached[:, -1:]
        return (reached <= drawn).sum(1, dtype=np.int32)

    def _check_parameters(self) -> None:
        check_choice("method", self.method, ("direct", "exact", "sinkhorn"))
        check_choice("center_update", self.center_update, ("lloyd", "gradient"))
        for name in ("n_clusters", "n_init", "max_iter", "partition_size"):
            check_count(name, getattr(self, name))
        _check_range("epsilon", self.epsilon, 2.0)
        _check_range("tol", self.tol, np.inf)
        _check_range("transport_weight", self.transport_weight, np.inf)
        _check_range("reg", self.reg, np.inf)
        if self.min_balance is not None:
            _check_range("min_balance", self.min_balance, 1.0)
            if self.epsilon != 0:
                raise InputError(
                    f"both epsilon={self.epsilon:g} and min_balance={self.min_balance:g} are given; "
                    "choose one fairness control"
                )
        self._check_route()

    def _check_route(self) -> None:
        """Refuse what one route offers and the other does not."""
        if self.method == "direct":
            if self.center_update != "lloyd":
                raise InputError(
                    f'center_update is {self.center_update!r}, which method="direct" does not offer; choose '
                    'method="exact" or method="sinkhorn", or leave it out'
                )
            if self.transport_weight != 1.0:
                raise InputError(
                    f'transport_weight is {self.transport_weight!r}, but method="direct" solves 1.0; choose '
                    'method="exact" or method="sinkhorn" for other weights'
                )
            return
        for name, value in (("epsilon", self.epsilon), ("min_balance", self.min_balance)):
            if value:
                raise InputError(
                    f'{name}={value:g} is given, but method="{self.method}" aligns the groups for perfect fairness; '
                    'choose method="direct" for a control'
                )
        if self.method == "sinkhorn" and self.reg == 0:
            raise InputError('reg is 0; expected a positive number, or choose method="exact"')

    def _route(self) -> "Route":
        from fairjax.fca.alignment.fitting import Route

        assert self.method != "direct"
        return Route(
            self.method, self.center_update, int(self.partition_size), float(self.reg), float(self.transport_weight)
        )

    def _fairness(self, max_balance: float) -> "Fairness":
        from fairjax.fca.fitting import Fairness

        if self.min_balance is None:
            return Fairness("gap", float(self.epsilon))
        # the best possible balance, printed with a few digits, must not be refused
        if self.min_balance > max_balance * (1 + 1e-6):
            raise InputError(
                f"min_balance={self.min_balance:g} cannot be met: the groups' sizes allow at most {max_balance:.6g}; "
                "choose a lower floor"
            )
        return Fairness("balance", min(float(self.min_balance), max_balance))

    def _check_init(self, X: npt.NDArray[Any]) -> str | npt.NDArray[np.float64]:
        if isinstance(self.init, str):
            if self.init not in ("aligned", "k-means++", "random"):
                raise InputError(
                    f"init is {self.init!r}; expected 'aligned', 'k-means++', 'random' or an array of centres"
                )
            return self.init
        try:
            centers = np.asarray(self.init, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"init is no array of numbers ({error}); expected (K, d) centres") from error
        if centers.shape != (self.n_clusters, X.shape[1]) or not np.isfinite(centers).all():
            raise InputError(
                f"init has shape {centers.shape}; expected finite centres of shape {(self.n_clusters, X.shape[1])}"
            )
        return centers

    def _message(self) -> str:
        """What the status of the result means."""
        if self.method == "direct":
            from fairjax.assignment import MESSAGES
        else:
            from fairjax.fca.alignment import MESSAGES
        return MESSAGES[int(self.result_.assignment.status)]

    def _explain_end(self) -> None:
        status, message = int(self.result_.assignment.status), self._message()
        if status > 1:
            raise InputError(message)
        if status == 1:
            warnings.warn(f"{message} (gap {self.gap_:.1e})", ConvergenceWarning, stacklevel=3)
        elif not self.converged_:
            warnings.warn(
                f"the {'centres' if self.method == 'direct' else 'cost'} had not settled after "
                f"max_iter={self.max_iter} turns; "
                "the clusters are fair, but more turns or a larger tol may end at a lower cost",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _note_on_clusters(self, table: npt.NDArray[np.float64]) -> str:
        """What there is to say of clusters that are no clusters of their own; ``table`` (K, M) of weights."""
        n_filled, n_distinct = int(np.count_nonzero(table.sum(1))), len(np.unique(self.cluster_centers_, axis=0))
        if n_filled < self.n_clusters:
            return (
                f"only {n_filled} of the {self.n_clusters} clusters have points: ask for fewer, or begin elsewhere "
                "(more n_init, init='aligned')"
            )
        if n_distinct < self.n_clusters:
            return (
                f"only {n_distinct} of the {self.n_clusters} centres differ: X has fewer distinct rows than clusters, "
                "or many duplicates; ask for fewer clusters"
            )
        return ""


def _check_range(name: str, value: Any, highest: float) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 <= float(value) <= highest or np.isinf(float(value)):
        bounds = "finite number of at least 0" if np.isinf(highest) else f"number from 0 to {highest:g}"
        raise InputError(f"{name} is {value!r}; expected a {bounds}")


def _check_weights(sample_weight: Any, n_samples: int) -> npt.NDArray[np.float64] | None:
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"sample_weight is not numeric ({error}); expected one number ≥ 0 per row of X") from error
    if weights.ndim == 0:
        weights = np.full(n_samples, float(weights))
    if weights.shape != (n_samples,):
        raise InputError(
            f"sample_weight has shape {weights.shape} for {n_samples} rows of X; expected one weight per row"
        )
    if not np.isfinite(weights).all():
        raise InputError("sample_weight holds NaN or infinite values; expected finite weights ≥ 0")
    if weights.min() < 0:
        raise InputError(f"sample_weight holds the negative value {weights.min():g}; expected weights ≥ 0")
    if weights.max() == 0:
        raise InputError("sample_weight is zero for every point; expected at least one positive weight")
    return weights


def _check_masses(masses: npt.NDArray[np.float64], known: npt.NDArray[Any]) -> None:
    absent = [_groups.plain(value) for value, mass in zip(known, masses, strict=True) if mass == 0]
    if absent:
        raise InputError(
            f"the group {_groups.listed(absent)} has no weight; give its points a positive weight, or leave them out"
        )
