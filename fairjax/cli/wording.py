"""Sentences of the library as the command line says them: with options in place of Python's keywords."""

import argparse
import re

# keywords that have another name here
_OTHER = {"n_clusters": "clusters", "n_devices": "devices", "n_seeds": "seeds", "random_state": "seed"}
_NOT_OPTIONS = ("data", "command", "model", "json", "quiet")


def as_options(sentence: str, options: argparse.Namespace) -> str:
    """Name options as they are typed, and point to the help of the command where one was out of its range.

    Examples
    --------
    >>> chosen = argparse.Namespace(command="fit", epsilon=3.0, method="direct", clusters=8)
    >>> as_options("epsilon is 3.0; expected a number from 0 to 2", chosen)
    '--epsilon is 3.0; expected a number from 0 to 2; see fairjax fit --help'
    >>> as_options('X is odd; choose method="direct" or n_clusters=2', chosen)
    'X is odd; choose --method direct or --clusters 2'
    >>> as_options("X is odd; choose epsilon", chosen)
    'X is odd; choose --epsilon'
    """
    names = {name: _typed(name) for name in vars(options) if name not in _NOT_OPTIONS}
    names |= {name: _typed(own) for name, own in _OTHER.items() if own in names}
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    if not known:
        return sentence
    help_of = f"fairjax {options.command} --help"
    at_fault = re.match(rf"(?:both )?(--)?({known})(?: is |=)", sentence)
    sentence = re.sub(
        rf"(?<![\w-])(?<!--set )({known})=(['\"]?)([\w.+-]+)\2", lambda m: f"{names[m[1]]} {m[3]}", sentence
    )
    sentence = re.sub(rf"(?<=; choose )({known})$", lambda m: names[m[1]], sentence)
    sentence = re.sub(rf"^({known}) is ", lambda m: f"{names[m[1]]} is ", sentence)
    if at_fault and help_of not in sentence:
        return f"{sentence}; see {help_of}"
    return sentence


def _typed(name: str) -> str:
    return "--" + name.replace("_", "-")
