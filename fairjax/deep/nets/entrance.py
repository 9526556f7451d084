"""Where an encoder may be each group's own: its first layer, and the normalisation behind it.

What the groups look like as a whole – inverted colours, another contrast, other strokes – can be undone there, so that
the layers behind it see one distribution. Precedents are normalisation by domain in clustering under domain shift [1]_,
and the decoder branches of FCMI on the way back. An encoder of this kind sees the protected attribute, in training and
in use.

References
----------
.. [1] W. Menapace, S. Lathuilière, E. Ricci, "Learning to cluster under domain shift", ECCV 2020.
"""

from typing import Any

from flax import nnx

from fairjax.deep.nets.blocks import BatchNorm

__all__ = ["OWN", "own_norm", "own_options"]

OWN = ("shared", "layer", "norm", "both")  # what each group may have of its own


def own_norm(size: int, n_groups: int | None, rngs: nnx.Rngs) -> BatchNorm | None:
    """Batch normalisation of each group's own, where there is to be any."""
    return None if n_groups is None else BatchNorm(size, rngs=rngs, n_groups=n_groups)


def own_options(own: str, n_groups: int) -> dict[str, Any]:
    """Keywords of the networks for one of the words of `OWN`; none for "shared"."""
    found = {}
    if own in ("layer", "both"):
        found["layer_groups"] = n_groups
    if own in ("norm", "both"):
        found["norm_groups"] = n_groups
    return found
