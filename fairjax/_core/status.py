"""What the status of any solver may be: each room has its own texts for them."""

SOLVED, UNSOLVED, INFEASIBLE, INVALID = 0, 1, 2, 3
