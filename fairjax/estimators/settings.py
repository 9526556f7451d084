"""The parameters of FCA: checked, and converted to the form that the routes take."""

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairjax._core.checks import check_choice, check_count
from fairjax.errors import InputError

if TYPE_CHECKING:
    from fairjax.estimators.fca import FCA
    from fairjax.fca.alignment.fitting import Route
    from fairjax.fca.fitting import Fairness

_RANDOM_STARTS = 10  # for n_init="auto", as in scikit-learn


def check(model: "FCA") -> None:
    """Raise InputError for a parameter out of its range, or for two that conflict."""
    check_choice("method", model.method, ("direct", "exact", "sinkhorn"))
    check_choice("center_update", model.center_update, ("lloyd", "gradient"))
    check_choice("attributes", model.attributes, ("jointly", "separately"))
    for name in ("n_clusters", "max_iter", "partition_size"):
        check_count(name, getattr(model, name))
    if isinstance(model.n_init, str):
        check_choice("n_init", model.n_init, ("auto",))
    else:
        check_count("n_init", model.n_init)
    check_count("search", model.search, least=0)
    if model.n_devices != "all":
        check_count("n_devices", model.n_devices)
    if model.n_devices != 1 and model.method != "direct":
        raise InputError(
            f'n_devices is {model.n_devices!r}, but method="{model.method}" runs on one device; choose '
            'method="direct" for several'
        )
    check_range("epsilon", model.epsilon, 2.0)
    check_range("tol", model.tol, np.inf)
    check_range("transport_weight", model.transport_weight, np.inf)
    check_range("reg", model.reg, np.inf)
    if model.min_balance is not None:
        check_range("min_balance", model.min_balance, 1.0)
        if model.epsilon != 0:
            raise InputError(
                f"both epsilon={model.epsilon:g} and min_balance={model.min_balance:g} are given; "
                "choose one fairness control"
            )
    if model.method == "direct":
        _check_direct(model)
    else:
        _check_alignment(model)


def route(model: "FCA") -> "Route":
    """How to run an alignment route."""
    from fairjax.fca.alignment.fitting import Route

    assert model.method != "direct"
    return Route(
        model.method, model.center_update, int(model.partition_size), float(model.reg), float(model.transport_weight)
    )


def fairness(model: "FCA", max_balance: float, members: Sequence[npt.NDArray[np.float64]] = ()) -> "Fairness":
    """The control and its value; InputError for a floor above the best balance that the data allow.

    ``members`` gives the groups of several attributes, each to be fair by itself.
    """
    from fairjax.fca.fitting import Fairness

    members = tuple(members)
    if model.min_balance is None:
        return Fairness("gap", float(model.epsilon), members)
    # a floor equal to the best possible balance, as printed with a few digits, must be accepted
    if model.min_balance > max_balance * (1 + 1e-6):
        raise InputError(
            f"min_balance={model.min_balance:g} cannot be met: the groups' sizes allow at most {max_balance:.6g}; "
            "choose a lower floor"
        )
    return Fairness("balance", min(float(model.min_balance), max_balance), members)


def restarts(model: "FCA") -> int:
    """Number of starts to try."""
    return restarts_of(model.n_init, model.init)


def restarts_of(n_init: int | str, init: Any) -> int:
    """Number of starts to try, from a number or "auto".

    Examples
    --------
    >>> restarts_of("auto", "random"), restarts_of("auto", "aligned"), restarts_of(3, "random")
    (10, 1, 3)
    """
    if n_init == "auto":
        return _RANDOM_STARTS if isinstance(init, str) and init == "random" else 1
    return int(n_init)


def start(init: Any, n_clusters: int, n_features: int) -> str | npt.NDArray[np.float64]:
    """The name of a kind of start, or finite centres (K, d)."""
    if isinstance(init, str):
        if init not in ("aligned", "k-means++", "random"):
            raise InputError(f"init is {init!r}; expected 'aligned', 'k-means++', 'random' or an array of centres")
        return init
    try:
        centers = np.asarray(init, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"init is not an array of numbers ({error}); expected (K, d) centres") from error
    if centers.shape != (n_clusters, n_features) or not np.isfinite(centers).all():
        raise InputError(f"init has shape {centers.shape}; expected finite centres of shape {(n_clusters, n_features)}")
    return centers


def _check_direct(model: "FCA") -> None:
    """Refuse what only the alignment routes offer."""
    if model.center_update != "lloyd":
        raise InputError(
            f'center_update is {model.center_update!r}, which method="direct" does not offer; choose '
            'method="exact" or method="sinkhorn", or leave it out'
        )
    if model.transport_weight != 1.0:
        raise InputError(
            f'transport_weight is {model.transport_weight!r}, but method="direct" solves 1.0; choose '
            'method="exact" or method="sinkhorn" for other weights'
        )
    if model.attributes == "separately" and model.epsilon != 0:
        raise InputError(
            f"epsilon={model.epsilon:g} is given, which attributes='separately' does not offer; choose min_balance"
        )


def _check_alignment(model: "FCA") -> None:
    """Refuse what only the direct route offers."""
    for name, value in (("epsilon", model.epsilon), ("min_balance", model.min_balance)):
        if value:
            raise InputError(
                f'{name}={value:g} is given, but method="{model.method}" aligns the groups for perfect fairness; '
                'choose method="direct" for a control'
            )
    if model.attributes == "separately":
        raise InputError(
            f"attributes='separately' is given, but method=\"{model.method}\" aligns one set of groups; choose "
            'method="direct"'
        )
    if model.method == "sinkhorn" and model.reg == 0:
        raise InputError('reg is 0; expected a positive number, or choose method="exact"')


def check_range(name: str, value: Any, highest: float) -> None:
    """Raise InputError unless a setting is a finite number from 0 to ``highest``."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 <= float(value) <= highest or np.isinf(float(value)):
        bounds = "finite number of at least 0" if np.isinf(highest) else f"number from 0 to {highest:g}"
        raise InputError(f"{name} is {value!r}; expected a {bounds}")
