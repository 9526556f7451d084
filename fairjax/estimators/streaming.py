"""Fits of FCA over tables in blocks, and their labels as files."""

import contextlib
import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fairjax._core import group_codes, memory, progress
from fairjax._core.checks import check_count
from fairjax._core.text import counted
from fairjax.errors import InputError
from fairjax.estimators import endings, settings
from fairjax.estimators.stream_checkpoints import Keeper
from fairjax.estimators.stream_copies import AUTOMATIC, Copying

if TYPE_CHECKING:
    from fairjax._core.processes import Crew
    from fairjax.estimators.fca import FCA
    from fairjax.fca import FairClustering
    from fairjax.fca.streaming.fitting import Streamed
    from fairjax.fca.streaming.intake import Intake
    from fairjax.fca.streaming.iterations import Report, StreamProblem, StreamState
    from fairjax.fca.streaming.survey import Survey
    from fairjax.fca.streaming.together import Leader

_SHARE_OF_SURVEY, _SHARE_OF_START = 0.02, 0.1  # of the progress bar


def fit(
    model: "FCA",
    table: Iterable[Any],
    *,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    block_rows: int | None = None,
    scratch_dir: str | os.PathLike[str] | None = AUTOMATIC,
) -> None:
    """See :meth:`fairjax.FCA.fit_blocks`."""
    from fairjax._core import processes

    with contextlib.ExitStack() as stack, processes.explained():
        crew = processes.Crew(model.n_devices == "all")
        keeper: Keeper | None = None
        copying = Copying(scratch_dir, crew, stack)
        with crew.as_one():
            _check(model, checkpoint_dir, resume, block_rows)
            if checkpoint_dir is not None and crew.leads:
                keeper = stack.enter_context(Keeper(checkpoint_dir, resume))
            copying.check()
        crew.check_same(str({n: v for n, v in model.get_params().items() if n != "random_state"}), "settings")
        _fit(model, table, keeper, block_rows, copying, crew)
        model._copied_bytes = copying.n_bytes
    endings.explain(model.method, model.status_, gap=model.gap_, converged=model.converged_, max_iter=model.max_iter)
    if remark := endings.remark(model.streamed_.counts.T, model.cluster_centers_):
        warnings.warn(remark, ConvergenceWarning, stacklevel=3)


def _fit(
    model: "FCA",
    table: Iterable[Any],
    keeper: Keeper | None,
    block_rows: int | None,
    copying: "Copying",
    crew: "Crew",
) -> None:
    from fairjax._core import processes
    from fairjax.fca.streaming import together
    from fairjax.fca.streaming.survey import survey

    progress.report("reading the table", 0.0)
    with memory.explained(getattr(table, "n_rows", None) or 0, int(model.n_clusters)):
        intake = together.intake_of(crew, table)
        seen = survey(intake, crew=crew)
        identity = _table_identity(table, crew)
        if crew.leads:
            leader = together.Leader(crew) if crew.size > 1 else None
            try:
                found, origin = _led(model, seen, intake, keeper, block_rows, copying, identity, leader)
            except Exception as error:
                if leader is not None:  # or the others would wait for what does not come
                    leader.stop(processes.described(error))
                raise
        else:
            found, told = together.follow(crew, intake, copying.of)
            origin = {name: told[f"origin/{name}"] for name in ("start", "search")}
    model.max_balance_ = float(seen.masses.min() / seen.masses.max())
    model.fairness_ = settings.fairness(model, model.max_balance_)
    _keep(model, found, seen, intake, table)
    model.start_centers_, model.search_, model.unfair_ = origin["start"], _search(origin["search"]), None


def _led(
    model: "FCA",
    seen: "Survey",
    intake: "Intake",
    keeper: Keeper | None,
    block_rows: int | None,
    copying: "Copying",
    identity: dict[str, Any],
    leader: "Leader | None",
) -> "tuple[Streamed, dict[str, Any]]":
    """The result of the fit, and where it began; run by the leading process, or the only one."""
    import jax.numpy as jnp

    from fairjax.fca.streaming import fitting
    from fairjax.fca.streaming.passes import one_pass

    if seen.n_rows < model.n_clusters:
        raise InputError(
            f"the table has {counted(seen.n_rows, 'row')}, less than n_clusters={model.n_clusters}; ask for at "
            "most as many clusters as there are rows"
        )
    problem = fitting.problem_of(
        intake,
        seen,
        settings.fairness(model, float(seen.masses.min() / seen.masses.max())),
        jnp.result_type(float),
        tol=float(model.tol),
        block_rows=fitting.BLOCK_ROWS if block_rows is None else int(block_rows),
        go_over=one_pass if leader is None else leader,
        copied=copying.of,
    )
    state, origin = _begun(model, keeper, problem, seen, identity)
    told = _reporting(model, intake.n_rows or 0, len(state.history))
    keep = None if keeper is None else keeper.keep
    state = fitting.run(problem, state, int(model.max_iter), report=told, keep=keep)
    found = fitting.finish(problem, state, report=told)
    if leader is not None:
        leader.end(found, {f"origin/{name}": origin[name] for name in ("start", "search")})
    return found, origin


def _check(model: "FCA", checkpoint_dir: Any, resume: bool, block_rows: int | None) -> None:
    settings.check(model)
    if model.method != "direct":
        raise InputError(f'method is {model.method!r}; tables in blocks are clustered by method="direct" only')
    if model.attributes != "jointly":
        raise InputError(
            f"attributes is {model.attributes!r}; in tables in blocks each combination of several attributes is a "
            "group: leave it out"
        )
    if model.n_devices not in (1, "all"):
        raise InputError(
            f"n_devices is {model.n_devices!r}; tables in blocks are computed with on one device of each process: "
            'leave it out, or say "all" for all processes'
        )
    if block_rows is not None:
        check_count("block_rows", block_rows)
    if resume and checkpoint_dir is None:
        raise InputError("resume is given without checkpoint_dir, the folder with the checkpoint to go on from")


def _begun(
    model: "FCA", keeper: Keeper | None, problem: "StreamProblem", seen: "Survey", identity: dict[str, Any]
) -> "tuple[StreamState, dict[str, Any]]":
    """State before the first iteration of this call, and where the fit began: from the checkpoint, or from the
    sample.
    """
    from fairjax.fca.streaming import fitting

    if keeper is not None:
        keeper.claim(_identity(model, problem, seen, identity))
        if (kept := keeper.restored()) is not None:
            state, origin = kept
            return fitting.moved(problem, state, origin["shift"], float(origin["scale"])), origin
    d = seen.sample.X.shape[1]
    init = settings.start(model.init, int(model.n_clusters), d)
    searched = np.zeros(0)
    if isinstance(init, str):
        span = (_SHARE_OF_SURVEY, _SHARE_OF_START)

        def scaled(stage: str, share: float) -> None:
            outer(f"{stage} in a sample", span[0] + share * (span[1] - span[0]))

        outer = progress.report_to()
        with progress.watching(scaled), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            outcome = fitting.start(
                seen, problem.fairness, n_clusters=int(model.n_clusters), init=init,
                n_init=settings.restarts(model), max_iter=int(model.max_iter), tol=float(model.tol),
                seed=int(check_random_state(model.random_state).randint(np.iinfo(np.int32).max)),
                n_search=int(model.search),
            )  # fmt: skip
        init = np.asarray(outcome.result.centers)
        searched = np.zeros(0) if outcome.search is None else outcome.search.costs
    layout = problem.layout
    origin = {"start": init, "search": searched, "shift": layout.shift, "scale": np.asarray(layout.scale)}
    if keeper is not None:
        keeper.origin = origin
    return fitting.begin(problem, init), origin


def _table_identity(table: Any, crew: "Crew") -> dict[str, Any]:
    """What identifies the table of all processes: the one table that they share, or the files of each."""
    told: dict[str, Any] = {}
    with crew.as_one():
        if (own := getattr(table, "fingerprint", None)) is not None:
            told = own()
    every = crew.told(told)
    if all(other == every[0] for other in every):
        return dict(every[0])
    return dict(every[0]) | {"files": [file for other in every for file in other.get("files", [])]}


def _identity(model: "FCA", problem: "StreamProblem", seen: "Survey", table: dict[str, Any]) -> dict[str, Any]:
    """What a fit must share with the one whose checkpoint it continues."""
    return {
        "settings": {
            "n_clusters": int(model.n_clusters),
            "epsilon": float(model.epsilon),
            "min_balance": None if model.min_balance is None else float(model.min_balance),
            "dtype": str(problem.layout.dtype),
        },
        "table": table,
        "rows": seen.n_rows,
        "groups": [group_codes.name_of(value) for value in seen.groups],
        "digest": seen.digest,
    }


def _reporting(model: "FCA", n_rows: int, n_done: int) -> "Report":
    """Progress in words: iteration, pass, rows per second, gap so far."""
    iterations = max(int(model.max_iter) - n_done, 1)
    last = [_SHARE_OF_START]

    def told(words: str, n_read: int, seconds: float, gap: float | None) -> None:
        speed = n_read / max(seconds, 1e-9) / 1e6
        proven = "" if gap is None else f", gap {gap:.0e}"
        # the number of iterations is unknown: each takes a part of the rest of the bar
        share = last[0] + (1 - last[0]) * n_read / max(n_rows, 1) / min(iterations, 20)
        if n_read >= n_rows:
            last[0] = share
        progress.report(f"{words}: {speed:.1f} million rows a second{proven}", share)

    return told


def _search(costs: Any) -> Any:
    from fairjax.fca.restarts import Search

    if len(costs) == 0:
        return None
    return Search(len(costs) - 1, int(np.count_nonzero(np.diff(costs))), np.asarray(costs))


def _keep(model: "FCA", found: "Streamed", seen: "Survey", intake: "Intake", table: Any) -> None:
    """Set the attributes of a fit over blocks."""
    names = getattr(table, "feature_names", None)
    model.__dict__.pop("feature_names_in_", None)
    model.n_features_in_ = int(intake.n_features or 0)
    if names is not None:
        model.feature_names_in_ = np.array(list(names), dtype=object)
    model.groups_ = seen.groups
    given = seen.groups[0] is not None
    model.group_names_ = tuple(group_codes.name_of(value) for value in seen.groups) if given else ("all",)
    model.transport_ = None
    model.preparation_ = getattr(table, "preparation", None)
    model._keep(_result(found), seen.dtype)
    del model.labels_  # it has no rows
    model._n_processes = 1
    model.streamed_ = found
    model.inertia_ = model.cost_ * float(seen.masses.sum())
    model.balance_, model.attribute_balances_ = _balance(found), []


def _balance(found: "Streamed") -> float:
    from fairjax.metrics import host

    return host.balance(found.counts.T)


def _result(found: "Streamed") -> "FairClustering":
    """The result in the form of a fit in memory, without the parts about single rows."""
    from fairjax.assignment import Solution
    from fairjax.fca import FairClustering

    n_clusters = len(found.centers)
    none = np.zeros(0, np.int32)
    numbers = (found.primal, found.dual, found.gap, np.int32(found.status), found.met, np.int32(found.n_steps))
    n_passes = np.asarray(found.n_passes, np.int32)
    solution: list[Any] = [none, none, np.zeros((0, n_clusters)), found.shares, found.prices, found.pressing]
    solution += [*map(np.asarray, numbers), n_passes]
    iterations: list[Any] = [np.asarray(found.cost), np.asarray(found.n_iter, np.int32), n_passes]
    iterations += [np.asarray(found.converged), found.history]
    centers: Any = found.centers
    return FairClustering(centers, Solution(*solution), *iterations)
