"""The methods of the tables, one entry each: estimator, settings at which it stands in a comparison, control to vary.

`fairjax.compare`, ``fairjax bench`` and ``fairjax fit --method`` read this list and nothing else.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np

from fairjax._core.text import shown
from fairjax.errors import InputError

__all__ = ["METHODS", "Curve", "Method", "Relative", "Setting", "find"]


@dataclass(frozen=True)
class Relative:
    """A value that follows from the data: a multiple of the best balance, or of the squared distances from the mean."""

    factor: float
    to: Literal["max_balance", "spread"]


@dataclass(frozen=True)
class Setting:
    """Parameters of one row; `words` tells them apart from another row of the method, beside the control's value.

    With `searched` the row stands at the value of the control that ends at the best balance, found on the first start.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""
    searched: bool = False


@dataclass(frozen=True)
class Curve:
    """Values of one parameter, for cost against balance; `kept` are other parameters that hold along it."""

    parameter: str
    values: tuple[Any, ...]
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes
    ----------
    name, label : str
        On the command line, and in tables.
    module, kind : str
        Where the estimator is, and its class.
    symbol : str
        Of the control, in tables.
    begins : {"seeds", "solution", "own"}
        Centres that it takes in a comparison: those of the start, those of plain k-means from there, or none (it draws
        what it needs from the seed).
    settings : tuple of Setting
        The fairest first, then the published one, where that is another.
    curves : tuple of Curve
    kept : mapping
        Parameters that make it this method, which hold beside settings that a caller gives.
    """

    name: str
    label: str
    module: str
    kind: str
    begins: Literal["seeds", "solution", "own"]
    symbol: str = ""
    settings: tuple[Setting, ...] = (Setting(),)
    curves: tuple[Curve, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def estimator(self) -> type[Any]:
        """Its class; this imports it."""
        found: type[Any] = getattr(importlib.import_module(self.module), self.kind)
        return found

    @property
    def is_baseline(self) -> bool:
        """Whether it is one of `fairjax.baselines`, and not `FCA` itself."""
        return self.module.startswith("fairjax.baselines")

    @property
    def is_fca(self) -> bool:
        """Whether it is `FCA`, by any of its routes."""
        return self.kind == "FCA"

    @property
    def is_alignment(self) -> bool:
        """Whether it is `FCA` by one of the alignment routes."""
        return self.is_fca and "method" in self.kept


def _even(low: float, high: float) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, 12).round(4).tolist())


_FLOORS = tuple(Relative(share, "max_balance") for share in _even(0, 1))
_EXACT, _DEALT = {"assignment": "exact"}, {"assignment": "round-robin"}
_OE = {"in_processing": False}
_EXACTLY, _SMOOTHLY, _PAPER = {"method": "exact"}, {"method": "sinkhorn"}, {"method": "exact", "transport_weight": 2.0}

_ENTRIES = (
    Method("kmeans", "k-means", "fairjax.baselines.kmeans", "KMeans", "seeds"),
    Method(
        "falg", "FAlg", "fairjax.baselines.falg", "FAlg", "solution", "δ",
        settings=(Setting({"delta": 0.0}), Setting({"delta": 0.2})),
        curves=(Curve("delta", _even(0, 0.6)),),
    ),
    Method(
        # printed rows are met at POF 1.03 without room; a price that nothing reaches asks for perfect shares
        "fcbc", "FCBC", "fairjax.baselines.fcbc", "FCBC", "solution", "POF",
        settings=(Setting({"pof": 10.0, "delta": 0.0}, "no bound"), Setting({"pof": 1.03, "delta": 0.0})),
        curves=(
            Curve("pof", (1.0, 1.001, 1.003, 1.006, 1.01, 1.02, 1.03, 1.05, 1.08, 1.12, 1.2, 1.5), {"delta": 0.0}),
        ),
    ),
    Method(
        "frac", "FRAC", "fairjax.baselines.frac", "FRAC", "solution", "τ",
        settings=(Setting(_EXACT, "exact"), Setting(_DEALT)),
        curves=(Curve("tau", _even(0, 1), _EXACT),),
    ),
    Method(
        "frac-oe", "FRAC_OE", "fairjax.baselines.frac", "FRAC", "solution", "τ",
        settings=(Setting({**_EXACT, **_OE}, "exact"), Setting({**_DEALT, **_OE})),
        curves=(Curve("tau", _even(0, 1), {**_EXACT, **_OE}),),
        kept=_OE,
    ),
    Method(
        "ms-flow", "MS-FlowFC", "fairjax.baselines.msflow", "MSFlowFC", "seeds", "tol",
        settings=(Setting({"tolerance": 0.01}),),
        curves=(Curve("tolerance", (0.003, *_even(0, 0.6)[1:])),),
    ),
    Method(
        "vfc", "VFC", "fairjax.baselines.vfc", "VFC", "seeds", "λ",
        settings=(
            Setting({"penalty": Relative(0.3, "spread")}, "fairest", searched=True),
            Setting({"penalty": Relative(0.3, "spread"), "step": 2.0}, "step 2"),
        ),
        curves=(
            Curve("penalty", tuple(Relative(float(f), "spread") for f in np.geomspace(0.003, 3, 12).round(6))),
        ),
    ),
    Method(
        "fmc", "FMC", "fairjax.baselines.fmc", "FMC", "solution", "λ",
        settings=(
            Setting({"penalty": 10.0}, "fairest", searched=True),
            Setting({"penalty": 10.0, "averages": "anew"}, "averages anew"),
        ),
        curves=(Curve("penalty", (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0)),),
    ),
    Method(
        "sfc", "SFC", "fairjax.baselines.sfc", "SFC", "own", "p/q",
        settings=(Setting({"centers": "mean", "weighted": True}, "weighted means"), Setting()),
        curves=(
            Curve(
                "balance",
                (*(Relative(place / 12, "max_balance") for place in range(1, 12)), None),
                {"centers": "mean", "weighted": True},
            ),
        ),
    ),
    Method(
        "fairlets", "Fairlets", "fairjax.baselines.fairlets", "Fairlets", "own", "t",
        settings=(Setting(), Setting({"method": "vanilla"}, "vanilla")),
        curves=(Curve("t", (None, 2, 3, 4, 5, 7, 10)),),
    ),
    Method(
        "spfc", "SpFC", "fairjax.baselines.spfc", "SpFC", "own",
        settings=(Setting({"affinity": "nearest_neighbors"}, "20 neighbours"), Setting(words="Gaussian kernel")),
    ),
    Method(
        "mpfc", "MPFC, relaxed", "fairjax.estimators", "FCA", "seeds", "≥",
        settings=(Setting({"min_balance": Relative(0.99, "max_balance")}),),
    ),
    Method(
        "fca", "FCA", "fairjax.estimators", "FCA", "seeds", "≥",
        settings=(Setting({"min_balance": Relative(1.0, "max_balance")}),),
        curves=(Curve("min_balance", _FLOORS), Curve("epsilon", _even(0, 1.1))),
    ),
    Method(
        "fca-alignment", "FCA, alignment", "fairjax.estimators", "FCA", "solution",
        settings=(Setting(_PAPER),), kept=_PAPER,
    ),
    Method(
        "exact", "FCA, exact transport", "fairjax.estimators", "FCA", "solution",
        settings=(Setting(_EXACTLY),), kept=_EXACTLY,
    ),
    Method(
        "sinkhorn", "FCA, Sinkhorn", "fairjax.estimators", "FCA", "solution",
        settings=(Setting(_SMOOTHLY),), kept=_SMOOTHLY,
    ),
    Method(
        # its ε bounds no gap between the groups: a share of pairs that are let go
        "fca-c", "FCA-C, pairs let go", "fairjax.comparison.fca_c", "FCAC", "solution", "ε",
        settings=(Setting({"epsilon": 0.0}), Setting({"epsilon": 0.05})),
        curves=(Curve("epsilon", (0.0, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)),),
    ),
    Method("sec", "SEC", "fairjax.comparison.blind", "SEC", "own"),
    Method("dbscan", "DBSCAN", "fairjax.comparison.blind", "DBSCAN", "own"),
)  # fmt: skip

METHODS: dict[str, Method] = {entry.name: entry for entry in _ENTRIES}
_ALIASES = {"direct": "fca"}  # what ``fairjax fit --method`` calls it


def find(name: str) -> Method:
    """The entry of a name, or of the name of a class, in any case; "direct" is FCA by its direct route.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> find("falg").label, find("MSFlowFC").name
    ('FAlg', 'ms-flow')
    """
    text = str(name).strip().lower().replace("_", "-")
    text = _ALIASES.get(text, text)
    if text in METHODS:
        return METHODS[text]
    for entry in _ENTRIES:
        if entry.kind.lower() == text:
            return entry
    near = get_close_matches(text, METHODS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(METHODS)}"
    raise InputError(f"there is no method {shown(name)}; {hint}")
