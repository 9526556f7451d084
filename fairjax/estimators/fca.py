"""The estimator FCA: numpy in, one transfer, a compiled run, numpy out."""

import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fairjax._core import group_codes, memory
from fairjax.estimators import endings, given, inputs, settings
from fairjax.estimators.fitted import FittedFCA

if TYPE_CHECKING:
    from fairjax.fca.restarts import Outcome

__all__ = ["FCA"]


class FCA(FittedFCA):
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
    n_init : int or "auto", default=1
        Number of restarts; the cheapest result is kept. 1 if `init` is an array. The first starts are the same
        whatever their number. "auto" is 10 for ``init="random"`` and 1 otherwise, as in scikit-learn.
    search : int, default=0
        Fits after the restarts, most of them with a centre of the best solution moved from where there is one too many
        to where there is one too few (see `fairjax.fca.search`). With several clusters this ends lower than as many
        restarts, and such a fit takes less time than one from the start.
    max_iter : int, default=100
        Most turns of one fit.
    tol : float, default=1e-4
        The turns end when the centres' root mean square movement falls below this share of the points' standard
        deviation; on the alignment routes when for some turns nothing fell by this share, neither cost nor objective.
    init : {"aligned", "k-means++", "random"} or array-like (K, d), default="aligned"
        Starting centres: the solution of k-means on points matched between the groups (see
        `fairjax.fca.aligned_start`; as a rule the end is cheaper, and no cluster lies where only one group is), that
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
    attributes : {"jointly", "separately"}, default="jointly"
        What several columns of `sensitive_features` mean: each combination of their values is a group, or each column
        is fair by itself, which costs less (direct route; perfect fairness or `min_balance`).
    random_state : int, RandomState instance or None, default=None
        Source of the random starts; an int repeats the run.
    n_devices : int or "all", default=1
        Direct route: over how many devices of JAX's platform rows are spread. Each holds its part and a few thousand
        rows near the boundaries; starts come from a sample of at most 131,072 rows. With several processes (see
        `fairjax.parallel.start`) it is "all": each gives `fit` its own rows, of which there may be none, and gets
        their labels, and all else is of all rows.

    Attributes
    ----------
    labels_ : ndarray (n,), int32
        Cluster of each point; not after `fit_blocks`.
    cluster_centers_ : ndarray (K, d)
        Centres. A cluster is left without points, with a warning, only where no other can be split in a way that is
        as fair and costs less, as where X has fewer distinct rows than clusters.
    cost_, inertia_ : float
        (Weighted) mean squared distance of the points to the centres of their clusters, and the sum, as
        `sklearn.cluster.KMeans` has it.
    balance_, max_balance_ : float
        Smallest ratio of two groups' weights in a cluster, and the best value that the data allow; 1 for one group.
        With ``attributes="separately"`` the least of `attribute_balances_`.
    attribute_balances_ : list of (float, float)
        With ``attributes="separately"`` balance and best value by each column; otherwise empty.
    n_iter_ : int
        Turns of the restart that was kept.
    converged_ : bool
        Whether its centres settled within `max_iter` turns.
    status_, message_ : int, str
        How the last assignment ended (0 solved, 1 stopped short), and the same in words.
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
    fairness_ : :class:`~fairjax.fca.fitting.Fairness`
        The control and its value.
    start_centers_ : ndarray (K, d)
        Where the restart that was kept began.
    unfair_ : tuple of float and ndarray (n,), or None
        Cost and labels of plain k-means, where that restart began with it.
    search_ : :class:`~fairjax.fca.restarts.Search` or None
        How many fits the search took, how often the cost fell, and the least cost after each of them.
    transport_ : :class:`~fairjax.fca.alignment.Settings` or None
        How the alignment routes were run: the solver ("host", POT's, where that is the faster one), blocks and scheme.
    preparation_ : :class:`~fairjax.datasets.Preparation` or None
        Of a model that was loaded: how the columns of its table became points.
    streamed_ : :class:`~fairjax.fca.streaming.fitting.Streamed`
        After `fit_blocks` only: what the fit ended with, the counts of the labels among it.
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
        n_init: int | Literal["auto"] = 1,
        search: int = 0,
        max_iter: int = 100,
        tol: float = 1e-4,
        init: Any = "aligned",
        center_update: Literal["lloyd", "gradient"] = "lloyd",
        partition_size: int = 1024,
        reg: float = 0.01,
        transport_weight: float = 1.0,
        attributes: Literal["jointly", "separately"] = "jointly",
        random_state: Any = None,
        n_devices: int | Literal["all"] = 1,
    ) -> None:
        self.n_clusters = n_clusters
        self.epsilon = epsilon
        self.min_balance = min_balance
        self.method = method
        self.n_init = n_init
        self.search = search
        self.max_iter = max_iter
        self.tol = tol
        self.init = init
        self.center_update = center_update
        self.partition_size = partition_size
        self.reg = reg
        self.transport_weight = transport_weight
        self.attributes = attributes
        self.random_state = random_state
        self.n_devices = n_devices

    def fit(self, X: Any, y: Any = None, *, sensitive_features: Any = None, sample_weight: Any = None) -> Self:
        """Cluster the points.

        Parameters
        ----------
        X : array-like (n, d)
            Points: an array, or a frame of numbers (of pandas, Polars, Arrow, or any library with
            ``__arrow_c_stream__`` or ``__dataframe__``); finite. A ``jax.Array`` whose rows are spread over devices
            is taken as it lies, whatever `n_devices` (`sensitive_features` and `sample_weight` may be spread alike).
        y : ignored
            With a warning where it may have been meant for `sensitive_features`, which is not given.
        sensitive_features : array-like (n,) or several of them, optional
            The protected attribute: any hashable values, of any number of groups. A frame, a dict or a list of columns,
            or an array (n, m) holds several, of which each combination is a group (see `attributes`). None means one
            group, for which this is plain k-means; `group_names_` then says ``("all",)``.
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
            Where memory runs out it is an `OutOfMemoryError`, a MemoryError too, which says what would fit.
        """
        from fairjax._core import processes
        from fairjax.fca import fitting, restarts
        from fairjax.fca.alignment import fitting as alignment_fitting
        from fairjax.metrics import host

        settings.check(self)
        group_codes.check_pairing(X, sensitive_features, y, sample_weight)
        found = given.read(self, X, sensitive_features, sample_weight)
        X, groups, weights, known, masses = found[:5]
        members = inputs.members_of(known) if self.attributes == "separately" else []
        whole = inputs.balances_of(masses[None], members)
        max_balance = min((best for _, best in whole), default=float(masses.min() / masses.max()))
        fairness = settings.fairness(self, max_balance, members)
        options: dict[str, Any] = {
            "init": settings.start(self.init, self.n_clusters, X.shape[1]),
            "n_clusters": int(self.n_clusters),
            "n_init": settings.restarts(self),
            "n_search": int(self.search),
            "max_iter": int(self.max_iter),
            "tol": float(self.tol),
            "seed": found.seed(int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))),
        }
        with memory.explained(found.n_rows, int(self.n_clusters)), processes.explained():
            points: Any = found.to_devices()
            if self.method == "direct":
                outcome: Outcome[Any] = fitting.fit(points, fairness, **options)
                self.transport_ = None
            else:
                outcome, self.transport_ = alignment_fitting.fit(points, settings.route(self), weights, **options)
        self.__dict__.pop("streamed_", None)
        # what a report compares with: plain k-means where the fit began with it, and the start
        unfair = outcome.start.unfair
        self.start_centers_ = points.centers_of(outcome.start.centers)
        self.unfair_ = None if unfair is None else restarts.cost_and_labels(points, unfair)
        self.search_ = outcome.search
        self.groups_ = known
        attribute = sensitive_features is not None
        self.group_names_ = tuple(group_codes.name_of(value) for value in known) if attribute else ("all",)
        self.max_balance_ = max_balance
        self.fairness_ = fairness
        self.preparation_ = None
        self._keep(outcome.result, X.dtype)
        self.inertia_ = self.cost_ * float(masses.sum())
        table = found.total(host.contingency(self.labels_, groups, weights, (int(self.n_clusters), len(known))))
        self.attribute_balances_ = inputs.balances_of(table, members)
        self.balance_ = inputs.balance_of(table, members)
        endings.explain(self.method, self.status_, gap=self.gap_, converged=self.converged_, max_iter=self.max_iter)
        if remark := endings.remark(table, self.cluster_centers_):
            warnings.warn(remark, ConvergenceWarning, stacklevel=2)
        return self

    def fit_blocks(
        self,
        blocks: Iterable[Any],
        *,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        resume: bool = False,
        block_rows: int | None = None,
    ) -> Self:
        """Cluster a table that is read block by block, again in every turn, and never held as a whole.

        The first reading counts the groups and draws a sample of some 10^5 rows, in which the fit begins as `fit` does
        (with `init`, `n_init`, `search` as they are set). Turns over the whole table follow, each of one pass as a
        rule, up to `max_iter` of them. What the fit ends with is proven over all rows, as in memory.

        Parameters
        ----------
        blocks : re-iterable of blocks
            Of ``(features, groups)`` or ``(features, groups, weights)``: arrays (r, d), (r,) or None for one group, and
            (r,), of any number of rows r. :func:`fairjax.datasets.scan` gives such a table of files.
        checkpoint_dir : path, optional
            Folder that keeps the state after every turn, a few thousand bytes.
        resume : bool, default=False
            Go on from the state there, if there is one; the end is the same as without the interruption.
        block_rows : int, optional
            Rows that are computed with at a time; 262,144 by default.

        Returns
        -------
        FCA
            The fitted estimator, without ``labels_``: `write_labels` writes them to files. ``streamed_`` has what the
            fit ended with, the counts of the labels among it.

        Raises
        ------
        InputError
            As `fit`; for a table that can be read only once or changes while it is read (rows and files are named),
            and for a checkpoint of other data or settings.

        Notes
        -----
        O(n K d) time for each pass, and memory that does not depend on n. Without files:

        >>> import numpy as np
        >>> from fairjax import FCA
        >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> sex = np.array(["f", "f", "m", "m", "m", "f"])
        >>> blocks = [(X[:4], sex[:4]), (X[4:], sex[4:])]
        >>> model = FCA(n_clusters=2, random_state=0).fit_blocks(blocks)
        >>> model.balance_, model.streamed_.counts.astype(int).sum(1).tolist(), model.gap_ < 1e-5
        (1.0, [3, 3], True)
        """
        from fairjax.estimators import streaming

        streaming.fit(self, blocks, checkpoint_dir=checkpoint_dir, resume=resume, block_rows=block_rows)
        return self

    def fit_predict(
        self, X: Any, y: Any = None, *, sensitive_features: Any = None, sample_weight: Any = None
    ) -> npt.NDArray[np.int32]:
        """Fit, and return ``labels_``; parameters as in `fit`."""
        return self.fit(X, y, sensitive_features=sensitive_features, sample_weight=sample_weight).labels_

    def _keep(self, result: Any, dtype: Any) -> None:
        """Set the attributes that follow from the result of a route."""
        solution = result.assignment
        self.result_ = result
        self.labels_ = np.asarray(solution.labels)
        self.cluster_centers_ = result.centers.astype(dtype)
        self.cost_ = float(result.cost)
        self.n_iter_ = int(result.n_iter)
        self.converged_ = bool(result.converged)
        self.status_ = int(solution.status)
        self.message_ = endings.message(self.method, self.status_)
        self.gap_ = float(solution.gap)
        self.labels_gap_ = (self.cost_ - float(solution.dual)) / self.cost_ if self.cost_ > 0 else 0.0
        self.multipliers_ = np.asarray(solution.prices)
