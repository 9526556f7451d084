"""How programs are compiled, by platform and by the size of the data.

On CPUs the compiler has two ways to turn fused operations into machine code. The newer one makes passes over many rows
up to a quarter faster, but takes twice as long to compile a program of a thousand operations. Programs are compiled for
every new size; on few rows they run for less time than they take to compile, so the older way is quicker overall.

A GPU runs these programs as a hundred small kernels in each step of a loop. They start a fifth faster if the loops,
too, are recorded as graphs, which is not the compiler's default.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

from fairjax._core import executables

P = ParamSpec("P")
T = TypeVar("T")

_SMALL = 2**20  # entries of the largest array


# the kinds of commands recorded by default, plus loops
_IN_GRAPHS = "FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,DYNAMIC_SLICE_FUSION,WHILE,CONDITIONAL"

Options = dict[str, bool | int | str]


@functools.cache
def _known(*options: tuple[str, bool | int | str]) -> Options:
    """The options, or none if the compiler does not know them."""
    try:
        jax.jit(lambda: 0, compiler_options=dict(options))()
    except jax.errors.JaxRuntimeError:
        return {}
    return dict(options)


def options(size: int) -> Options:
    """Compiler options for a program whose largest argument has ``size`` entries."""
    platform = jax.default_backend()
    if platform == "gpu":
        return _known(("xla_gpu_enable_command_buffer", _IN_GRAPHS), ("xla_gpu_graph_min_graph_size", 1))
    if platform == "cpu" and size <= _SMALL:
        return _known(("xla_cpu_use_fusion_emitters", False))
    return {}


def stage(function: Callable[P, T], *, static_argnames: str | tuple[str, ...] = ()) -> Callable[P, T]:
    """``jax.jit`` of a function that is only called from the host, with compiler options that suit its arguments' size.

    Pass static arguments by name. If programs are kept on disk, this one is too.
    """
    names = (static_argnames,) if isinstance(static_argnames, str) else static_argnames

    @functools.cache
    def program(*chosen: tuple[str, bool | int | str]) -> Callable[P, T]:
        return jax.jit(function, static_argnames=static_argnames, compiler_options=dict(chosen))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        chosen = options(max(leaf.size for leaf in jax.tree.leaves(args)))
        return executables.call(program(*chosen.items()), function, chosen, names, args, kwargs)

    return call


_COMPILING = ("/jax/core/compile/backend_compile_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration")
_spent = 0.0
_listening = False


def seconds() -> float:
    """Seconds that this process has spent compiling since the first call of this function."""
    global _listening
    if not _listening:
        jax.monitoring.register_event_duration_secs_listener(_hear)
        _listening = True
    return _spent


def _hear(event: str, duration_secs: float, **_: Any) -> None:
    global _spent
    if event in _COMPILING:
        _spent += duration_secs
