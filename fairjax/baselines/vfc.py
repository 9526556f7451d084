"""VFC, variational fair clustering (Ziko et al., AAAI 2021): cost and a Kullback-Leibler penalty, in soft clusters."""

from functools import partial
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array
from sklearn.utils.validation import check_is_fitted

from fairjax._core import group_codes
from fairjax._core.compiling import stage
from fairjax._core.settings import setting
from fairjax._core.text import counted
from fairjax.baselines import starts
from fairjax.baselines.base import PricedRule, estimator
from fairjax.baselines.problem import Found, Labels, Problem, Start, Status
from fairjax.baselines.variational_iterations import Graph, Iterations, run
from fairjax.errors import InputError
from fairjax.estimators import inputs, rule

_SHARE = 0.3  # of the sum of squared distances from the mean: the default penalty, about 9,000 on Adult


@estimator
class VFC(PricedRule):
    """Variational fair clustering: least cost plus λ times the clusters' divergence from the groups' shares.

    Minimises Σ S a + λ Σ_k KL(u ‖ P_k) over soft clusters and centres, with u the shares of the groups in the data and
    P_k those in cluster k. Attributes as told in :class:`~fairjax.baselines.Baseline`, and those below.

    Attributes
    ----------
    divergence_ : float
        Σ_k KL(u ‖ P_k) of the soft clusters, the paper's fairness error.

    Notes
    -----
    O(n K (d + M)) a pass, some hundred passes. `objective_` is the energy of the soft clusters (of Ncut: minus K).
    `predict` pays the last prices of the fit, which is not published, and not for Ncut.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import VFC
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> sex = ["f", "f", "m", "m", "m", "f"]
    >>> VFC(2, penalty=0.0, random_state=0).fit(X, sensitive_features=sex).balance_
    0.5
    """

    control: ClassVar[str | None] = "penalty"
    _weighted = True

    penalty: float | None = setting(
        None,
        "λ ≥ 0, in units of a *sum* of costs over points: it grows with the data. By default 0.3 times the sum of "
        "squared distances from the mean (of Ncut: the number of points), about where the paper's λ lie.",
    )
    objective: Literal["kmeans", "kmedian", "ncut"] = setting(
        "kmeans",
        "Cost a: squared distances to means, distances to medoids, or the bound of the normalised cut on the "
        "graph of nearest neighbours.",
    )
    step: float | None = setting(
        None,
        "L. By default the safeguarded scheme, which doubles L where the energy would rise. 2.0 is the published "
        "one (1.0 for Ncut), which diverges for large λ; then the status says so.",
        least=1e-30,
    )
    target: Any = setting(
        None, "u, in the order of `groups_`; the shares in the data by default.", words="array-like (M,), optional"
    )
    n_neighbors: int = setting(20, "Of each point, for Ncut.")
    max_steps: int = setting(3000, "Most passes over the points, all iterations together.")
    n_init: int = setting(1, "Number of starts; the one of least energy is kept. 1 if `init` is an array.")
    max_iter: int = setting(100, "Most iterations of soft assignment and new centres.")
    tol: float = setting(
        1e-4,
        "The iterations end when the energy changes by at most this share; steps of an assignment at a tenth of it.",
    )
    init: Any = setting("k-means++", "Seeds, with no k-means after them.")

    def predict(self, X: Any, *, sensitive_features: Any = None) -> Labels:
        """Assign points, new ones too: x of group s to the k of least cost plus `multipliers_` [s, k].

        The cost is the squared distance, for k-median the distance, to `assigned_centers_`. On the fitted points this
        gives `labels_`, up to rounding.

        Parameters
        ----------
        X : array-like (n, d)
        sensitive_features : array-like (n,)
            Required exactly if it was given to `fit`.

        Returns
        -------
        ndarray (n,), int32

        Raises
        ------
        InputError
            For Ncut, and as for every rule for a group value that `fit` has not seen.
        """
        check_is_fitted(self)
        if self.objective == "ncut":
            raise InputError("VFC with objective='ncut' knows the fitted points' graph only; fit with 'kmeans' instead")
        if self.objective == "kmeans":
            return super().predict(X, sensitive_features=sensitive_features)
        group_codes.check_pairing(X, sensitive_features)
        X = inputs.points_of(self, X)
        groups = inputs.known_groups_of(sensitive_features, X.shape[0], self.groups_)
        prices = self.multipliers_[groups]
        return np.argmin(rule.distances(X, self.assigned_centers_) + prices, axis=1).astype(np.int32)

    def _check(self, problem: Problem) -> None:
        if self.objective == "ncut" and problem.weights is not None:
            raise InputError("VFC with objective='ncut' takes no sample_weight; leave it out, or take 'kmeans'")
        if self.objective == "ncut" and self.n_neighbors >= problem.n_points:
            raise InputError(
                f"n_neighbors is {self.n_neighbors} for {problem.n_points} points; expected less than the points"
            )
        self._target(problem)

    def _target(self, problem: Problem) -> npt.NDArray[np.float64]:
        """Shares u (M,)."""
        if self.target is None:
            return problem.masses / problem.masses.sum()
        try:
            target = np.asarray(self.target, np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"target is not an array of numbers ({error}); expected one share per group") from error
        if target.shape != (problem.n_groups,) or not (target >= 0).all() or abs(target.sum() - 1) > 1e-6:
            raise InputError(
                f"target is {self.target!r}; expected {problem.n_groups} shares ≥ 0 that sum to 1, in the order of the "
                f"groups {group_codes.listed([group_codes.plain(value) for value in problem.known])}"
            )
        return target / target.sum()

    def _penalty(self, problem: Problem) -> float:
        """The weight λ."""
        if self.penalty is not None:
            return float(self.penalty)
        if self.objective == "ncut":
            return _SHARE * problem.n_points
        distances = np.square(problem.X - np.average(problem.X, 0, problem.weights)).sum(1, dtype=np.float64)
        return _SHARE * float((distances if self.objective == "kmeans" else np.sqrt(distances)) @ problem.each)

    def _find(self, problem: Problem, start: Start) -> Found:
        points = problem.points
        # the softmax of the start is one of costs in the data's own units, and λ has those of a sum with all weights
        unit = 1.0 if problem.weights is None else float(problem.weights.max())
        found = _run(
            points.X * points.scale,
            points.ids,
            points.to_device(starts.seeds(problem, start)) * points.scale,
            jnp.asarray(self._penalty(problem) / unit, points.X.dtype),
            jnp.asarray(self._target(problem), points.X.dtype),
            points.weights,
            self._graph(problem, len(points.X)),
            step=None if self.step is None else float(self.step),
            objective=self.objective,
            max_iter=int(self.max_iter),
            max_steps=int(self.max_steps),
            tol=float(self.tol),
        )
        status: Status = "diverged" if found.diverged else "converged" if found.settled else "stopped"
        energy = float(found.energy)
        return Found(
            np.asarray(found.labels)[: problem.n_points],
            status,
            energy * unit if np.isfinite(energy) else np.inf,
            n_iter=int(found.n_iter),
            message=self._words(problem, status, found),
            centers=points.centers_of(found.centers / points.scale),
            prices=np.asarray(found.prices, np.float64),
            details={"divergence": float(found.divergence), "n_steps": int(found.n_steps)},
        )

    def _words(self, problem: Problem, status: Status, found: Iterations) -> str:
        if status == "diverged" and self.step is None:
            return (
                f"VFC diverged at penalty={self._penalty(problem):g}: squared distances are so large that soft "
                "shares, which begin as their exponentials, leave a group nothing in some cluster; scale the points, "
                "to length 1 for example"
            )
        if status == "diverged":
            return (
                f"VFC's fixed step={self.step:g} diverged at penalty={self._penalty(problem):g} after "
                f"{counted(int(found.n_steps), 'step')}, and the labels are the last ones before that; "
                "leave step out, or take a smaller penalty"
            )
        if status == "stopped" and int(found.n_steps) >= self.max_steps:
            return (
                f"VFC had not settled after max_steps={self.max_steps} passes; more may end fairer, or take a smaller "
                "penalty"
            )
        return ""

    def _graph(self, problem: Problem, n_padded: int) -> Graph | None:
        if self.objective != "ncut":
            return None
        from fairjax.baselines.graphs import neighbor_graph

        edges = neighbor_graph(problem.X, self.n_neighbors).tocoo()
        # padded to a size that other data of the size have, too, by edges of no weight
        room = 2 * n_padded * self.n_neighbors - edges.nnz
        rows, columns = (np.pad(ends.astype(np.int32), (0, room)) for ends in edges.coords)
        values = np.pad(edges.data, (0, room)).astype(np.dtype(jnp.result_type(float)))
        return Graph(jnp.asarray(rows), jnp.asarray(columns), jnp.asarray(values))

    def _keep(self, found: Found, problem: Problem) -> None:
        super()._keep(found, problem)
        self.divergence_ = found.details["divergence"]


@partial(stage, static_argnames="objective")
def _run(
    X: Array,
    ids: Array,
    centers: Array,
    penalty: Array,
    target: Array,
    weights: Array,
    graph: Graph | None,
    *,
    step: float | None,
    objective: Literal["kmeans", "kmedian", "ncut"],
    max_iter: int,
    max_steps: int,
    tol: float,
) -> Iterations:
    return run(
        X, ids, centers, penalty, target, weights, objective=objective, graph=graph, step=step, max_iter=max_iter,
        max_steps=max_steps, tol=tol, step_tol=tol / 10,
    )  # fmt: skip
