"""Status codes that all solvers share; each subpackage has its own texts for them."""

SOLVED, UNSOLVED, INFEASIBLE, INVALID = 0, 1, 2, 3
