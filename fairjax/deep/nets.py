"""Networks as pure functions of their variables: the one adapter between NNX modules and plain pytrees.

The modules themselves are in `fairjax.deep.autoencoders`, which also says what methods an autoencoder has: whoever
brings a module of that kind can use it in every method of the room. Nothing beyond these modules and
`fairjax.deep.blocks` calls Flax.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from fairjax.deep.autoencoders import Code, ConvAutoencoder, ConvVAE, Critic, FCAutoencoder, MLPAutoencoder
from fairjax.deep.blocks import BatchNorm, Conv, Dense
from fairjax.deep.features import FeatureVAE
from fairjax.errors import InputError

__all__ = [
    "BatchNorm",
    "Code",
    "Conv",
    "ConvAutoencoder",
    "ConvVAE",
    "Critic",
    "Dense",
    "FCAutoencoder",
    "FeatureVAE",
    "MLPAutoencoder",
    "Network",
    "OwnEncoder",
    "OwnNetwork",
    "Variables",
]


class Variables(NamedTuple):
    """What a network holds: trained ``params`` and the ``rest`` (running averages), nested dicts of arrays."""

    params: Any
    rest: Any


def _split(module: Any) -> tuple[Any, Variables]:
    """Structure and arrays of a module."""
    graph, params, rest = nnx.split(module, nnx.Param, ...)  # type: ignore[misc]
    return graph, Variables(nnx.to_pure_dict(params), nnx.to_pure_dict(rest))


_KINDS: dict[str, Any] = {
    "mlp": MLPAutoencoder,
    "sdae": MLPAutoencoder,
    "fc": FCAutoencoder,
    "conv": ConvAutoencoder,
    "vae": ConvVAE,
    "critic": Critic,
}


class _Adapter(ABC):
    """Use of an NNX module as pure functions of its variables."""

    compute: str

    @abstractmethod
    def graph(self) -> Any:
        """Structure without arrays."""

    def call(self, params: Any, rest: Any, use: Callable[..., Any], *inputs: Array) -> tuple[Any, Any]:
        """Merge, run ``use(module, *inputs)``, split: what it returned, and the rest as it then is.

        In ``compute="bfloat16"`` parameters and floating inputs are rounded on the way in; whatever comes out is in the
        type of the parameters, running averages never leave it.
        """
        wide = jnp.result_type(*jax.tree.leaves(params))

        def to(kind: Any) -> Callable[[Array], Array]:
            return lambda leaf: leaf.astype(kind) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

        narrow = to(wide if self.compute == "float32" else self.compute)
        module = nnx.merge(self.graph(), jax.tree.map(narrow, params), rest)
        found = use(module, *(narrow(x) for x in inputs))
        return jax.tree.map(to(wide), found), _split(module)[1].rest

    def encode(self, params: Any, rest: Any, x: Array, *, train: bool = False, key: Array | None = None) -> Any:
        """`Code` of the rows, and the rest as it then is."""
        return self.call(params, rest, lambda module, x: _code(module.encode(x, train=train, key=key)), x)

    def autoencode(
        self, params: Any, rest: Any, x: Array, groups: Array, *, train: bool = False, key: Array | None = None
    ) -> tuple[tuple[Code, Array], Any]:
        """`Code` and reconstruction of the rows, and the rest as it then is."""

        def use(module: Any, x: Array, groups: Array) -> tuple[Code, Array]:
            code = _code(module.encode(x, train=train, key=key))
            return code, module.decode(code.z, groups, train=train)

        return self.call(params, rest, use, x, groups)


def _code(found: Code | Array) -> Code:
    return found if isinstance(found, Code) else Code(found, jnp.zeros_like(found[:, 0]))


@dataclass(frozen=True, kw_only=True)
class Network(_Adapter):
    """One of the networks of `fairjax.deep.autoencoders`, by name: static, hashable, and easy to write down.

    Parameters
    ----------
    kind : {"mlp", "sdae", "fc", "conv", "vae", "critic"}
        "vae" is DFC's convolutional network for images, and what its authors put on precomputed features for vectors.
    shape : tuple of int
        (D,) of vectors or (h, w, c) of images; (K,) for the critic.
    n_latent : int
        Latent dimension d, or the outputs of the critic.
    options : tuple of (name, value)
        Further keywords of the module.
    compute : {"float32", "bfloat16"}
        Type in which the layers compute; "float32" means the type of the parameters.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> network = Network(kind="mlp", shape=(64,), n_latent=10)
    >>> params, rest = network.init(jax.random.key(0))
    >>> code, rest = network.encode(params, rest, jnp.ones((3, 64)))
    >>> code.z.shape
    (3, 10)
    """

    kind: str
    shape: tuple[int, ...]
    n_latent: int
    options: tuple[tuple[str, Hashable], ...] = ()
    compute: str = "float32"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise InputError(f"there is no network {self.kind!r}; expected one of {', '.join(map(repr, _KINDS))}")
        images = self.kind == "conv" or (self.kind == "vae" and len(self.shape) != 1)
        if images and (len(self.shape) != 3 or self.shape[0] % 4 or self.shape[1] % 4 or 0 in self.shape):
            # as PyTorch lays them out
            first = len(self.shape) == 3 and self.shape[0] in (1, 3) and min(self.shape[1:]) > 3
            raise InputError(
                f"the network {self.kind!r} takes images (n, height, width, channels) with height and width divisible "
                f"by 4; found rows of shape {self.shape}"
                + (": if the channels come first, move them by np.moveaxis(X, 1, -1)" if first else "")
            )
        if not images and self.kind != "vae" and len(self.shape) != 1:
            raise InputError(
                f"the network {self.kind!r} takes vectors (n, D); found rows of shape {self.shape}: flatten them, or "
                "take network='conv'"
            )

    def init(self, key: Array) -> Variables:
        """Variables drawn from a key; pure, so `vmap` over keys gives many at once."""
        return _split(self._build(key))[1]

    def graph(self) -> Any:
        """Structure without arrays."""
        return _structure(self)

    def _build(self, key: Array) -> Any:
        if len(self.shape) == 1:
            make: Any = FeatureVAE if self.kind == "vae" else _KINDS[self.kind]
            return make(self.shape[0], self.n_latent, rngs=nnx.Rngs(key), **dict(self.options))
        return _KINDS[self.kind](self.shape, self.n_latent, rngs=nnx.Rngs(key), **dict(self.options))


@lru_cache(maxsize=256)
def _structure(network: Network) -> Any:
    return _split(nnx.eval_shape(lambda: network._build(jax.random.key(0))))[0]


class OwnNetwork(_Adapter):
    """An NNX module of the user's own, with the methods `encode` and `decode` that
    `fairjax.deep.autoencoders` describes.

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

    The module has a method ``encode(x, *, train, key)`` as `fairjax.deep.autoencoders` describes it, or is called with
    the rows alone; then Flax's switches say whether it trains (`nnx.Module.train` and `eval`), so that its dropout and
    batch normalisation work as everywhere in NNX.

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
        If the module is none, cannot be called with such rows, or does not give latent rows (n, d).
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
