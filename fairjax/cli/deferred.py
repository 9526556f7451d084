"""Libraries that other libraries import for a rare case, put off until something in them is used.

scikit-learn imports scipy.stats with its first name, which takes longer than a fit does. That is put off in the process
of the command line alone; importing fairjax changes nothing of the kind.
"""

import importlib.util
import sys
import types
from typing import Any

# with the names that are imported from them, and used much later if at all
_RARELY_USED = {"scipy.stats": ("chi2", "gmean", "rankdata", "spearmanr")}


def put_off() -> None:
    """Let the modules above load at their first use."""
    for name in _RARELY_USED:
        if name in sys.modules or (spec := importlib.util.find_spec(name)) is None:
            continue
        module = importlib.util.module_from_spec(spec)
        module.__class__ = _Deferred
        sys.modules[name] = module
        package, _, last = name.rpartition(".")
        if package:
            setattr(sys.modules[package], last, module)


class _Deferred(types.ModuleType):
    """A module that runs its code once a name is asked for that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        # the import system asks for names of its own, which a module that has not run may lack
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return _StandIn(self, name) if name in _RARELY_USED[self.__name__] else getattr(_loaded(self), name)


class _StandIn:
    """What a deferred module has under a name, looked up when it is used."""

    def __init__(self, module: types.ModuleType, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(_loaded(self._module), self._name)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(_loaded(self._module), self._name), name)


def _loaded(module: types.ModuleType) -> types.ModuleType:
    """The module, its code run."""
    spec = module.__spec__
    if type(module) is _Deferred and spec is not None and spec.loader is not None:
        module.__class__ = types.ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(module)
    return module
