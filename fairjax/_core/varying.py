"""Types inside of ``jax.shard_map``, which tell along which axes of a mesh values vary."""

from typing import Any, TypeVar

import jax

Tree = TypeVar("Tree")


def _axes(leaf: Any) -> frozenset[str]:
    """The axes along which a value varies, by whichever of two names this version of JAX calls them."""
    aval = jax.typeof(leaf)
    named = getattr(aval, "manual_axis_type", None)
    return named.varying if named is not None else getattr(aval, "vma", frozenset())


def varying_as(tree: Tree, *references: Any, but: frozenset[str] = frozenset()) -> Tree:
    """``tree`` with leaves that vary along all axes of the mesh along which any leaf of the references varies.

    A loop's carry has to begin with the type that it ends with; constants vary along no axis. Axes that are named by
    ``but`` are left out: those over which rows are spread, along which what is said of all rows does not vary. Outside
    of ``shard_map`` it does nothing.
    """
    axes = frozenset[str]().union(*map(_axes, jax.tree.leaves(references))) - but

    def vary(leaf: Any) -> Any:
        missing = tuple(sorted(axes - _axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(vary, tree) if axes else tree


def struct_like(value: jax.Array, dtype: Any) -> jax.ShapeDtypeStruct:
    """Shape of ``value``, and the axes along which it varies, for a result of another ``dtype``."""
    aval = jax.typeof(value)
    named = {name: getattr(aval, name) for name in ("manual_axis_type", "vma") if hasattr(aval, name)}
    return jax.ShapeDtypeStruct(aval.shape, dtype, **dict(list(named.items())[:1]))
