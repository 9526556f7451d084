"""The trainer that all methods share: batches, stages, chunks of steps, checkpoints; it knows no method."""

from fairjax.deep.training.streams import Batch, Data, prepare
from fairjax.deep.training.tasks import DivergedError, Task, TrainState
from fairjax.deep.training.trainer import Position, Trained, run_tasks

__all__ = ["Batch", "Data", "DivergedError", "Position", "Task", "TrainState", "Trained", "prepare", "run_tasks"]
