"""First carries of loops inside ``jax.shard_map``, whose types tell along which axes of a mesh values vary."""

from typing import Any, TypeVar

import jax

Tree = TypeVar("Tree")


def _axes(leaf: Any) -> frozenset[str]:
    """The axes along which a value varies, by whichever of two names this version of JAX calls them."""
    aval = jax.typeof(leaf)
    named = getattr(aval, "manual_axis_type", None)
    return named.varying if named is not None else getattr(aval, "vma", frozenset())


def varying_as(tree: Tree, *references: Any) -> Tree:
    """``tree`` with leaves that vary along all axes of the mesh along which any leaf of the references varies.

    A loop's carry has to begin with the type that it ends with; constants vary along no axis. Outside of
    ``shard_map`` it does nothing.
    """
    axes = frozenset[str]().union(*map(_axes, jax.tree.leaves(references)))

    def vary(leaf: Any) -> Any:
        missing = tuple(sorted(axes - _axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(vary, tree) if axes else tree
