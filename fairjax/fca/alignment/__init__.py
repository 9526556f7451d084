"""FCA by the alignment route: Algorithm 1 of Kim et al. (ICML 2025), and Algorithm 2 (FCA-C) with ``rule``.

Each iteration aligns the groups by optimal transport under :mod:`~fairjax.fca.alignment.joint_cost`, block by block of
a :mod:`~fairjax.fca.alignment.partition` in one batch, and moves the centres for that coupling
(:mod:`~fairjax.fca.alignment.center_update`).
Both lower the objective

    F = Σ mass · [ min_k Σ_s π_s ‖x_s − μ_k‖² + (w − 1) Σ_{s<r} π_sπ_r ‖x_s − x_r‖² ]   over the tuples of the coupling,

for any fixed partition. Drawing a new partition in each iteration, as the authors' code does, may raise it. The
``refine`` scheme redistributes the current coupling over the blocks instead, keeps it feasible, and never raises F.
With w ≠ 1 it redistributes tuples, along random directions in space. With w = 1, F does not depend on the partners
within a cluster, and every block takes a random part of every cluster, the same part in both groups.

With transport weight w = 1 and no partition, the least F is the cost of the cheapest fair clustering, which the direct
route (:func:`fairjax.fca.run`) finds in O(nK) per pass. With w ≠ 1 the transport problem must be solved.

More than two groups are added one after another, the largest first: the tuples of the groups so far are aligned with
the points of the next group at the cost by which the joint cost grows. For two groups this is the method of the paper.
For more, every result is a coupling of all groups, hence exactly fair, but transport is solved to optimality only
group by group, since the multi-marginal problem is hard for w ≠ 1. At w = 1 the direct route's bound says how much
that costs.

``init``, ``step``, ``run`` are pure and work under ``jit`` and ``vmap`` (over keys, centres and parameters).
"""

from fairjax.fca.alignment.filling import fill, refill
from fairjax.fca.alignment.iterations import run, step
from fairjax.fca.alignment.problem import AlignmentProblem, Parameters, Scheme, Settings, Solver, check, prepare
from fairjax.fca.alignment.result import MESSAGES, Alignment, finish
from fairjax.fca.alignment.state import AlignmentState, init
from fairjax.fca.alignment.transport import Aligned, align, block_costs, entries

__all__ = [
    "MESSAGES",
    "Aligned",
    "Alignment",
    "AlignmentProblem",
    "AlignmentState",
    "Parameters",
    "Scheme",
    "Settings",
    "Solver",
    "align",
    "block_costs",
    "check",
    "entries",
    "fill",
    "finish",
    "init",
    "prepare",
    "refill",
    "run",
    "step",
]
