"""Who takes part in a comparison: from names and estimators to one entrant for every row of the table."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fairjax._core.text import visible
from fairjax.baselines.catalogue import METHODS, Curve, Method, Relative, Setting, find
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.deep.methods.estimator import DeepClusterer

_OWN = ("n_clusters", "random_state")  # parameters that a comparison sets
_SET = (*_OWN, "init", "n_init", "attributes", "n_devices")  # and those that have a parameter of `compare`
_SET_OF_DEEP = (*_OWN, "n_devices", "checkpoint_dir", "checkpoint_every", "resume")
_LONGEST = 60


class Facts(NamedTuple):
    """What settings of the catalogue follow from: the best balance, and the (weighted) squared distances from the mean.

    ``n_clusters`` is that of all entrants, and ``n_points`` and ``n_groups`` tell a deep method how long to train.
    ``separately`` says each of several attributes is to be fair by itself: its best balance is the least of theirs.
    """

    max_balance: float
    spread: float
    n_clusters: int
    n_points: int
    n_groups: int
    separately: bool = False


@dataclass(frozen=True, eq=False)
class Entrant:
    """One row of the table.

    Attributes
    ----------
    name : of the method in the catalogue, or of the class. label : of the row.
    model : the estimator, not fitted. begins : which centres it takes, as `Method` says.
    control : the parameter that the row is named by, if any. symbol : how the label shows it.
    words : what the label says beside. searched : whether the value of the control is still to be found.
    fixed : a label that the caller gave. given : names of the parameters that the caller gave.
    spreads : whether it runs on as many devices as the comparison has.
    """

    name: str
    model: Any
    begins: Literal["seeds", "solution", "own"]
    title: str
    control: str | None = None
    symbol: str = ""
    words: str = ""
    searched: bool = False
    fixed: str = ""
    given: frozenset[str] = frozenset()
    spreads: bool = False

    @property
    def value(self) -> Any:
        """The value of the control."""
        return None if self.control is None else self.model.get_params(deep=False)[self.control]

    @property
    def floor(self) -> float:
        """What FCA is asked for of the balance; NaN for others."""
        found = getattr(self.model, "min_balance", None)
        return float("nan") if found is None else float(found)

    @property
    def label(self) -> str:
        """What the row is called."""
        if self.fixed:
            return self.fixed
        shown = _shown(self.value, self.symbol)
        return ", ".join(part for part in (f"{self.title}{shown}", self.words) if part)

    def at(self, value: Any) -> "Entrant":
        """The same with the control at this value."""
        from sklearn.base import clone

        assert self.control is not None
        return replace(self, model=clone(self.model).set_params(**{self.control: value}), searched=False)


def entrants(methods: Any, facts: Facts, levels: Sequence[float], *, curve: bool) -> list[Entrant]:
    """All rows, in the order of the methods; `levels` are those of "fca", as shares of the best balance.

    Raises
    ------
    InputError
        For what is no name of the catalogue, name with settings, or estimator, and for two rows of one label.
    """
    found = list(_all(methods, facts, levels, curve))
    if not found:
        raise InputError("methods is empty; expected names such as 'falg', or estimators")
    labels = [entrant.label for entrant in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise InputError(f"methods has two rows {twice[0]!r}; give estimators by name in a dict to tell them apart")
    return found


def _all(methods: Any, facts: Facts, levels: Sequence[float], curve: bool) -> Iterator[Entrant]:
    if isinstance(methods, Mapping):
        named = [(str(label), method) for label, method in methods.items()]
    elif isinstance(methods, str) or not isinstance(methods, Sequence):
        named = [("", methods)]
    else:
        named = [("", method) for method in methods]
    for label, method in named:
        pair = isinstance(method, tuple) and len(method) == 2 and isinstance(method[0], str)
        name, given = method if pair else (method, None)
        if not isinstance(name, str):
            yield _of_estimator(method, label, facts)
        elif isinstance(found := find_any(name), type):
            yield _of_deep(found, {} if given is None else given, label, facts)
        elif given is None:
            rows = _of_method(found, facts, levels, curve)
            yield from (replace(row, title=label) if label else row for row in rows)
        else:
            yield from _of_settings(found, given, label, facts, curve)


def find_any(name: str) -> "Method | type[DeepClusterer]":
    """The entry of the catalogue, or the class of a deep method; InputError for what is neither.

    Examples
    --------
    >>> find_any("falg").label, find_any("dec").__name__
    ('FAlg', 'DEC')
    """
    try:
        return find(name)
    except InputError:
        import fairjax.deep  # noqa: F401, fills their catalogue
        from fairjax.deep.methods.estimator import METHODS as DEEP

        text = str(name).strip().lower()
        found = DEEP.get(text) or next((kind for kind in DEEP.values() if kind.__name__.lower() == text), None)
        if found is None:
            raise
        return found


def _of_deep(kind: "type[DeepClusterer]", given: Any, label: str, facts: Facts) -> Entrant:
    """A deep method, which trains as ``fairjax fit`` lets it for so many rows; rows of images are rows of pixels."""
    _check_settings(kind.command, given, kind._get_param_names(), _SET_OF_DEEP)
    model = kind(**{"n_clusters": facts.n_clusters, **kind.suggested(facts.n_points, facts.n_groups), **given})
    return Entrant(
        kind.command,
        model,
        "own",
        kind.__name__,
        words=_words(given),
        fixed=label,
        given=frozenset(given),
        spreads=True,
    )


def _of_method(method: Method, facts: Facts, levels: Sequence[float], curve: bool) -> Iterator[Entrant]:
    if curve:
        for line in method.curves or [None]:
            settings: Sequence[Setting] = method.settings[:1]
            if line is not None:
                settings = [Setting({**line.kept, line.parameter: value}) for value in _values(line, facts)]
            yield from (
                _entrant(method, setting, facts, None if line is None else line.parameter) for setting in settings
            )
    elif method.name == "fca":
        for level in levels:
            if level == 1 and facts.separately:
                # the floor would be one attribute's best balance, and far below that of others
                yield _entrant(method, Setting({}, "perfect fairness"), facts)
                continue
            yield _entrant(method, Setting({"min_balance": Relative(level, "max_balance")}), facts, "min_balance")
    else:
        yield from (_entrant(method, setting, facts) for setting in method.settings)


def _values(line: Curve, facts: Facts) -> list[Any]:
    """Values of a curve; of several attributes no floor at the very best of one, which leaves it alone no room."""
    best = Relative(1.0, "max_balance")
    return [value for value in line.values if not (facts.separately and value == best)]


def _of_settings(method: Method, given: Any, label: str, facts: Facts, curve: bool) -> Iterator[Entrant]:
    """A name with settings: one row, or the method's curves with these settings along them."""
    _check_settings(method.name, given, inspect.signature(method.estimator).parameters, _SET)
    settings, own = {**method.kept, **given}, frozenset(given)
    if curve and method.curves:
        for line in method.curves:
            shared = {**line.kept, **settings}
            beside = _words({name: value for name, value in given.items() if name != line.parameter})
            for value in _values(line, facts):
                setting = Setting({**shared, line.parameter: value}, beside)
                yield replace(_entrant(method, setting, facts, line.parameter), given=own)
        return
    row = _entrant(method, Setting(settings, _words(given)), facts)
    if row.control is None and "epsilon" in given:
        row = replace(row, control="epsilon")
    yield replace(row, symbol="", given=own, fixed=label)


def _check_settings(name: str, given: Any, parameters: Sequence[str] | Mapping[str, Any], taken: Sequence[str]) -> None:
    """Refuse what is no dict of settings that the method has, and those that are ``taken`` by the comparison."""
    if not isinstance(given, Mapping):
        raise InputError(f"methods holds {name!r} with {visible(repr(given), _LONGEST)}; expected a dict of settings")
    known = [parameter for parameter in parameters if parameter not in taken]
    for parameter in given:
        if parameter not in known:
            of = "the comparison sets" if parameter in taken else f"is none of {name}: {', '.join(known)}"
            raise InputError(f"methods gives {name} the setting {visible(str(parameter), _LONGEST)!r}, which {of}")


def _words(given: Mapping[str, Any]) -> str:
    """What a label says of settings."""
    return ", ".join(f"{name}={visible(repr(value), _LONGEST)}" for name, value in given.items())


def _entrant(method: Method, setting: Setting, facts: Facts, varied: str | None = None) -> Entrant:
    kind = method.estimator
    given = {name: _resolved(value, facts) for name, value in setting.parameters.items()}
    parameter = varied or getattr(kind, "control", None)
    if parameter is None and "min_balance" in given:
        parameter = "min_balance"
    symbol = "ε" if parameter == "epsilon" else method.symbol
    return Entrant(
        method.name, kind(facts.n_clusters, **given), method.begins, method.label, parameter, symbol, setting.words,
        setting.searched, spreads=method.is_fca and not method.is_alignment,
    )  # fmt: skip


def _of_estimator(model: Any, label: str, facts: Facts) -> Entrant:
    if isinstance(model, type) or not hasattr(model, "fit") or not hasattr(model, "get_params"):
        raise InputError(
            f"methods holds {visible(repr(model), _LONGEST)}; expected names such as 'falg', or estimators that have "
            "fit and get_params, or pairs such as ('falg', {'delta': 0.1})"
        )
    from sklearn.base import clone

    kind = type(model)
    known = next((entry for entry in METHODS.values() if entry.kind == kind.__name__ and entry.estimator is kind), None)
    given = model.get_params(deep=False)
    changed = _changed(kind, given)
    begins: Literal["seeds", "solution", "own"] = "own"
    if "init" in given and "init" not in changed and (known is not None or "sensitive_features" in _taken(model)):
        begins = "seeds" if known is None else known.begins
    copy = clone(model)
    if "n_clusters" in given:
        copy.set_params(n_clusters=facts.n_clusters)
    # an estimator from elsewhere may mean something else by this name
    control = getattr(kind, "control", None)
    control = control if isinstance(control, str) and control in given else None
    words = _words({name: value for name, value in changed.items() if name not in _OWN})
    return Entrant(kind.__name__, copy, begins, kind.__name__, control, words=words, fixed=label)


def _taken(model: Any) -> Mapping[str, Any]:
    """Parameters of its `fit`."""
    return inspect.signature(model.fit).parameters


def takes(model: Any, parameter: str) -> bool:
    """Whether its `fit` has a parameter of this name."""
    return parameter in _taken(model)


def _changed(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters that are not at their default."""
    defaults = {name: about.default for name, about in inspect.signature(kind).parameters.items()}
    return {name: value for name, value in given.items() if repr(value) != repr(defaults.get(name))}


def _resolved(value: Any, facts: Facts) -> Any:
    if not isinstance(value, Relative):
        return value
    # the factor 1 has to give the best balance to the last digit
    return facts.max_balance * value.factor if value.to == "max_balance" else facts.spread * value.factor


def _shown(value: Any, symbol: str) -> str:
    if value is None or not symbol:
        return ""
    if symbol.endswith("≥"):
        return f" {symbol} {value:.4f}"
    number = isinstance(value, (int, float, np.number))
    return f" {symbol}={value:,.0f}" if number and value >= 1000 else f" {symbol}={value:.4g}" if number else ""
