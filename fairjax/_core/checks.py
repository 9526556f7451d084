"""Checks of settings, shared by the whole package so that their wording is the same."""

from collections.abc import Collection
from numbers import Integral
from typing import Any

from fairjax.errors import InputError


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raise InputError unless ``value`` is one of the ``choices``."""
    if value not in choices:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raise InputError unless ``value`` is an integer of at least ``least``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {value!r}; expected a whole number of at least {least}")
