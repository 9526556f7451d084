"""What a parameter of an estimator is: one field of a dataclass, with its type, its bounds and its sentence.

Everything else follows from the fields: the constructor, checks, documentation, and what ``fairjax fit --set`` takes.
"""

import dataclasses
import types
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

__all__ = ["Setting", "setting", "settings_of"]

Kind: TypeAlias = Literal["number", "whole", "flag", "choice", "path", "other"]


def setting(
    default: Any = dataclasses.MISSING,
    doc: str = "",
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    most: float | None = None,
    words: str = "",
    formerly: str = "",
) -> Any:
    """Declare a setting, as the default of a field.

    Parameters
    ----------
    default : object
        Its default.
    doc : str
        One sentence. Left out where a class gives another default to a field that it inherits.
    least : float, optional
        Least number; 0, and of whole numbers 1, where nothing is said.
    above : float, optional
        What a number has to exceed; it is at least 0 in any case.
    below : float, optional
        What a number stays below.
    most : float, optional
        Largest value of a number.
    words : str, optional
        What the documentation says of the type, where the annotation says too little.
    formerly : str, optional
        Its name in files of earlier versions.
    """
    about = {
        "doc": doc,
        "least": least,
        "above": above,
        "below": below,
        "most": most,
        "words": words,
        "formerly": formerly,
    }
    return dataclasses.field(default=default, metadata=about)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting as it was declared.

    Attributes
    ----------
    name : str
    doc : str
    default : object
    kind : {"number", "whole", "flag", "choice", "path", "other"}
    choices : tuple of str
        The words of a choice.
    optional : bool
        Whether None is allowed.
    traced : bool
        Whether the number is traced rather than compiled in.
    least : float, optional
    above : float, optional
    below : float, optional
    most : float, optional
    words : str
    formerly : str
        These as given to `setting`.
    """

    name: str
    doc: str
    default: Any
    kind: Kind
    choices: tuple[str, ...] = ()
    optional: bool = False
    traced: bool = False
    least: float | None = None
    above: float | None = None
    below: float | None = None
    most: float | None = None
    words: str = ""
    formerly: str = ""


def settings_of(kind: type) -> tuple[Setting, ...]:
    """All settings of a class, those of its bases first."""
    return _settings_of(kind)


@cache
def _settings_of(kind: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(kind)
    declared = [field for field in dataclasses.fields(kind) if "doc" in field.metadata]
    return tuple(_described(kind, field, hints[field.name]) for field in declared)


def _described(kind: type, field: "dataclasses.Field[Any]", hint: Any) -> Setting:
    # imported here because it takes half a second, and the command line asks for settings before it needs JAX
    from jax import Array

    # a class may give another default, or sentence, to a field of its base, which has said the rest
    declared = [vars(base).get("__dataclass_fields__", {}).get(field.name) for base in kind.__mro__]
    known = [found.metadata for found in declared if found is not None and found.metadata.get("doc")]
    metadata = known[0] | {"words": next((each["words"] for each in known if each["words"]), "")} if known else None
    if metadata is None:
        raise TypeError(f"the setting {field.name} of {kind.__name__} has no sentence; give setting(default, doc)")
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    concrete = tuple(part for part in parts if part is not types.NoneType)
    traced, choices = Array in concrete, ()
    sort: Kind = "other"
    if traced or concrete == (float,):
        sort = "number"
    elif concrete == (int,):
        sort = "whole"
    elif concrete == (bool,):
        sort = "flag"
    elif Path in concrete:
        sort = "path"
    elif len(concrete) == 1 and get_origin(concrete[0]) is Literal:
        sort, choices = "choice", get_args(concrete[0])
    optional = types.NoneType in parts
    return Setting(
        name=field.name, default=field.default, kind=sort, choices=choices, optional=optional, traced=traced, **metadata
    )
