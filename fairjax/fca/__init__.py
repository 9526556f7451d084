"""Fair clustering via alignment: the direct route."""

from fairjax.fca.direct import FairClustering, State, finish, init, open_points, run, step
from fairjax.fca.points import GroupedPoints, prepare

__all__ = ["FairClustering", "GroupedPoints", "State", "finish", "init", "open_points", "prepare", "run", "step"]
