"""Fair clustering via alignment: the direct route."""

from fairjax.fca.direct import FairClustering, State, finish, init, run, step
from fairjax.fca.points import GroupedPoints, prepare

__all__ = ["FairClustering", "GroupedPoints", "State", "finish", "init", "prepare", "run", "step"]
