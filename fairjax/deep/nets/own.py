"""Networks of the user's own: an autoencoder, or an encoder that gets one of our decoders."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from fairjax.deep.nets.autoencoders import Code
from fairjax.deep.nets.network import Network, Variables, _Adapter, _code, _split
from fairjax.errors import InputError


class OwnNetwork(_Adapter):
    """An NNX module of the user's own, with the methods `encode` and `decode` that
    `fairjax.deep.nets.autoencoders` describes.

    Parameters
    ----------
    module : nnx.Module
        Training starts at the values that it holds, whatever the key.
    compute : {"float32", "bfloat16"}
        As for `Network`.

    Raises
    ------
    InputError
        If a method is missing, or the module holds nothing to train.
    """

    def __init__(self, module: Any, compute: str = "float32") -> None:
        missing = [name for name in ("encode", "decode") if not callable(getattr(module, name, None))]
        if not isinstance(module, nnx.Module) or missing:
            raise InputError(
                f"network is a {type(module).__name__}; expected a name or an NNX module with the methods encode(x, *, "
                "train, key) and decode(z, groups, *, train)"
            )
        self._graph, self._start = _split(module)
        self.compute = compute
        if not jax.tree.leaves(self._start.params):
            raise InputError("the network holds no parameters (nnx.Param) to train")

    def init(self, key: Array) -> Variables:
        """The values that the module was given with."""
        return jax.tree.map(jnp.asarray, self._start)

    def graph(self) -> Any:
        """Structure without arrays."""
        return self._graph

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse a module that does not take rows of this shape, or does not give them back in it."""

        def both(x: Array) -> tuple[Array, Array]:
            params, rest = self.init(jax.random.key(0))
            (code, found), _ = self.autoencode(params, rest, x, jnp.zeros(len(x), jnp.int32), key=jax.random.key(0))
            return code.z, found

        _, found = _tried(both, shape)
        if found.shape[1:] != shape:
            raise InputError(
                f"the network makes rows of shape {found.shape[1:]} of rows of shape {shape}; decode must give back "
                "what encode takes"
            )


class OwnEncoder(OwnNetwork):
    """An encoder of the user's own, completed by the decoder of one of our networks.

    The module has a method ``encode(x, *, train, key)`` as `fairjax.deep.nets.autoencoders` describes it, or is called
    with the rows alone; then Flax's switches say whether it trains (`nnx.Module.train` and `eval`), so that its dropout
    and batch normalisation work as everywhere in NNX.

    Parameters
    ----------
    module : nnx.Module
        Training starts at the values that it holds; the decoder is drawn from the key.
    shape : tuple of int
        Of a row.
    decoder : function of the latent dimension
        The `Network` whose decoder is taken.
    compute : {"float32", "bfloat16"}
        As for `Network`.

    Raises
    ------
    InputError
        If it is not a module, cannot be called with such rows, or does not give latent rows (n, d).
    """

    def __init__(
        self,
        module: Any,
        shape: tuple[int, ...],
        decoder: Callable[[int], Network],
        compute: str = "float32",
    ) -> None:
        if not isinstance(module, nnx.Module) or not (callable(module) or hasattr(module, "encode")):
            raise InputError(
                f"network is a {type(module).__name__}; expected a name, or an NNX module: an encoder that is called "
                "with rows, or one with the methods encode(x, *, train, key) and decode(z, groups, *, train)"
            )
        self._encoder = nnx.split(module)
        self.compute = compute
        z, _ = _tried(lambda x: _code(_encoded(nnx.merge(*self._encoder), x, train=False, key=None)), shape)
        self._decoder = decoder(z.shape[1])
        self._graph = _split(nnx.eval_shape(lambda: self._build(jax.random.key(0))))[0]

    def init(self, key: Array) -> Variables:
        """The encoder's values as they were given, and a new decoder."""
        return _split(self._build(key))[1]

    def _build(self, key: Array) -> Any:
        return _Completed(nnx.merge(*self._encoder), self._decoder._build(key))


class _Completed(nnx.Module):
    """An encoder, and the decoding half of an autoencoder."""

    def __init__(self, encoder: Any, decoder: Any) -> None:
        for name in _ENCODING:
            if hasattr(decoder, name):
                delattr(decoder, name)
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x: Array, *, train: bool, key: Array | None) -> Code | Array:
        return _encoded(self.encoder, x, train=train, key=key)

    def decode(self, z: Array, groups: Array, *, train: bool) -> Array:
        return self.decoder.decode(z, groups, train=train)


# what our autoencoders use on the way to the latent rows only
_ENCODING = ("encoder", "trunk", "trunk_norm", "trunk_norms", "convs", "conv_norms", "code", "mean", "logvar")


def _encoded(encoder: Any, x: Array, *, train: bool, key: Array | None) -> Code | Array:
    if hasattr(encoder, "encode"):
        return encoder.encode(x, train=train, key=key)
    (encoder.train if train else encoder.eval)()
    return encoder(x)


def _tried(use: Callable[[Array], Any], shape: tuple[int, ...]) -> Any:
    """Shapes of ``(z, ...)`` that a module of the user's own makes of rows, or an error that says what is wrong."""
    n = 2
    try:
        found = jax.eval_shape(use, jax.ShapeDtypeStruct((n, *shape), jnp.result_type(float)))
    except (TypeError, ValueError) as error:
        raise InputError(f"the network fails on rows of shape {shape}: {error}") from error
    if len(found[0].shape) != 2 or found[0].shape[0] != n:
        raise InputError(f"the network makes latents {found[0].shape} of {n} rows; expected (n, d)")
    return found
