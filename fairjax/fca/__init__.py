"""Fair clustering via alignment: the direct route, and the alignment route of the paper."""

from fairjax.fca import alignment
from fairjax.fca.aligned_starts import aligned_start
from fairjax.fca.alignment import Alignment
from fairjax.fca.alignment.rounding import hard_labels
from fairjax.fca.batches import DataSets, FairBatch, fit_batch, stack
from fairjax.fca.direct import FairClustering, State, finish, init, open_points, run, step
from fairjax.fca.filling import fill, refill
from fairjax.fca.points import GroupedPoints, prepare

__all__ = [
    "Alignment",
    "DataSets",
    "FairBatch",
    "FairClustering",
    "GroupedPoints",
    "State",
    "aligned_start",
    "alignment",
    "fill",
    "finish",
    "fit_batch",
    "hard_labels",
    "init",
    "open_points",
    "prepare",
    "refill",
    "run",
    "stack",
    "step",
]
