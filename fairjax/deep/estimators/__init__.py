"""The estimators of the deep methods, in the manner of scikit-learn: one module for each."""

from fairjax.deep.estimators.aekmeans import AEKMeans
from fairjax.deep.estimators.dcn import DCN
from fairjax.deep.estimators.dec import DEC
from fairjax.deep.estimators.deepfca import DeepFCA
from fairjax.deep.estimators.dfc import DFC
from fairjax.deep.estimators.fairoid import FairoidDEC
from fairjax.deep.estimators.fcmi import FCMI

__all__ = ["DCN", "DEC", "DFC", "FCMI", "AEKMeans", "DeepFCA", "FairoidDEC"]
