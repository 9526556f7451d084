"""One piece of ``real.py`` in a process of its own: a training and its clock, compiling alone, the gain of vmap."""

import shutil
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import measure
from benchmarks.deep import matched, reduced
from benchmarks.deep.cases import SCALES, Case, case
from benchmarks.deep.stages import first_states
from fairjax import metrics
from fairjax.deep import Data, deepfca, fairimsat, log_assignment, prepare, restarts
from fairjax.deep.training import Position, train_chunk
from fairjax.deep.training.checkpoints import fingerprint, restore, save

_CURVE = 100  # points of a loss curve in the file


class Compilation:
    """Seconds that JAX says it spent on tracing, lowering and compiling; a trace within another counts twice."""

    def __init__(self) -> None:
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def _hear(self, event: str, seconds: float, **_: Any) -> None:
        if event in (
            "/jax/core/compile/jaxpr_trace_duration",
            "/jax/core/compile/jaxpr_to_mlir_module_duration",
            "/jax/core/compile/backend_compile_duration",
        ):
            self.seconds += seconds


class OverBudgetError(Exception):
    pass


class Clock:
    """Called after every chunk: the seconds of the stages' steps, and the end of the budget."""

    def __init__(self, seconds: float, compilation: Compilation) -> None:
        self.end = time.perf_counter() + seconds
        self.compilation = compilation
        self.marks: dict[int, list[tuple[int, float, float]]] = {}
        self.last: Position | None = None
        self.save: Callable[[Position], None] = lambda _: None

    def __call__(self, position: Position) -> None:
        now = time.perf_counter()
        self.marks.setdefault(position.stage, []).append((position.step, now, self.compilation.seconds))
        if now > self.end:
            self.last = position
            self.save(position)
            raise OverBudgetError

    def step_seconds(self, names: list[str]) -> dict[str, Any]:
        """Medians over chunks in which nothing was compiled; a step that goes back is where the next seed begins."""
        found = {}
        for stage, marks in self.marks.items():
            pairs = pairwise(marks)
            each = [(t1 - t0) / (s1 - s0) for (s0, t0, c0), (s1, t1, c1) in pairs if s1 > s0 and c1 - c0 < 0.01]
            if each:
                found[names[stage]] = measure.spread(each)
        return found


def curves(history: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Loss terms, averaged over stretches of the training and over seeds."""
    found = {}
    for name, values in history.items():
        flat = values.reshape(-1, values.shape[-1]).mean(0)
        found[name] = [float(f"{part.mean():.4g}") for part in np.array_split(flat, min(_CURVE, len(flat)))]
    return found


def peak_memory() -> dict[str, Any]:
    stats = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return {"device_peak_gib": round(stats["peak_bytes_in_use"] / 2**30, 2)}
    return {"process_peak_gib": round(measure.peak_bytes() / 2**30, 2)}


def kept_training(folder: str, one: Case, keys: jax.Array, rows: Data, clock: Clock) -> dict[str, Any]:
    """Where the training was stopped before, as an argument of `run`; the clock is told to write where it is then."""
    if one.module is matched:  # several trainings one after the other, and short
        return {}
    config, tasks = one.config, one.config.tasks(rows)
    told = {"method": one.module.__name__, "config": repr(config), "keys": jax.random.key_data(keys).tolist()}
    told["data"] = fingerprint(one.data.X, one.data.groups)
    clock.save = lambda position: save(folder, position, tasks, told, keep=1)
    return {"position": restore(folder, tasks, keys, config.hyper(), rows, told)}


def without_groups(one: Case, result: Any, rows: Data, n_seeds: int) -> list[dict[str, Any]]:
    """For exact labels: agreement and balance of the most probable cluster, which no prices of the groups change."""
    if one.module not in (deepfca, fairimsat):
        return [{}] * n_seeds
    several = (
        result.clusterer if result.labels.ndim > 1 else jax.tree.map(lambda values: values[None], result.clusterer)
    )
    found = []
    for seed in range(n_seeds):
        clusterer = jax.tree.map(lambda values, s=seed: values[s], several)
        q = log_assignment(one.config.soft, one.config.network, clusterer, rows.x, rows.groups)
        scores = reduced.scores(np.argmax(q, axis=1), one.data)
        found.append({"without_group": {name: scores[name] for name in ("accuracy", "balance")}})
    return found


def best_start(
    one: Case, key: jax.Array, rows: Data, trained: Callable[[jax.Array, str], Any], folder: str, *, together: bool
) -> tuple[Any, dict[str, Any]]:
    """The start that the method keeps, and score and accuracy of each; one after the other unless ``together``."""
    keys = restarts.keys_of_starts(one.config, key)
    if together:
        several = trained(keys, folder)
    else:
        each = [trained(own, f"{folder}, start {number}") for number, own in enumerate(keys)]
        n_steps = each[0].n_steps
        several = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(found._replace(n_steps=0) for found in each))
        several = several._replace(n_steps=n_steps)
    scores = restarts.scores(several, one.config, rows)
    accuracies = [reduced.scores(np.asarray(labels), one.data)["accuracy"] for labels in several.labels]
    starts = [{"score": float(f"{s:.4g}"), "accuracy": a} for s, a in zip(scores, accuracies, strict=True)]
    return restarts.kept(several, one.config, rows), {"starts": starts}


def train(
    data: str, method: str, scale: str, budget: float, chunk: int, first: int = 0, folder: str = ""
) -> dict[str, Any]:
    """Train and score the seeds of one piece, from number `first` on."""
    compilation, size = Compilation(), SCALES[scale]
    one = case(data, method, size)
    rows = one.config.completed(prepare(one.data.X, one.data.groups))
    names = [task.name for task in one.config.tasks(rows)]
    steps = {task.name: task.steps for task in one.config.tasks(rows)}
    keys = jax.random.split(jax.random.key(0), size.seeds)[first:]
    found: dict[str, Any] = {
        "rows": len(one.data.X),
        "groups": rows.n_groups,
        "batch": one.config.batch_size,
        "rows_per_step": one.config.batch_size * (rows.n_groups if method == "dfc" else 1),
        "steps": steps,
        "seeds_in_one_vmap": size.seeds if size.together else 1,
    }
    found["max_balance"] = round(float(metrics.max_balance(one.data.groups)), 4)
    began, seeds, seconds, busy = time.perf_counter(), [], [], []
    clock, restarted = Clock(budget, compilation), one.config.starts > 1

    def trained(keys: jax.Array, kept: str) -> Any:
        options = kept_training(kept, one, keys, rows, clock)
        result = one.module.run(keys, rows, one.config, chunk_steps=chunk, after_chunk=clock, **options)
        shutil.rmtree(kept, ignore_errors=True)
        return result

    for batch in [keys] if size.together and not restarted else keys:
        start, start_busy = time.perf_counter(), time.process_time()
        kept = f"{folder}/{scale}, {data}, {method}, {first + len(seeds)}"
        try:
            if restarted:
                result, starts = best_start(one, batch, rows, trained, kept, together=size.together)
            else:
                result, starts = trained(batch, kept), {}
        except OverBudgetError:
            assert clock.last is not None
            stage = names[clock.last.stage]
            found["stopped"] = f"after {budget:g} s, seed {first + len(seeds)}, step {clock.last.step} of {stage!r}"
            break
        labels = np.atleast_2d(np.asarray(result.labels))
        seconds.append(round(time.perf_counter() - start, 1))
        busy.append(round(time.process_time() - start_busy, 1))
        nearest = without_groups(one, result, rows, len(labels))
        seeds += [reduced.detailed(each, one.data) | more | starts for each, more in zip(labels, nearest, strict=True)]
        found.setdefault("curves", curves(result.history))
    found |= {
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_of_each_run": seconds,
        "processor_seconds_of_each_run": busy,
        "compile_seconds": round(compilation.seconds, 1),
        "seconds_per_step": clock.step_seconds(names),
        **peak_memory(),
        "device": device(),
        "seeds": seeds,
    }
    if found["seconds_per_step"].get(names[-1]):
        per_step = found["seconds_per_step"][names[-1]]["median"]
        together = size.seeds if size.together else 1
        found["last_stage"] = {
            "steps_per_second": round(1 / per_step, 2),
            "arithmetic_gflop_per_step": round(one.step_flops * together / 1e9, 2),
            "gflop_per_second": round(one.step_flops * together / per_step / 1e9, 1),
        }
    return found


def compiling(data: str, method: str, scale: str, budget: float, chunk: int) -> dict[str, Any]:
    """Seconds of compiling the steps of each stage, for one seed."""
    one = case(data, method, SCALES[scale])
    rows = one.config.completed(prepare(one.data.X, one.data.groups))
    found = {}
    for task, state in first_states(one.config, jax.random.key(0), rows):
        _, compiling = measure.compiled(train_chunk, task, state, rows, jnp.int32(0), length=chunk)
        found[task.name] = round(compiling, 1)
    return {"compile_seconds_of_stages": found, "device": device()}


def gain(data: str, method: str, scale: str, budget: float, chunk: int) -> dict[str, Any]:
    """Seconds per step and seed of the last stage: one seed, and several in one vmap."""
    size = SCALES[scale]
    one = case(data, method, size)
    rows = one.config.completed(prepare(one.data.X, one.data.groups))
    found: dict[str, Any] = {"rows": len(one.data.X), "batch": one.config.batch_size}
    n_seeds, length = size.seeds, max(min(chunk, 10), 2)
    for seeds in (1, n_seeds):
        keys = jax.random.split(jax.random.key(0), seeds)
        keys = keys[0] if seeds == 1 else keys
        *_, (task, state) = first_states(one.config, keys, rows)
        first = jnp.int32(0)  # where the rows are shuffled
        program, compiling = measure.compiled(train_chunk, task, state, rows, first, length=length)
        times = []
        for _ in range(4):
            began = time.perf_counter()
            state, _ = jax.block_until_ready(program(state, rows, first))
            times.append((time.perf_counter() - began) / length / seeds)
        found[f"{seeds} seeds" if seeds > 1 else "1 seed"] = {
            "compile_seconds": round(compiling, 1),
            "seconds_per_step_and_seed": measure.spread(times[1:]),
        }
    one_seed, several = (found[name]["seconds_per_step_and_seed"]["median"] for name in ("1 seed", f"{n_seeds} seeds"))
    return found | {"gain": round(one_seed / several, 2), "device": device()}


def device() -> str:
    first = jax.devices()[0]
    return f"{first.platform} {first.device_kind}"
