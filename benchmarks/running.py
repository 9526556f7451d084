"""One section of a case as it was asked for: where its record lies, what its header says, what is still to do."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import catalogue, measure

ROOT = Path(__file__).resolve().parents[1]
# how a run goes about it, which says nothing of the figures
_UNTOLD = {"section", "quick", "out", "child", "arguments", "help"}
_UNTOLD_OF_PIECES = {"only", "again", "minutes"}
T = TypeVar("T")


class Run:
    """What a section gets: its options, its record, its progress.

    Attributes
    ----------
    case, section : names on the command line; of a case with one section that is its name in the catalogue.
    name : of the record, without ``.json``.
    options : as parsed, with those of the case.
    command : what repeats the run, as the record has it.
    """

    def __init__(
        self, case: str, section: str, name: str, options: argparse.Namespace, command: str, bar: "Bar | None" = None
    ) -> None:
        self.case, self.section, self.name, self.options, self.command = case, section, name, options, command
        self.began = time.perf_counter()
        self._bar = Bar(shown=False) if bar is None else bar

    @property
    def quick(self) -> bool:
        """Small sizes, to see that everything runs."""
        return bool(self.options.quick)

    @property
    def folder(self) -> Path:
        """Where records and pictures go: ``results``, with --quick the temporary folder, or where --out says."""
        if self.options.out is not None:
            return self.options.out.parent if self.options.out.suffix == ".json" else self.options.out
        return Path(tempfile.gettempdir()) if self.quick else measure.RESULTS

    @property
    def path(self) -> Path:
        """The file of the record."""
        if self.options.out is not None and self.options.out.suffix == ".json":
            return self.options.out
        return self.folder / f"{self.name}.json"

    def record(self) -> dict[str, Any]:
        """The record so far; empty where there is none."""
        if not self.path.is_file():
            return {}
        found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def write(self, found: dict[str, Any]) -> Path:
        """Write the record, with its header."""
        return measure.write(self.path, f"{self.case} {self.section}", self.command, found)

    def pieces(self, names: Iterable[str], known: Callable[[str], bool]) -> Iterator[str]:
        """Names of the pieces that are to be run now, so that the same command goes on where one was stopped.

        These begin as --only says, are not ``known`` (but with --again or --quick), and none begins after --minutes.
        """
        wanted = [name for name in names if name.startswith(tuple(self.options.only))]
        for name in self.each(wanted):
            if known(name) and not (self.options.again or self.quick):
                continue
            if time.perf_counter() - self.began > 60 * self.options.minutes:
                print(f"{name}: not begun after {self.options.minutes:g} minutes; the same command goes on", flush=True)
                return
            yield name

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """The items one after the other, with a progress bar on a terminal."""
        return self._bar.each(list(items), " ".join(dict.fromkeys((self.case, self.section))))

    def child(self, name: str, timeout: float, **arguments: Any) -> dict[str, Any]:
        """What ``CHILDREN[name]`` of the case returns in a process of its own, or why it did not."""
        words = ["--child", name, "--arguments", json.dumps(arguments)]
        return ran([sys.executable, "-m", "benchmarks", self.case, *words], timeout)


def ran(command: list[str], timeout: float | None = None) -> dict[str, Any]:
    """The JSON object that a command prints last, or ``failed`` with the reason."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, env=surroundings(), encoding="utf-8"
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"stopped after {timeout:g} s"}
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"failed": f"ended with code {done.returncode}: {last[0]}"}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def surroundings() -> dict[str, str]:
    """The environment of a child, which imports what lies here."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


class Bar:
    """Progress on a terminal: sections, and the pieces of the one that runs. What is printed stays above it."""

    def __init__(self, *, shown: bool) -> None:
        self._progress: Any = None
        if shown:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
            self._progress = Progress(*columns, transient=True)

    @contextmanager
    def running(self) -> Iterator["Bar"]:
        if self._progress is None:
            yield self
        else:
            with self._progress:
                yield self

    def each(self, items: list[T], description: str) -> Iterator[T]:
        if self._progress is None:
            yield from items
            return
        task = self._progress.add_task(description, total=len(items))
        for item in items:
            yield item
            self._progress.advance(task)
        self._progress.remove_task(task)


def command_of(case: str, section: str | None, parser: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """The command as a record has it: what was asked for otherwise than by default, without this machine's paths."""
    untold = _UNTOLD | (_UNTOLD_OF_PIECES if catalogue.CASES[case].pieces else set())
    words = ["python -m benchmarks", case, *([] if section is None else [section])]
    for action in parser._actions:
        value = getattr(options, action.dest, None)
        if action.dest in untold or not action.option_strings or value == action.default:
            continue
        words.append(action.option_strings[0])
        if action.nargs != 0:
            words.append("PATH" if action.type is Path else _word(value))
    return " ".join([*words, "--quick"] if options.quick else words)


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
