"""``fairjax methods``: the deep methods, and the settings of each as they are declared."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairjax.cli import deep
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Print the list of methods, or of the settings of one."""
    known = deep.methods()
    if options.method is None:
        _print([{"name": name, "title": kind.title} for name, kind in known.items()], options.json)
        return
    if options.method not in known:
        raise InputError(f"there is no deep method {options.method!r}; expected one of {', '.join(known)}")
    _print(_settings(known[options.method]), options.json)


def _settings(kind: "type[DeepClusterer]") -> list[dict[str, Any]]:
    from fairjax.deep.methods.documentation import described

    return [
        {"name": name, "type": words, "title": sentence}
        for name, words, sentence in described(kind)
        if name not in deep.OPTIONS
    ]


def _print(entries: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(entries))
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    for entry in entries:
        console.print(Text(entry["name"], style="bold"), Text(entry.get("type", ""), style="dim"))
        console.print(Padding(Text(entry["title"]), (0, 0, 0, 2), expand=False))
