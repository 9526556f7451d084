"""A fitted estimator as one NPZ file: arrays by name and one JSON text, no pickle."""

import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from fairjax import __version__
from fairjax.errors import InputError

__all__ = ["fill", "read", "write"]

_WORDS = "words"


def write(path: str | Path, words: dict[str, Any], trees: dict[str, Any]) -> None:
    """Write JSON words and trees of arrays; the file appears whole or not at all.

    Raises
    ------
    InputError
        If the words are not for JSON, or the file cannot be written.
    """
    try:
        text = json.dumps({**words, "version": __version__})
    except TypeError as error:
        raise InputError(f"the estimator cannot be saved: {error}; group values must be text or numbers") from error
    arrays: dict[str, Any] = {_WORDS: np.frombuffer(text.encode(), np.uint8)}
    for name, tree in trees.items():
        for place, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            # such as a network of one's own carries for its dropout
            key = isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            arrays[_name(name, place)] = np.asarray(jax.random.key_data(leaf) if key else leaf)
    path = Path(path)
    partial = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            partial = file.name
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        # such files are made for their owner alone; this one is as any other that the user writes
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, path)
    except OSError as error:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)
        raise InputError(f"{str(path)!r} could not be written ({error}); what was there before is untouched") from error


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Words and arrays by name.

    Raises
    ------
    InputError
        If the file is not there, or is not one that `write` made.
    """
    try:
        # opened here, so that it is closed too where NumPy finds no archive in it
        with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        words = json.loads(arrays.pop(_WORDS).tobytes().decode())
    except FileNotFoundError as error:
        raise InputError(f"there is no file {str(path)!r}") from error
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"{str(path)!r} is not a saved estimator, or is damaged ({error})") from error
    return words, arrays


def fill(template: Any, arrays: dict[str, npt.NDArray[Any]], name: str) -> Any:
    """A tree like the template with the arrays of that name.

    Raises
    ------
    InputError
        If an array is missing, as when the network has another structure.
    """
    places, structure = jax.tree_util.tree_flatten_with_path(template)
    names = [_name(name, place) for place, _ in places]
    missing = [each for each in names if each not in arrays]
    if missing:
        raise InputError(f"the file lacks the array {missing[0]!r}; the network is of another structure")
    leaves = [
        jax.random.wrap_key_data(jnp.asarray(arrays[each]))
        if jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key)
        else jnp.asarray(arrays[each])
        for each, (_, like) in zip(names, places, strict=True)
    ]
    return jax.tree.unflatten(structure, leaves)


def _name(name: str, place: Any) -> str:
    rest = jax.tree_util.keystr(place, simple=True, separator="/")
    return f"{name}/{rest}" if rest else name
