"""How the rows of arrays are spread over devices: the one place with collective operations.

Inside ``jax.shard_map`` every device holds rows of its own, as many as any other, and runs the same program. Whatever
concerns all rows (sums, minima, a few rows that all devices look at) goes through here; without a mesh it is the
identity, or plain indexing, and leaves no trace in the compiled program.

Rows have numbers that all devices agree on: those of the first device come first. A row is looked up by number as a sum
over the devices, of which one has the row and the others contribute zeros. So the cost depends on the number of rows
looked up, not on how many there are or how unevenly the wanted ones are spread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

Tree = TypeVar("Tree")


@jax.tree_util.register_static
@dataclass(frozen=True)
class Rows:
    """Rows that are spread over an axis of a mesh, or all in one place.

    Parameters
    ----------
    axis : str or tuple of str, optional
        Name of the axis inside ``jax.shard_map``; several axes are used as one. None, the default, means no mesh.

    Notes
    -----
    A static value: it compares and hashes by the name, and has no leaves as part of a pytree. Row numbers are
    32-bit integers, so there may be up to 2^31 rows.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from jax.sharding import PartitionSpec as P
    >>> from fairjax.parallel import Rows, data_mesh
    >>> rows = Rows("rows")
    >>> total = jax.shard_map(lambda x: rows.sum(x.sum()), mesh=data_mesh(1), in_specs=P("rows"), out_specs=P())
    >>> float(total(jnp.arange(4.0))), float(Rows().sum(jnp.arange(4.0).sum()))
    (6.0, 6.0)
    """

    axis: str | tuple[str, ...] | None = None

    @property
    def axes(self) -> frozenset[str]:
        """Names of the axes; none without a mesh."""
        if self.axis is None:
            return frozenset()
        return frozenset((self.axis,) if isinstance(self.axis, str) else self.axis)

    @property
    def n_devices(self) -> int:
        """Number of devices over which rows are spread; inside ``shard_map``."""
        return 1 if self.axis is None else jax.lax.axis_size(self.axis)

    def sum(self, parts: Tree) -> Tree:
        """The sum over devices of every leaf."""
        return parts if self.axis is None else jax.tree.map(self._sum, parts)

    def _sum(self, leaf: Array) -> Array:
        # Small integers travel with the others of a table: a message of their own may overtake another one, and
        # processes on CPUs then take it for that.
        small = jnp.issubdtype(leaf.dtype, jnp.integer) and leaf.dtype.itemsize < 4
        total = jax.lax.psum(leaf.astype(jnp.int32) if small else leaf, self.axis)
        return total.astype(leaf.dtype)

    def least(self, value: Array) -> Array:
        """The least over devices, entry by entry."""
        return value if self.axis is None else jax.lax.pmin(value, self.axis)

    def greatest(self, value: Array) -> Array:
        """The greatest over devices, entry by entry."""
        return value if self.axis is None else jax.lax.pmax(value, self.axis)

    def all(self, holds: Array) -> Array:
        """Whether the condition holds on all devices, entry by entry."""
        return holds if self.axis is None else self.least(holds.astype(jnp.int32)) > 0

    def gather(self, part: Array) -> Array:
        """The parts (m, ...) of all devices joined in order, (D m, ...), on each of them."""
        if self.axis is None:
            return part
        places = jnp.zeros((self.n_devices, *part.shape), part.dtype)
        placed = places.at[jax.lax.axis_index(self.axis)].set(part)
        return self.sum(placed).reshape(-1, *part.shape[1:])

    def first_greatest(self, values: Array) -> Array:
        """Number () of the first row with the greatest of the values (n_own,) of all rows."""
        own = jnp.argmax(values).astype(jnp.int32)
        if self.axis is None:
            return own
        greatest = values[own] == self.greatest(values[own])
        return self.least(jnp.where(greatest, own + self.before(values.shape[0]), jnp.iinfo(jnp.int32).max))

    def number(self, device: Array, place: Array, n_own: int) -> Array:
        """Number of the row that a ``device`` has at a ``place`` among its ``n_own``; only that device has to know it.

        Both may be arrays.
        """
        if self.axis is None:
            return place
        mine = device == jax.lax.axis_index(self.axis)
        return self.sum(jnp.where(mine, place + self.before(n_own), 0))

    def own_key(self, key: Array) -> Array:
        """A random key of the device's own."""
        return key if self.axis is None else jax.random.fold_in(key, jax.lax.axis_index(self.axis))

    def before(self, n_own: int) -> Array:
        """Number () int32 of rows that the devices before this one have; each has ``n_own``."""
        if self.axis is None:
            return jnp.int32(0)
        return (jax.lax.axis_index(self.axis) * n_own).astype(jnp.int32)

    def numbers(self, n_own: int, dtype: DTypeLike = jnp.int32) -> Array:
        """Numbers (n_own,) of the device's own rows."""
        own = jnp.arange(n_own, dtype=dtype)
        return own if self.axis is None else own + self.before(n_own).astype(dtype)

    def own(self, index: Array, n_own: int) -> Array:
        """Places (m,) of rows with these numbers (m,) on this device; ``n_own`` or more for rows of other devices."""
        if self.axis is None:
            return index
        local = index - self.before(n_own).astype(index.dtype)
        return jnp.where((local >= 0) & (local < n_own), local, n_own)

    def at(self, index: Array, look_up: Callable[[Array], Tree], n_own: int) -> Tree:
        """What ``look_up`` returns (arrays (m, ...)) for the rows with these numbers (m,), on every device.

        It is called with places among the ``n_own`` rows of a device, and with ``n_own`` or more, where it may return
        any finite values. The result for a number that no device has is such a value.
        """
        if self.axis is None:
            return look_up(index)
        own = self.own(index, n_own)
        mine = own < n_own

        def masked(leaf: Array) -> Array:
            return jnp.where(mine.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, jnp.zeros((), leaf.dtype))

        return self.sum(jax.tree.map(masked, look_up(own)))

    def ranked(self, n_flagged: Array, rank: Array, find: Callable[[Array], Array], n_own: int) -> Array:
        """Numbers (m,) of the flagged rows that have these ranks (m,) among all flagged ones; D ``n_own`` for no row.

        ``n_flagged`` () int32 is the device's number of flagged rows; ``find`` returns their places, given ranks among
        them.
        """
        if self.axis is None:
            return jnp.where(rank < n_flagged, find(rank), n_own)
        device, n_rows = jax.lax.axis_index(self.axis), self.n_devices * n_own
        counts = self.gather(n_flagged[None])
        before = jnp.sum(jnp.where(jnp.arange(self.n_devices) < device, counts, 0), dtype=rank.dtype)
        local = rank - before
        mine = (local >= 0) & (local < n_flagged)
        found = find(jnp.maximum(local, 0)) + self.before(n_own)
        found = self.sum(jnp.where(mine, found, 0))
        return jnp.where(rank < jnp.sum(counts, dtype=rank.dtype), found, n_rows)


IN_ONE_PLACE = Rows()
AXIS = "rows"  # of the meshes that this package makes
