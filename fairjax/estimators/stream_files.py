"""What a fit over blocks adds to a model's file: the rule that reproduces its labels, and their counts."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fairjax.errors import InputError
from fairjax.saving.words import Words, check_array

if TYPE_CHECKING:
    from fairjax.fca import FairClustering
    from fairjax.fca.streaming.fitting import Streamed

_PREFIX = "streamed/"


def told(found: "Streamed") -> tuple[dict[str, Any], dict[str, Any]]:
    """Words and arrays to be written."""
    rule = found.rule
    words = {
        "scale": rule.scale,
        "heaviest": rule.heaviest,
        "reach": rule.reach,
        "block_rows": rule.block_rows,
        "n_rows": rule.n_rows,
        "n_passes": found.n_passes,
    }
    arrays: dict[str, Any] = {"counts": found.counts, "centers": rule.centers, "prices": rule.prices}
    arrays |= {name: getattr(rule, name) for name in ("shift", "rows", "labels", "keys", "copies")}
    return words, {_PREFIX + name: array for name, array in arrays.items()}


def restored(words: Words, arrays: dict[str, Any], result: "FairClustering", sizes: dict[str, int]) -> "Streamed":
    """What `told` returned, given the result that every file of a fit holds; InputError for anything else."""
    from fairjax.fca.streaming.fitting import Streamed
    from fairjax.fca.streaming.rule import Rule

    n_clusters, n_features, n_groups = sizes["K"], sizes["d"], sizes["M"]
    names = ("counts", "centers", "prices", "shift", "rows", "labels", "keys", "copies")
    found = {name: arrays.get(_PREFIX + name) for name in names}
    absent = [name for name, array in found.items() if array is None]
    if absent:
        raise InputError(f"it lacks the array {_PREFIX + absent[0]!r}")
    values: dict[str, Any] = found
    n_rows, n_listed = words.whole("n_rows", 1), len(np.atleast_1d(values["rows"]))
    check_array("counts", values["counts"], (n_groups, n_clusters), "f", 0)
    check_array("centers", values["centers"], (n_clusters, n_features), "f")
    check_array("prices", values["prices"], (n_groups, n_clusters), "f")
    check_array("shift", values["shift"], (n_features,), "f")
    check_array("rows", values["rows"], (n_listed,), "i", 0, n_rows - 1)
    check_array("labels", values["labels"], (n_listed,), "i", 0, n_clusters - 1)
    check_array("keys", values["keys"], (len(np.atleast_1d(values["keys"])),), "u")
    check_array("copies", values["copies"], (len(values["keys"]), n_clusters), "i", 0, n_rows)
    counts = values.pop("counts")
    rule = Rule(
        **values, scale=words.number("scale", 0), heaviest=words.number("heaviest", 0), reach=words.number("reach", 0),
        block_rows=words.whole("block_rows", 1), n_rows=n_rows,
    )  # fmt: skip
    best = result.assignment
    values_of: list[Any] = [result.centers, float(result.cost), counts, best.counts, best.prices, best.pressing]
    values_of += [float(best.primal), float(best.dual), float(best.gap), int(best.status), bool(best.met)]
    values_of += [int(best.n_iter), int(result.n_iter), words.whole("n_passes"), bool(result.converged), result.history]
    values_of.append(rule)
    return Streamed(*values_of)
