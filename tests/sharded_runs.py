"""Runs on four virtual devices, for test_parallel_rows.py: a process of its own, that prints what it found as JSON."""

import json
import re
import sys
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from fairjax import FCA, fair_assignment, fca, kmeans, parallel
from fairjax.assignment import control
from fairjax.errors import InputError
from fairjax.fca import stages
from fairjax.fca.points import GroupedPoints
from fairjax.fca.spreading import over_rows, spot
from fairjax.parallel import Rows

N, D, K, ITERATIONS = 6_000, 3, 4, 6  # so many points are screened
SPLIT, WHOLE = PartitionSpec("rows"), PartitionSpec()


def data(n=N, seed=0):
    """Overlapping blobs whose groups lie apart, with weights."""
    rng = np.random.default_rng(seed)
    middle = 2 * rng.normal(size=(K, D))
    X = (middle[rng.integers(K, size=n)] + rng.normal(size=(n, D))).astype(np.float32)
    groups = (rng.random(n) < 1 / (1 + np.exp(-X[:, 0]))).astype(np.int32)
    return X, groups, np.ones(n, np.float32), X[:K]


def fit(X, groups, weights, centers, rows=None):
    points = fca.prepare(X, groups, weights, n_groups=2, rows=rows or Rows())
    fairness = control(points.masses, epsilon=0.05)
    state = fca.fill(points, fairness, fca.init(points, centers, max_iter=ITERATIONS))
    found = fca.finish(points, fairness, state)
    # the points of every device are padded to whole blocks
    return found._replace(assignment=found.assignment._replace(labels=found.assignment.labels[: X.shape[0]]))


def spread(mesh):
    """The fit with rows spread over the mesh."""
    result = jax.tree.map(lambda _: WHOLE, jax.eval_shape(fit, *data()))
    result = result._replace(assignment=result.assignment._replace(labels=SPLIT))
    rows = partial(fit, rows=Rows("rows"))
    return jax.jit(jax.shard_map(rows, mesh=mesh, in_specs=(SPLIT, SPLIT, SPLIT, WHOLE), out_specs=result))


def told(found):
    solution = found.assignment
    return {
        "cost": float(found.cost), "primal": float(solution.primal), "gap": float(solution.gap),
        "status": int(solution.status), "counts": np.asarray(solution.counts).tolist(),
        "labels": np.asarray(solution.labels).tolist(),
        "spec": str(getattr(solution.labels.sharding, "spec", None)), "n_iter": int(found.n_iter),
        "devices": len(solution.labels.sharding.device_set),
    }  # fmt: skip


def cases():
    """Name, points and weights, so that all have one shape."""
    X, groups, weights, centers = data()
    yield "shuffled", X, groups, weights, centers
    yield "rows that do not divide", X, groups, np.where(np.arange(N) < N - 3, weights, 0), centers
    yield "a device of padding", X, groups, np.where(np.arange(N) < 3 * N // 4, weights, 0), centers
    rare = np.zeros(N, np.int32)
    rare[: N // 8] = 1
    yield "a group on one device", X, rare, weights, centers
    nearest = np.argmin(((X[:, None] - centers) ** 2).sum(-1), 1)
    order = np.argsort(nearest, kind="stable")
    yield "sorted by cluster", X[order], groups[order], weights, centers


def pure(*counts):
    """The pure route on each number of devices, and on one without a mesh."""
    one = jax.jit(fit)
    programs = [spread(parallel.data_mesh(count)) for count in counts]
    return [
        {"name": name, "one": told(one(*given)), "spread": [told(program(*given)) for program in programs]}
        for name, *given in cases()
    ]


def operations(text):
    """Sizes, in entries, of what goes over the network, by operation."""
    found = {}
    pattern = (
        r'"stablehlo\.(all_reduce|all_gather|all_to_all|collective_permute|reduce_scatter)".*?->\s*\(?tensor<([^>]*)>'
    )
    for kind, shape in re.findall(pattern, text, re.S):
        sizes = [int(size) for size in shape.split("x")[:-1]]
        found.setdefault(kind, []).append(int(np.prod(sizes)))
    return {kind: sorted(sizes) for kind, sizes in found.items()}


def programs():
    """What is sent, for n points and for twice as many; and what a program without a mesh sends."""
    program, shapes = spread(parallel.data_mesh(4)), []
    for n in (2**22, 2**23):
        given = [jax.ShapeDtypeStruct((n, *leaf.shape[1:]), leaf.dtype) for leaf in data()[:3]]
        text = program.lower(*given, jax.ShapeDtypeStruct((K, D), jnp.float32)).as_text()
        shapes.append(operations(text))
    return {"sent": shapes, "without": operations(jax.jit(fit).lower(*data()).as_text())}


def held(n, n_devices=4, programs=("iterations", "finish")):
    """Bytes that programs of a fit hold on a device: n rows of eight features, ten clusters, over a mesh or not."""
    mesh = None if n_devices is None else parallel.data_mesh(n_devices)

    def lying(shapes):
        """With their places, which are told for the parts of a result."""
        if mesh is None:
            return shapes

        def put(at, part):
            here = NamedSharding(mesh, at)
            return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), part)

        return jax.tree.map(put, spot(type(shapes)), shapes, is_leaf=lambda at: isinstance(at, PartitionSpec))

    given = [((n, 8), "f4"), ((n,), "i4"), ((n,), "f4")]
    X, groups, weights = (jax.ShapeDtypeStruct(shape, kind) for shape, kind in given)
    prepare = partial(fca.prepare, n_groups=2, rows=Rows() if mesh is None else Rows("rows"))
    points = lying(jax.eval_shape(over_rows(prepare, mesh, GroupedPoints, (SPLIT,) * 3), X, groups, weights))
    centers, present = np.zeros((10, 8), np.float32), np.ones(10, bool)
    asked, number = (np.zeros(2, np.float32), ()), np.int32(100)
    static = {"kind": "profile", "mesh": mesh}
    begin = partial(stages.begin.__wrapped__, length=128, n_open=fca.direct.open_points(n, 20), **static)
    state = lying(jax.eval_shape(begin, points, centers, present, *asked))
    more, found = {"iterations": (np.float32(0), number, number), "finish": ()}, {}
    for name in programs:
        program = jax.jit(partial(getattr(stages, name).__wrapped__, **static))
        told = program.lower(points, state, *asked, *more[name]).compile().memory_analysis()
        parts = {"arguments": "argument", "temporaries": "temp", "aliases": "alias", "results": "output"}
        found[name] = {words: getattr(told, f"{part}_size_in_bytes") for words, part in parts.items()}
    return found


def assigned(n, compare):
    """fair_assignment of sharded costs as they lie, and of the same in one place if they are to be compared."""
    X, groups, weights, centers = data(n)
    costs = np.sum((X[:, None] - centers) ** 2, -1)
    put = partial(jax.device_put, device=parallel.split_rows(parallel.data_mesh(4)))
    lying = fair_assignment(put(costs), put(groups), epsilon=0.1, weights=put(weights))
    one = fair_assignment(costs, groups, epsilon=0.1, weights=weights) if compare else lying
    soft = np.asarray(lying.probabilities)
    shares = [soft[groups == group].mean(0) for group in (0, 1)]
    return {
        "primal": [float(found.primal) for found in (one, lying)],
        "gap": float(lying.gap),
        "status": [int(found.status) for found in (one, lying)],
        "same": float(np.mean(np.asarray(one.labels) == np.asarray(lying.labels))),
        "spec": [str(lying.labels.sharding.spec), str(lying.probabilities.sharding.spec)],
        "cost": float(np.mean(np.sum(soft * costs, 1))),
        "violation": float(np.sum(np.abs(shares[0] - shares[1]))),
    }


def slope():
    """Largest difference of the gradient inside of shard_map from what the envelope theorem says it is."""
    X, groups, _, centers = data(1_000)
    costs = np.sum((X[:, None] - centers) ** 2, -1)

    def value(costs, groups):
        found = fair_assignment(costs, groups, epsilon=0.1, n_groups=2, rows=Rows("rows"))
        return found.primal, found.probabilities

    def total(costs, groups):
        spread = jax.shard_map(value, mesh=parallel.data_mesh(4), in_specs=(SPLIT, SPLIT), out_specs=(WHOLE, SPLIT))
        return spread(costs, groups)

    found, probabilities = jax.jit(jax.grad(total, has_aux=True))(costs, groups)
    return float(np.max(np.abs(found - probabilities / len(costs))))


def clustered():
    """k-means and its seeds, and aligned starts, of rows in one place and over four devices; what it ends with."""
    X, groups, weights, _ = data(8_000)
    weights = np.where(np.arange(8_000) % 5 == 0, 0, weights)
    many = 40  # centres, some of them on the same point, so that clusters are empty
    places = np.arange(8_000) // 2_000
    told = np.stack([places, groups, weights == 0], 1).astype(np.float32)  # what a sample of these shows of itself

    def found(X, told, groups, weights, rows):
        key = jax.random.key(3)
        seeds = kmeans.init_plus_plus(key, X, K, weights, rows=rows)
        at_random = kmeans.init_random(key, X, K, weights, rows=rows)
        ended = kmeans.fit(key, X, K, weights, n_init=2, rows=rows)
        filled = kmeans.run(X, jnp.repeat(seeds, many // K, 0), weights, max_iter=3, rows=rows)
        start = fca.aligned_start(key, told, groups, 1, weights, n_groups=2, n_samples=64, n_init=1, rows=rows)
        return seeds, at_random, ended._replace(labels=()), filled._replace(labels=()), start, ended.labels

    spread = jax.shard_map(
        partial(found, rows=Rows("rows")), mesh=parallel.data_mesh(4), in_specs=(SPLIT,) * 4,
        out_specs=(*[WHOLE] * 5, SPLIT),
    )  # fmt: skip
    programs = jax.jit(partial(found, rows=Rows())), jax.jit(spread)
    both = [jax.tree.map(np.asarray, program(X, told, groups, weights)) for program in programs]
    rows_of_data = {tuple(row) for row in X[weights > 0].tolist()}
    return {
        "seeds": [found[0].tolist() for found in both],
        "drawn": [len({tuple(row) for row in found[1].tolist()} & rows_of_data) for found in both],
        "ended": [[float(found[2].cost), int(found[2].n_iter), found[2].centers.tolist()] for found in both],
        "filled": [[float(found[3].cost), found[3].centers.tolist()] for found in both],
        "starts": [found[4][0].tolist() for found in both],
        "means": np.average(told, 0, weights).tolist(),
        "same": float(np.mean(both[0][-1] == both[1][-1])),
    }


def estimated():
    """FCA over four devices: rows of the host, rows as they lie, and what is refused."""
    X, groups, weights, _ = data(N + 1)
    more, others, *_ = data(8192)  # as many as rows of the host are padded to
    sex = np.array(["f", "m"])[groups]
    settings = {"n_clusters": K, "random_state": 0, "max_iter": ITERATIONS}
    one = FCA(**settings).fit(X, sensitive_features=sex, sample_weight=weights)
    host = FCA(**settings, n_devices=4).fit(X, sensitive_features=sex, sample_weight=weights)
    split = parallel.split_rows(parallel.data_mesh(4))
    lying = jax.device_put(more, split)
    device = FCA(**settings).fit(lying, sensitive_features=jax.device_put(others, split))
    broken = jax.device_put(np.where(np.arange(8192) == 5, np.nan, more.T).T, split)
    refused = []
    for model, given in (
        (FCA(2, n_devices=4), X[:3]), (FCA(2), broken), (FCA(2, n_devices=3), lying), (FCA(2, n_devices=5), X),
        (FCA(2), jax.device_put(X[:4, :2].T, jax.NamedSharding(split.mesh, PartitionSpec(None, "rows")))),
    ):  # fmt: skip
        try:
            model.fit(given)
        except InputError as error:
            refused.append(str(error))
    return {
        "cost": [model.cost_ for model in (one, host, device)],
        "gap": [model.gap_ for model in (one, host, device)],
        "balance": [[model.balance_, model.max_balance_] for model in (one, host, device)],
        "same": float(np.mean(one.labels_ == host.labels_)),
        "names": host.group_names_,
        "lengths": [len(host.labels_), len(device.labels_)],
        "predicted": [
            float(np.mean(host.predict(X, sensitive_features=sex) == host.labels_)),
            float(np.mean(device.predict(lying, sensitive_features=others) == device.labels_)),
        ],
        "soft": float(np.min(host.assignment()[np.arange(N + 1), host.labels_])),
        "refused": refused,
    }


if __name__ == "__main__":
    jax.config.update("jax_disable_most_optimizations", True)
    warnings.simplefilter("ignore")  # so few iterations
    name, *arguments = sys.argv[1:]
    print(json.dumps(globals()[name](*map(int, arguments))))
