"""Which network is meant: one of ours by its name, or a module of the user's own."""

from dataclasses import dataclass
from typing import Any

from fairjax.deep.nets.entrance import own_options
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnEncoder, OwnNetwork
from fairjax.errors import InputError

__all__ = ["Family", "choose"]

_SMALL = 256  # features up to which a small plain network is the default
_WIDE = (500, 500, 2000)  # hidden layers of DEC's stacked autoencoder
_VAE_LATENT = 64
_WITHOUT_DECODER = ("classifier", "conv-classifier", "dac")


@dataclass(frozen=True, kw_only=True)
class Family:
    """The networks that a method takes.

    Attributes
    ----------
    images : str
        What "auto" means for images.
    vectors : str
        What it means for vectors, if these have more than 256 numbers; else it is "mlp".
    unit_norm : bool
        Whether latent rows are brought to length one.
    names : tuple of str
        All that may be asked for by name.
    signed : bool
        Whether values in [0, 1] are brought to [-1, 1].
    """

    images: str = "conv"
    vectors: str = "sdae"
    unit_norm: bool = False
    names: tuple[str, ...] = ("mlp", "sdae", "fc", "conv", "vae")
    signed: bool = False

    @property
    def sentence(self) -> str:
        """What documentation says of the names."""
        known = ", ".join(f'"{name}"' for name in ("auto", *self.names))
        large = (
            f'"{self.images}"'
            if self.images == self.vectors
            else f'"{self.images}" for images, "{self.vectors}" for vectors'
        )
        small = f', and "mlp" for vectors of up to {_SMALL} numbers' if "mlp" in self.names else ""
        return f'Names are {known}; "auto" takes {large}{small}.'


def choose(
    asked: Any,
    family: Family,
    shape: tuple[int, ...],
    *,
    method: str,
    n_clusters: int,
    n_latent: int | None,
    branches: int,
    output: str,
    compute: str,
    own_parts: str = "shared",
    n_groups: int = 1,
) -> Network | OwnNetwork:
    """The network of a training.

    Parameters
    ----------
    asked : str or nnx.Module
        A name of the family or "auto", or a module of the user's own: an autoencoder, or an encoder that gets the
        decoder of "auto".
    family : Family
    shape : tuple of int
        Of a row.
    method : str
        Its name, for messages.
    n_clusters : int
        The latent dimension where nothing else is said.
    n_latent : int, optional
    branches : int
        Decoder branches.
    output : {"sigmoid", "tanh", "linear"}
        Last function of the decoder.
    compute : {"float32", "bfloat16"}
    own_parts : {"shared", "layer", "norm", "both"}
        What of the encoder is to be each group's own.
    n_groups : int
        Of the data.

    Raises
    ------
    InputError
        If there is no such network, it does not take such rows, or it has no parts of the groups' own.
    """
    without = f"group_encoder={own_parts!r} takes the network 'mlp', 'sdae', 'fc' or 'conv'"

    def named(kind: str, n_latent: int | None) -> Network:
        if kind == "auto":
            kind = family.images if len(shape) == 3 else family.vectors
            if len(shape) == 1 and shape[0] <= _SMALL and "mlp" in family.names:
                kind = "mlp"
        options: dict[str, Any] = {}
        if kind not in _WITHOUT_DECODER:
            options["output"] = output
        if kind not in ("vae", "gan", *_WITHOUT_DECODER):
            options |= {"unit_norm": family.unit_norm, "n_groups": branches} | own_options(own_parts, n_groups)
        elif own_parts != "shared":
            raise InputError(f"{without}; found {kind!r}")
        if kind == "sdae":
            options["hidden"] = _WIDE
        latent = n_latent or (_VAE_LATENT if kind == "vae" else n_clusters)
        return Network(kind=kind, shape=shape, n_latent=latent, options=tuple(sorted(options.items())), compute=compute)

    if isinstance(asked, str):
        if asked not in ("auto", *family.names):
            known = ", ".join(map(repr, ("auto", *family.names)))
            raise InputError(f"{method} has no network {asked!r}; expected one of {known}, or an NNX module")
        return named(asked, n_latent)
    if own_parts != "shared":
        raise InputError(f"{without}; found a module of your own, which can hold such parts itself")
    own: OwnNetwork
    if callable(getattr(asked, "decode", None)):
        own = OwnNetwork(asked, compute)
    else:
        own = OwnEncoder(asked, shape, lambda latent: named("auto", latent), compute)
        if family.vectors in _WITHOUT_DECODER:
            return own
    own.check(shape)
    return own
