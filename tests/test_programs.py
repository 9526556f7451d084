"""Compiled programs kept on disk."""

import os

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

import fairjax
from fairjax import programs
from fairjax.errors import InputError

NAMES = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture
def settings():
    """JAX's settings, put back afterwards."""
    before = {name: getattr(jax.config, name) for name in NAMES}
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_programs_are_kept(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "MIN_SECONDS", 0.0)
    folder = fairjax.keep_programs(tmp_path)
    assert folder.parent == tmp_path
    jax.jit(lambda x: jnp.sin(x) + 3)(jnp.ones(7))
    assert any(folder.iterdir())


def test_the_oldest_go_first(tmp_path, monkeypatch):
    folder = programs.prepared(tmp_path)
    for age in range(4):
        file = folder / f"program{age}"
        file.write_bytes(bytes(100))
        os.utime(file, (1000 - age, 1000 - age))
    monkeypatch.setattr(programs, "_MOST_BYTES", 250)
    programs.prepared(tmp_path)
    assert sorted(os.listdir(folder)) == ["program0", "program1"]


def test_a_folder_that_cannot_be(settings, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose a folder"):
        fairjax.keep_programs(tmp_path / "file")
