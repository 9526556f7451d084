"""k-means: seeding and Lloyd's iteration, weighted, masked and batched.

Everything here is a pure function of arrays that works under `jax.jit` and `jax.vmap`, in float32 and
float64. Weights double as masks: a row of weight zero is never drawn as a centre, moves no centre and adds
no cost, so data sets of different sizes can be batched by padding them with such rows. At least one weight must
be positive; without any, results are finite but meaningless.

The cost is always the weighted *mean* squared distance, ``sum_i w_i min_k |x_i - mu_k|^2 / sum_i w_i``.

`fit` does everything; `init_plus_plus` and `run` are its two halves; `init` and `step` are the loop inside
`run`, for callers that drive it themselves.
"""

from fairjax.kmeans.distances import squared_distances
from fairjax.kmeans.lloyd import KMeansResult, LloydState, LloydStep, init, lloyd_step, run, step
from fairjax.kmeans.restarts import fit
from fairjax.kmeans.seeding import init_plus_plus, init_random
from fairjax.kmeans.sums import cluster_sums

__all__ = [
    "KMeansResult",
    "LloydState",
    "LloydStep",
    "cluster_sums",
    "fit",
    "init",
    "init_plus_plus",
    "init_random",
    "lloyd_step",
    "run",
    "squared_distances",
    "step",
]
