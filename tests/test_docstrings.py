"""The examples in the docstrings of every module run as they stand."""

import doctest
import importlib
import pkgutil

import pytest

import fairjax

MODULES = [found.name for found in pkgutil.walk_packages(fairjax.__path__, "fairjax.")]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "fairjax.__main__"])
def test_examples_in_the_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found():
    # jit hides functions from doctest unless it is unwrapped, so silence alone proves nothing
    assert doctest.testmod(importlib.import_module("fairjax.kmeans.lloyd")).attempted > 10
