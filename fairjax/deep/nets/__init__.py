"""Networks: NNX modules of autoencoders and classifiers, and the one adapter that makes pure functions of them.

Nothing beyond this wing calls Flax; `fairjax.deep.nets.autoencoders` says what methods a network of one's own needs.
"""

from fairjax.deep.nets.autoencoders import Code, ConvAutoencoder, ConvVAE, Critic, FCAutoencoder, MLPAutoencoder
from fairjax.deep.nets.blocks import BatchNorm, Conv, Dense
from fairjax.deep.nets.classifier import Classifier, ConvClassifier
from fairjax.deep.nets.dac import DACFeatureNetwork, DACNetwork
from fairjax.deep.nets.entrance import own_options
from fairjax.deep.nets.features import FeatureVAE
from fairjax.deep.nets.gan import GANCritic, GANNetwork
from fairjax.deep.nets.network import Network, Variables
from fairjax.deep.nets.own import OwnEncoder, OwnNetwork
from fairjax.deep.nets.passing import embed, recalibrated

__all__ = [
    "BatchNorm",
    "Classifier",
    "Code",
    "Conv",
    "ConvAutoencoder",
    "ConvClassifier",
    "ConvVAE",
    "Critic",
    "DACFeatureNetwork",
    "DACNetwork",
    "Dense",
    "FCAutoencoder",
    "FeatureVAE",
    "GANCritic",
    "GANNetwork",
    "MLPAutoencoder",
    "Network",
    "OwnEncoder",
    "OwnNetwork",
    "Variables",
    "embed",
    "own_options",
    "recalibrated",
]
