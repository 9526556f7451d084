"""The estimator `FairoidDEC`."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from fairjax.deep.methods.estimator import PRETRAIN_DECAY, DeepClusterer, is_vae
from fairjax.deep.methods.fairoid import FairoidConfig
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork

__all__ = ["FairoidDEC"]


class FairoidDEC(DeepClusterer):
    """DEC with fairoids (Wang and Davidson, 2019): centroids at an equal distance from all groups' mean latents.

    A weak form of fairness: it helps where the groups differ mildly, and fails where they lie far apart.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters K.
    epochs : int, default=30
        Passes through the data after the autoencoder.
    pretrain_steps : int, default=10000
        Steps of the whole autoencoder.
    pretrain : {"end2end", "layerwise"}, default="end2end"
        Adam on the whole autoencoder, or first layer by layer and then the whole, all by SGD ("sdae" and "mlp").
    layer_steps, layer_lr : int, float, default=5000, 0.1
        Steps of each layer; rate of "layerwise", a tenth of it after every 100 epochs.
    corruption : float, default=0.0
        Share of the autoencoder's inputs that are set to zero (denoising).
    batch_size : int, default=256
        Rows per step.
    pretrain_lr, lr : float, default=1e-3, 0.01
        Rates of Adam on the autoencoder and of `optimizer` afterwards.
    optimizer : {"sgd", "adam"}, default="sgd"
        After the autoencoder.
    gamma : float, default=10.0
        Weight of the fairness; the paper searches 0.01 to 1000.
    beta : float, default=1000.0
        Root that evens out the fairness targets.
    freq : {"clusters", "none"}, default="clusters"
        Divide the fairness targets by each fairoid's sum over the clusters, as DEC does, or not at all.
    ridge : float or None, default=None
        Added to the least-squares centroids' system, which a cluster that the batch lacks would make singular. None for
        1e-4 in float32; in float64 it takes the pseudo-inverse instead.
    alpha_rec : float, default=0.0
        Weight of the reconstruction after the autoencoder's own stage; the paper speaks of the decoder there without
        a term for it.
    fairoids : {"epoch", "fixed", "batch"}, default="epoch"
        Groups' means from all rows before every epoch, once, or from each batch with their gradient.
    target : {"epoch", "batch"}, default="epoch"
        Targets from all rows before every epoch, or from each batch.
    phi_centroids : {"batch", "param"}, default="batch"
        Centroids compared with the fairoids: least squares on the batch, or the trained ones (no effect was measured).
    reduction : {"mean", "sum"}, default="mean"
        Of both terms.
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
    >>> from fairjax.deep import FairoidDEC
    >>> FairoidDEC(6, gamma=1.0).gamma
    1.0
    """

    _choices: ClassVar[dict[str, tuple[str, ...]]] = {**FairoidConfig.choices, "freq": ("clusters", "none")}

    _positive: ClassVar[tuple[str, ...]] = ("beta", "ridge")

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        epochs: int = 30,
        pretrain: Literal["end2end", "layerwise"] = "end2end",
        pretrain_steps: int = 10_000,
        layer_steps: int = 5_000,
        batch_size: int = 256,
        pretrain_lr: float = 1e-3,
        layer_lr: float = 0.1,
        corruption: float = 0.0,
        lr: float = 0.01,
        optimizer: Literal["sgd", "adam"] = "sgd",
        gamma: float = 10.0,
        beta: float = 1000.0,
        freq: Literal["clusters", "none"] = "clusters",
        ridge: float | None = None,
        alpha_rec: float = 0.0,
        fairoids: Literal["epoch", "fixed", "batch"] = "epoch",
        target: Literal["epoch", "batch"] = "epoch",
        phi_centroids: Literal["batch", "param"] = "batch",
        reduction: Literal["mean", "sum"] = "mean",
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
        self.epochs = epochs
        self.pretrain = pretrain
        self.pretrain_steps = pretrain_steps
        self.layer_steps = layer_steps
        self.batch_size = batch_size
        self.pretrain_lr = pretrain_lr
        self.layer_lr = layer_lr
        self.corruption = corruption
        self.lr = lr
        self.optimizer = optimizer
        self.gamma = gamma
        self.beta = beta
        self.freq = freq
        self.ridge = ridge
        self.alpha_rec = alpha_rec
        self.fairoids = fairoids
        self.target = target
        self.phi_centroids = phi_centroids
        self.reduction = reduction
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.n_devices = n_devices
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork, n_groups: int) -> FairoidConfig:
        return FairoidConfig(
            network=network,
            n_clusters=self.n_clusters,
            batch=self.batch_size,
            n_init=self.n_init,
            pretrain=self.pretrain,
            pretrain_steps=self.pretrain_steps,
            layer_steps=self.layer_steps,
            pretrain_lr=self.pretrain_lr,
            layer_lr=self.layer_lr,
            corruption=self.corruption,
            sum_pixels=is_vae(network),
            pretrain_weight_decay=PRETRAIN_DECAY if is_vae(network) else 0.0,
            epochs=self.epochs,
            lr=self.lr,
            optimizer=self.optimizer,
            gamma=self.gamma,
            beta_root=self.beta,
            by_frequency=self.freq == "clusters",
            ridge=self.ridge,
            alpha_rec=self.alpha_rec,
            fairoids=self.fairoids,
            target=self.target,
            phi_centroids=self.phi_centroids,
            reduction=self.reduction,
        )
