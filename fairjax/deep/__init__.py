"""Deep fair clustering: encoders, losses and one trainer, under the methods AE + k-means, DEC, DCN, IMSAT, FCMI, DFC,
fairoids, and FCA on learned features.

Three wings, of which each imports only from those before it: `nets`, `training`, `methods`; `analysis` looks into what
a training does. A method is a file in `methods` with its settings, its stages and its estimator. Its module also has
the pure function behind the estimator: ``run(keys, data, config)`` trains one seed, or S at once for keys (S,), on data
from `prepare`.
"""

from fairjax.deep import analysis
from fairjax.deep.methods import (
    aekmeans,
    clustergan,
    dac,
    dcn,
    dec,
    deepfca,
    dfc,
    fairimsat,
    fairoid,
    fcmi,
    imsat,
    restarts,
)
from fairjax.deep.methods.assigning import Clusterer, log_assignment
from fairjax.deep.methods.catalogue import *
from fairjax.deep.methods.matching import MatchedGroups, match_groups, own_costs
from fairjax.deep.methods.running import Result, run
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnEncoder, OwnNetwork
from fairjax.deep.training.streams import Data, prepare
from fairjax.deep.training.tasks import DivergedError

__all__ = [
    "DAC",
    "DCN",
    "DEC",
    "DFC",
    "FCMI",
    "IMSAT",
    "AEKMeans",
    "ClusterGAN",
    "Clusterer",
    "Data",
    "DeepFCA",
    "DivergedError",
    "FairIMSAT",
    "FairoidDEC",
    "MatchedGroups",
    "Network",
    "OwnEncoder",
    "OwnNetwork",
    "Result",
    "aekmeans",
    "analysis",
    "clustergan",
    "dac",
    "dcn",
    "dec",
    "deepfca",
    "dfc",
    "fairimsat",
    "fairoid",
    "fcmi",
    "imsat",
    "log_assignment",
    "match_groups",
    "own_costs",
    "prepare",
    "restarts",
    "run",
]
