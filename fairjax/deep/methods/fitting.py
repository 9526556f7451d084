"""A training as an estimator asks for it: on devices, with checkpoints, and with remarks about the data."""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from fairjax import parallel
from fairjax._core import memory
from fairjax.deep.methods import running
from fairjax.deep.methods.config import Config
from fairjax.deep.methods.restarts import kept, keys_of_starts
from fairjax.deep.methods.settings import renamed, settings_of
from fairjax.deep.training.checkpoints import Keeper, check_folder, claimed, fingerprint, identity, restore
from fairjax.deep.training.streams import prepare
from fairjax.deep.training.tasks import Task
from fairjax.errors import InputError, OutOfMemoryError, ReplacementWarning

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer

__all__ = ["replacement_notes", "train"]

_KEPT = 3  # checkpoints that stay
_LONG_STEP = 2e8  # parameters times rows, from which a chunk is short so that Ctrl-C is heard soon
_KEY = "the key of random_state"  # as the message says where it differs
# what a resumed run may change, and what is compared in another way
_NOT_SETTINGS = ("network", "checkpoint_dir", "resume", "checkpoint_every", "random_state", "n_devices")


def train(
    model: "DeepClusterer",
    config: Config,
    X: npt.NDArray[Any],
    groups: npt.NDArray[np.int32],
    names: tuple[str, ...],
    given: Mapping[str, npt.NDArray[np.int32]],
) -> running.Result:
    """Train, with labels as `given` for fields of `Data`; the model's ``notes_`` are set before the work begins.

    Raises
    ------
    InputError
        If the settings do not fit the data, a checkpoint is of another run, or memory does not suffice.
    """
    key = _key(model)
    keys = keys_of_starts(config, key)
    mesh = parallel.data_mesh(model.n_devices) if model.n_devices > 1 else None
    data = prepare(X, groups)
    labels: dict[str, Any] = {name: jnp.asarray(found) for name, found in given.items()}
    data = data._replace(**labels)
    running.check_sizes(config, data)
    config = config.resolved(data)
    data = config.completed(data, names)
    tasks = config.tasks(data)
    if model.checkpoint_dir is not None:
        check_folder(model.checkpoint_dir)
    model.notes_ = replacement_notes(tasks, np.asarray(data.sizes), names)
    for note in model.notes_:
        warnings.warn(note, ReplacementWarning, stacklevel=3)
    size = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(config.network.init, key).params))
    batch_size = tasks[-1].batch_size
    options: dict[str, Any] = {"chunk_steps": 10 if size * batch_size > _LONG_STEP else 100, "mesh": mesh}
    try:
        if model.checkpoint_dir is None:
            return kept(running.run(keys, data, config, **options), config, data)
        own = _identity(model, key, X, groups, *given.values())
        with claimed(model.checkpoint_dir):
            position = restore(
                model.checkpoint_dir, tasks, keys, config.hyper(), data, own, translate=partial(_today, type(model))
            )
            if position is not None and not model.resume:
                raise InputError(
                    f"the folder {str(model.checkpoint_dir)!r} holds a checkpoint of this run already; resume it "
                    "(resume=True), or choose another folder"
                )
            keeper = Keeper(model.checkpoint_dir, tasks, own, every=model.checkpoint_every, keep=_KEPT)
            with keeper.listening():
                found = running.run(keys, data, config, position=position, after_chunk=keeper, **options)
            return kept(found, config, data)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not memory.is_exhausted(error):
            raise
        left = memory.free()
        amount = "" if left is None else f" ({left / 1e9:.2g} GB are free)"
        raise OutOfMemoryError(
            f"there is too little memory for steps of batch_size={batch_size}{amount}; take a smaller one, or "
            "compute='bfloat16'"
        ) from error


def replacement_notes(tasks: Sequence[Task], sizes: npt.NDArray[Any], names: Sequence[str]) -> tuple[str, ...]:
    """Say where rows are drawn with replacement, since a batch asks for more than there are."""
    found = {}
    for task in tasks:
        rows = task.batch_size
        if task.by_group:
            small = [f"the group {name}" for name, size in zip(names, sizes.tolist(), strict=True) if size < rows]
        else:
            small = ["the data"] if sizes.sum() < rows else []
        named = " and ".join(small[:3]) + (f" and {len(small) - 3} more" if len(small) > 3 else "")
        # once for the same groups, whatever the number of stages
        found[named] = f"Steps of {rows} rows are more than {named} can fill: rows are drawn with replacement."
    return tuple(note for named, note in found.items() if named)


def _key(model: "DeepClusterer") -> jax.Array:
    """Drawn from ``random_state``; without one, a run that is resumed goes on with its own."""
    if model.random_state is None and model.resume and model.checkpoint_dir is not None:
        recorded = identity(model.checkpoint_dir)
        if recorded is not None and _KEY in recorded:
            return jax.random.wrap_key_data(jnp.array(recorded[_KEY], jnp.uint32))
    return jax.random.key(int(check_random_state(model.random_state).randint(np.iinfo(np.int32).max)))


def _identity(model: "DeepClusterer", key: jax.Array, *arrays: npt.NDArray[Any]) -> dict[str, Any]:
    """What a checkpoint is recognised by."""
    settings = {
        name: _plain(value) for name, value in model.get_params(deep=False).items() if name not in _NOT_SETTINGS
    }
    network = model.network if isinstance(model.network, str) else type(model.network).__name__
    return {
        "method": type(model).__name__,
        "network": network,
        **settings,
        _KEY: np.asarray(jax.random.key_data(key)).tolist(),
        "data": fingerprint(*arrays),
    }


def _today(kind: "type[DeepClusterer]", found: dict[str, Any]) -> dict[str, Any]:
    """The identity of any version under the names of today; what a version did not know was as the default is."""
    later = {about.name: _plain(about.default) for about in settings_of(kind) if about.name not in _NOT_SETTINGS}
    return later | renamed(kind, found)


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, which JSON takes."""
    return value.item() if isinstance(value, np.generic) else value
