"""``fairjax datasets``: what is known, where it was found, what is missing and how to get it."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from fairjax.datasets import CatalogEntry, catalog


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Print the catalogue."""
    entries = catalog()
    if options.json:
        print(json.dumps([_plain(entry) for entry in entries]))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for entry in entries:
        console.print(Text(entry.name, style="bold"), Text(entry.description))
        console.print(Text(f"  {_state(entry)}", style="green" if entry.available else "yellow"))
        for file in entry.missing:
            console.print(Text(f"  {file.name}: {file.how_to_get}", style="dim"))


def _state(entry: CatalogEntry) -> str:
    folders = sorted({str(file.found.parent) for file in entry.files if file.found is not None})
    if not entry.files:
        return "ready: bundled with scikit-learn"
    if entry.available:
        return f"ready: {', '.join(folders)}"
    return f"{len(entry.missing)} of {len(entry.files)} files missing"


def _plain(entry: CatalogEntry) -> dict[str, object]:
    def text(path: Path | None) -> str | None:
        return None if path is None else str(path)

    return {
        "name": entry.name,
        "description": entry.description,
        "licence": entry.licence,
        "available": entry.available,
        "files": [
            {"name": file.name, "found": text(file.found), "how_to_get": file.how_to_get} for file in entry.files
        ],
    }
