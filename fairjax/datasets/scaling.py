"""Scaling of columns and of rows, in float64."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

NORM_FLOOR = 1e-7  # smallest Euclidean norm that a row is divided by, as in the FCA protocol
_BLOCK = 1 << 14  # rows

Matrix = npt.NDArray[np.float64]


def standardize_columns(X: Matrix, together: Sequence[slice] = ()) -> Matrix:
    """Give every column mean 0 and population standard deviation 1; constant columns become 0.

    Parameters
    ----------
    X : ndarray, shape (n, d), finite
    together : sequence of slice
        Ranges of columns that share a variance of 1, as those of one category do.

    Returns
    -------
    ndarray, shape (n, d)

    Examples
    --------
    >>> standardize_columns(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    exponent, mean, deviation = _moments(X, together)
    constant = deviation == 0
    divisor = np.where(constant, 1.0, deviation)
    out = np.empty_like(X)
    for rows in _blocks(len(X)):
        out[rows] = np.where(constant, 0.0, (np.ldexp(X[rows], -exponent) - mean) / divisor)
    return out


def column_scales(X: Matrix, together: Sequence[slice] = ()) -> tuple[Matrix, Matrix]:
    """Mean and population standard deviation (d,) of the columns; exactly 0 for a constant one.

    Examples
    --------
    >>> [scale.tolist() for scale in column_scales(np.array([[1.0, 5.0], [3.0, 5.0]]))]
    [[2.0, 5.0], [1.0, 0.0]]
    """
    exponent, mean, deviation = _moments(X, together)
    return np.ldexp(mean, exponent), np.ldexp(deviation, exponent)


def l2_normalize_rows(X: Matrix) -> Matrix:
    """Divide every row by its Euclidean norm, the norm floored at 1e-7.

    Examples
    --------
    >>> l2_normalize_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), NORM_FLOOR)


def _moments(X: Matrix, together: Sequence[slice]) -> tuple[npt.NDArray[np.intc], Matrix, Matrix]:
    """Exponent of each column's power of two, and its mean and deviation in that unit, 0 where it is constant."""
    least, most = X.min(axis=0), X.max(axis=0)
    # An exact power of two per column keeps squares of huge or tiny values in range.
    _, exponent = np.frexp(np.maximum(np.abs(least), np.abs(most)))
    mean, square = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    # blocks of rows: whole matrices in between would need many times the memory
    for rows in _blocks(len(X)):
        mean += np.ldexp(X[rows], -exponent).sum(axis=0)
    mean /= len(X)
    for rows in _blocks(len(X)):
        square += ((np.ldexp(X[rows], -exponent) - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(square / len(X))
    for columns in together:
        deviation[columns] = np.sqrt((deviation[columns] ** 2).sum())
    # Rounding of the mean may leave a constant column with a deviation just above zero.
    return exponent, mean, np.where(least == most, 0.0, deviation)


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, n, _BLOCK))
