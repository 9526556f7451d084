"""What ``fairjax bench`` compares: names of methods, and those with settings from the command line."""

import argparse
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairjax.cli import baselines
from fairjax.cli.method_options import ALIGNMENT
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.baselines.catalogue import Method

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
        takers = [entry for entry in entries if _aligns(entry) and name in _parameters(entry)]
        if not takers:
            raise InputError(
                f"--{name.replace('_', '-')} belongs to methods that align the groups (exact, sinkhorn, "
                "fca-alignment), and none of them is compared; name one with --methods, or leave it out"
            )
        for entry in takers:
            given[entry.name][name] = value
    return [(entry.name, given[entry.name]) if given[entry.name] else entry.name for entry in entries]


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


def check_spread(methods: Chosen, options: argparse.Namespace) -> None:
    """Refuse several devices where no method spreads rows over them."""
    from fairjax.baselines.catalogue import find

    entries = [find(method if isinstance(method, str) else method[0]) for method in methods]
    if options.devices > 1 and not any(entry.is_fca and not entry.is_alignment for entry in entries):
        raise InputError(
            "--devices belongs to fca, which is not compared; name it with --methods, or leave --devices out"
        )


def _named(text: str) -> "list[Method]":
    """The entries of the catalogue behind ``A,B``."""
    from fairjax.baselines.catalogue import find

    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise InputError("--methods names none; expected names such as kmeans,falg,fca")
    found = [find(name) for name in names]
    known = [entry.name for entry in found]
    twice = sorted({name for name in known if known.count(name) > 1})
    if twice:
        raise InputError(f"--methods names {twice[0]} twice; once is enough")
    return found


def _settings(entries: "Sequence[Method]", texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings of every method from ``NAME=VALUE`` texts, and ``METHOD.NAME=VALUE`` for one of them."""
    own: dict[str, list[str]] = {entry.name: [] for entry in entries}
    for text in texts:
        method, dot, rest = text.partition("=")[0].partition(".")
        if dot:
            takers = [entry for entry in entries if entry.name == method.strip().lower().replace("_", "-")]
            if not takers:
                raise InputError(f"--set {text}: {method!r} is none of --methods {','.join(own)}")
            setting = rest + text[len(method) + 1 + len(rest) :]
        else:
            setting, name = text, method.strip().lstrip("-").replace("-", "_")
            takers = [entry for entry in entries if not entry.is_fca and name in _parameters(entry)]
            if not takers:
                raise InputError(f"--set {text}: none of {', '.join(own)} has a setting of that name{_hint(entries)}")
        for entry in takers:
            if entry.is_fca:
                raise InputError(f"--set {text}: settings of {entry.name} have options of their own; see --help")
            own[entry.name].append(setting)
    return {entry.name: baselines.settings(entry, own[entry.name]) for entry in entries}


def _hint(entries: "Sequence[Method]") -> str:
    first = next((entry.name for entry in entries if entry.name in baselines.methods()), None)
    return "" if first is None else f"; see fairjax methods {first}"


def _aligns(entry: "Method") -> bool:
    return entry.is_alignment or entry.kind == "FCAC"


def _parameters(entry: "Method") -> Sequence[str]:
    return list(inspect.signature(entry.estimator).parameters)
