"""Libraries that other libraries import for a rare case, put off until something in them is used.

scikit-learn imports scipy.stats with its first name, and with k-means its decompositions, embeddings and linear models:
together that takes longer than a fit does. They are put off in the process of the command line alone; importing fairjax
changes nothing of the kind.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

# with the names that are imported from them, and used much later if at all
_RARELY_USED = {
    "scipy.stats": ("chi2", "gmean", "rankdata", "spearmanr"),
    "scipy.interpolate": ("BSpline",),
    "sklearn.covariance": ("empirical_covariance", "ledoit_wolf", "shrunk_covariance"),
    "sklearn.decomposition": ("PCA",),
    "sklearn.linear_model": (),
    "sklearn.manifold": (),
}


def put_off() -> None:
    """Let the modules above load at their first use."""
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules above when they are imported, for a loader that does nothing yet."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _RARELY_USED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """Leaves a module without its content, which ``actual`` fills in later."""

    def __init__(self, actual: importlib.abc.Loader) -> None:
        self.actual = actual

    def exec_module(self, module: types.ModuleType) -> None:
        module.__class__ = _Deferred


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
    if type(module) is _Deferred and spec is not None and isinstance(spec.loader, _Loader):
        module.__class__ = types.ModuleType  # type: ignore[assignment]
        spec.loader = spec.loader.actual
        module.__loader__ = spec.loader
        spec.loader.exec_module(module)
    return module
