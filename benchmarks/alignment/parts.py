"""An iteration of the alignment route from warm duals, taken apart."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import measure
from benchmarks.alignment.runs import settings_for, told, usual_size
from fairjax import ot
from fairjax.fca import alignment
from fairjax.fca.alignment import Parameters, Scheme, center_update, partition
from fairjax.fca.alignment.coupling import alone, fold
from fairjax.fca.alignment.transport import redeal


def parts(X: Any, groups: Any, start: Any, weight: float, scheme: Scheme, n_times: int) -> list[dict[str, Any]]:
    """The third iteration taken apart."""
    problem = alignment.prepare(jnp.asarray(X, jnp.float32), groups)
    settings = settings_for(problem, usual_size(len(X)), scheme=scheme)
    parameters = jax.tree.map(jnp.float32, Parameters(transport_weight=weight))
    key, own = jax.random.key(0), jax.random.key(1)
    state = alignment.init(problem, settings, key, jnp.asarray(start, jnp.float32), max_iter=3)
    step = jax.jit(alignment.step, static_argnames="settings")
    state = step(problem, settings, parameters, key, step(problem, settings, parameters, key, state))

    @jax.jit
    def deal(state: Any) -> Any:
        if scheme == "refine":
            dealt = redeal(problem, settings, parameters, own, state)
            return dealt.left, dealt.right
        return partition.deal(own, problem.members, len(X), settings.n_blocks, problem.X.dtype)

    left, right = deal(state)
    tuples = alone(left)

    @jax.jit
    def build(centers: Any) -> Any:
        return alignment.block_costs(problem, settings, parameters, centers, tuples, right)[0]

    costs = build(state.centers)
    duals = tuple(state.potentials[jnp.minimum(block.points, len(X) - 1)] for block in (left, right))
    transport = jax.jit(ot.host_basic if settings.solver == "host" else ot.exact)
    entries = jax.jit(alignment.entries)(transport(costs, left.masses, right.masses, init=duals))
    read = jax.jit(lambda entries: fold(tuples, right, entries, None))
    coupling = read(entries)
    move = jax.jit(partial(center_update.update, kind="lloyd", learning_rate=0.0, n_steps=1))
    runs = {
        "blocks": lambda: deal(state),
        "costs": lambda: build(state.centers),
        "transport": lambda: transport(costs, left.masses, right.masses, init=duals),
        "plan to tuples": lambda: read(entries),
        "centres": lambda: move(coupling, problem.X, problem.shares, state.centers, ()),
    }
    rows = []
    for part, run in runs.items():
        jax.block_until_ready(run())
        times = [measure.seconds(run) for _ in range(n_times)]
        cpu = measure.clocked(run).processor_seconds
        row = {"weight": weight, "scheme": scheme, "part": part, "least_seconds": min(times), "cpu_seconds": cpu}
        rows.append(told(row | {"spread": measure.spread(times)}))
    return rows
