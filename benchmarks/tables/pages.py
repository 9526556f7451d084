"""Write the tables of ``README.md`` and ``benchmarks/README.md`` from the records in ``results``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. Figures in sentences are listed in
``quotations.md``, since nobody wants to read a README with marks in its lines: what differs is named, and the exit code
is 1. With ``--check`` nothing is written, and tables that differ are named, too.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import records
from benchmarks.running import ROOT, Run
from benchmarks.tables import alignment, baselines, deep, direct, protocols, transport

FILES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
QUOTATIONS = Path(__file__).with_name("quotations.md")
_MARKED = re.compile(r"(<!-- table: (?P<name>[^>\n]+) -->\n)(?P<table>.*?)(<!-- end -->)", re.DOTALL)

TABLES: dict[str, Callable[[], str]] = {
    **direct.TABLES,
    **protocols.TABLES,
    **baselines.TABLES,
    **alignment.TABLES,
    **transport.TABLES,
    **deep.TABLES,
}


def rewritten(text: str) -> str:
    """A file with all of its tables as the records have them."""
    return _MARKED.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}\n{found[4]}", text)


def differing(text: str) -> Iterator[str]:
    """Names of the tables of a file that differ from their records."""
    for found in _MARKED.finditer(text):
        if found["table"].strip() != TABLES[found["name"]]().strip():
            yield found["name"]


def quotations() -> Iterator[tuple[str, str]]:
    """Files, and the templates of what they say."""
    name = ""
    for block in QUOTATIONS.read_text(encoding="utf-8").split("\n\n"):
        if block.startswith("## "):
            name = block.removeprefix("## ").strip()
        elif block.startswith("> "):
            yield name, " ".join(line.removeprefix(">").strip() for line in block.strip().splitlines())


def misquoted() -> Iterator[str]:
    """What a file should say by its records, and does not."""
    for name, template in quotations():
        said = " ".join((ROOT / name).read_text(encoding="utf-8").split())
        if (sentence := records.sentence(template)) not in said:
            yield f"{name} should say: {sentence}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if anything differs")


def tables(run: Run) -> int:
    faults = [*misquoted()]
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for name in differing(text):
            print(f"{path.relative_to(ROOT)}: table {name!r}" + (" differs" if run.options.check else " written anew"))
            faults += [name] if run.options.check else []
        if not run.options.check:
            path.write_text(rewritten(text), encoding="utf-8")
    print("\n".join(fault for fault in faults if " should say: " in fault))
    return int(bool(faults))


SECTIONS = {"tables": tables}
