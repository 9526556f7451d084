"""What one accelerator does with every route, in a few minutes.

    adult        a whole fit to convergence
    passes       an iteration of FCA on 10^6 to 10^8 points, beside a plain Lloyd iteration and what memory allows; on a
                 GPU with XLA's passes and with the fused kernel, and one pass of each beside one reading of the points
    batches      20 starts x 10 levels of epsilon by vmap and by lax.map; 1,000 small data sets by vmap
    deep         a training step of FCMI and of DeepFCA, one seed and five seeds in one vmap, these by native
                 convolutions and by matrix products, in float32 and bfloat16; kernels of a step
    transport    exact and entropic transport of random batches, beside ott-jax

The file is written after every row, so that whatever stops the script loses nothing. At the end of ``--budget``, or on
SIGTERM, it writes down where it was and ends, even in the middle of a program. A figure that fails leaves its error in
one line. Everything is float32; compilation is timed apart, several programs at a time where there are cores enough.

Adult is looked for where ``FAIRJAX_DATA`` says; otherwise blobs of its size take its place, and the rows say so.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import cache, partial
from operator import attrgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans

from benchmarks import measure
from benchmarks.direct import programs as direct
from benchmarks.gpu.kernels import kernels
from benchmarks.gpu.passes import blobs, iteration, one_pass
from benchmarks.gpu.session import LONGEST, Row, Session, certificate, measured, timed
from benchmarks.running import Run
from benchmarks.transport.ott_jax import ERROR, REG
from benchmarks.transport.ott_jax import solve as solve_by_ott
from fairjax import datasets, errors, fca, ot
from fairjax.assignment import control

K = 10
ESTIMATES = {"adult": 30, "passes": 40, "batches": 40, "deep": 40, "transport": 15}  # seconds of a figure
# passes: n, d, K; sets: number, n, d, K; part of a batch that is tried first; transport: number, n
FULL: dict[str, Any] = {
    "passes": [(10**6, 16, 16), (10**7, 8, 10), (10**8, 8, 10)], "adult": 32_561, "starts": 20, "levels": 10,
    "sets": (1000, 1000, 5, 5), "part": 20, "network": ("conv", (28, 28, 1)), "batch": 512, "steps": 5, "seeds": (1, 5),
    "transport": [(256, 128), (64, 512), (8, 1024)],
}  # fmt: skip
QUICK: dict[str, Any] = {
    "passes": [(20_000, 4, 4)], "adult": 1000, "starts": 2, "levels": 2, "sets": (4, 200, 5, 4), "part": 1,
    "network": ("mlp", (64,)), "batch": 16, "steps": 2, "seeds": (1, 2), "transport": [(2, 16)],
}  # fmt: skip


@cache
def adult(n: int, n_starts: int) -> tuple[str, jax.Array, jax.Array, jax.Array]:
    """What the data are, points, groups, and centres of scikit-learn's KMeans (starts, K, d) by fixed seeds."""
    try:
        name, (X, groups) = "Adult, L2", direct.ordered(datasets.load_adult(l2_normalize=True))
    except errors.InputError:
        name, (X, groups) = "synthetic blobs of Adult's size, without its file", direct.blobs(32_561, 5, K)
    X, groups = X[:: len(X) // n], groups[:: len(X) // n]
    starts = [KMeans(K, n_init=1, random_state=seed).fit(X).cluster_centers_ for seed in (2025, *range(n_starts - 1))]
    return name, jnp.asarray(X, jnp.float32), jnp.asarray(groups), jnp.asarray(np.stack(starts), jnp.float32)


def fit(X: jax.Array, groups: jax.Array, centers: jax.Array, epsilon: jax.Array) -> fca.FairClustering:
    """A whole fit of two groups from given centres, labels and certificate included."""
    points = fca.prepare(X, groups, n_groups=2)
    fairness = control(points.masses, epsilon=epsilon)
    return fca.finish(points, fairness, fca.run(points, fairness, fca.init(points, centers)))


def whole_fit(session: Session) -> Iterator[Row]:
    name, X, groups, starts = adult(session.sizes["adult"], session.sizes["starts"])
    found, row = measured(fit, X, groups, starts[0], jnp.float32(0), most=15)
    each, what = row["seconds"]["median"] / max(int(found.n_iter), 1), f"whole fit, {len(X)} x {X.shape[1]}, K={K}"
    yield {"what": what, "data": name, **row, **certificate(found), "seconds_per_iteration": each}


def guarded(session: Session, what: str, function: Any, shared: Any, members: Any) -> Iterator[Row]:
    """A part of the fits first, then all of them if by these they take no longer than is left."""
    seconds, few = 0.0, len(members[0]) // session.sizes["part"]
    for fits in sorted({few, len(members[0])}):
        estimate, name = seconds * fits / few, f"{what}, {fits} fits"
        if estimate > min(LONGEST, session.left()):
            yield {"what": name, "skipped": f"estimated {estimate:.0f} s"}
            continue
        found, row = measured(function, *shared, *(each[:fits] for each in members))
        seconds = row["seconds"]["median"]
        yield {"what": name, **row, **certificate(found), "fits": fits, "fits_per_second": fits / seconds}


def sweep(session: Session, way: str) -> Iterator[Row]:
    name, X, groups, starts = adult(session.sizes["adult"], session.sizes["starts"])
    levels = jnp.linspace(0, 0.5, session.sizes["levels"])
    members = jnp.repeat(starts, len(levels), 0), jnp.tile(levels, len(starts))
    ways = {
        "vmap": jax.vmap(fit, in_axes=(None, None, 0, 0)),
        "map": lambda X, groups, *members: jax.lax.map(lambda pair: fit(X, groups, *pair), members),
    }
    for row in guarded(session, f"starts x levels by {way}, {len(X)} points", ways[way], (X, groups), members):
        yield row | {"data": name}


def small_sets(session: Session, n_sets: int, n: int, d: int, n_clusters: int) -> Iterator[Row]:
    some = partial(blobs, n=n, d=d, n_clusters=n_clusters)
    X, groups = jax.vmap(some)(jax.random.split(jax.random.key(1), n_sets))
    members = X, groups, X[:, :n_clusters], jnp.zeros(n_sets)
    yield from guarded(session, f"data sets of {n} x {d}, K={n_clusters}, by vmap", jax.vmap(fit), (), members)


def trainings(sizes: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Seeds, convolutions and type of the steps that are timed: both ways where they can differ."""
    one, several = sizes["seeds"]
    if sizes["network"][0] != "conv":
        return [(one, "auto", "float32"), (several, "auto", "float32")]
    ways = [(several, way, compute) for way in ("native", "products") for compute in ("float32", "bfloat16")]
    return [(one, "native", "float32"), *ways]


def training(session: Session, method: str, n_seeds: int, way: str, compute: str) -> Iterator[Row]:
    """Steps of the last stage within an epoch, without what comes before each epoch (k-means, FCA)."""
    from benchmarks.deep.stages import first_states  # here, so that what is missing costs this section only
    from fairjax.deep import Network, deepfca, fcmi, prepare
    from fairjax.deep.training import train_chunk

    (kind, shape), batch, length = (session.sizes[name] for name in ("network", "batch", "steps"))
    data = prepare(np.random.default_rng(0).random((8 * batch, *shape), np.float32), np.arange(8 * batch) % 2)
    options: tuple[tuple[str, Any], ...] = (("n_groups", 2), ("output", "tanh"), ("unit_norm", True))
    options += (("convolve", way),) if kind == "conv" else ()
    network = Network(kind=kind, shape=shape, n_latent=K, options=options, compute=compute)
    config: Any = fcmi.FCMIConfig if method == "FCMI" else deepfca.DeepFCAConfig
    keys = jax.random.key(0) if n_seeds == 1 else jax.random.split(jax.random.key(0), n_seeds)
    *_, (task, state) = first_states(config(network=network, n_clusters=K, batch_size=batch), keys, data)
    # in a program of its own, where the state is not given away and can be used again
    program = measure.compiled(jax.jit(partial(train_chunk, task, length=length)), state, data, jnp.int32(0))
    state, _ = program[0](state, data, jnp.int32(0))  # shuffles the rows
    (state, terms), row = timed(program, state, data, jnp.int32(1), parts=lambda _: length)
    yield {
        "what": f"{method}, batch {batch}, seeds: {n_seeds}, {way}, {compute}", **row,
        "kernels_of_a_step": kernels(program[0].as_text()),
        "seconds_per_seed": row["seconds"]["median"] / n_seeds, "cost": float(np.mean(sum(terms.values())[-1])),
        "status": np.unique(state.failed >= 0).astype(int).tolist(),
    }  # fmt: skip


def ott_jax(costs: jax.Array, reg: jax.Array, *, annealed: bool) -> tuple[jax.Array, ...]:
    """With the settings that are fastest on a CPU; kernel mode is not among them here: it underflows in float32."""

    def solve(cost: jax.Array) -> tuple[jax.Array, ...]:
        found = solve_by_ott(cost, reg, momentum=1.5, annealed=annealed)
        return found.matrix, found.g, (~found.converged).astype(jnp.int32)

    return jax.vmap(solve)(costs)


@jax.jit
def judged(costs: jax.Array, plans: jax.Array, bounds: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """By one definition for all solvers, of plans (B, n, n) with their rows scaled: greatest ℓ1 error of the columns;
    then, rounded to their marginals, mean cost and greatest relative excess over proven bounds (B,)."""
    even = jnp.full(costs.shape[-1], 1 / costs.shape[-1])
    plans = plans / jnp.sum(plans, -1, keepdims=True) * even[0]
    error = jnp.max(jnp.sum(jnp.abs(jnp.sum(plans, 1) - even), -1))
    values = jnp.sum(jax.vmap(lambda plan: ot.rounded(plan, even, even))(plans) * costs, (1, 2))
    return error, jnp.mean(values), jnp.max(values / bounds - 1)


solved = attrgetter("plan", "g", "status", "dual")
SOLVERS: dict[str, Callable[..., tuple[jax.Array, ...]]] = {
    "exact": lambda costs, reg: solved(ot.exact(costs)),
    "sinkhorn": lambda costs, reg: solved(ot.sinkhorn(costs, reg=reg, tolerance=ERROR))[:3],
    "ott-jax, momentum 1.5": partial(ott_jax, annealed=False),
    "ott-jax, annealed, momentum 1.5": partial(ott_jax, annealed=True),
}


def transport(session: Session, way: str, n_problems: int, n: int) -> Iterator[Row]:
    """Squared distances between uniform points in the plane; the gap of every solver is to the exact one's bound."""
    x, y = jax.random.uniform(jax.random.key(n), (2, n_problems, n, 2))
    costs = jnp.sum(jnp.square(x[:, :, None] - y[:, None]), -1)
    (plans, g, status, *bounds), row = measured(SOLVERS[way], costs, REG * jnp.mean(costs))
    if bounds:
        session.bounds[n] = bounds[0]
    else:  # as it was before rounding
        plans = jax.nn.softmax((g[:, None] - costs) / (REG * jnp.mean(costs)), -1)
    error, cost, gap = map(float, judged(costs, plans, session.bounds.get(n, jnp.nan)))
    row |= {"cost": cost, "gap": gap, "status": np.unique(status).tolist(), "column_error": error}
    yield {"what": f"{way}, {n_problems} x {n} x {n}", **row}


def figures(session: Session, wanted: list[str]) -> None:
    """The most valuable first."""
    todo: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("adult", whole_fit, ()),
        *(("passes", iteration, size) for size in session.sizes["passes"]),
        *(
            ("passes", measurement, arguments)
            for size in session.sizes["passes"]
            for measurement, arguments in ((one_pass, size), (iteration, (*size, True)))
            if jax.default_backend() == "gpu" or session.sizes is QUICK
        ),
        *(("batches", sweep, (way,)) for way in ("vmap", "map")),
        ("batches", small_sets, session.sizes["sets"]),
        *(("deep", training, (method, *how)) for method in ("FCMI", "DeepFCA") for how in trainings(session.sizes)),
        *(("transport", transport, (way, *size)) for size in session.sizes["transport"] for way in SOLVERS),
    ]
    for section, measurement, arguments in (figure for figure in todo if figure[0] in wanted):
        session.now = what = f"{measurement.__name__}{arguments}"
        if session.sizes is FULL and ESTIMATES[section] > session.left():
            session.add(section, {"what": what, "skipped": f"estimated {ESTIMATES[section]} s"})
            continue
        try:
            for row in measurement(session, *arguments):
                session.add(section, row)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
            session.add(section, {"what": what, "error": " ".join(error.split())[:300]})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    known = list(ESTIMATES)
    parser.add_argument("--only", type=lambda text: text.split(","), default=known, help=",".join(known))
    parser.add_argument("--budget", type=float, default=480.0, help="seconds after which to stop, wherever it is")


def full(run: Run) -> int:
    if unknown := set(run.options.only) - set(ESTIMATES):
        raise SystemExit(f"--only knows {', '.join(ESTIMATES)}, not {', '.join(sorted(unknown))}")
    session = Session(run, QUICK if run.quick else FULL)
    session.listen()
    if run.quick and jax.default_backend() == "cpu":
        jax.config.update("jax_disable_most_optimizations", True)  # compiles faster
    figures(session, run.options.only)
    failed = sum("error" in row for row in session.rows)
    print(f"{len(session.rows)} rows, {failed} errors, {session.budget - session.left():.0f} s")
    return int(failed > 0)


SECTIONS = {"full": full}
