"""The examples in the docstrings of every module run as they stand."""

import doctest
import importlib
import pkgutil

import pytest

import fairjax

MODULES = [found.name for found in pkgutil.walk_packages(fairjax.__path__, "fairjax.")]

# whole trainings and routes, of which other tests compile the like, too: 80 s in all
LONG = {
    *(f"fairjax.baselines.{name}" for name in ("falg", "frac", "kmeans", "msflow")),
    *(f"fairjax.comparison.{name}" for name in ("comparing", "fca_c")),
    *(
        f"fairjax.deep.methods.{name}"
        for name in ("aekmeans", "dac", "deepfca", "fairimsat", "imsat", "matching", "running")
    ),
    *(f"fairjax.fca.{name}" for name in ("aligned_starts", "alignment.iterations", "alignment.rounding")),
    *(f"fairjax.fca.{name}" for name in ("batches", "filling")),
    "fairjax.assignment.several",
    "fairjax.deep.nets.convolution",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in LONG else name
        for name in MODULES
        if name != "fairjax.__main__"
    ],
)
def test_examples_in_the_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found():
    # jit hides functions from doctest unless it is unwrapped, so silence alone proves nothing
    assert doctest.testmod(importlib.import_module("fairjax.kmeans.lloyd")).attempted > 10
    assert set(MODULES) > LONG
