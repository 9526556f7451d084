"""Run a benchmark: ``python -m benchmarks NAME [SECTION ...] [options]``, from the root of the repository.

    python -m benchmarks --list                 what there is: what it measures, how long it takes, its record
    python -m benchmarks direct targets         one section; its record is results/direct-targets.json
    python -m benchmarks direct all             every section of a case, one after the other
    python -m benchmarks direct all --quick     small sizes, to the temporary folder: does everything run?
    python -m benchmarks NAME --help            what a case does, and its options
    python -m benchmarks tables                 write the tables of the pages anew from the records

Public data are looked for in the folder that ``FAIRJAX_DATA`` names.
"""

import argparse
import importlib
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import catalogue, running


def main(words: Sequence[str] | None = None) -> int:
    """The exit code: that of the sections that ran, 2 where the command is not understood."""
    given = list(sys.argv[1:] if words is None else words)
    if not given or given[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if given[0] == "--list":
        print("\n".join(catalogue.listed()))
        return 0
    name, *rest = given
    if name not in catalogue.CASES:
        print(f"there is no benchmark {name!r}; python -m benchmarks --list names them", file=sys.stderr)
        return 2
    case = catalogue.CASES[name]
    module = importlib.import_module(case.module)
    parser = parser_of(name, case, module)
    options = parser.parse_args(rest)
    if options.child is not None:
        print(json.dumps(module.CHILDREN[options.child](**json.loads(options.arguments))))
        return 0
    sections = list(case.sections)
    if set(options.section) - {*sections, "all"} or (len(sections) > 1 and not options.section):
        parser.error(f"say which section: {', '.join([*sections, 'all'])}")
    if options.section and "all" not in options.section:
        sections = options.section
    return run(name, case, module, parser, options, sections)


def parser_of(name: str, case: catalogue.Case, module: ModuleType) -> argparse.ArgumentParser:
    """The options of every benchmark, those of benchmarks with pieces, and those of this one."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}", description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("section", nargs="*", help=f"{', '.join(case.sections)}, or all")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--out", type=Path, help="folder of the record, or its file (a name that ends in .json)")
    if case.pieces:
        parser.add_argument("--only", nargs="+", default=[""], metavar="PIECE", help="pieces whose name begins so")
        parser.add_argument("--again", action="store_true", help="run pieces that the record has, too")
        parser.add_argument("--minutes", type=float, default=math.inf, metavar="M", help="begin no piece later")
    if hasattr(module, "add_arguments"):
        module.add_arguments(parser)
    parser.add_argument("--child", choices=[*getattr(module, "CHILDREN", {})], help=argparse.SUPPRESS)
    parser.add_argument("--arguments", default="{}", help=argparse.SUPPRESS)
    return parser


def run(
    name: str, case: catalogue.Case, module: ModuleType, parser: argparse.ArgumentParser, options: Any,
    sections: list[str],
) -> int:  # fmt: skip
    """Run sections one after the other; a section writes its record itself, or returns what it found."""
    code = 0
    with running.Bar(shown=sys.stderr.isatty()).running() as bar:
        for section in bar.each(sections, name) if len(sections) > 1 else sections:
            said = running.command_of(name, section if len(case.sections) > 1 else None, parser, options)
            this = running.Run(name, section, case.sections[section].record, options, said, bar)
            print("==", said.removeprefix("python -m benchmarks "), flush=True)
            found = module.SECTIONS[section](this)
            if isinstance(found, dict):
                this.write({"seconds_in_all": round(time.perf_counter() - this.began, 1)} | found)
                print(f"wrote {this.path.name}", flush=True)
            elif isinstance(found, int):
                code = max(code, found)
    return code


if __name__ == "__main__":
    sys.exit(main())
