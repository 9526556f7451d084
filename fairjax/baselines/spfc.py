"""SpFC, spectral clustering with fairness constraints (Kleindessner et al., ICML 2019)."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sparse
from jax import Array

from fairjax import kmeans
from fairjax._core.compiling import stage
from fairjax._core.settings import setting
from fairjax.baselines.base import Baseline, estimator
from fairjax.baselines.fair_spectra import Embedding, fair_embedding
from fairjax.baselines.graphs import gaussian_affinity, neighbor_graph
from fairjax.baselines.problem import Found, Problem, Start, Status, Table
from fairjax.errors import InputError

_COPIES = 4  # of a dense affinity that are held at a time


@estimator
class SpFC(Baseline):
    """Spectral clustering under the constraint that every group has the same mean in the embedding.

    It has no control, and the labels have no guarantee. Any number of groups. Attributes as told in
    :class:`~fairjax.baselines.Baseline`, and those below.

    Attributes
    ----------
    eigenvalues_ : ndarray (K,)
        Of the constrained Laplacian, ascending.
    embedding_ : ndarray (n, K)
        What was clustered; every group has the same mean.

    Notes
    -----
    `objective_` is the mean squared distance of the rows of `embedding_` to their means. With affinity "precomputed"
    `cost_` and `cluster_centers_` are those of rows of affinities.

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.baselines import SpFC
    >>> clusters, sex = np.arange(12) % 2, np.repeat(["f", "m"], 6)
    >>> same = (clusters[:, None] == clusters), (sex[:, None] == sex)
    >>> W = 0.1 + 0.1 * same[0] + 0.2 * same[1]
    >>> model = SpFC(2, affinity="precomputed", random_state=0).fit(W, sensitive_features=sex)
    >>> model.balance_, bool(np.all(model.labels_ == model.labels_[clusters]))
    (1.0, True)
    """

    control: ClassVar[str | None] = None

    affinity: Literal["rbf", "nearest_neighbors", "precomputed"] = setting(
        "rbf",
        "Gaussian kernel of all pairs; the symmetrised graph of nearest neighbours, sparse; or X itself, an (n, "
        "n) symmetric array of affinities ≥ 0.",
    )
    normalized: bool = setting(
        True, "Whether the Laplacian is. The unnormalised variant needs many more points for the same error."
    )
    width: float | None = setting(
        None,
        "Of the Gaussian kernel, exp(−‖x − y‖² / (2 width²)); the median distance by default.",
        least=1e-30,
    )
    n_neighbors: int = setting(20, "Of each point in the graph.")
    max_points: int = setting(
        5000, "The kernel of more points is refused, for its memory; it is four arrays of n² float64."
    )
    n_init: int = setting(10, "Number of starts of k-means on the embedding; 1 if `init` is an array.")
    max_iter: int = setting(300, "Most iterations of k-means.")
    tol: float = setting(1e-4, "As for :class:`~fairjax.baselines.KMeans`.")
    init: Any = setting(
        "k-means++", "Seeds of k-means on the embedding; centres of points stand for the points nearest to them."
    )
    random_state: Any = setting(
        None, "Source of the seeds and of the start of the eigensolver; an int repeats the run."
    )

    def _check(self, problem: Problem) -> None:
        n = problem.n_points
        if self.affinity == "nearest_neighbors" and self.n_neighbors >= n:
            raise InputError(f"n_neighbors is {self.n_neighbors} for {n} points; expected less than the points")
        if self.affinity == "rbf" and n > self.max_points:
            raise InputError(
                f"the kernel of {n} points needs about {_COPIES * 8 * n**2 / 2**30:.1f} GiB, and max_points is "
                f"{self.max_points}: take affinity='nearest_neighbors', a sample of the points, or FAlg or FCA"
            )
        if self.affinity == "precomputed":
            X = problem.X
            if X.shape != (n, n) or X.min() < 0 or not np.allclose(X, X.T):
                raise InputError(
                    f"X has shape {X.shape} and affinity is 'precomputed'; expected an (n, n) symmetric array of "
                    "affinities of at least 0"
                )
        if problem.n_clusters > n - problem.n_groups + 1:
            raise InputError(
                f"n_clusters={problem.n_clusters} for {n} points in {problem.n_groups} groups; the constraints leave "
                f"{n - problem.n_groups + 1} directions: ask for at most as many clusters"
            )

    def _starts(self, problem: Problem) -> Iterator[Start]:
        # the embedding is the same for all of them, and k-means takes care of its own
        yield next(iter(super()._starts(problem)))

    def _affinity(self, problem: Problem) -> Table | sparse.csr_array:
        if self.affinity == "precomputed":
            return problem.X
        if self.affinity == "rbf":
            return gaussian_affinity(problem.X, self.width)
        return neighbor_graph(problem.X, self.n_neighbors)

    def _find(self, problem: Problem, start: Start) -> Found:
        from fairjax.fca.scaled_points import scale_points

        embedding = fair_embedding(
            self._affinity(problem),
            problem.groups,
            problem.n_clusters,
            normalized=bool(self.normalized),
            v0=start.generator().normal(size=problem.n_points),
        )
        rows = scale_points(embedding.vectors, np.zeros(problem.n_points, np.int32), n_groups=1)
        max_iter, tol = int(self.max_iter), float(self.tol)
        if start.centers is None:
            found = _restarts(
                start.key,
                rows.X,
                rows.weights,
                problem.n_clusters,
                int(self.n_init),
                start.init,
                max_iter=max_iter,
                tol=tol,
            )
        else:
            stand_ins = [int(np.square(problem.X - center).sum(1).argmin()) for center in start.centers]
            found = _from(rows.X, rows.X[np.array(stand_ins)], rows.weights, max_iter=max_iter, tol=tol)
        status: Status = "converged" if embedding.settled and bool(found.converged) else "stopped"
        return Found(
            np.asarray(found.labels)[: problem.n_points],
            status,
            float(rows.cost_of(float(found.cost))),
            n_iter=int(found.n_iter),
            message=_words(embedding),
            details={"embedding": embedding},
        )

    def _keep(self, found: Found, problem: Problem) -> None:
        super()._keep(found, problem)
        self.eigenvalues_ = found.details["embedding"].values
        self.embedding_ = found.details["embedding"].vectors


def _words(embedding: Embedding) -> str:
    if embedding.settled:
        return ""
    settled = int(np.isfinite(embedding.values).sum())
    return (
        f"only {settled} of the {len(embedding.values)} eigenvectors of SpFC converged, and the clusters follow these; "
        "take more neighbours or a wider kernel"
    )


def _restarts(
    key: Array, X: Array, weights: Array, n_clusters: int, n_init: int, init: str, *, max_iter: int, tol: float
) -> kmeans.KMeansResult:
    return kmeans.fit(key, X, n_clusters, weights, n_init=n_init, init=init, max_iter=max_iter, tol=tol)


@stage
def _from(X: Array, centers: Array, weights: Array, *, max_iter: int, tol: float) -> kmeans.KMeansResult:
    return kmeans.run(X, centers, weights, max_iter=max_iter, tol=tol)
