"""``fairjax methods``: what --method takes beside the routes of FCA, and the settings of each."""

import argparse
import inspect
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairjax.cli import baselines, deep
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Print the list of methods, or of the settings of one."""
    others = baselines.methods()
    if options.method in others:
        _print(_entries(baselines.described(others[options.method].estimator)), options.json)
        return
    known = deep.methods()
    if options.method is None:
        titles = {name: (inspect.getdoc(entry.estimator) or "").partition("\n")[0] for name, entry in others.items()}
        titles |= {name: kind.title for name, kind in known.items()}
        _print([{"name": name, "title": title} for name, title in titles.items()], options.json)
        return
    if options.method not in known:
        raise InputError(
            f"there is no method {options.method!r} with settings; expected one of {', '.join((*others, *known))}"
        )
    _print(_settings(known[options.method]), options.json)


def _settings(kind: "type[DeepClusterer]") -> list[dict[str, Any]]:
    from fairjax.deep.methods.documentation import described

    return _entries([about for about in described(kind) if about[0] not in deep.OPTIONS])


def _entries(settings: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    return [{"name": name, "type": words, "title": sentence} for name, words, sentence in settings]


def _print(entries: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(entries))
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    if not entries:
        print("It has no settings of its own.")
        return
    console = Console()
    for entry in entries:
        console.print(Text(entry["name"], style="bold"), Text(entry.get("type", ""), style="dim"))
        console.print(Padding(Text(entry["title"]), (0, 0, 0, 2), expand=False))
