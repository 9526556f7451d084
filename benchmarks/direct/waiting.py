"""What the compiler costs a session of fits, one after another, and a session that begins with kept programs."""

import time
import warnings
from typing import Any

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import measure
from benchmarks.running import Run
from fairjax import FCA, datasets

_COMPILING = "/jax/core/compile/"
_SIZES = np.linspace(5_000, 100_000, 20).astype(int) // 10 * 10 + 1  # of the last row, with 10 clusters

# what is asked for, one after another in one process: name, rows, clusters, control, most seconds
SESSION: tuple[tuple[str, int, int, dict[str, float], float], ...] = (
    ("442 rows, 8 clusters: the first fit", 442, 8, {}, 4.0),
    ("the same again", 442, 8, {}, 0.3),
    ("`min_balance` in place of `epsilon`", 442, 8, {"min_balance": 0.5}, 2.0),
    ("7 clusters, 400 rows: a bucket that was met", 400, 7, {}, 0.3),
    ("9 clusters: a new bucket", 442, 9, {}, 3.0),
    ("600 rows: a new bucket", 600, 8, {}, 3.0),
    ("5,000 rows: a new bucket", 5_000, 8, {}, 3.0),
    ("5,001 rows: a bucket that was met", 5_001, 8, {}, 0.3),
    ("20,000 rows: a new bucket", 20_000, 8, {}, 3.0),
    ("20,000 rows, `min_balance`", 20_000, 8, {"min_balance": 0.5}, 2.0),
)


def _rows(n_points: int) -> tuple[Any, Any]:
    if n_points <= 442:
        data = datasets.load_diabetes()
    else:
        data = datasets.make_grouped_blobs(n_points, 10, 8, skew=0.5, random_state=n_points, dtype=np.float32)
    return data.X[:n_points], data.groups[:n_points]


class _Session:
    """Fits in one process, and what they spend tracing, lowering and compiling."""

    def __init__(self) -> None:
        self._spent = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def _hear(self, event: str, duration_secs: float, **_: Any) -> None:
        if event.startswith(_COMPILING):
            self._spent += duration_secs

    def fit(self, n_points: int, n_clusters: int, control: dict[str, float]) -> dict[str, float]:
        X, groups = _rows(n_points)
        model = FCA(n_clusters, random_state=0, **control)
        before, began = self._spent, time.perf_counter()
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model.fit(X, sensitive_features=groups)
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "compile_seconds": self._spent - before, "gap": model.gap_}


def child_session(quick: bool) -> dict[str, Any]:
    """Seconds of each fit, compilation included, in a process that has compiled nothing yet."""
    session = _Session()
    return {"steps": [session.fit(*asked) for _, *asked, _ in (SESSION[:4] if quick else SESSION)]}


def child_sizes(quick: bool) -> dict[str, Any]:
    """Twenty sizes one after another, 10 clusters: seconds spent compiling in all."""
    session = _Session()
    fits = [session.fit(int(n_points), 10, {}) for n_points in (_SIZES[:2] if quick else _SIZES)]
    return {name: sum(one[name] for one in fits) for name in ("seconds", "compile_seconds")} | {"fits": len(fits)}


def waiting(run: Run) -> dict[str, Any]:
    """Seconds of fits that compile, and of those that find their programs compiled; each step three times."""
    sessions = [run.child("session", 300, quick=run.quick)["steps"] for _ in run.each(range(1 if run.quick else 3))]
    rows = []
    for (name, *_, most), *runs in zip(SESSION, *sessions, strict=False):
        seconds = measure.spread([one["seconds"] for one in runs])
        rows.append({
            "step": name, "seconds": seconds, "compile_seconds": measure.spread([r["compile_seconds"] for r in runs]),
            "gap": max(one["gap"] for one in runs), "required": most, "met": seconds["median"] <= most,
        })  # fmt: skip
        print(f"{name}: {seconds['median']:.2f} s (at most {most} s)")
    sizes = run.child("sizes", 600, quick=run.quick)
    sizes |= {"required_compile_seconds": 12.0, "met": sizes["compile_seconds"] <= 12.0}
    print(f"{sizes['fits']} sizes: {sizes['compile_seconds']:.1f} s of compiling in {sizes['seconds']:.1f} s")
    return {"rows": rows, "sizes": sizes}
