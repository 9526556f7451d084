"""From an optimal plan to a basic one: cycles of its support are cancelled until it is a forest.

A plan's support is a forest exactly when repeatedly removing leaves leaves no cycle. A cycle is found without a serial
search: every end of an edge has one continuation that does not turn back, so walks are orbits of a map, and repeated
squaring of the map finds one. Sending mass round a cycle of tight edges does not change the cost.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Edges(NamedTuple):
    """A plan (n, m) as a list: ends (L,) int32, masses and costs (L,); rows = n and cols = m as padding."""

    rows: Array
    cols: Array
    mass: Array
    costs: Array


def basic(costs: Array, plan: Array) -> Array:
    """A plan (n, m) with the same marginals, at no greater cost, whose support is a forest within that of ``plan``.

    O(n m) and, for each cycle, O((n + m) log(n + m)). Plans with more than 4 (n + m) entries are returned unchanged.
    """
    n, m = plan.shape
    size = min(n * m, 4 * (n + m))
    places = jnp.nonzero((plan > 0).reshape(-1), size=size, fill_value=n * m)[0]
    mass = plan.reshape(-1).at[places].get(mode="fill", fill_value=0)
    rows, cols = jnp.where(places < n * m, places // m, n), jnp.where(places < n * m, places % m, m)
    edges = Edges(rows, cols, mass, costs.reshape(-1).at[places].get(mode="fill", fill_value=0))
    mass = _cancelled(edges, n, m)
    found = jnp.zeros_like(plan).at[rows, cols].set(mass, mode="drop")
    return jnp.where(jnp.sum(plan > 0) <= size, found, plan)


def _cancelled(edges: Edges, n: int, m: int) -> Array:
    """The masses (L,) after every cycle has lost an edge."""

    def pruned(alive: Array) -> Array:
        """The edges that lie on cycles or between them."""

        def once(state: tuple[Array, Array]) -> tuple[Array, Array]:
            alive, _ = state
            degree_row = jnp.zeros((n + 1,), jnp.int32).at[edges.rows].add(alive.astype(jnp.int32))
            degree_col = jnp.zeros((m + 1,), jnp.int32).at[edges.cols].add(alive.astype(jnp.int32))
            kept = alive & (degree_row[edges.rows] > 1) & (degree_col[edges.cols] > 1)
            return kept, jnp.any(kept != alive)

        return jax.lax.while_loop(lambda state: state[1], once, (alive, jnp.array(True)))[0]

    def cancel(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        mass, alive, n_left = state
        net = _cycle(edges, alive, n, m).astype(mass.dtype)
        net = jnp.where(jnp.sum(net * edges.costs) > 0, -net, net)
        room = jnp.where(net < 0, mass / jnp.where(net < 0, -net, 1), jnp.inf)
        amount = jnp.min(room)
        mass = jnp.where(net == 0, mass, jnp.where(room == amount, 0, mass + jnp.where(net == 0, 0, amount) * net))
        return mass, pruned(alive & (mass > 0)), n_left - 1

    start = (edges.mass, pruned(edges.mass > 0), jnp.int32(edges.mass.shape[0]))
    return jax.lax.while_loop(lambda state: jnp.any(state[1]) & (state[2] > 0), cancel, start)[0]


def _cycle(edges: Edges, alive: Array, n: int, m: int) -> Array:
    """How often (L,) int32 a closed walk takes each edge from row to column, minus how often from column to row."""
    count = alive.shape[0]
    ids = jnp.arange(count, dtype=jnp.int32)

    def way_on(ends: Array, n_ends: int) -> Array:
        first = jnp.full((n_ends + 1,), count, jnp.int32).at[ends].min(jnp.where(alive, ids, count))
        last = jnp.full((n_ends + 1,), -1, jnp.int32).at[ends].max(jnp.where(alive, ids, -1))
        return jnp.where(first[ends] != ids, first[ends], last[ends])

    # states 0..L-1 take an edge from row to column, states L.. from column to row
    onward = jnp.concatenate([way_on(edges.cols, m) + count, way_on(edges.rows, n)])
    onward = jnp.where(jnp.tile(alive, 2), onward, jnp.arange(2 * count))
    jumps = [onward]
    for _ in range((2 * count - 1).bit_length()):
        jumps.append(jumps[-1][jumps[-1]])
    on_orbit = jnp.zeros((2 * count,), bool).at[jumps[-1][jnp.argmax(alive)]].set(True)
    for jump in jumps:
        on_orbit = on_orbit | jnp.zeros_like(on_orbit).at[jnp.where(on_orbit, jump, 2 * count)].set(True, mode="drop")
    return on_orbit[:count].astype(jnp.int32) - on_orbit[count:].astype(jnp.int32)
