"""Random fair-assignment programmes that are hard in known ways.

:func:`draw` makes one instance from its specification alone, so whatever the study finds can be drawn again:

>>> from benchmarks.programmes.kinds import Spec, draw
>>> programme = draw(Spec("rare", (120, 2, 3), "min_balance", "float64", seed=0, index=7))
"""

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

CONTROLS = ("epsilon", "min_balance", "shares")
DTYPES = ("float64", "float32")
# (n, K, M) and how often each is drawn
SHAPES = {
    (20, 4, 3): 4.0,
    (120, 2, 3): 3.0,
    (30, 5, 5): 4.0,
    (4, 20, 3): 4.0,
    (12, 3, 2): 4.0,
    (200, 8, 2): 1.0,
    (60, 10, 8): 1.0,
    (300, 20, 4): 0.25,
    (10_000, 5, 3): 0.01,
}
# how near a bound is to what the data's own shares allow; "above" (stricter) and "below" are neighbouring floats
_TIGHTNESS = (0.0, 1e-6, 0.5, 0.9, 0.99, 0.999, 0.999999, 1 - 1e-8, "below", "exact", "above")
_EPSILONS = (0.0, 0.0, 1e-8, 1e-3, 0.01, 0.1, 0.5, 1.0, 1.5, 1.9, 2.0)

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


class Spec(NamedTuple):
    """All that is needed to draw an instance again; written kind:n,K,M:control:dtype:seed:index."""

    kind: str
    shape: tuple[int, int, int]
    control: str
    dtype: str
    seed: int
    index: int

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(map(str, self.shape))}:{self.control}:{self.dtype}:{self.seed}:{self.index}"


def read_spec(text: str) -> Spec:
    kind, shape, control, dtype, seed, index = text.split(":")
    n, k, m = (int(part) for part in shape.split(","))
    return Spec(kind, (n, k, m), control, dtype, int(seed), int(index))


class Programme(NamedTuple):
    """One instance as float64 holds it; costs, weights and the control are representable in the dtype of its spec.

    costs (n, K), groups (n,), weights (n,); control holds the keywords of ``fair_assignment``; share (n,) and
    masses (M,) are of the whole weight, in long double.
    """

    spec: Spec
    costs: np.ndarray
    groups: np.ndarray
    weights: np.ndarray
    control: dict[str, np.ndarray]
    share: np.ndarray
    masses: np.ndarray

    def of(self, kept: np.ndarray) -> "Programme":
        """The programme of some points (n,) bool, the others without weight."""
        weights = np.where(kept, self.weights, 0)
        return weighing(self.spec, self.costs, self.groups, weights, self.control)

    @property
    def ratio(self) -> np.longdouble:
        present = self.masses[self.masses > 0]
        return present.min() / present.max()

    def feasible(self) -> bool:
        """Whether the control can be met; a bound rounded from the data's own share to its dtype counts as met."""
        dtype, control = np.dtype(self.spec.dtype).type, self.control
        if "epsilon" in control:
            return True
        if "min_balance" in control:
            return bool(control["min_balance"] <= float(dtype(self.ratio)))
        own, present = self.masses.astype(dtype).astype(float), self.masses > 0
        return bool(np.all((control["lower"] <= own) & (own <= control["upper"]) | ~present))

    def asked(self) -> dict[str, np.ndarray]:
        """The control in long double, where rounding went beyond the data's own shares with these in its place."""
        control = {name: np.asarray(value, np.longdouble) for name, value in self.control.items()}
        if "min_balance" in control:
            return {"min_balance": np.minimum(control["min_balance"], self.ratio)}
        if "lower" in control:
            return {
                "lower": np.minimum(control["lower"], self.masses),
                "upper": np.maximum(control["upper"], self.masses),
            }
        return control


def weighing(
    spec: Spec, costs: np.ndarray, groups: np.ndarray, weights: np.ndarray, control: dict[str, np.ndarray]
) -> Programme:
    """A programme with its shares and masses worked out."""
    share = weights.astype(np.longdouble) / weights.astype(np.longdouble).sum()
    masses = np.zeros(spec.shape[2], np.longdouble)
    np.add.at(masses, groups, share)
    return Programme(spec, costs, groups, weights, control, share, masses)


# --- costs ------------------------------------------------------------------------------------------------------


def _squares(X: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return ((X[:, None] - centers[None]) ** 2).sum(-1)


def generic(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    return _squares(rng.normal(size=(n, 2)), rng.normal(size=(k, 2)))


def lattice(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    X = rng.integers(0, 3, (n, 2)).astype(float)
    return _squares(X, X[rng.integers(0, n, k)])


def duplicates(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    return _squares(rng.normal(size=(4, 2))[rng.integers(0, 4, n)], rng.normal(size=(k, 2)))


def all_equal(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    return np.full((n, k), rng.uniform(0.5, 2))


def outlier(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    X = rng.normal(size=(n, 2))
    X[rng.integers(0, n, rng.integers(1, 3))] *= 1e4
    return _squares(X, X[rng.integers(0, n, k)])


def dominant(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    X = 0.05 * rng.normal(size=(n, 2))
    X[: n // 8 + 1] += 5 * rng.normal(size=(n // 8 + 1, 2))
    return _squares(X, np.r_[np.zeros((1, 2)), 5 * rng.normal(size=(k - 1, 2))])


def far_cluster(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    X, centers = rng.normal(size=(n, 2)), rng.normal(size=(k, 2))
    centers[rng.integers(k)] += 30
    return _squares(X, centers)


def unordered(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    return rng.exponential(size=(n, k))


def negative(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    costs = generic(rng, n, k)
    return costs - rng.choice([costs.min(1).mean(), costs.mean(), costs.max(), 1e3])


_COSTS = (generic, lattice, duplicates, all_equal, outlier, dominant, far_cluster, unordered, negative)
# costs under which unequal groups and weights are tried
_USUAL = (generic, generic, lattice, unordered, dominant, outlier)


# --- groups and weights -----------------------------------------------------------------------------------------


def _some_costs(rng: np.random.Generator, n: int, k: int) -> np.ndarray:
    return _USUAL[rng.integers(len(_USUAL))](rng, n, k)


def _groups(rng: np.random.Generator, n: int, m: int) -> np.ndarray:
    """Ids that all occur."""
    return rng.permutation(np.r_[np.arange(m), rng.integers(0, m, n - m)])


def _sized(rng: np.random.Generator, n: int, sizes: list[int]) -> np.ndarray:
    """Groups 1, 2, ... of these sizes; the rest is group 0."""
    ids = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    return rng.permutation(np.r_[ids, np.zeros(n - len(ids), int)])


def zero_optimum(rng: np.random.Generator, n: int, k: int, m: int) -> Drawn:
    """Few distinct rows with a centre on each and all groups alike in each; points that do not divide weigh nothing."""
    n_rows = int(rng.integers(1, min(k, n // m) + 1))
    rows = rng.normal(size=(n_rows, 2))
    each = n // (n_rows * m)
    row, group = np.divmod(np.arange(n_rows * m), m)
    spare = n - each * n_rows * m
    row = np.r_[np.repeat(row, each), rng.integers(0, n_rows, spare)]
    group = np.r_[np.repeat(group, each), rng.integers(0, m, spare)]
    centers = np.r_[rows, rng.normal(size=(k - n_rows, 2))]
    weights = np.r_[np.ones(n - spare), np.zeros(spare)]
    return _squares(rows[row], centers), group, weights


def rare(rng: np.random.Generator, n: int, k: int, m: int) -> Drawn:
    most = max(1, n // (2 * m))
    sizes = [min(int(size), most) for size in rng.choice([1, 2, 5, 20], m - 1)]
    return _some_costs(rng, n, k), _sized(rng, n, sizes), np.ones(n)


def lone(rng: np.random.Generator, n: int, k: int, m: int) -> Drawn:
    return _some_costs(rng, n, k), _sized(rng, n, [1] * (m - 1)), np.ones(n)


def unequal(rng: np.random.Generator, n: int, k: int, m: int) -> Drawn:
    return _some_costs(rng, n, k), _groups(rng, n, m), rng.exponential(size=n) + 1e-3


def orders(rng: np.random.Generator, n: int, k: int, m: int) -> Drawn:
    """Weights of the points over twelve orders."""
    return _some_costs(rng, n, k), _groups(rng, n, m), 10 ** rng.uniform(-12, 0, n)


def tiny_group(rng: np.random.Generator, n: int, k: int, m: int) -> Drawn:
    """One group or more with 1e-9 to 1e-12 of the weight."""
    groups = _groups(rng, n, m)
    factors = np.ones(m)
    tiny = rng.permutation(m)[: rng.integers(1, m)]
    factors[tiny] = 10 ** rng.uniform(-12, -9, len(tiny))
    return _some_costs(rng, n, k), groups, rng.uniform(0.5, 1.5, n) * factors[groups]


def zero_weights(rng: np.random.Generator, n: int, k: int, m: int) -> Drawn:
    weights = rng.choice([1.0, 1.0, 1.0, 0.0], n)
    weights[rng.integers(n)] = 1.0
    return _some_costs(rng, n, k), _groups(rng, n, m), weights


def absent_group(rng: np.random.Generator, n: int, k: int, m: int) -> Drawn:
    groups = _groups(rng, n, m - 1)
    return _some_costs(rng, n, k), groups + (groups >= rng.integers(m)), np.ones(n)


def _plain(cost: Callable[[np.random.Generator, int, int], np.ndarray]) -> Callable[..., Drawn]:
    return lambda rng, n, k, m: (cost(rng, n, k), _groups(rng, n, m), np.ones(n))


_POPULATIONS = (zero_optimum, rare, lone, unequal, orders, tiny_group, zero_weights, absent_group)
KINDS: dict[str, Callable[..., Drawn]] = {cost.__name__: _plain(cost) for cost in _COSTS} | {
    population.__name__: population for population in _POPULATIONS
}


# --- controls ---------------------------------------------------------------------------------------------------


def _towards(tightness: float | str, loose: float, own: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Bounds between ``loose`` and the data's ``own`` values, rounded to ``dtype``; "above" is stricter than these."""
    if isinstance(tightness, float):
        return (loose + tightness * (own - loose)).astype(dtype)
    bounds = own.astype(dtype)
    if tightness == "exact":
        return bounds
    upwards = (tightness == "above") == (loose == 0)
    # a group without points has no neighbouring share
    return np.where(own > 0, np.nextafter(bounds, dtype.type(np.inf if upwards else -np.inf)), bounds)


def _control(rng: np.random.Generator, control: str, masses: np.ndarray, dtype: np.dtype) -> dict[str, np.ndarray]:
    if control == "epsilon":
        drawn = rng.uniform(0, 2) if rng.random() < 0.5 else _EPSILONS[rng.integers(len(_EPSILONS))]
        return {"epsilon": np.asarray(drawn, dtype)}
    tightness = _TIGHTNESS[rng.integers(len(_TIGHTNESS))]
    if control == "min_balance":
        present = masses[masses > 0]
        return {"min_balance": _towards(tightness, 0.0, np.asarray(present.min() / present.max()), dtype)}
    sides = rng.choice(["both", "both", "lower", "upper"])
    each = [tightness] * len(masses)
    if rng.random() < 0.3:
        each = [_TIGHTNESS[rng.integers(len(_TIGHTNESS))] for _ in masses]
    lower = np.array([_towards(t, 0.0, own, dtype) for t, own in zip(each, masses, strict=True)], dtype)
    upper = np.array([_towards(t, 1.0, own, dtype) for t, own in zip(each, masses, strict=True)], dtype)
    return {
        "lower": np.zeros_like(lower) if sides == "upper" else lower,
        "upper": np.ones_like(upper) if sides == "lower" else upper,
    }


def draw(spec: Spec) -> Programme:
    """The instance of a specification; float32 gets the float64 instance, rounded (but for its neighbouring floats)."""
    names = (zlib.crc32(spec.kind.encode()), CONTROLS.index(spec.control))
    rng = np.random.default_rng([spec.seed, *spec.shape, *names, spec.index])
    dtype = np.dtype(spec.dtype)
    costs, groups, weights = KINDS[spec.kind](rng, *spec.shape)
    if rng.random() < 0.5:
        costs = costs * 10 ** rng.uniform(-8, 8)
    costs, weights = costs.astype(dtype).astype(float), weights.astype(dtype).astype(float)
    free = weighing(spec, costs, groups.astype(np.int32), weights, {})
    control = _control(rng, spec.control, free.masses, dtype)
    return free._replace(control={name: value.astype(float) for name, value in control.items()})
