"""Deep fair clustering: encoders, losses and one trainer, under the methods AE + k-means, DEC, DCN, FCMI, DFC,
fairoids, and FCA on learned features.

A method is a module with a configuration and a pure function: ``run(keys, data, config)`` trains one seed, or S at once
for keys (S,), on data from `prepare`. `analysis` looks into what a training does.
"""

from fairjax.deep import aekmeans, analysis, dcn, dec, deepfca, dfc, fairoid, fcmi
from fairjax.deep.estimators import DCN, DEC, DFC, FCMI, AEKMeans, DeepFCA, FairoidDEC
from fairjax.deep.method import Clusterer, Result, log_assignment, run
from fairjax.deep.nets import Network, OwnEncoder, OwnNetwork
from fairjax.deep.streams import Data, prepare
from fairjax.deep.trainer import DivergedError

__all__ = [
    "DCN",
    "DEC",
    "DFC",
    "FCMI",
    "AEKMeans",
    "Clusterer",
    "Data",
    "DeepFCA",
    "DivergedError",
    "FairoidDEC",
    "Network",
    "OwnEncoder",
    "OwnNetwork",
    "Result",
    "aekmeans",
    "analysis",
    "dcn",
    "dec",
    "deepfca",
    "dfc",
    "fairoid",
    "fcmi",
    "log_assignment",
    "prepare",
    "run",
]
