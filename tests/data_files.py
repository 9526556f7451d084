"""The public data files of the tests: a test that needs one is skipped where they were not asked for."""

import os

import pytest

from fairjax.datasets.files import ENVIRONMENT_VARIABLE, find


def need(*files):
    """Skip where no folder is named; where one is, a file that is missing fails its tests."""
    missing = [file.name for file in files if find(file) is None]
    if not missing:
        return
    names, folder = ", ".join(missing), os.environ.get(ENVIRONMENT_VARIABLE)
    if folder:
        pytest.fail(f"{ENVIRONMENT_VARIABLE} is {folder!r}, which lacks {names}: add the file, or unset it to skip")
    pytest.skip(f"{names} was not found; set {ENVIRONMENT_VARIABLE} to the folder that holds the public files")
