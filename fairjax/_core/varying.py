"""Types inside ``jax.shard_map``, which say along which axes of a mesh values vary."""

from typing import Any, TypeVar

import jax

Tree = TypeVar("Tree")


def _axes(leaf: Any) -> frozenset[str]:
    """The axes along which a value varies, under either name that versions of JAX use."""
    aval = jax.typeof(leaf)
    named = getattr(aval, "manual_axis_type", None)
    return named.varying if named is not None else getattr(aval, "vma", frozenset())


def varying_as(tree: Tree, *references: Any, but: frozenset[str] = frozenset()) -> Tree:
    """``tree`` with leaves that vary along all axes of the mesh along which any leaf of the references varies.

    The carry of a loop must start with the type that it ends with, and constants vary along no axis. Axes in ``but``
    are left out: those over which rows are spread, along which results for all rows do not vary. Outside ``shard_map``
    it does nothing.
    """
    axes = frozenset[str]().union(*map(_axes, jax.tree.leaves(references))) - but

    def vary(leaf: Any) -> Any:
        missing = tuple(sorted(axes - _axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(vary, tree) if axes else tree


def struct_like(value: jax.Array, dtype: Any) -> jax.ShapeDtypeStruct:
    """Shape of ``value`` and the axes along which it varies, for a result of another ``dtype``."""
    aval = jax.typeof(value)
    named = {name: getattr(aval, name) for name in ("manual_axis_type", "vma") if hasattr(aval, name)}
    return jax.ShapeDtypeStruct(aval.shape, dtype, **dict(list(named.items())[:1]))
