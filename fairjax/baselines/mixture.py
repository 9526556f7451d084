"""FMC's mixture: components with one spherical variance, whose likelihood pays for unequal soft shares of the groups.

Its EM keeps the responsibilities of an iteration fixed in the expected log-likelihood, which then depends on their sums
alone; only the fairness term looks at the points in every gradient step.

References
----------
.. [1] J. Park, J. Lee, S. Lee, Y. Kim, K. Kim, "Fair model-based clustering", AAAI 2026.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax
from jax.typing import ArrayLike

from fairjax.baselines.categories import Columns, log_probabilities, numbers, with_logits
from fairjax.baselines.leading import exponentials, softmax
from fairjax.errors import InputError
from fairjax.kmeans.distances import distances_by_center
from fairjax.kmeans.points import as_centers, as_weighted_points

_QUIET = 3  # iterations
_STEPS = 10  # of an iteration
_TWO_PI = 6.283185307179586


class Mixture(NamedTuple):
    """Parameters of the mixture."""

    logits: Array
    """(K,) of the components' weights."""
    means: Array
    """(K, d); in columns of categories the logits of their probabilities"""
    root_precision: Array
    """() 1/σ, the same for all components and coordinates."""


class Fitted(NamedTuple):
    """Outcome of `run`."""

    mixture: Mixture
    labels: Array
    """(n,) int32, the component of the greatest responsibility."""
    loss: Array
    """() what is minimised, at the responsibilities of the mixture itself."""
    log_likelihood: Array
    """() mean over points."""
    gap: Array
    """() Δ = max_k mean over pairs of groups |q_sk − q_tk|, with q_s the soft shares of the clusters in group s."""
    n_iter: Array
    """() int32"""
    settled: Array
    """() bool"""


class _Sums(NamedTuple):
    """What the expected log-likelihood depends on, for fixed responsibilities."""

    masses: Array  # (K,)
    points: Array  # (K, d)
    squares: Array  # (K,)
    fewest: Array  # () cell of (K, M), flat, with the fewest points by labels


class _State(NamedTuple):
    mixture: Mixture
    optimizer: optax.OptState
    loss: Array
    n_iter: Array
    n_quiet: Array  # iterations in a row without a change to speak of


@partial(jax.jit, static_argnames=("plain_start", "batch"))
def run(
    X: ArrayLike,
    groups: ArrayLike,
    centers: ArrayLike,
    penalty: ArrayLike,
    shares: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    size_penalty: ArrayLike = 10.0,
    plain_start: bool = True,
    n_features: ArrayLike | None = None,
    rate: ArrayLike = 1e-2,
    max_iter: ArrayLike = 200,
    tol: ArrayLike = 1e-6,
    anew: ArrayLike = False,
    batch: int | None = None,
    key: Array | None = None,
    columns: Columns | None = None,
) -> Fitted:
    """Fit from the mixture that plain EM finds from the given centres, or from these.

    The loss is the mean over points and components of −r log(π f), plus λ times the greatest |N_sk − π_s N_k| / n over
    groups and clusters (N soft counts; for two groups this is λ π_0 π_1 Δ), plus a term against empty cells:
    10 π_s / N_sk of the one with the fewest points by labels. All of it as in the authors' code; neither the last term
    nor the division by K is in the paper's text. Through the steps of an iteration stay, beside the responsibilities,
    the N_k that unequal shares are multiplied by: a cluster that could shrink would rather do so than become fair. That
    cell stays, too, where the authors' code looks for it in every step.

    Parameters
    ----------
    X : (n, d) points.
    groups : (n,) ids 0..M-1.
    centers : (K, d).
    penalty : () λ ≥ 0, traced.
    shares : (M,) π.
    weights : (n,) non-negative, all ones by default.
    size_penalty : () the 10 of the last term.
    plain_start : whether plain EM comes first; otherwise weights are equal and σ is 1, as the paper has it (static).
    n_features : () d where some columns are padding.
    rate : () of Adam, of which an iteration has ten steps, on logits, means and 1/σ. It has the unit of X.
    max_iter, tol : the iterations end when the loss changes by at most `tol` in three of them; steps of Adam are not
        monotone, and one may be where it turns.
    anew : whether Adam's averages begin anew with each iteration, as in the authors' code, whose loss does not come to
        rest; traced.
    batch, key : rows that the likelihood of an iteration looks at, drawn anew for each with replacement, and the
        fairness at, drawn once; None for all of them (static). The key draws them.
    columns : where some are indicators of categories; `n_features` is then the number of the others.

    Returns
    -------
    Fitted
        O(n K d) a step; with batches that of their size, and O(n K d) once at the end.

    Raises
    ------
    InputError
        If the shapes do not agree.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> X = jnp.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> found = run(X, jnp.array([0, 0, 1, 1, 1, 0]), X[1::3], 0.0, jnp.array([0.5, 0.5]), size_penalty=0.0)
    >>> found.labels.tolist(), found.mixture.means[:, 0].round(2).tolist()
    ([0, 0, 0, 1, 1, 1], [1.0, 11.0])
    """
    X, weights = as_weighted_points(X, weights)
    centers = as_centers(centers, X)
    shares = jnp.asarray(shares, X.dtype)
    members = _members(X, jnp.asarray(groups), weights, shares)
    width = jnp.asarray(X.shape[1] if n_features is None else n_features, X.dtype)
    if plain_start:
        start = plain_mixture(X, weights, centers, width, columns)
    else:
        start = Mixture(jnp.zeros_like(centers[:, 0]), with_logits(centers, columns), jnp.ones((), X.dtype))
    penalties = jnp.asarray(penalty, X.dtype), jnp.asarray(size_penalty, X.dtype)
    fixed, drawn = (X, members), None
    if batch is not None:
        if key is None:
            raise InputError("batch is given without key; rows are drawn by a key from jax.random.key")
        once, drawn = jax.random.split(key)
        fixed = _drawn(once, X, members, batch)
    # counts of a part stand for those of all
    scale = jnp.sum(members) / jnp.sum(fixed[1])
    extra = partial(_unfairness, fixed[0], scale * fixed[1], shares, *penalties, columns)
    whole = partial(_unfairness, X, members, shares, *penalties, columns)

    def loss_of(sums: _Sums, mixture: Mixture) -> Array:
        return -_expected(mixture, sums, width, columns) / (jnp.sum(sums.masses) * len(centers)) + extra(sums, mixture)

    def sums_of(mixture: Mixture, iteration: Array) -> _Sums:
        if drawn is None:
            return _expectation(X, weights, members, mixture, width, columns)[0]
        some, own = _drawn(jax.random.fold_in(drawn, iteration), X, members, batch or 1)
        return _expectation(some, jnp.sum(own, axis=0), own, mixture, width, columns)[0]

    state = _iterations(optax.adam(rate), loss_of, sums_of, start, max_iter, tol, anew)
    sums, likelihood, labels = _expectation(X, weights, members, state.mixture, width, columns)
    loss = -_expected(state.mixture, sums, width, columns) / (jnp.sum(weights) * len(centers))
    loss = loss + whole(sums, state.mixture)
    return Fitted(
        state.mixture, labels, loss, likelihood / jnp.sum(weights),
        share_gap(_soft_counts(X, members, state.mixture, columns)), state.n_iter, state.n_quiet >= _QUIET,
    )  # fmt: skip


def _iterations(
    optimizer: optax.GradientTransformation,
    loss_of: Callable[[_Sums, Mixture], Array],
    sums_of: Callable[[Mixture, Array], _Sums],
    start: Mixture,
    max_iter: ArrayLike,
    tol: ArrayLike,
    anew: ArrayLike,
) -> _State:
    """Iterations of an expectation and of gradient steps, until the loss is at rest."""
    fresh = optimizer.init(start)

    def iteration(state: _State) -> _State:
        sums = sums_of(state.mixture, state.n_iter)
        begun = jax.tree.map(lambda new, old: jnp.where(anew, new, old), fresh, state.optimizer)
        mixture, moments = _descend(optimizer, partial(loss_of, sums), state.mixture, begun)
        loss = loss_of(sums, mixture)
        little = jnp.abs(loss - state.loss) <= tol
        return _State(mixture, moments, loss, state.n_iter + 1, jnp.where(little, state.n_quiet + 1, 0))

    def unfinished(state: _State) -> Array:
        return (state.n_quiet < _QUIET) & (state.n_iter < max_iter) & ~jnp.isnan(state.loss)

    none = jnp.zeros((), jnp.int32)
    infinite = jnp.full((), jnp.inf, start.means.dtype)
    return lax.while_loop(unfinished, iteration, _State(start, fresh, infinite, none, none))


def _drawn(key: Array, X: Array, members: Array, batch: int) -> tuple[Array, Array]:
    """Rows (batch, d) and their weights by group (M, batch), by weight and so of padding none."""
    each = jnp.sum(members, axis=0)
    rows = jax.random.choice(key, len(X), (batch,), p=each / jnp.sum(each))
    # drawn by weight, each row weighs the same
    return X[rows], members[:, rows] / each[rows]


def _members(X: Array, groups: Array, weights: Array, shares: Array) -> Array:
    """Weights by group, (M, n)."""
    if groups.shape != X.shape[:1] or shares.ndim != 1:
        raise InputError(
            f"groups and shares have shapes {groups.shape} and {shares.shape}; expected {X.shape[:1]} and (M,)"
        )
    return jnp.where(groups == jnp.arange(len(shares))[:, None], weights, 0)


def _descend(
    optimizer: optax.GradientTransformation,
    loss_of: Callable[[Mixture], Array],
    mixture: Mixture,
    moments: optax.OptState,
) -> tuple[Mixture, optax.OptState]:
    """Take the gradient steps of one iteration."""

    def step(carry: tuple[Mixture, optax.OptState], _: None) -> tuple[tuple[Mixture, optax.OptState], None]:
        mixture, moments = carry
        updates, moments = optimizer.update(jax.grad(loss_of)(mixture), moments)
        return (optax.apply_updates(mixture, updates), moments), None

    return lax.scan(step, (mixture, moments), length=_STEPS)[0]


def log_joint(X: Array, mixture: Mixture, n_features: ArrayLike, columns: Columns | None = None) -> Array:
    """The logarithm of weight times density, (K, n)."""
    precision = mixture.root_precision**2
    scale = 0.5 * n_features * jnp.log(precision / _TWO_PI)
    means, logs = log_probabilities(mixture.means, columns)
    found = _log_weights(mixture) + scale - 0.5 * precision * distances_by_center(numbers(X, columns), means)
    return found if logs is None else found + jnp.matmul(logs, X.T, precision="highest")


def share_gap(counts: Array) -> Array:
    """Δ of soft counts (K, M): the greatest mean, over pairs of groups, of how far their shares of a cluster are apart.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> round(float(share_gap(jnp.array([[1.5, 1.0], [0.5, 2.0]]))), 6)
    0.416667
    """
    shares = counts / jnp.sum(counts, axis=0)
    apart = jnp.abs(shares[:, :, None] - shares[:, None, :])
    pairs = counts.shape[1] * (counts.shape[1] - 1)
    return jnp.max(jnp.sum(apart, axis=(1, 2))) / max(pairs, 1)


def share_distance(counts: Array, shares: Array, masses: Array | None = None) -> Array:
    """The greatest |N_sk − π_s N_k| / n of soft counts (K, M): for two groups π_0 π_1 Δ.

    With ``masses`` (K,) these are the sizes of the clusters that their shares, N_sk / N_k − π_s, are multiplied by.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> round(float(share_distance(jnp.array([[1.5, 1.0], [0.5, 2.0]]), jnp.array([0.4, 0.6]))), 6)
    0.1
    """
    sizes = jnp.sum(counts, axis=1)
    masses = sizes if masses is None else masses
    held = masses / (jnp.sum(masses) * jnp.maximum(sizes, jnp.finfo(counts.dtype).tiny))
    apart = (jnp.abs(counts - shares * sizes[:, None]) * held[:, None]).ravel()
    # not the maximum: its derivative looks for equal values, and a compiler may round the two sides differently
    return apart[jnp.argmax(lax.stop_gradient(apart))]


def _log_weights(mixture: Mixture) -> Array:
    return jax.nn.log_softmax(mixture.logits)[:, None]


def _expectation(
    X: Array, weights: Array, members: Array, mixture: Mixture, width: ArrayLike, columns: Columns | None
) -> tuple[_Sums, Array, Array]:
    """Sums over responsibilities, the log-likelihood of all points, and their labels."""
    logs = log_joint(X, mixture, width, columns)
    raised, totals, highest = exponentials(logs)
    each = highest + jnp.log(totals)
    shares = raised * (weights / totals)
    labels = jnp.argmax(logs, axis=0).astype(jnp.int32)
    own = (labels == jnp.arange(len(logs), dtype=jnp.int32)[:, None]).astype(X.dtype)
    sums = _Sums(
        jnp.sum(shares, axis=1),
        jnp.matmul(shares, X, precision="highest"),
        jnp.matmul(shares, jnp.sum(numbers(X, columns) ** 2, axis=1), precision="highest"),
        jnp.argmin(jnp.matmul(own, members.T, precision="highest")),
    )
    return sums, jnp.dot(weights, each, precision="highest"), labels


def _soft_counts(X: Array, members: Array, mixture: Mixture, columns: Columns | None) -> Array:
    """Responsibilities summed over groups, (K, M)."""
    precision = mixture.root_precision**2
    means, of_categories = log_probabilities(mixture.means, columns)
    # what all components have in common, |x|² too, cancels
    own = _log_weights(mixture) - 0.5 * precision * jnp.sum(means**2, axis=1, keepdims=True)
    # in one product, so that its derivative is one, too
    slopes = precision * means if of_categories is None else precision * means + of_categories
    rows = jnp.concatenate([slopes, own], axis=1)
    logs = jnp.matmul(rows, jnp.concatenate([X, jnp.ones_like(X[:, :1])], axis=1).T, precision="highest")
    return jnp.matmul(softmax(logs), members.T, precision="highest")


def _expected(mixture: Mixture, sums: _Sums, width: ArrayLike, columns: Columns | None) -> Array:
    """The expected log-likelihood of all points for fixed responsibilities."""
    precision = mixture.root_precision**2
    means, logs = log_probabilities(mixture.means, columns)
    spread = sums.squares - 2 * jnp.sum(means * sums.points, axis=1) + sums.masses * jnp.sum(means**2, axis=1)
    each = sums.masses * (_log_weights(mixture)[:, 0] + 0.5 * width * jnp.log(precision / _TWO_PI))
    of_categories = 0 if logs is None else jnp.sum(logs * sums.points)
    return jnp.sum(each) - 0.5 * precision * jnp.sum(spread) + of_categories


def _unfairness(
    X: Array,
    members: Array,
    shares: Array,
    penalty: Array,
    size_penalty: Array,
    columns: Columns | None,
    sums: _Sums,
    mixture: Mixture,
) -> Array:
    """What the loss has beside the likelihood; its gradient passes through the responsibilities."""
    counts = _soft_counts(X, members, mixture, columns)
    scarcity = shares[sums.fewest % len(shares)] / jnp.where(size_penalty > 0, counts.ravel()[sums.fewest], 1)
    return penalty * share_distance(counts, shares, sums.masses) + size_penalty * scarcity


def plain_mixture(
    X: Array, weights: Array, centers: Array, width: ArrayLike, columns: Columns | None = None
) -> Mixture:
    """The mixture that EM ends at from the centres, equal weights and the variance within nearest clusters."""
    n_clusters = len(centers)
    mass = jnp.sum(weights)
    nearest = jnp.min(distances_by_center(numbers(X, columns), numbers(centers, columns)), axis=0)
    within = jnp.dot(weights, nearest, precision="highest") / (mass * width)
    tiny = jnp.finfo(X.dtype).tiny ** 0.5
    first = Mixture(
        jnp.zeros_like(centers[:, 0]), with_logits(centers, columns), 1 / jnp.sqrt(jnp.maximum(within, tiny))
    )

    def iteration(state: tuple[Mixture, Array, Array, Array]) -> tuple[Mixture, Array, Array, Array]:
        mixture, likelihood, _, count = state
        sums, found, _ = _expectation(X, weights, weights[None], mixture, width, columns)
        masses = jnp.maximum(sums.masses, tiny)
        means = sums.points / masses[:, None]
        spread = jnp.sum(sums.squares) - jnp.sum(sums.masses * jnp.sum(numbers(means, columns) ** 2, axis=1))
        variance = jnp.maximum(spread / (mass * width), tiny)
        moved = Mixture(jnp.log(masses / mass), with_logits(means, columns), 1 / jnp.sqrt(variance))
        return moved, found, (found - likelihood) > 1e-6 * mass, count + 1

    state = (first, jnp.full((), -jnp.inf, X.dtype), jnp.ones((), bool), jnp.zeros((), jnp.int32))
    found: Mixture = lax.while_loop(lambda state: state[2] & (state[3] < 10 * n_clusters + 100), iteration, state)[0]
    return found
