"""Successive shortest paths: optimal flow and duals from any feasible duals, for a batch of problems in lockstep.

A problem alternates between two modes. *Search* grows the tree of shortest paths from a row with mass left, one row
scanned per step: O(m) for its reduced costs, O(m) for the nearest column, O(n) for the rows that hold mass there.
When the nearest column has room, the duals move (Ahuja, Magnanti & Orlin, Network Flows, section 9.7) and *walk* sends
the path's bottleneck along it, one column per step. Every step keeps the reduced costs non-negative, and zero where
mass flows, so that the mass placed so far is always placed optimally.

The batch axis is explicit: under ``vmap`` a loop would copy its whole state, the (m, n) flow included, at every step.
Indices of minima come from two plain reductions: XLA's ``argmin`` is ten times slower on a CPU.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Flow(NamedTuple):
    """Where the search ended; leaves have the batch axis of the costs.

    Attributes
    ----------
    mass : (B, m, n)
        Flow from row to column, transposed so that what a column receives is contiguous.
    supply, room : (B, n), (B, m)
        Mass not placed after the last step, usually zero; their sums agree.
    f, g : (B, n), (B, m)
        Duals with f_i + g_j ≤ cost_ij up to rounding, equal where mass flows.
    n_iter : (B,) int32
        Rows scanned.
    """

    mass: Array
    supply: Array
    room: Array
    f: Array
    g: Array
    n_iter: Array


class _Given(NamedTuple):
    """The problem; ``last`` (B,) is the row to be planted last, one of greatest mass, which absorbs the rounding."""

    costs: Array  # (B, n, m)
    a: Array  # (B, n)
    b: Array  # (B, m)
    last: Array  # (B,) int32
    max_steps: int

    @property
    def each(self) -> Array:
        return jnp.arange(self.costs.shape[0])

    @property
    def row_ids(self) -> Array:
        return jnp.arange(self.costs.shape[1], dtype=jnp.int32)

    @property
    def col_ids(self) -> Array:
        return jnp.arange(self.costs.shape[2], dtype=jnp.int32)

    @property
    def is_last(self) -> Array:
        return self.row_ids == self.last[:, None]

    @property
    def crumb(self) -> float:
        """Rounding residue of a mass that is used up, as a share of it."""
        return 64 * float(jnp.finfo(self.costs.dtype).eps)


class _Tree(NamedTuple):
    """Shortest paths from a root: a row's distance is inf outside the tree, a column's if it is not reached."""

    row_distance: Array  # (B, n)
    col_distance: Array  # (B, m)
    row_parent: Array  # (B, n) int32 column before a row, -1 at the root
    col_parent: Array  # (B, m) int32 row before a column
    bottleneck: Array  # (B, n) most mass that the path to a row can carry
    waiting: Array  # (B, n) bool, in the tree but not yet scanned
    settled: Array  # (B, m) bool, distance is final
    root: Array  # (B,) int32
    row: Array  # (B,) int32 to be scanned next, n for none


class _Ends(NamedTuple):
    """What changes only when a path has been found."""

    f: Array  # (B, n)
    g: Array  # (B, m)
    supply: Array  # (B, n) not yet placed, inf for the row that comes last
    room: Array  # (B, m) not yet filled
    amount: Array  # (B,) mass that the walk sends


class _State(NamedTuple):
    mass: Array  # (B, m, n)
    ends: _Ends
    tree: _Tree
    at: Array  # (B,) int32 column that the walk has reached, -1 in search mode
    active: Array  # (B,) bool
    n_iter: Array  # (B,) int32
    n_steps: Array  # () int32


def shortest_paths(costs: Array, a: Array, b: Array, f: Array, g: Array, max_steps: int) -> Flow:
    """Send the masses a (B, n) to b (B, m) at least cost (B, n, m), from feasible duals f (B, n) and g (B, m).

    A step costs O(n + m) per problem, so use the smaller side as rows. Rows and columns without mass are ignored.
    After ``max_steps`` steps no new path is started.
    """
    given = _Given(costs, a, b, _first(a == jnp.max(a, 1, keepdims=True)), max_steps)
    state = jax.lax.while_loop(partial(_goes_on, given), partial(_step, given), _begin(given, f, g))
    _, _, supply, room, _ = ends = state.ends
    others = jnp.sum(jnp.where(given.is_last, 0, supply), 1)
    rest = jnp.maximum(jnp.sum(room, 1) - others, 0)
    supply = jnp.where(given.is_last, rest[:, None], supply)
    return Flow(state.mass, supply, room, ends.f, ends.g, state.n_iter)


def _begin(given: _Given, f: Array, g: Array) -> _State:
    n_batch, n, m = given.costs.shape
    dtype = given.costs.dtype
    everyone = jnp.ones((n_batch,), bool)
    ends = _Ends(f, g, jnp.where(given.is_last, jnp.inf, given.a), given.b, jnp.zeros((n_batch,), dtype))
    bare = _Tree(
        row_distance=jnp.full((n_batch, n), jnp.inf, dtype),
        col_distance=jnp.full((n_batch, m), jnp.inf, dtype),
        row_parent=jnp.full((n_batch, n), -1, jnp.int32),
        col_parent=jnp.zeros((n_batch, m), jnp.int32),
        bottleneck=jnp.zeros((n_batch, n), dtype),
        waiting=jnp.zeros((n_batch, n), bool),
        settled=given.b <= 0,
        root=jnp.zeros((n_batch,), jnp.int32),
        row=jnp.full((n_batch,), n, jnp.int32),
    )
    tree, active = _plant(given, bare, ends, everyone, everyone)
    return _State(
        mass=jnp.zeros((n_batch, m, n), dtype),
        ends=ends,
        tree=tree,
        at=jnp.full((n_batch,), -1, jnp.int32),
        active=active,
        n_iter=jnp.zeros((n_batch,), jnp.int32),
        n_steps=jnp.int32(0),
    )


def _goes_on(given: _Given, state: _State) -> Array:
    # a path has at most n columns; costs near the largest float may overflow into one that never ends
    walking = (state.at >= 0) & (state.n_steps < given.max_steps + given.a.shape[1])
    return jnp.any(state.active & ((state.n_steps < given.max_steps) | walking))


def _step(given: _Given, state: _State) -> _State:
    state, ended = _walk(given, state)
    tree, active = jax.lax.cond(
        jnp.any(ended), partial(_plant, given), lambda tree, _ends, active, _ended: (tree, active),
        state.tree, state.ends, state.active, ended,
    )  # fmt: skip
    state, found = _search(given, state._replace(tree=tree, active=active))
    ends = jax.lax.cond(
        jnp.any(found), partial(_reprice, given), lambda ends, _tree, _at, _found: ends,
        state.ends, state.tree, state.at, found,
    )  # fmt: skip
    return state._replace(ends=ends, n_steps=state.n_steps + 1)


def _plant(given: _Given, tree: _Tree, ends: _Ends, active: Array, ended: Array) -> tuple[_Tree, Array]:
    """A new tree where the last walk has ended; if no column has room left, the problem is done."""
    other = _first((ends.supply > 0) & ~given.is_last)
    n = given.a.shape[1]
    root = jnp.where(other < n, other, given.last)
    more = jnp.any(ends.room > 0, 1)
    start = (ended & more)[:, None] & (given.row_ids == root[:, None])
    over = ended[:, None]
    planted = _Tree(
        row_distance=jnp.where(start, 0, jnp.where(over, jnp.inf, tree.row_distance)),
        col_distance=jnp.where(over, jnp.inf, tree.col_distance),
        row_parent=jnp.where(over, -1, tree.row_parent),
        col_parent=tree.col_parent,
        bottleneck=jnp.where(start, ends.supply, tree.bottleneck),
        waiting=start | (tree.waiting & ~over),
        settled=jnp.where(over, given.b <= 0, tree.settled),
        root=jnp.where(ended, root, tree.root),
        row=jnp.where(ended, jnp.where(more, root, n), tree.row),
    )
    return planted, active & (~ended | more)


def _search(given: _Given, state: _State) -> tuple[_State, Array]:
    """Scan a waiting row; if none is waiting, settle the nearest column. Returns where room was found."""
    tree, ends = state.tree, state.ends
    _, n, m = given.costs.shape
    scanning = tree.row < n
    row = jnp.minimum(tree.row, n - 1)
    so_far = jnp.where(scanning, tree.row_distance[given.each, row], jnp.inf)[:, None]
    reached = jnp.maximum(given.costs[given.each, row] - ends.g + (so_far - ends.f[given.each, row][:, None]), so_far)
    nearer = reached < tree.col_distance
    distance = jnp.where(nearer, reached, tree.col_distance)
    parent = jnp.where(nearer, row[:, None], tree.col_parent)
    waiting = tree.waiting & (given.row_ids != row[:, None])

    free = jnp.where(tree.settled, jnp.inf, distance)
    length = jnp.min(free, 1)
    col = jnp.minimum(_first(free == length[:, None]), m - 1)
    # a walk in progress is finished, so that mass, supply and room agree
    nearest = state.active & (state.at < 0) & ~jnp.any(waiting, 1) & (state.n_steps < given.max_steps)
    found = nearest & (ends.room[given.each, col] > 0)
    settle = (nearest & ~found)[:, None]
    held = state.mass[given.each, col]
    joins = settle & (held > 0) & (tree.row_distance == jnp.inf)
    through = tree.bottleneck[given.each, parent[given.each, col]][:, None]
    waiting |= joins
    tree = tree._replace(
        row_distance=jnp.where(joins, length[:, None], tree.row_distance),
        col_distance=distance,
        row_parent=jnp.where(joins, col[:, None], tree.row_parent),
        col_parent=parent,
        bottleneck=jnp.where(joins, jnp.minimum(through, held), tree.bottleneck),
        waiting=waiting,
        settled=tree.settled | (settle & (given.col_ids == col[:, None])),
        row=_first(waiting),
    )
    n_iter = state.n_iter + (scanning & state.active)
    return state._replace(tree=tree, at=jnp.where(found, col, state.at), n_iter=n_iter), found


def _reprice(given: _Given, ends: _Ends, tree: _Tree, at: Array, found: Array) -> _Ends:
    """Move the duals so that the path found becomes tight, and subtract from its ends what it will carry."""
    col = jnp.maximum(at, 0)
    length, taken = tree.col_distance[given.each, col][:, None], found[:, None]
    through = tree.bottleneck[given.each, tree.col_parent[given.each, col]]
    amount = jnp.where(found, jnp.minimum(through, ends.room[given.each, col]), ends.amount)
    supply = ends.supply - jnp.where(taken & (given.row_ids == tree.root[:, None]), amount[:, None], 0)
    room = ends.room - jnp.where(taken & (given.col_ids == col[:, None]), amount[:, None], 0)
    rise = jnp.where(taken & (tree.row_distance < length), length - tree.row_distance, 0)
    fall = jnp.where(taken & tree.settled & (tree.col_distance < length), length - tree.col_distance, 0)
    return _Ends(
        f=ends.f + rise,
        g=ends.g - fall,
        supply=jnp.where(supply > given.crumb * given.a, supply, 0),
        room=jnp.where(room > given.crumb * given.b, room, 0),
        amount=amount,
    )


def _walk(given: _Given, state: _State) -> tuple[_State, Array]:
    """Send the amount over one column of the path. Returns where the root was reached."""
    m = given.b.shape[1]
    walking = state.at >= 0
    col = jnp.maximum(state.at, 0)
    row = state.tree.col_parent[given.each, col]
    back = state.tree.row_parent[given.each, row]
    before = jnp.maximum(back, 0)
    mass = state.mass.at[given.each, jnp.where(walking, col, m), row].add(state.ends.amount, mode="drop")
    left = mass[given.each, before, row] - state.ends.amount
    left = jnp.where(left > given.crumb * jnp.minimum(given.a[given.each, row], given.b[given.each, before]), left, 0)
    mass = mass.at[given.each, jnp.where(walking & (back >= 0), before, m), row].set(left, mode="drop")
    return state._replace(mass=mass, at=jnp.where(walking, back, state.at)), walking & (back < 0)


def _first(flags: Array) -> Array:
    """Index (B,) int32 of the first flag (B, k) that is set, k for none."""
    count = flags.shape[-1]
    return jnp.min(jnp.where(flags, jnp.arange(count, dtype=jnp.int32), count), -1)
