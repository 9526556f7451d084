"""The parser of the command line: one sentence for what is wrong, with the option that was meant."""

import argparse
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NoReturn

from fairjax._core.text import visible
from fairjax.errors import InputError

# what people type who know other programs
_ALIASES = {"--n-clusters": "--clusters", "--k": "--clusters", "-k": "--clusters", "--random-state": "--seed",
            "--output": "--out", "-o": "--out", "--groups": "--sensitive", "--sensitive-features": "--sensitive",
            "--delimiter": "--separator", "--sep": "--separator", "--columns": "--features",
            "--method": "--methods"}  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Whole names of options only; every error is an ``InputError``.

    ``without`` names options of other commands that can mean nothing to this one, and why.
    """

    without: Mapping[str, str] = MappingProxyType({})

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Point to the help of the command, and to the nearest option, where one is not known."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            command = _subparser(self, options.command)
            known = [name for name in command._option_string_actions if name.startswith("--")]
            typed = unknown[0].split("=", 1)[0]
            if isinstance(command, Parser) and typed in command.without:
                command.error(f"{typed} means nothing to {command.prog}: {command.without[typed]}; leave it out")
            near = [_ALIASES[typed]] if _ALIASES.get(typed) in known else get_close_matches(typed, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            if _ALIASES.get(typed) not in known and (others := _commands_with(self, typed)):
                hint = f"; this option belongs to {' and '.join(f'{self.prog} {other}' for other in others)}"
            hint = _hint_of_setting(getattr(options, "method", None), typed) or hint
            command.error(f"unrecognized arguments: {listed_plainly(unknown)}{hint}")
        return options

    def error(self, message: str) -> NoReturn:
        """Raise in place of argparse's two lines of usage: one sentence is enough."""
        raise InputError(f"{message}; see {self.prog} --help")


def _subparser(parser: Parser, command: str) -> Parser:
    actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    found: Parser = next(actions).choices[command]
    return found


def _commands_with(parser: Parser, option: str) -> list[str]:
    """Commands that have an option of this name."""
    actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [name for name, known in next(actions).choices.items() if option in known._option_string_actions]


def _hint_of_setting(method: str | None, typed: str) -> str:
    """How a setting of the chosen method is given, where its name was typed as an option."""
    from fairjax.baselines.catalogue import METHODS

    name, entry = typed.lstrip("-").replace("-", "_"), METHODS.get(method or "")
    if entry is None or not entry.is_baseline or name not in entry.estimator().get_params():
        return ""
    return f"; it is a setting of {entry.name}: say --set {name}=VALUE"


def listed_plainly(words: Sequence[str]) -> str:
    """Return what was typed, shortened."""
    return " ".join(visible(word, 60) for word in words[:5])
