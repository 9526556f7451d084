"""`fairjax.compare`: checks, and the contest behind it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fairjax._core import memory
from fairjax._core.checks import check_choice, check_count
from fairjax._core.text import counted
from fairjax.comparison.table import Comparison
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.baselines.problem import Problem
    from fairjax.comparison.attributes import Attributes

LEVELS = (0.5, 0.8, 0.9, 1.0)  # floors on the balance, as shares of the best possible
METHODS = ("kmeans", "falg", "fca")


def compare(
    X: Any,
    sensitive_features: Any,
    *,
    methods: Any = METHODS,
    n_clusters: int = 8,
    levels: Sequence[float] = LEVELS,
    n_seeds: int = 3,
    init: str = "aligned",
    max_iter: int = 100,
    tol: float = 1e-4,
    first_seed: int = 0,
    n_init: int | Literal["auto"] = 1,
    search: int = 0,
    sample_weight: Any = None,
    target: Any = None,
    time_limit: float | None = None,
    curve: bool = False,
    attributes: Literal["jointly", "separately"] = "jointly",
    n_devices: int = 1,
) -> Comparison:
    """Compare methods of clustering, fair and plain, on the same data and from the same starts.

    The data come first, as in every `fit`, and methods are named or given as estimators: what is compared may change,
    the call does not.

    Parameters
    ----------
    X : array-like (n, d), or a frame of any library
        Points, finite.
    sensitive_features : array-like (n,), or several of them
        The protected attribute, of two groups or more, as :meth:`fairjax.FCA.fit` takes it.
    methods : sequence or mapping from label to method, default=("kmeans", "falg", "fca")
        Each a name, a pair of a name and a dict of settings, or an estimator with ``fit(X)`` or
        ``fit(X, sensitive_features=...)``. A name of ``fairjax.baselines.catalogue.METHODS`` (``fairjax bench --help``
        lists them) has a row at its fairest setting and one as published, where that is another; fca has one for each
        of the `levels`. A pair, such as ``("falg", {"delta": 0.1})`` or ``("fca", {"epsilon": 0.1})``, an estimator,
        and a deep method, by its name on the command line such as "dec", have one row.
    n_clusters : int, default=8
        Of all methods, those of estimators too.
    levels : sequence of float, default=(0.5, 0.8, 0.9, 1.0)
        Of "fca": floors on the balance as shares of the best that the data allow, above 0 to 1. With
        ``attributes="separately"`` a level of 1 is perfect fairness, by which each column has its own best balance.
    n_seeds : int, default=3
        Number of starts, from the seeds `first_seed`, `first_seed` + 1, ...
    init : {"aligned", "k-means++", "random"}, default="aligned"
        Where runs begin, as for :class:`fairjax.FCA`. From "k-means++" plain k-means is the start itself.
    max_iter, tol
        When the iterations of FCA end, by any of its routes, as for :class:`fairjax.FCA`; others have their own limits.
    first_seed : int, default=0
    n_init : int or "auto", default=1
        Restarts of each start; the best is the run, and its seconds are those of all. "auto" is 10 for
        ``init="random"`` and 1 otherwise.
    search : int, default=0
        Fits of "fca" after the restarts, as for :class:`fairjax.FCA`.
    sample_weight : array-like (n,), optional
        Weights ≥ 0 of the points. Methods that know none have a row without figures.
    target : array-like (n,), optional
        Known classes of the points, any hashable values. The table then has accuracy (clusters named as well as they
        can be) and normalised mutual information; no method sees them.
    time_limit : float, optional
        Seconds. A row of which one start took longer has no further ones, and ends as ``stopped``. A run that has begun
        is not broken off: nothing within one process can do that safely.
    curve : bool, default=False
        In place of these settings, twelve values of each method's control, for `plot`; best with ``n_seeds=1``.
    attributes : {"jointly", "separately"}, default="jointly"
        What several columns of `sensitive_features` mean: each combination of their values is a group, or each column
        is to be fair by itself, which "fca", "mpfc" and "falg" can. Then balances are the least over the columns, and
        of other fair methods there is a row without figures. Balances by each column are in the table either way.
    n_devices : int, default=1
        Devices over which "fca" and "mpfc" spread rows, and deep methods those of each batch; others run on one.

    Returns
    -------
    Comparison
        ``frame`` is the table, ``runs`` what is behind it, ``plot()`` the picture, ``notes`` what there is to say.

    Raises
    ------
    InputError
        For input that `FCA` does not take, a single group, unknown methods, and levels out of their range. What a
        method cannot do with the data is a row without figures, ``refused`` or ``infeasible``, and a note.

    Notes
    -----
    All methods that take centres have the same ones for a seed: those of the start (FCA, VFC, MS-FlowFC, k-means), or
    of plain k-means from there (FAlg, FCBC, FRAC, FMC, alignment). Fairlets, SFC and SpFC draw their own. Each runs
    once before it is timed, for one iteration where it has any. For VFC and FMC, whose penalty has no natural end, the
    fairest value is searched for on the first start, some ten runs.

    Examples
    --------
    >>> import fairjax
    >>> from fairjax import datasets
    >>> data = datasets.load_diabetes()
    >>> found = fairjax.compare(data.X, data.sensitive, n_clusters=3, levels=(1.0,), n_seeds=1)
    >>> found.frame.index.tolist()
    ['k-means', 'FAlg δ=0', 'FAlg δ=0.2', 'FCA ≥ 0.8809']
    >>> found.frame["cost"].idxmin()
    'k-means'
    """
    from fairjax.comparison.contest import Contest
    from fairjax.comparison.entrants import Facts, entrants
    from fairjax.estimators import settings

    check_count("n_clusters", n_clusters)
    check_count("n_seeds", n_seeds)
    check_count("max_iter", max_iter)
    check_count("first_seed", first_seed, least=0)
    check_count("search", search, least=0)
    _check_restarts(n_init)
    each = settings.restarts_of(n_init, init)
    _check_numbers(tol, time_limit)
    check_choice("attributes", attributes, ("jointly", "separately"))
    check_count("n_devices", n_devices)
    if n_devices > 1:
        from fairjax import parallel

        parallel.data_mesh(int(n_devices))  # which refuses more than there are
    levels = tuple(np.atleast_1d(levels).tolist())
    if not levels or not all(0 < level <= 1 for level in levels):
        raise InputError(f"levels is {levels!r}; expected shares of the best balance, above 0 and at most 1")
    problem, several = _problem(X, sensitive_features, sample_weight, int(n_clusters), init, attributes)
    spread = float(np.square(problem.X - np.average(problem.X, 0, problem.weights)).sum(1) @ problem.each)
    facts = Facts(
        problem.max_balance, spread, int(n_clusters), problem.n_points, problem.n_groups, attributes == "separately"
    )
    rows = entrants(methods, facts, levels, curve=bool(curve))
    with memory.explained(problem.n_points, int(n_clusters)):
        classes = _classes(target, problem.n_points)
        contest = Contest(
            problem, init, int(max_iter), float(tol), time_limit,
            timed=not curve, n_init=each, search=int(search), classes=classes, attributes=several,
            n_devices=int(n_devices),
        )  # fmt: skip
        runs = contest.hold(rows, range(int(first_seed), int(first_seed) + int(n_seeds)))
    return Comparison.of(
        runs,
        problem=problem,
        n_seeds=int(n_seeds),
        n_init=each,
        init=init,
        notes=contest.notes,
        start_seconds=contest.start_seconds,
        attributes=several,
    )


def _check_restarts(n_init: Any) -> None:
    if isinstance(n_init, str):
        check_choice("n_init", n_init, ("auto",))
    else:
        check_count("n_init", n_init)


def _check_numbers(tol: Any, time_limit: Any) -> None:
    from fairjax.estimators import settings

    settings.check_range("tol", tol, np.inf)
    if time_limit is not None:
        settings.check_range("time_limit", time_limit, np.inf)


def _classes(target: Any, n_points: int) -> Any:
    """Ids of known classes."""
    if target is None:
        return None
    from fairjax.estimators import inputs

    try:
        return inputs.groups_of(target, n_points)[0]
    except InputError as error:
        raise InputError(str(error).replace("sensitive_features", "target")) from error


def _problem(
    X: Any, sensitive_features: Any, sample_weight: Any, n_clusters: int, init: Any, attributes: str
) -> "tuple[Problem, Attributes | None]":
    """The checked input, whose groups are combinations of several attributes, if there are any."""
    from sklearn.utils import check_array

    from fairjax._core import frames, group_codes
    from fairjax.baselines.problem import Problem
    from fairjax.comparison.attributes import attributes_of
    from fairjax.estimators import inputs, settings

    sensitive_features = frames.held(sensitive_features)
    group_codes.check_pairing(X, sensitive_features, None, sample_weight)
    with frames.reading():
        points = check_array(frames.points(X), dtype=[np.float64, np.float32])
    if n_clusters > len(points):
        raise InputError(f"X has {counted(len(points), 'row')} for {n_clusters} clusters; ask for fewer clusters")
    if not isinstance(settings.start(init, n_clusters, points.shape[1]), str):
        raise InputError("init is an array, from which all starts are the same; expected the name of a way to start")
    groups, known = inputs.groups_of(sensitive_features, len(points))
    if len(known) < 2:
        raise InputError("sensitive_features has one group, so there is nothing to compare; give two groups or more")
    weights = inputs.weights_of(sample_weight, len(points))
    masses = inputs.masses_of(groups, weights, known)
    several = None
    if sensitive_features is not None:
        several = attributes_of(sensitive_features, len(points), weights, separately=attributes == "separately")
    best = float(masses.min() / masses.max())
    if several is not None and several.separately:
        best = min(several.best)
    return Problem(points, groups, known, weights, masses, n_clusters, best), several
