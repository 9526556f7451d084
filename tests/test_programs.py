"""Compiled programs kept on disk."""

import os
import sys

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

import fairjax
from fairjax import programs
from fairjax._core import executables
from fairjax._core.compiling import stage
from fairjax.cli import deferred
from fairjax.errors import InputError

NAMES = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture
def settings():
    """JAX's settings, put back afterwards."""
    before = {name: getattr(jax.config, name) for name in NAMES}
    yield
    programs.keep_in(None)
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


def test_a_later_process_neither_traces_nor_compiles(settings, tmp_path):
    traced = []

    def scaled(x, factor, *, power):
        traced.append(power)
        return {"scaled": factor * x**power}

    program = stage(scaled, static_argnames="power")
    folder = fairjax.keep_programs(tmp_path)
    x = jnp.arange(3.0)
    once = program(x, jnp.asarray(2.0), power=2)
    assert [file.suffix for file in folder.iterdir() if "scaled" in file.name] == [".program"]
    executables._loaded.clear()
    again = stage(scaled, static_argnames="power")(x, jnp.asarray(2.0), power=2)
    assert traced == [2]
    assert again["scaled"].tolist() == once["scaled"].tolist() == [0.0, 2.0, 8.0]

    # another setting, shape or static value is another program
    assert program(x, jnp.asarray(2.0), power=3)["scaled"].tolist() == [0.0, 2.0, 16.0]
    assert program(x[:2], jnp.asarray(2.0), power=2)["scaled"].tolist() == [0.0, 2.0]
    with jax.enable_x64(True):
        assert program(jnp.arange(3.0), jnp.asarray(2.0), power=2)["scaled"].dtype == jnp.float64
    assert traced == [2, 3, 2, 2]


def test_a_program_that_was_damaged_is_compiled_again(settings, tmp_path):
    program = stage(lambda x: x + 1)
    folder = fairjax.keep_programs(tmp_path)
    program(jnp.arange(3))
    (file,) = folder.glob("*.program")
    whole = file.read_bytes()
    for damaged in (b"", whole[:-9], b"none of ours"):
        file.write_bytes(damaged)
        executables._loaded.clear()
        assert program(jnp.arange(3)).tolist() == [1, 2, 3]
        assert len(file.read_bytes()) > len(whole) // 2


def test_a_rare_library_is_loaded_when_it_is_used(tmp_path, monkeypatch):
    (tmp_path / "rare.py").write_text("def twice(x):\n    return 2 * x\n\n\nname, loaded = 'rare', True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(deferred, "_RARELY_USED", {"rare": ("twice",), "not_installed": ()})
    monkeypatch.delitem(sys.modules, "rare", raising=False)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    deferred.put_off()
    from rare import twice

    assert "loaded" not in vars(sys.modules["rare"])
    assert twice(3) == 6
    assert vars(sys.modules["rare"])["loaded"]
    import rare

    assert rare.name == "rare"
    assert "not_installed" not in sys.modules
    del sys.modules["rare"]


@pytest.mark.parametrize("kept", [False, True])
def test_what_was_compiled_ahead_is_not_compiled_again(settings, tmp_path, kept):
    traced = []

    def shifted(x, *, by):
        traced.append(by)
        return x + by

    program = stage(shifted, static_argnames="by")
    if kept:
        fairjax.keep_programs(tmp_path)
    for _ in range(2):
        program.ahead(jnp.arange(5.0), by=kept)()
    assert traced == [kept]
    assert program(jnp.arange(5.0), by=kept).tolist() == [kept + i for i in range(5)]
    assert traced == [kept]
    assert jax.config.jax_enable_compilation_cache


def test_nothing_is_compiled_ahead_where_nothing_is_to_be_compiled():
    traced = []
    program = stage(lambda x: traced.append(x) or x + 1)
    with jax.disable_jit():
        program.ahead(jnp.arange(3.0))()
    assert traced == []
