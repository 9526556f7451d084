"""Exceptions for bad input, exhausted memory and a lost process, and a warning."""


class InputError(ValueError):
    """Bad input, explained in one sentence: what was found, what was expected, what to do.

    The command line prints it on standard error and exits with code 2.
    """


class OutOfMemoryError(InputError, MemoryError):
    """The data and settings need more memory than there is; the message says what would fit."""


class ReplacementWarning(UserWarning):
    """A training batch asks for more rows than there are, so rows are drawn with replacement."""


class LostProcessError(RuntimeError):
    """Another process of the same program was lost, and this one cannot continue without it."""
