"""Passes of several processes over a table of which each has a share.

The first process leads: it alone solves the small problems between passes. Each pass begins with what it asks of all,
a few thousand bytes, and ends with what each has found: sums, and the rows nearest to a boundary. Nothing else is told
in between, so shares may differ in length, and a process may have none.
"""

from typing import Any

import numpy as np

from fairjax._core.processes import Arrays, Crew, described, refuse
from fairjax._core.text import counted
from fairjax.errors import InputError
from fairjax.fca.streaming import nearest
from fairjax.fca.streaming.feed import Layout, Workshop
from fairjax.fca.streaming.fitting import Streamed
from fairjax.fca.streaming.intake import Floats, GroupIds, Intake
from fairjax.fca.streaming.nearest import Open
from fairjax.fca.streaming.passes import Found, Watch, one_pass
from fairjax.fca.streaming.rule import Rule
from fairjax.fca.streaming.scratch import Copied

_ROOM = 2  # times its even share of the open rows is what a process may send


def intake_of(crew: Crew, table: Any, groups: GroupIds | None = None, n_rows: int | None = None) -> Intake:
    """The share that this process has of a table; its rows have the numbers after those of the processes before it.

    A table that does not tell its number of rows is read once to count them. ``n_rows`` is that of all, if it is known.
    """
    if crew.size == 1:
        intake = Intake(table, groups)
        intake.n_rows = n_rows
        return intake
    own = 0
    with crew.as_one():
        intake = Intake(table, groups)
        told = getattr(table, "n_rows", None)
        own = sum(rows.columns.shape[1] for rows in Intake(table)) if told is None else int(told)
    counts = crew.told(own)
    if n_rows is not None and sum(counts) != n_rows:
        raise InputError(
            f"the table had {counted(n_rows, 'row')} when it was first read, and the shares of "
            f"{counted(crew.size, 'process', 'processes')} have {sum(counts):,}; give each process its share of the "
            "same table"
        )
    intake.first = sum(counts[: crew.index])
    intake.n_rows = None if n_rows is None else own
    return intake


class Leader:
    """How the first process has a pass done by all.

    Attributes
    ----------
    ended : whether the others wait for nothing more, as at the end and after a pass that failed.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew, self.ended = crew, False

    def __call__(
        self,
        intake: Intake,
        layout: Layout,
        centers: Floats,
        prices: Floats,
        *,
        n_open: int,
        near: float = np.inf,
        workshop: Workshop | None = None,
        watch: Watch | None = None,
    ) -> Found:
        """As :func:`fairjax.fca.streaming.passes.one_pass`, over the shares of all processes."""
        asked = {
            "kind": "pass", "shape": layout.shape, "dtype": str(layout.dtype), "shift": layout.shift,
            "scale": layout.scale, "heaviest": layout.heaviest, "centers": centers, "prices": prices,
            "n_open": n_open, "near": near,
        }  # fmt: skip
        workshop = Workshop() if workshop is None else workshop
        self.ended = True
        self._crew.shared(asked)
        found = _found_by_all(self._crew, intake, asked, layout, workshop, watch)
        self.ended = False
        return found

    def end(self, found: Streamed, more: Arrays) -> None:
        """Tell the others how the fit has ended."""
        self.ended = True
        self._crew.shared({"kind": "end"} | dict(more) | dict(_flat(found)))

    def stop(self, why: str) -> None:
        """Tell the others that it cannot be ended, unless they know."""
        if not self.ended:
            self.ended = True
            self._crew.shared({"kind": "stop", "why": why})


def follow(crew: Crew, intake: Intake, copied: Copied | None = None) -> tuple[Streamed, Arrays]:
    """Do the passes that the first process asks for, up to the end; and what it says then.

    Raises
    ------
    InputError
        If that process, or another one, meets bad input.
    """
    workshop, layout = Workshop(), None
    while True:
        asked = crew.shared({})
        kind = str(asked["kind"])
        if kind == "stop":
            refuse([str(asked["why"])])
        if kind == "end":
            return _whole(asked), asked
        # one and the same for all passes, by which the copy is known
        if layout is None:
            layout = _layout(asked)
            workshop.scratch = None if copied is None else copied(layout, intake.n_rows or 0)
        _found_by_all(crew, intake, asked, layout, workshop, None)


def _layout(asked: Arrays) -> Layout:
    n_parts, n_features, length = (int(size) for size in asked["shape"])
    return Layout(
        (n_parts, n_features, length), np.dtype(str(asked["dtype"])), np.asarray(asked["shift"]),
        float(asked["scale"]), float(asked["heaviest"]),
    )  # fmt: skip


def _found_by_all(
    crew: Crew, intake: Intake, asked: Arrays, layout: Layout, workshop: Workshop, watch: Watch | None
) -> Found:
    n_open = int(asked["n_open"])
    own: Found | None = None
    failure: Exception | None = None
    try:
        own = _nothing(asked) if intake.n_rows == 0 else one_pass(
            intake, layout, asked["centers"], asked["prices"], n_open=min(n_open, -(-_ROOM * n_open // crew.size)),
            near=float(asked["near"]), workshop=workshop, watch=watch,
        )  # fmt: skip
    except Exception as error:  # of whatever kind, for the others wait
        failure = error
    told: dict[str, Any] = {"failure": "" if failure is None else described(failure)}
    if own is not None:
        told |= {"counts": own.counts, "sums": own.sums, "cost": own.cost, "radius": own.radius}
        told |= {f"open/{name}": part for name, part in own.open._asdict().items()}
    every = crew.gathered(told)
    if failure is not None and not isinstance(failure, InputError):
        raise failure
    refuse([str(part["failure"]) for part in every])
    opens = [Open(**{name: part[f"open/{name}"] for name in Open._fields}) for part in every]
    opened, radius = nearest.merged(opens, [float(part["radius"]) for part in every], n_open)
    counts, sums = (np.sum([part[name] for part in every], 0) for name in ("counts", "sums"))
    return Found(counts, sums, float(sum(float(part["cost"]) for part in every)), opened, radius)


def _nothing(asked: Arrays) -> Found:
    """What a pass over no rows finds."""
    centers, prices = np.asarray(asked["centers"]), np.asarray(asked["prices"])
    none = np.zeros(0)
    opened = Open(
        np.zeros((0, centers.shape[1]), centers.dtype), none.astype(np.int32), none.astype(centers.dtype),
        none.astype(np.int32), none.astype(centers.dtype), none.astype(np.int64), none.astype(np.int64),
    )  # fmt: skip
    return Found(np.zeros(prices.shape), np.zeros(centers.shape), 0.0, opened, np.inf)


def _flat(found: Streamed) -> Arrays:
    """What a fit ends with, as arrays by name."""
    rule = {f"rule/{name}": value for name, value in found.rule._asdict().items()}
    return {name: value for name, value in found._asdict().items() if name != "rule"} | rule


def _whole(arrays: Arrays) -> Streamed:
    """What `_flat` gave."""

    def restored(name: str, kind: type) -> Any:
        value = arrays[name]
        return kind(value) if kind in (int, float, bool) else value

    rule: list[Any] = [restored(f"rule/{name}", kind) for name, kind in Rule.__annotations__.items()]
    names = [(name, kind) for name, kind in Streamed.__annotations__.items() if name != "rule"]
    values: list[Any] = [*(restored(name, kind) for name, kind in names), Rule(*rule)]
    return Streamed(*values)
