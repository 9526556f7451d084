"""FMC, fair model-based clustering (Park et al., AAAI 2026): a mixture that pays for unequal soft shares."""

from functools import partial
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from sklearn.utils.validation import check_is_fitted

from fairjax._core.checks import check_count
from fairjax._core.compiling import stage
from fairjax._core.settings import setting
from fairjax.baselines import starts
from fairjax.baselines.base import Baseline, estimator
from fairjax.baselines.categories import Columns, log_probabilities
from fairjax.baselines.mixture import Fitted, Mixture, run
from fairjax.baselines.problem import Found, Labels, Problem, Start, Status, Table
from fairjax.errors import InputError
from fairjax.estimators import inputs

_NEVER = -1e3  # logarithm of the probability of what never was seen


@estimator
class FMC(Baseline):
    """Fair model-based clustering: a mixture of equal spherical Gaussians, fitted under a fairness penalty.

    New points are assigned without their group. Any number of groups. Attributes as told in
    :class:`~fairjax.baselines.Baseline`, and those below.

    Attributes
    ----------
    weights_ : ndarray (K,)
        Of the components.
    means_ : ndarray (K, d)
        Theirs, probabilities in columns of categories; `cluster_centers_` are the means of the labels.
    variance_ : float
        σ² of every component and feature.
    share_gap_ : float
        Δ, the greatest difference of two groups' soft shares of a cluster; the mean over pairs for more groups.

    Notes
    -----
    Steps of Adam have the unit of X: scale the features to about one. O(n K d) for each of up to 2,000 steps, n the
    rows of a batch where there are batches; their loss wavers, so that iterations mostly end at `max_iter`.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import FMC
    >>> X = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]])
    >>> model = FMC(2, penalty=0.0, size_penalty=0.0, random_state=0)
    >>> model.fit(X, sensitive_features=["f", "f", "m", "m", "m", "f"]).balance_
    0.5
    >>> model.predict([[0.3]]) == model.labels_[0]
    array([ True])
    """

    control: ClassVar[str | None] = "penalty"
    _weighted = True

    penalty: float = setting(
        10.0,
        "λ ≥ 0 of the greatest |N_sk − π_s N_k| / n over groups and clusters, with soft counts N; for two groups "
        "it is π_0 π_1 Δ. Too large a value empties clusters.",
    )
    averages: Literal["kept", "anew"] = setting(
        "kept",
        "Those of Adam from iteration to iteration: kept, so that the iterations may settle, or begun anew with "
        "each, as in the authors' code, which takes about twice the λ to end as fair.",
    )
    start: Literal["em", "unit"] = setting(
        "em",
        "The mixture that plain EM finds from k-means, or its centres with equal weights and σ = 1, as the paper "
        "has it.",
    )
    size_penalty: float = setting(
        10.0, "Weight of a term against empty cells of group and cluster, from the authors' code."
    )
    batch_size: Any = setting(
        None,
        "Rows, or part of them, that the likelihood of an iteration looks at, drawn anew for each; the fairness "
        "looks at as many, the same throughout. The paper's is a tenth. By default all rows.",
        words="int or float in (0, 1), optional",
    )
    categories: Any = setting(
        None,
        "Columns of 0 and 1 that together are one categorical variable, 1 in just one of them in every row; its "
        "values have probabilities in every component. The other columns are Gaussian.",
        words="list of lists of int, optional",
    )
    max_iter: int = setting(200, "Most iterations of ten gradient steps each.")
    tol: float = setting(1e-6, "The iterations end when the loss changes by at most as much in three of them.")
    init: Any = setting("k-means++", "Seeds of the k-means before, or centres in its place.")

    def predict(self, X: Any, *, sensitive_features: Any = None) -> Labels:
        """The component of the greatest posterior, whatever the group.

        Parameters
        ----------
        X : array-like (n, d)
        sensitive_features : ignored

        Returns
        -------
        ndarray (n,), int32
        """
        check_is_fitted(self)
        X = inputs.points_of(self, X)
        numeric = np.ones(X.shape[1])
        numeric[[column for block in self.categories or [] for column in block]] = 0
        # ‖x − μ‖² − 2 σ² log π, from a point amid the means, so that a common offset costs no digits
        middle = self.means_.mean(0) * numeric
        inside = (self.means_ - middle) * numeric
        with np.errstate(divide="ignore"):
            prices = np.square(inside).sum(1) - 2 * self.variance_ * np.log(self.weights_)
            logs = np.log(np.where(numeric > 0, 1, self.means_))
        slopes = inside + self.variance_ * np.where(np.isfinite(logs), logs, _NEVER)
        return np.argmin(prices - 2 * (X - middle) @ slopes.T, axis=1).astype(np.int32)

    def _check(self, problem: Problem) -> None:
        if self.batch_size is not None and not (isinstance(self.batch_size, float) and 0 < self.batch_size < 1):
            check_count("batch_size", self.batch_size)

    def _blocks(self, problem: Problem) -> npt.NDArray[np.float64]:
        """Columns (J, d) of each categorical variable; InputError for what are not indicators of one."""
        X = problem.X
        blocks = np.zeros((len(self.categories or ()), X.shape[1]))
        for place, columns in enumerate(self.categories or ()):
            found = np.asarray(columns)
            if found.ndim != 1 or found.dtype.kind not in "iu" or not np.isin(found, np.arange(X.shape[1])).all():
                raise InputError(f"categories holds {columns!r}; expected lists of columns from 0 to {X.shape[1] - 1}")
            blocks[place, found] = 1
            if not (np.isin(X[:, found], (0, 1)).all() and (X[:, found].sum(1) == 1).all()):
                raise InputError(
                    f"categories holds {columns!r}, and these columns are not 1 in just one of them in every row; "
                    "give the indicators of one variable, not scaled"
                )
        if (blocks.sum(0) > 1).any():
            raise InputError("categories holds a column twice; each belongs to one variable")
        if len(blocks) and blocks.sum() == X.shape[1]:
            raise InputError("categories holds all columns; at least one has to be a number")
        return blocks

    def _batch(self, n_points: int) -> int | None:
        """Rows of a batch; None for all."""
        if self.batch_size is None:
            return None
        size = self.batch_size if self.batch_size >= 1 else np.ceil(self.batch_size * n_points)
        return int(min(size, n_points))

    def _find(self, problem: Problem, start: Start) -> Found:
        points = problem.points
        blocks = self._blocks(problem)
        columns, moved = None, np.zeros(points.X.shape[1])
        if len(blocks):
            width = points.X.shape[1] - points.n_features
            inside = np.pad(blocks, ((0, 0), (0, width)))
            # indicators as they are, not centred
            moved = np.pad(points.shift, (0, width)) * inside.sum(0)
            columns = Columns(*(jnp.asarray(part, points.X.dtype) for part in (1 - inside.sum(0), inside)))
        back = jnp.asarray(moved, points.X.dtype)
        centers = points.to_device(starts.solution(problem, start)) * points.scale + back
        found = _run(
            points.X * points.scale + back,
            points.ids,
            centers,
            jnp.asarray(problem.masses / problem.masses.sum(), points.X.dtype),
            points.weights,
            columns,
            penalty=float(self.penalty),
            # counts on the device are those of weights of at most one
            size_penalty=float(self.size_penalty) * (1.0 if problem.weights is None else 1 / problem.weights.max()),
            n_features=float(points.n_features - blocks.sum()),
            plain_start=self.start == "em",
            max_iter=int(self.max_iter),
            tol=float(self.tol),
            anew=self.averages == "anew",
            batch=self._batch(problem.n_points),
            key=start.key,
        )
        finite = bool(np.isfinite(found.loss))
        status: Status = "converged" if found.settled else "stopped" if finite else "diverged"
        labels = np.asarray(found.labels)[: problem.n_points]
        n_filled = len(np.unique(labels))
        lost = (
            f"only {n_filled} of FMC's {problem.n_clusters} clusters have points at penalty={self.penalty:g}; take less"
        )
        return Found(
            labels,
            status,
            float(found.loss) if finite else np.inf,
            n_iter=int(found.n_iter),
            message=lost if n_filled < problem.n_clusters else "",
            centers=self._means(problem, found.mixture, columns, back),
            details={
                "weights": np.exp(np.asarray(found.mixture.logits, np.float64)),
                "variance": float(found.mixture.root_precision) ** -2,
                "share_gap": float(found.gap),
                "log_likelihood": float(found.log_likelihood),
            },
        )

    def _means(self, problem: Problem, mixture: Mixture, columns: Columns | None, back: Array) -> Table:
        """Means (K, d) of the components in the data's units; of categories their probabilities."""
        means, logs = log_probabilities(mixture.means, columns)
        if columns is not None and logs is not None:
            means = jnp.where(columns.numeric > 0, means, jnp.exp(logs))
        points = problem.points
        return points.centers_of((means - back) / points.scale)

    def _keep(self, found: Found, problem: Problem) -> None:
        super()._keep(found, problem)
        assert found.centers is not None
        self.means_ = np.asarray(found.centers, np.float64)
        self.weights_ = found.details["weights"] / found.details["weights"].sum()
        self.variance_ = found.details["variance"]
        self.share_gap_ = found.details["share_gap"]


@partial(stage, static_argnames=("plain_start", "batch"))
def _run(
    X: Array,
    ids: Array,
    centers: Array,
    shares: Array,
    weights: Array,
    columns: Columns | None,
    *,
    penalty: float,
    size_penalty: float,
    n_features: float,
    plain_start: bool,
    max_iter: int,
    tol: float,
    anew: bool,
    batch: int | None,
    key: Array,
) -> Fitted:
    return run(
        X, ids, centers, penalty, shares, weights, size_penalty=size_penalty, n_features=n_features,
        plain_start=plain_start, max_iter=max_iter, tol=tol, anew=anew, batch=batch, key=key,
        columns=columns,
    )  # fmt: skip
