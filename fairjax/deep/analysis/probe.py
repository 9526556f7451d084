"""How much of the group a representation still tells: a new classifier is trained to find out."""

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fairjax.errors import InputError

__all__ = ["Probe", "group_probe"]

_STEPS, _BATCH = 1000, 128  # of the new classifier


class Probe(NamedTuple):
    """Accuracy of the new classifier on rows that it has not seen, and that of a guess."""

    accuracy: float
    chance: float


def group_probe(
    z: npt.ArrayLike, groups: npt.ArrayLike, *, balanced: bool = True, random_state: int = 0, max_rows: int = 20_000
) -> Probe:
    """Predict the group from latent rows or soft assignments by a fresh network, as DFC's Table 4 does.

    A network of two layers of 32 units (scikit-learn's MLPClassifier) is trained on one half of the rows, standardised,
    and judged on the other. An accuracy near chance says that such a network finds nothing, not that there is nothing.

    Parameters
    ----------
    z : (N, d)
    groups : (N,)
        Any values, at least two.
    balanced : bool
        Take equally many rows of every group, so that chance is 1 / T. Otherwise it is the largest group's share, as
        in the paper's tables.
    random_state : int
        Of the halves and the network.
    max_rows : int
        Rows that are drawn, at most.

    Raises
    ------
    InputError
        For fewer than two groups, a group of fewer than four rows, or shapes that do not fit.

    References
    ----------
    .. [1] P. Li, H. Zhao, H. Liu, "Deep fair clustering for visual learning", CVPR 2020, Table 4.

    Examples
    --------
    >>> import numpy as np
    >>> groups = np.tile([0, 1], 200)
    >>> group_probe(groups[:, None] + 0.1 * np.random.default_rng(0).normal(size=(400, 1)), groups)
    Probe(accuracy=1.0, chance=0.5)
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    rows, (known, ids) = np.asarray(z), np.unique(np.asarray(groups), return_inverse=True)
    if rows.ndim != 2 or ids.shape != (len(rows),):
        raise InputError(f"z has shape {rows.shape} and groups {ids.shape}; expected (N, d) and (N,)")
    sizes = np.bincount(ids)
    if len(known) < 2 or sizes.min() < 4:
        raise InputError(
            f"groups of sizes {sizes.tolist()[:6]} are too few or too small to probe; expected two or more of at least "
            "four rows each"
        )
    rng = np.random.default_rng(random_state)
    each = min(sizes.min(), max(max_rows // len(known), 4))
    if balanced:
        chosen = np.concatenate([rng.permutation(np.flatnonzero(ids == t))[:each] for t in range(len(known))])
    else:
        chosen = rng.permutation(len(rows))[:max_rows]
    train, test = train_test_split(chosen, test_size=0.5, stratify=ids[chosen], random_state=random_state)
    passes = max(_STEPS * _BATCH // len(train), 1)
    network = MLPClassifier((32, 32), batch_size=min(_BATCH, len(train)), max_iter=passes, random_state=random_state)
    probe = make_pipeline(StandardScaler(), network)
    with warnings.catch_warnings(), threadpool_limits(1):
        # the number of steps is the strength of the probe
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(rows[train], ids[train])
    accuracy = float(np.mean(probe.predict(rows[test]) == ids[test]))
    return Probe(accuracy, float(np.bincount(ids[test]).max() / len(test)))
