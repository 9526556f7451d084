"""The public data files of the tests: a test that needs one is skipped where it is not found."""

import pytest

from fairjax.datasets.files import find


def need(*files):
    for file in files:
        if find(file) is None:
            pytest.skip(f"{file.name} was not found; set FAIRJAX_DATA to the folder that holds it")
