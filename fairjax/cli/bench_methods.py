"""What ``fairjax bench`` compares: names of methods, and those with settings from the command line."""

import argparse
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairjax.cli import baselines, deep
from fairjax.cli.method_options import ALIGNMENT
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.baselines.catalogue import Method
    from fairjax.deep.methods.estimator import DeepClusterer

    Entry = Method | type[DeepClusterer]

Chosen = list[str | tuple[str, dict[str, Any]]]  # as `fairjax.compare` takes methods


def chosen(options: argparse.Namespace) -> Chosen:
    """The methods of ``--methods``, each with the settings that ``--set`` and the options of alignment give it.

    Raises
    ------
    InputError
        For names that the catalogue has not, one named twice, and settings that none of the methods has.
    """
    entries = _named(options.methods)
    given = _settings(entries, options.set)
    for name in ALIGNMENT:
        if (value := getattr(options, name)) is None:
            continue
        takers = [own for own, entry in entries.items() if _aligns(entry) and name in _parameters(entry)]
        if not takers:
            raise InputError(
                f"--{name.replace('_', '-')} belongs to methods that align the groups (exact, sinkhorn, "
                "fca-alignment), and none of them is compared; name one with --methods, or leave it out"
            )
        for own in takers:
            given[own][name] = value
    if options.devices > 1 and not any(map(_spreads, entries.values())) and not controls(options):
        raise InputError(
            "--devices belongs to fca and the deep methods, and none of them is compared; name one with --methods, or "
            "leave --devices out"
        )
    return [(name, settings) if settings else name for name, settings in given.items()]


def controls(options: argparse.Namespace) -> Chosen:
    """FCA with the controls of the command line, each a row beside those of the methods."""
    told = {"epsilon": options.epsilon, "min_balance": options.min_balance}
    return [("fca", {name: value}) for name, value in told.items() if value is not None]


def check(options: argparse.Namespace) -> None:
    """Refuse controls out of their range; what the data do not allow is a row without figures, and a note."""
    from fairjax.estimators import settings

    for name, most in (("epsilon", 2), ("min_balance", 1)):
        if (value := getattr(options, name)) is not None:
            settings.check_range(name, value, most)


def _named(text: str) -> "dict[str, Entry]":
    """The methods behind ``A,B`` by their names in the catalogue, or that of the deep ones."""
    from fairjax.comparison.entrants import find_any

    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise InputError("--methods names none; expected names such as kmeans,falg,fca")
    found: dict[str, Entry] = {}
    for entry in map(find_any, names):
        name = entry.command if isinstance(entry, type) else entry.name
        if name in found:
            raise InputError(f"--methods names {name} twice; once is enough")
        found[name] = entry
    return found


def _settings(entries: "dict[str, Entry]", texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings of every method from ``NAME=VALUE`` texts, and ``METHOD.NAME=VALUE`` for one of them."""
    own: dict[str, list[str]] = {name: [] for name in entries}
    for text in texts:
        method, dot, _ = text.partition("=")[0].partition(".")
        if dot:
            named = method.strip().lower().replace("_", "-")
            takers, setting = [named] if named in entries else [], text[len(method) + 1 :]
            if not takers:
                raise InputError(f"--set {text}: {method!r} is none of --methods {','.join(own)}")
        else:
            setting, name = text, method.strip().lstrip("-").replace("-", "_")
            takers = [each for each, entry in entries.items() if not _is_fca(entry) and name in _parameters(entry)]
            if not takers:
                raise InputError(f"--set {text}: none of {', '.join(own)} has a setting of that name{_hint(entries)}")
        for taker in takers:
            if _is_fca(entries[taker]):
                raise InputError(f"--set {text}: settings of {taker} have options of their own; see --help")
            own[taker].append(setting)
    return {name: _parsed(entry, own[name]) for name, entry in entries.items()}


def _parsed(entry: "Entry", texts: Sequence[str]) -> dict[str, Any]:
    return deep.settings(entry, texts) if isinstance(entry, type) else baselines.settings(entry, texts)


def _hint(entries: "dict[str, Entry]") -> str:
    first = next((name for name, entry in entries.items() if isinstance(entry, type) or entry.is_baseline), None)
    return "" if first is None else f"; see fairjax methods {first}"


def _is_fca(entry: "Entry") -> bool:
    return not isinstance(entry, type) and entry.is_fca


def _spreads(entry: "Entry") -> bool:
    """Whether it runs on several devices."""
    return isinstance(entry, type) or (entry.is_fca and not entry.is_alignment)


def _aligns(entry: "Entry") -> bool:
    return not isinstance(entry, type) and (entry.is_alignment or entry.kind == "FCAC")


def _parameters(entry: "Entry") -> Sequence[str]:
    if isinstance(entry, type):
        return entry._get_param_names()
    return list(inspect.signature(entry.estimator).parameters)
