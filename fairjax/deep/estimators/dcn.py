"""The estimator `DCN`."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from fairjax.deep.methods.dcn import DCNConfig
from fairjax.deep.methods.estimator import PRETRAIN_DECAY, DeepClusterer, is_vae
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork

__all__ = ["DCN"]


class DCN(DeepClusterer):
    """Deep clustering network (Yang, Fu, Sidiropoulos, Hong, ICML 2017), which knows nothing of groups.

    An autoencoder, k-means on its latent rows, then both together: reconstruction and the squared distance of a latent
    row to the nearest centre, while the centres follow their rows.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters K.
    pretrain_steps : int, default=10000
        Steps of the autoencoder.
    epochs : int, default=50
        Passes through the data afterwards.
    pretrain : {"end2end", "layerwise"}, default="end2end"
        Adam on the whole autoencoder, or first layer by layer and then the whole, all by SGD ("sdae" and "mlp").
    layer_steps, layer_lr : int, float, default=5000, 0.1
        Steps of each layer; rate of "layerwise", a tenth of it after every 100 epochs.
    corruption : float, default=0.0
        Share of the autoencoder's inputs that are set to zero (denoising).
    batch_size : int, default=256
        Rows per step.
    pretrain_lr, lr : float, default=1e-3, 1e-4
        Rates of Adam on the autoencoder and of `optimizer` afterwards, where the authors take 1e-4 to 5e-3.
    optimizer : {"sgd", "adam"}, default="sgd"
        With momentum 0.9 the former.
    lam, distance_weight : float, default=1.0
        Weights of the reconstruction, a sum over a row's elements, and of the distance to the centre (β in the paper).
    recon : {"mse", "bce"}, default="mse"
        Reconstruction error of the autoencoder; "bce" takes values in [0, 1].
    beta : float, default=1.0
        Weight of a variational autoencoder's divergence.
    n_init : int, default=20
        Restarts of k-means.
    network : {"auto", "mlp", "sdae", "fc", "conv", "vae"} or nnx.Module, default="auto"
        Autoencoder: "auto" takes "conv" for images and "sdae" for vectors, "mlp" for vectors of up to 256 numbers. Or
        an NNX module of one's own: an encoder, which gets the decoder of "auto", or an autoencoder as
        `fairjax.deep.nets.autoencoders` describes it.
    n_latent : int, optional
        Latent dimension; K by default, 64 for "vae".
    compute : {"float32", "bfloat16"}, default="float32"
        Type in which the layers compute; losses stay in float32.
    n_devices : int, default=1
        Devices over which the rows of each batch are spread; up to rounding the result is that of one.
    checkpoint_dir : path, optional
        Folder for checkpoints: every `checkpoint_every` steps, at Ctrl-C, SIGTERM and SIGHUP; the last three are kept.
    resume : bool, default=False
        Go on from the newest checkpoint in there, to the same result as without interruption.
    checkpoint_every : int, default=1000
    random_state : int, RandomState instance or None, default=None
        An int repeats the run.

    Attributes
    ----------
    labels_ : ndarray (N,), int32
    cluster_centers_ : ndarray (K, d)
        In the latent space.
    history_ : dict of ndarray (steps,)
        Weighted terms of the loss by ``"stage: term"``.
    n_iter_ : int
        Steps of all stages.
    balance_, max_balance_ : float
        Smallest ratio of two groups' sizes in a cluster, and the best that the data allow.
    groups_, group_names_
        Values of `sensitive_features`, sorted, and their text.
    notes_ : tuple of str
        What there is to say of the data, such as groups with fewer rows than a batch asks for.

    Examples
    --------
    >>> from fairjax.deep import DCN
    >>> DCN(3, distance_weight=0.1).distance_weight
    0.1
    """

    _choices: ClassVar[dict[str, tuple[str, ...]]] = DCNConfig.choices

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        pretrain_steps: int = 10_000,
        epochs: int = 50,
        pretrain: Literal["end2end", "layerwise"] = "end2end",
        layer_steps: int = 5_000,
        layer_lr: float = 0.1,
        corruption: float = 0.0,
        batch_size: int = 256,
        pretrain_lr: float = 1e-3,
        lr: float = 1e-4,
        optimizer: Literal["sgd", "adam"] = "sgd",
        lam: float = 1.0,
        distance_weight: float = 1.0,
        recon: Literal["mse", "bce"] = "mse",
        beta: float = 1.0,
        n_init: int = 20,
        network: Any = "auto",
        n_latent: int | None = None,
        compute: Literal["float32", "bfloat16"] = "float32",
        n_devices: int = 1,
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
        checkpoint_every: int = 1000,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.pretrain_steps = pretrain_steps
        self.epochs = epochs
        self.pretrain = pretrain
        self.layer_steps = layer_steps
        self.layer_lr = layer_lr
        self.corruption = corruption
        self.batch_size = batch_size
        self.pretrain_lr = pretrain_lr
        self.lr = lr
        self.optimizer = optimizer
        self.lam = lam
        self.distance_weight = distance_weight
        self.recon = recon
        self.beta = beta
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.n_devices = n_devices
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork, n_groups: int) -> DCNConfig:
        return DCNConfig(
            network=network,
            n_clusters=self.n_clusters,
            batch=self.batch_size,
            n_init=self.n_init,
            pretrain_steps=self.pretrain_steps,
            pretrain_lr=self.pretrain_lr,
            pretrain=self.pretrain,
            layer_steps=self.layer_steps,
            layer_lr=self.layer_lr,
            corruption=self.corruption,
            sum_pixels=is_vae(network),
            pretrain_weight_decay=PRETRAIN_DECAY if is_vae(network) else 0.0,
            epochs=self.epochs,
            lr=self.lr,
            optimizer=self.optimizer,
            lam=self.lam,
            distance_weight=self.distance_weight,
            recon=self.recon,
            beta=self.beta,
        )
