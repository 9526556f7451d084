"""The public data files of the tests: a test that needs one is skipped where it was not asked for."""

import os
from pathlib import Path

import pytest

from fairjax.datasets.files import ENVIRONMENT_VARIABLE, find


def need(*files):
    """Skip where a file is not there; a folder that is named and does not exist is a mistake, and fails."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named and not Path(named).expanduser().is_dir():
        pytest.fail(f"{ENVIRONMENT_VARIABLE} is {named!r}, which is no folder: correct it, or unset it to skip")
    for file in files:
        if find(file) is None:
            pytest.skip(f"{file.name} was not found; set {ENVIRONMENT_VARIABLE} to the folder that holds it")
