"""A fitted estimator as a file: what is written, and what is checked before it is believed."""

import os
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fairjax import __version__
from fairjax.datasets.preparation import Preparation
from fairjax.deep.methods.assigning import Clusterer
from fairjax.deep.methods.settings import renamed
from fairjax.deep.nets.passing import embed
from fairjax.errors import InputError
from fairjax.saving import archive
from fairjax.saving.archive import Arrays, read
from fairjax.saving.common import FORMAT, group_words, model_of, plain_settings, preparation_of
from fairjax.saving.words import Words, check_array

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer

__all__ = ["fill", "read", "restore", "save", "write"]

_SCALES = ((2.0, -1.0, "tanh"), (1.0, 0.0, "sigmoid"), (1.0, 0.0, "tanh"), (1.0, 0.0, "linear"))
_HISTORY = "history/"

Model = TypeVar("Model", bound="DeepClusterer")


def save(model: "DeepClusterer", target: archive.Target, preparation: Preparation | None) -> None:
    """Write a fitted estimator; see `DeepClusterer.save`."""
    settings = plain_settings(model)
    settings["network"] = model.network if isinstance(model.network, str) else None
    if settings.get("checkpoint_dir") is not None:
        settings["checkpoint_dir"] = os.fspath(settings["checkpoint_dir"])
    words = {
        "format": FORMAT,
        "version": __version__,
        "class": type(model).__name__,
        "settings": settings,
        **group_words(model),
        "scale": model._scale,
        "shape": model._shape,
        "balance": [model.balance_, model.max_balance_],
        "n_iter": model.n_iter_,
        "ended_early": model.ended_early_,
        "notes": model.notes_,
        "preparation": None if preparation is None else preparation.to_json(),
    }
    trees = {"clusterer": model._clusterer, "labels": model.labels_, "history": model.history_}
    write(target, words, trees)


def restore(kind: type[Model], words: Words, arrays: Arrays, network: Any = None) -> Model:
    """The estimator that `save` wrote; ``network`` where it was fitted with a module of the user's own.

    Raises
    ------
    InputError
        For anything that a fit could not have left.
    """
    settings = renamed(kind, words.object("settings"))
    if settings.get("network") is None:
        if network is None:
            raise archive.ForeignError("was fitted with a network of one's own; give it as network=")
        settings["network"] = network
    model = model_of(kind, settings)
    model._check_parameters()
    model._shape, model._scale = words.wholes("shape", 1), _scale(words)
    model.n_features_in_ = model._shape[0]
    model.groups_, model.group_names_ = words.groups()
    model._network = model._choose_network(model._shape, len(model.groups_))
    model._clusterer = _clusterer(model, arrays)
    model.cluster_centers_ = np.asarray(model._clusterer.centers)
    model.labels_ = _labels(arrays, int(model.n_clusters))
    model.history_ = {name.removeprefix(_HISTORY): a for name, a in arrays.items() if name.startswith(_HISTORY)}
    for name, values in model.history_.items():
        # a term may have been anything when its training ended
        check_array(f"the history of {name!r}", np.nan_to_num(values), (len(values),) if values.ndim else (-1,))
    model.balance_, model.max_balance_ = words.numbers("balance", 2, 0, 1)
    model.n_iter_ = words.whole("n_iter")
    model.ended_early_ = words.flag("ended_early", default=False)
    model.notes_ = words.texts("notes", default=())
    model.preparation_ = preparation_of(words, model.n_features_in_)
    return model


def write(target: archive.Target, words: dict[str, Any], trees: dict[str, Any]) -> None:
    """Write JSON words and trees of arrays; the file appears whole or not at all."""
    arrays: Arrays = {}
    for name, tree in trees.items():
        for place, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            # such as a network of one's own carries for its dropout
            key = isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            arrays[_name(name, place)] = np.asarray(jax.random.key_data(leaf) if key else leaf)
    archive.write(target, words, arrays)


def fill(template: Any, arrays: Arrays, name: str) -> Any:
    """A tree like the template with the arrays of that name.

    Raises
    ------
    InputError
        If an array is missing, or of another shape or kind, as when the network has another structure; if it holds
        values that are not finite.
    """
    places, structure = jax.tree_util.tree_flatten_with_path(template)
    leaves = []
    for place, like in places:
        full = _name(name, place)
        if full not in arrays:
            raise InputError(f"it lacks the array {full!r}: the network is of another structure")
        key = jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key)
        data = jax.eval_shape(jax.random.key_data, like) if key else like
        check_array(full, arrays[full], data.shape, np.dtype(data.dtype).kind)
        array = jnp.asarray(arrays[full])
        leaves.append(jax.random.wrap_key_data(array) if key else array)
    return jax.tree.unflatten(structure, leaves)


def _clusterer(model: "DeepClusterer", arrays: Arrays) -> Clusterer:
    """The network's variables and the centres, of the shapes that the settings ask for."""
    network, K = model._network, int(model.n_clusters)
    start = jax.eval_shape(network.init, jax.random.key(0))
    row = jax.ShapeDtypeStruct((1, *model._shape), jnp.result_type(float))
    group = jax.ShapeDtypeStruct((1,), jnp.int32)
    latent = jax.eval_shape(partial(embed, network), *start, row, group)

    def place(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.result_type(float))

    prices: Any = place(len(model.groups_), K) if "clusterer/prices" in arrays else ()
    template: Any = Clusterer(start.params, start.rest, place(K, latent.shape[1]), place(), prices)  # type: ignore[arg-type]
    return fill(template, arrays, "clusterer")


def _scale(words: Words) -> tuple[Any, ...]:
    found = tuple(words.list("scale"))
    if found not in _SCALES:
        raise InputError(f"scale is {found!r}; expected one of {', '.join(map(repr, _SCALES))}")
    return found


def _labels(arrays: Arrays, n_clusters: int) -> Any:
    if "labels" not in arrays:
        raise InputError("it lacks the array 'labels'")
    labels = arrays["labels"]
    check_array("labels", labels, labels.shape[:1], "i", 0, n_clusters - 1)
    return labels


def _name(name: str, place: Any) -> str:
    rest = jax.tree_util.keystr(place, simple=True, separator="/")
    return f"{name}/{rest}" if rest else name
