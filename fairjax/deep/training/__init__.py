"""The trainer that all methods share: batches, stages, chunks of steps, checkpoints; it knows no method."""

from fairjax.deep.training.steps import begin, train_chunk
from fairjax.deep.training.streams import Batch, Data, prepare, steps_per_epoch
from fairjax.deep.training.tasks import DivergedError, Task, TrainState
from fairjax.deep.training.trainer import Position, Trained, run_tasks

__all__ = [
    "Batch",
    "Data",
    "DivergedError",
    "Position",
    "Task",
    "TrainState",
    "Trained",
    "begin",
    "prepare",
    "run_tasks",
    "steps_per_epoch",
    "train_chunk",
]
