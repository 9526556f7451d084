"""Two views of an image as a term that methods share: turned, moved and zoomed, it has to be assigned as before."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from fairjax.deep.methods.losses import divergence, random_views
from fairjax.deep.methods.settings import Number, differs, setting
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork
from fairjax.deep.training.streams import Batch, Data
from fairjax.errors import InputError

__all__ = ["ViewSettings", "check_views", "same_in_views"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """Settings of the term, which is off by default: it knows that the rows are images."""

    view_weight: Number = setting(
        0.0,
        "Weight of sameness in two views: an image that is turned, moved and zoomed a little at random has to be "
        "assigned as before; 0 leaves it out, and one more pass through the encoder with it.",
    )
    view_angle: Number = setting(10.0, "Degrees by which images are turned, at most.")
    view_shift: Number = setting(0.1, "Share of their height and width by which they are moved, at most.", below=1.0)
    view_zoom: Number = setting(0.05, "Share of their size by which they grow or shrink, at most.", below=1.0)


def check_views(settings: Any, data: Data) -> bool:
    """Whether there is such a term; to be asked before the numbers are traced.

    Raises
    ------
    InputError
        If there is and the rows are no images.
    """
    if not differs(settings.view_weight, 0.0):
        return False
    if data.x.ndim != 4:
        raise InputError(
            f"view_weight={settings.view_weight!r} turns and moves images, but rows have {data.x.shape[1]} numbers "
            "each; give images (N, h, w, c), or take vat_weight"
        )
    return True


def same_in_views(
    key: Array,
    network: Network | OwnNetwork,
    rest: Any,
    params: Any,
    assign: Callable[[Any, Array], Array],
    batch: Batch,
    log_q: Array,
    hyper: Any,
    pass_key: Array,
) -> tuple[Array, Array]:
    """The weighted term, the mean over rows of KL(q(x) ‖ q(view of x)) with q(x) constant; and log q of the views.

    Parameters are those of :func:`~fairjax.deep.methods.smoothing.smoothness`, but for the distances; ``hyper`` has
    ``view_weight``, ``view_angle``, ``view_shift`` and ``view_zoom``.
    """
    views = random_views(
        key, batch.x, angle=hyper["view_angle"], shift=hyper["view_shift"], zoom=hyper["view_zoom"]
    )  # fmt: skip
    code, _ = network.encode(params["net"], rest, views, batch.groups, train=True, key=pass_key)
    log_views = assign(params, code.z)
    same = jnp.mean(divergence(jax.lax.stop_gradient(jnp.exp(log_q)), log_views))
    return hyper["view_weight"] * same, log_views
