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

    Minimises the mean squared distance of the points to their cluster's centre under a fairness control: it alternates
    exact fair assignment and centre update (Fair Clustering via Alignment, Kim et al., ICML 2025), starting from a
    k-means solution. The cost falls with every iteration. The result is a local optimum, as in k-means, with a proof
    that no equally fair assignment to its centres costs less than a stated bound.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters K, from 1 to the number of points.
    epsilon : float in [0, 2], default=0.0
        Additive gap. 0 is perfect fairness: each group has the same proportions over the clusters. For two groups
        Σ_k |q_0k − q_1k| ≤ ε, with q_s the proportions of group s; for more, each group's proportions lie within
        ε/2 (in ℓ1) of a common profile. Small sets meet it up to the rounding of whole points.
    min_balance : float, optional
        Instead of `epsilon`: a floor on the ratio of any two groups' weights in every cluster, at most the
        ratio in the whole data set. At equal balance it costs less than `epsilon`.
    method : {"direct", "exact", "sinkhorn"}, default="direct"
        Route: the direct one solves each assignment exactly through its dual. The alignment routes are the paper's:
        optimal transport between the groups, exact or entropy-regularised, block by block. They only give perfect
        fairness, allow any `transport_weight`, and take longer. (The paper's FCA-C is in :mod:`fairjax.fca.alignment`;
        its ε bounds a share of pairs, not the unfairness, which `epsilon` of the direct route does.)
    n_init : int or "auto", default=1
        Number of restarts; the cheapest result is kept. 1 if `init` is an array. The first starts do not depend on
        their number. "auto" is 10 for ``init="random"`` and 1 otherwise, as in scikit-learn.
    search : int, default=0
        Fits after the restarts. Most of them move a centre of the best solution from where there is one too many to
        where there is one too few (see `fairjax.fca.search`). With several clusters this reaches a lower cost than as
        many restarts, and such a fit takes less time than one from scratch.
    max_iter : int, default=100
        Maximum number of iterations of one fit.
    tol : float, default=1e-4
        The fit stops when the centres' root mean square movement falls below this share of the points' standard
        deviation; on the alignment routes, when neither cost nor objective has fallen by this share for some
        iterations.
    init : {"aligned", "k-means++", "random"} or array-like (K, d), default="aligned"
        Starting centres. "aligned": the solution of k-means on points matched between the groups (see
        `fairjax.fca.aligned_start`; the result is usually cheaper, and no cluster lies where only one group is).
        "k-means++": that of plain k-means from a k-means++ seeding (the protocol of the paper; also used where no group
        has K distinct points). "random": K distinct random points. Or the given centres.
    center_update : {"lloyd", "gradient"}, default="lloyd"
        Centre update of the alignment routes: means of the aligned points, or steps of Adam. The direct route always
        moves centres to the mean of their points.
    partition_size : int, default=1024
        Alignment routes: transport in blocks of about as many points of the smallest group. Larger is nearer to the
        whole problem; time and memory grow in proportion. Exact transport between two groups refines the partition
        from iteration to iteration, so that the blocks cost little.
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
        Direct route: number of devices of JAX's platform over which rows are spread. Each holds its part and a few
        thousand rows near the boundaries; starts come from a sample of at most 131,072 rows. With several processes
        (see `fairjax.parallel.start`) pass "all": each process passes its own rows to `fit`, possibly none, and gets
        their labels; everything else covers all rows.

    Attributes
    ----------
    labels_ : ndarray (n,), int32
        Cluster of each point; not after `fit_blocks`.
    cluster_centers_ : ndarray (K, d)
        Centres. A cluster is left without points, with a warning, only if no other cluster can be split as fairly at a
        lower cost, for example if X has fewer distinct rows than clusters.
    cost_, inertia_ : float
        (Weighted) mean squared distance of the points to the centres of their clusters, and the sum, as in
        `sklearn.cluster.KMeans`.
    balance_, max_balance_ : float
        Smallest ratio of two groups' weights in a cluster, and the best value that the data allow; 1 for one group.
        With ``attributes="separately"`` the least of `attribute_balances_`.
    attribute_balances_ : list of (float, float)
        With ``attributes="separately"``, balance and best value for each column; otherwise empty.
    n_iter_ : int
        Iterations of the restart that was kept.
    converged_ : bool
        Whether its centres settled within `max_iter` iterations.
    status_, message_ : int, str
        How the last assignment ended (0 solved, 1 stopped short), and the same in words.
    gap_ : float
        Upper bound on how far the assignment is above the cheapest equally fair one to these centres: (cost − proven
        bound) / cost, before points on a boundary are rounded to one cluster. If the cost is next to nothing, it is
        relative to a thousandth of the typical extra cost of another cluster. On the alignment routes it shows what
        blocks, regularisation and a `transport_weight` other than 1 cost.
    labels_gap_ : float
        The same for `labels_`, (`cost_` − proven bound) / `cost_`: the cost of rounding. It may be below zero, since
        the labels' counts may be up to one point off the fair ones.
    multipliers_ : ndarray (M, K)
        Price in cost units that a point of a group pays to enter a cluster: the rule for new points.
    groups_ : ndarray (M,)
        The values of `sensitive_features`, sorted; ``[None]`` if none were given, which means one group.
    group_names_ : tuple of str
        The same as text; ``("all",)`` if none were given.
    result_ : :class:`~fairjax.fca.FairClustering` or :class:`~fairjax.fca.Alignment`
        The whole result as numpy: history of the cost, fractions of split points (all of them: `assignment`), primal
        and dual values, status; on the alignment routes also the share of the blocks that the last iteration solved.
    fairness_ : :class:`~fairjax.fca.fitting.Fairness`
        The control and its value.
    start_centers_ : ndarray (K, d)
        Starting centres of the restart that was kept.
    unfair_ : tuple of float and ndarray (n,), or None
        Cost and labels of plain k-means, if that restart began with it.
    search_ : :class:`~fairjax.fca.restarts.Search` or None
        Number of fits that the search took, how often the cost fell, and the least cost after each fit.
    transport_ : :class:`~fairjax.fca.alignment.Settings` or None
        How the alignment routes were run: the solver ("host" is POT's, used where it is faster), blocks and scheme.
    preparation_ : :class:`~fairjax.datasets.Preparation` or None
        For a loaded model: how the columns of its table became points.
    streamed_ : :class:`~fairjax.fca.streaming.fitting.Streamed`
        After `fit_blocks` only: the outcome of the fit, including the counts of the labels.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    Notes
    -----
    O(n K d) time per iteration, like a Lloyd step of k-means; 32-bit floats unless JAX's 64-bit mode is on. Points
    are first centred in their own dtype. The first fit of a new size takes some seconds to compile.

    Examples
    --------
    Clusters as balanced as the data, and then the natural clusters, where groups need not be spread alike:

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
            stays where it is, whatever `n_devices` (`sensitive_features` and `sample_weight` may be spread alike).
        y : ignored
            A warning is given if it may have been meant as `sensitive_features`, which is missing.
        sensitive_features : array-like (n,) or several of them, optional
            The protected attribute: any hashable values, with any number of groups. A frame, a dict or a list of
            columns, or an array (n, m) holds several, whose combinations are the groups (see `attributes`). None means
            one group, for which this is plain k-means; `group_names_` is then ``("all",)``.
        sample_weight : array-like (n,), optional
            Weights ≥ 0 of the points, in cost and in counts.

        Returns
        -------
        FCA
            The fitted estimator.

        Raises
        ------
        InputError
            For a parameter out of its range, both controls at once, a balance that the data do not allow, different
            lengths, missing values, and weights that are negative, not finite or all zero. It is a ValueError.
            If memory runs out, it is an `OutOfMemoryError`, also a MemoryError, which says what would fit.
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
        # a report compares with plain k-means, if the fit began with it, and with the start
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
        self._n_processes = found.n_processes
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
        scratch_dir: str | os.PathLike[str] | None = "auto",
    ) -> Self:
        """Cluster a table that is read block by block, again in every iteration, and never held in memory as a whole.

        The first pass counts the groups and draws a sample of some 500,000 rows, a part of which is clustered as in
        `fit` (with `init`, `n_init` and `search`). Iterations over the whole table follow, up to `max_iter` of them,
        usually with one pass each. The result is proven over all rows, as in memory.

        Parameters
        ----------
        blocks : re-iterable of blocks
            Each is ``(features, groups)`` or ``(features, groups, weights)``: arrays (r, d), (r,) or None for one
            group, and (r,), with any number of rows r. :func:`fairjax.datasets.scan` returns such a table of files.
        checkpoint_dir : path, optional
            Folder that keeps the state after every iteration, a few thousand bytes.
        resume : bool, default=False
            Continue from the state there, if there is one; the result is the same as without the interruption.
        block_rows : int, optional
            Rows processed at a time; 262,144 by default.
        scratch_dir : path or None, default="auto"
            Folder on a quick disk with room for 4 (d + 2) bytes a row, for a file that lasts as long as the fit. The
            first iteration writes the rows there as they are processed, so that later ones need not decode the table.
            "auto" takes the folder for temporary files if that is on a disk with four times the room, and memory is
            free for twice as much, for the system's cache of files; otherwise, and with None, there is no copy.

        Returns
        -------
        FCA
            The fitted estimator, without ``labels_``: `write_labels` writes them to files. ``streamed_`` holds the
            outcome of the fit, including the counts of the labels.

        Raises
        ------
        InputError
            As `fit`; also for a table that can be read only once or changes while it is read (rows and files are
            named), and for a checkpoint of other data or settings.

        Notes
        -----
        O(n K d) time for each pass, and memory that does not depend on n. With ``n_devices="all"`` and several
        processes (:func:`fairjax.parallel.start`), each passes its share of the blocks, possibly none, and all get the
        same result; process 0 alone writes checkpoints, from which any number of processes may continue. Blocks need
        not come from files:

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

        streaming.fit(
            self, blocks, checkpoint_dir=checkpoint_dir, resume=resume, block_rows=block_rows, scratch_dir=scratch_dir
        )
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
