"""The one exception that says: the input, not the program, is at fault."""


class InputError(ValueError):
    """Bad input, told in one sentence: what was found, what was expected, what to do.

    The command line prints it on standard error and ends with exit code 2.
    """
