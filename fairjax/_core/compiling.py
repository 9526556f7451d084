"""How programs are compiled, by platform and by the size of the data.

On CPUs the compiler has two ways to turn fused operations into machine code. The newer one makes passes over many rows
up to a quarter faster, but takes twice as long to compile a program of a thousand operations. Programs are compiled for
every new size; on few rows they run for less time than they take to compile, so the older way is quicker overall, and
machine code that is optimised less: it takes an eighth less time to compile, and as long to run.

A GPU runs these programs as a hundred small kernels in each step of a loop. They start a fifth faster if the loops,
too, are recorded as graphs, which is not the compiler's default.
"""

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

import jax

from fairjax._core import executables

P = ParamSpec("P")
T = TypeVar("T")

_SMALL = 2**22  # entries of the largest array


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
        small = _known(("xla_cpu_use_fusion_emitters", False))
        # who disables optimisations wants even less
        unoptimised = jax.config.values.get("jax_disable_most_optimizations")
        return small if unoptimised else small | _known(("xla_backend_optimization_level", 1))
    return {}


class Stage(Generic[P, T]):
    """A jitted function that is only called from the host; made by :func:`stage`."""

    def __init__(self, function: Callable[P, T], static_argnames: tuple[str, ...]) -> None:
        self._function, self._static_argnames = function, static_argnames
        self._programs: dict[tuple[Any, ...], Callable[P, T]] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._kept(args, kwargs).call(args, kwargs)
        return result

    def ahead(self, *args: P.args, **kwargs: P.kwargs) -> Callable[[], None]:
        """Begin to compile for arguments of these types in a thread of its own; returns what waits for it.

        Nothing is run. To be called where something else is compiled meanwhile.
        """
        return self._kept(args, kwargs).ahead(args, kwargs)

    def _kept(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> executables.Kept:
        chosen = options(max(leaf.size for leaf in jax.tree.leaves(args)))
        key = tuple(chosen.items())
        if key not in self._programs:
            self._programs[key] = jax.jit(
                self._function, static_argnames=self._static_argnames, compiler_options=chosen
            )  # fmt: skip
        return executables.Kept(self._programs[key], self._function, chosen, self._static_argnames)


def stage(function: Callable[P, T], *, static_argnames: str | tuple[str, ...] = ()) -> Stage[P, T]:
    """``jax.jit`` of a function that is only called from the host, with compiler options that suit its arguments' size.

    Pass static arguments by name. If programs are kept on disk, this one is too.
    """
    return Stage(function, (static_argnames,) if isinstance(static_argnames, str) else static_argnames)


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
