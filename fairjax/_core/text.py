"""Names and values from foreign files inside a sentence: short, on one line, without control characters."""

import re
from collections.abc import Sequence
from typing import Any

LONGEST = 60  # characters of one name or value in a sentence
SHOWN = 5  # names in a list
# C0 and C1 controls and the marks that change the writing direction: a terminal would act on them
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def visible(text: Any, longest: int | None = None) -> str:
    r"""Return text that is safe to print: control characters escaped, long text cut in the middle.

    Examples
    --------
    >>> print(visible("a\x1b[2Jb"), visible("n" * 100, 9))
    a\x1b[2Jb nnnn…nnnn
    """
    text = str(text)
    if longest is not None and len(text) > longest:
        half = max((longest - 1) // 2, 1)
        text = f"{text[:half]}…{text[-half:]}"
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def shown(value: Any) -> str:
    """Return a name or value in quotes, or a bare number, for use in a sentence.

    Examples
    --------
    >>> print(shown("sex"), shown(2.5), shown("it's"))
    'sex' 2.5 "it's"
    """
    if not isinstance(value, str):
        return visible(repr(value), LONGEST)
    quote = '"' if "'" in value and '"' not in value else "'"
    return f"{quote}{visible(value, LONGEST)}{quote}"


def listed(values: Sequence[Any], most: int = SHOWN) -> str:
    """Return the first few values for a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    text = ", ".join(shown(value) for value in values[:most])
    return text + (f" and {len(values) - most} more" if len(values) > most else "")


def reason(error: BaseException, longest: int = 200) -> str:
    """Return the message of a library exception on one line, for use inside a sentence."""
    text = " ".join(str(error).split()).rstrip(".")
    return visible(text, longest) if text else type(error).__name__


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Count a noun: ``1 row``, ``2,000 rows``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
