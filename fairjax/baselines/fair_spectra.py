"""The embedding of fair spectral clustering: least eigenvectors of a Laplacian in which every group has the same mean.

With F the columns f_s − π_s 1 of all groups but one, the published way takes a basis Z of the null space of Fᵀ and the
least eigenvectors of ZᵀLZ, with an inverse matrix root where the Laplacian is normalised; O(n³). The same subspace
belongs to the greatest eigenvalues of P (c I − M) P, with P the projection along F, for the normalised Laplacian along
D^(−½) F: products with a sparse matrix, and one thin factorisation.

References
----------
.. [1] M. Kleindessner, S. Samadi, P. Awasthi, J. Morgenstern, "Guarantees for spectral clustering with fairness
   constraints", ICML 2019.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse
from scipy.linalg import eigh, qr
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from fairjax.errors import InputError

Table = npt.NDArray[np.floating]

_SMALL = 400  # points up to which a whole decomposition is as fast
_SUBSPACE = 25


class Embedding(NamedTuple):
    """Outcome of `fair_embedding`."""

    vectors: Table
    """(n, K) H, with Fᵀ H = 0: rows are what is clustered."""
    values: Table
    """(K,) the eigenvalues, ascending; NaN where one did not converge, and its vector is 0."""
    settled: bool
    """Whether all of them converged."""


def fair_embedding(
    affinity: Any,
    groups: npt.NDArray[np.integer],
    n_vectors: int,
    *,
    normalized: bool = True,
    v0: Table | None = None,
    max_iter: int | None = None,
) -> Embedding:
    """The K least eigenvectors of the Laplacian under the constraint that every group has the mean of all.

    Parameters
    ----------
    affinity : (n, n) symmetric and non-negative, an array or sparse.
    groups : (n,) ids 0..M-1; one group constrains nothing.
    n_vectors : K, below n - M.
    normalized : the Laplacian I − D^(−½) W D^(−½) (vectors are D^(−½) times its own), or D − W.
    v0 : (n,) start of the Lanczos iteration, ones by default. Where an eigenvalue is multiple it decides on the vectors
        in the subspace. Of few points the whole decomposition is taken.
    max_iter : most restarts of it, ten times n by default.

    Returns
    -------
    Embedding
        O(nnz + n (K + M)) a step.

    Raises
    ------
    InputError
        For more vectors than there can be, and in the normalised case for a point without any affinity.

    Examples
    --------
    Two clusters, and two groups that affinity follows more than them:

    >>> import numpy as np
    >>> clusters, groups = np.arange(8) % 2, np.arange(8) // 4
    >>> same = clusters[:, None] == clusters, groups[:, None] == groups
    >>> W = 0.1 + 0.1 * same[0] + 0.2 * same[1] - 0.4 * np.eye(8)
    >>> vectors, values, _ = fair_embedding(W, groups, 2, normalized=False)
    >>> values.round(6).tolist(), (np.sign(vectors[:, 1]) * np.sign(vectors[0, 1])).tolist()
    ([0.0, 1.6], [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    """
    n = affinity.shape[0]
    n_groups = int(groups.max()) + 1
    if n_vectors > n - n_groups + 1:
        raise InputError(
            f"{n_vectors} eigenvectors of {n} points in {n_groups} groups; expected at most {n - n_groups + 1}"
        )
    matrix = sparse.csr_array(affinity) if sparse.issparse(affinity) else np.asarray(affinity, np.float64)
    degrees = np.asarray(matrix.sum(1)).ravel()
    if normalized and not (degrees > 0).all():
        raise InputError(
            f"the point at index {int(np.argmin(degrees))} has no affinity to any other, which the normalised "
            "Laplacian cannot have; take more neighbours, or normalized=False"
        )
    scale = 1 / np.sqrt(degrees) if normalized else np.ones(n)
    top = 2.0 if normalized else 2 * float(degrees.max())
    shifts = np.full(n, top - 1.0) if normalized else top - degrees
    along = qr(scale[:, None] * _deviations(groups, n_groups), mode="economic")[0] if n_groups > 1 else np.zeros((n, 0))

    def project(x: Table) -> Table:
        return x - along @ (along.T @ x)

    def apply(x: Table) -> Table:
        y = project(x)
        rows = (slice(None), *(None,) * (x.ndim - 1))
        return project(shifts[rows] * y + scale[rows] * (matrix @ (scale[rows] * y)))

    values, vectors, settled = _greatest(apply, n, n_vectors, v0, max_iter)
    return Embedding(scale[:, None] * vectors, top - values, settled)


def _deviations(groups: npt.NDArray[np.integer], n_groups: int) -> Table:
    """Columns (n, M-1) of the groups but the last one, f_s − π_s."""
    members: Table = (groups[:, None] == np.arange(n_groups - 1)).astype(np.float64)
    return members - members.mean(0)


def _greatest(apply: Any, n: int, count: int, v0: Table | None, max_iter: int | None) -> tuple[Table, Table, bool]:
    """Eigenvalues, the greatest first, and their vectors."""
    if n <= _SMALL or 2 * count >= n:
        matrix = apply(np.eye(n))
        values, vectors = eigh((matrix + matrix.T) / 2, subset_by_index=(n - count, n - 1))
        return values[::-1], vectors[:, ::-1], True
    operator = LinearOperator((n, n), matvec=apply, matmat=apply, dtype=np.float64)
    start = np.ones(n) if v0 is None else v0
    try:
        values, vectors = eigsh(
            operator, count, which="LA", v0=start, ncv=min(n, max(2 * count + 1, _SUBSPACE)), maxiter=max_iter
        )
    except ArpackNoConvergence as error:
        found = error.eigenvalues.argsort()[::-1]
        values, vectors = np.full(count, np.nan), np.zeros((n, count))
        values[: len(found)], vectors[:, : len(found)] = error.eigenvalues[found], error.eigenvectors[:, found]
        return values, vectors, False
    order = values.argsort()[::-1]
    return values[order], vectors[:, order], True
