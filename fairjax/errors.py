"""The exception that says: the input, not the program, is at fault; one for a lost process; and a warning."""


class InputError(ValueError):
    """Bad input, told in one sentence: what was found, what was expected, what to do.

    The command line prints it on standard error and ends with exit code 2.
    """


class OutOfMemoryError(InputError, MemoryError):
    """The data and settings ask for more memory than there is; says what would fit."""


class ReplacementWarning(UserWarning):
    """Rows are drawn with replacement, since a batch of a training asks for more than there are."""


class LostProcessError(RuntimeError):
    """Another process of the same program is gone, and this one cannot go on without it."""
