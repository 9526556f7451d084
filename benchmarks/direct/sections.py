"""Measurements of the direct route.

The objective, gap and status that were reached stand beside every time; compilation is timed apart. Take a quiet
machine: ratios are of wall times. Adult and Bank are looked for where ``FAIRJAX_DATA`` says.
"""

from benchmarks.direct import cells, fits, iterations, sweep, targets, waiting

SECTIONS = {
    "targets": targets.targets,
    "adult-speed": fits.adult_speed,
    "million": iterations.million,
    "shifted": fits.shifted,
    "starts": targets.starts,
    "sweep": sweep.sweep,
    "startup": fits.startup,
    "waiting": waiting.waiting,
    "growth": iterations.growth,
    "cells": cells.cells,
}
CHILDREN = {
    "kmeans": fits.child_kmeans,
    "blobs": iterations.child_blobs,
    "iteration": iterations.child_iteration,
    "lloyd": iterations.child_lloyd,
    "memory": iterations.child_memory,
    "sweep": sweep.child_sweep,
    "session": waiting.child_session,
    "sizes": waiting.child_sizes,
}
