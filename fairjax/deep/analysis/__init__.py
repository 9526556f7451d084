"""The in-depth analyses of the papers: numbers as functions of runs and latent rows, and figures of the numbers.

Numbers need nothing but the package; the functions of `figures` need matplotlib, which they import when they draw.
"""

from fairjax.deep.analysis import figures
from fairjax.deep.analysis.composition import Unfairest, fwd_by_clusters, unfairest_cluster
from fairjax.deep.analysis.decoders import switched
from fairjax.deep.analysis.matching import MatchedUnion, matched_union
from fairjax.deep.analysis.probe import Probe, group_probe
from fairjax.deep.analysis.projection import tsne
from fairjax.deep.analysis.sweeps import sweep, variants
from fairjax.deep.analysis.training import Snapshot, critic_accuracy, informations, latent_rows, watch

__all__ = [
    "MatchedUnion",
    "Probe",
    "Snapshot",
    "Unfairest",
    "critic_accuracy",
    "figures",
    "fwd_by_clusters",
    "group_probe",
    "informations",
    "latent_rows",
    "matched_union",
    "sweep",
    "switched",
    "tsne",
    "unfairest_cluster",
    "variants",
    "watch",
]
