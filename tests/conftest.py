"""How the tests compile, and which of them share a process."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import jax
import pytest
from compilation import SHARED, compile_small_programs, optimiser

_MAPS = Path("/proc/self/maps")
_MANY = 45_000  # memory maps; Linux allows a process 65,530, and a compiler that gets none aborts

# what is asserted here to the last digits is asserted of the programs that users run
_OPTIMISED = {"test_assignment_oracle", "test_baselines_public", "test_ot_sinkhorn"}

# rooms that take longest; begun last, one of them would keep a single process busy
_LONG = (
    "assignment", "fca", "deep", "docstrings", "estimator", "parallel", "streaming", "ot", "docs", "baselines", "cli",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Workers share what they compile, for this run only."""
    config.option.loadscopereorder = False  # which would begin with the rooms of most tests
    if not hasattr(config, "workerinput"):
        os.environ[SHARED] = tempfile.mkdtemp(prefix="fairjax-tests-")
        compile_small_programs()
    jax.config.update("jax_compilation_cache_dir", os.environ[SHARED])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.01)
    jax.config.update("jax_traceback_in_locations_limit", 0)  # of every operation: a tenth of the time to lower it
    # tracing makes many objects, and what the collector looks through is mostly what tests share
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture
def double() -> Iterator[None]:
    """In double precision."""
    with jax.enable_x64(True):
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Tests of one room (the second word of a file's name) run in one process, which compiles and fits once for all."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByRoom(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _room(Path(super()._split_scope(nodeid)))

    return ByRoom(config, log)


def _room(file: Path) -> str:
    return file.stem.split("_")[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the rooms that take longest."""
    rank = {room: i for i, room in enumerate(_LONG)}
    items.sort(key=lambda item: rank.get(_room(item.path), len(rank)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(SHARED), ignore_errors=True)


_tests = count(1)


@pytest.fixture(autouse=True)
def room_for_programs() -> Iterator[None]:
    """Every program holds some memory maps: a process that compiles thousands lets go of them in time."""
    yield
    if next(_tests) % 10 == 0 and _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MANY:
        jax.clear_caches()


@pytest.fixture(scope="module", autouse=True)
def quick_compilation(request: pytest.FixtureRequest) -> Iterator[None]:
    """Programs of most files are compiled without the optimiser."""
    with optimiser(request.module.__name__ in _OPTIMISED):
        yield


@pytest.fixture
def x64() -> Iterator[None]:
    """Double precision, for all threads: those that call back to the host do not see the context manager."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)
