"""Networks as pure functions of their variables: the one adapter between NNX modules and plain pytrees.

The modules themselves are in `fairjax.deep.nets.autoencoders`, which also says what methods an autoencoder needs: a
module of your own with these can be used in every method. Nothing outside this wing calls Flax.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from fairjax.deep.nets.autoencoders import Code, ConvAutoencoder, ConvVAE, Critic, FCAutoencoder, MLPAutoencoder
from fairjax.deep.nets.classifier import Classifier, ConvClassifier
from fairjax.deep.nets.dac import LEAST_SIDE, DACFeatureNetwork, DACNetwork
from fairjax.deep.nets.features import FeatureVAE
from fairjax.deep.nets.gan import GANCritic, GANNetwork
from fairjax.errors import InputError


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
    "classifier": Classifier,
    "conv-classifier": ConvClassifier,
    "dac": DACNetwork,
    "gan": GANNetwork,
    "gan-critic": GANCritic,
}


_BOTH = ("vae", "gan", "gan-critic")  # for vectors and for images that can be halved twice


class _Adapter(ABC):
    """Use of an NNX module as pure functions of its variables."""

    compute: str

    @property
    def by_group(self) -> bool:
        """Whether parts of the encoder are each group's own, so that it asks for the rows' groups."""
        return False

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

    def encode(
        self, params: Any, rest: Any, x: Array, groups: Array | None = None, *, train: bool = False,
        key: Array | None = None,
    ) -> Any:  # fmt: skip
        """`Code` of the rows, and the rest as it then is; groups count only for an encoder that asks for them."""
        if self.by_group and groups is None:
            raise InputError("parts of this encoder are each group's own: pass the groups of the rows, too")
        own = (groups,) if self.by_group and groups is not None else ()
        return self.call(params, rest, lambda module, *own: _code(module.encode(*own, train=train, key=key)), x, *own)

    def autoencode(
        self, params: Any, rest: Any, x: Array, groups: Array, *, branches: Array | None = None, train: bool = False,
        key: Array | None = None,
    ) -> tuple[tuple[Code, Array], Any]:  # fmt: skip
        """`Code` and reconstruction of the rows, and the rest as it then is; `branches` decode in place of `groups`."""

        def use(module: Any, x: Array, groups: Array, branches: Array) -> tuple[Code, Array]:
            code = _code(module.encode(x, *((groups,) if self.by_group else ()), train=train, key=key))
            return code, module.decode(code.z, branches, train=train)

        return self.call(params, rest, use, x, groups, groups if branches is None else branches)


def _code(found: Code | Array) -> Code:
    return found if isinstance(found, Code) else Code(found, jnp.zeros_like(found[:, 0]))


@dataclass(frozen=True, kw_only=True)
class Network(_Adapter):
    """One of the networks of `fairjax.deep.nets.autoencoders`, by name: static, hashable, and easy to write down.

    Parameters
    ----------
    kind : {"mlp", "sdae", "fc", "conv", "vae", "critic", "classifier", "conv-classifier", "dac", "gan", "gan-critic"}
        "vae" is DFC's convolutional network for images, and what its authors put on precomputed features for vectors.
        "classifier", "conv-classifier" and "dac" have no decoder; "classifier" takes images as vectors of their pixels,
        "dac" and "gan" have one network for images and another for vectors.
    shape : tuple of int
        (D,) of vectors or (h, w, c) of images; (K,) for the critic.
    n_latent : int
        Latent dimension d, the outputs of the critic, or the clusters K of a classifier.
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
        images = self.kind in ("conv", "conv-classifier") or (self.kind in _BOTH and len(self.shape) != 1)
        if images and (len(self.shape) != 3 or self.shape[0] % 4 or self.shape[1] % 4 or 0 in self.shape):
            # as PyTorch lays them out
            first = len(self.shape) == 3 and self.shape[0] in (1, 3) and min(self.shape[1:]) > 3
            raise InputError(
                f"the network {self.kind!r} takes images (n, height, width, channels) with height and width divisible "
                f"by 4; found rows of shape {self.shape}"
                + (": if the channels come first, move them by np.moveaxis(X, 1, -1)" if first else "")
            )
        if self.kind == "dac" and len(self.shape) != 1 and (len(self.shape) != 3 or min(self.shape[:2]) < LEAST_SIDE):
            raise InputError(
                f"the network 'dac' takes vectors (n, D), or images (n, height, width, channels) of {LEAST_SIDE} "
                f"pixels or more to a side; found rows of shape {self.shape}: flatten small images"
            )
        if not images and self.kind not in (*_BOTH, "classifier", "dac") and len(self.shape) != 1:
            raise InputError(
                f"the network {self.kind!r} takes vectors (n, D); found rows of shape {self.shape}: flatten them, or "
                "take network='conv'"
            )

    def init(self, key: Array) -> Variables:
        """Variables drawn from a key; pure, so `vmap` over keys gives many at once."""
        return _split(self._build(key))[1]

    @property
    def by_group(self) -> bool:
        """Whether parts of the encoder are each group's own, so that it asks for the rows' groups."""
        return any(name in ("layer_groups", "norm_groups") for name, _ in self.options)

    def graph(self) -> Any:
        """Structure without arrays."""
        return _structure(self)

    def _build(self, key: Array) -> Any:
        if len(self.shape) == 1 or self.kind == "classifier":
            make: Any = {"vae": FeatureVAE, "dac": DACFeatureNetwork}.get(self.kind, _KINDS[self.kind])
            return make(math.prod(self.shape), self.n_latent, rngs=nnx.Rngs(key), **dict(self.options))
        return _KINDS[self.kind](self.shape, self.n_latent, rngs=nnx.Rngs(key), **dict(self.options))


def is_vae(network: Any) -> bool:
    """Whether it is the variational network, whose divergence asks for errors that are sums over pixels."""
    return isinstance(network, Network) and network.kind == "vae"


@lru_cache(maxsize=256)
def _structure(network: Network) -> Any:
    return _split(nnx.eval_shape(lambda: network._build(jax.random.key(0))))[0]
