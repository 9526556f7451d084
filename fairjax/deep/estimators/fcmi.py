"""The estimator `FCMI`."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from fairjax.deep.methods.estimator import DeepClusterer
from fairjax.deep.methods.fcmi import FCMIConfig
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork

__all__ = ["FCMI"]


class FCMI(DeepClusterer):
    """Deep fair clustering by mutual information (Zeng et al., CVPR 2023).

    An autoencoder with a decoder branch for each group; soft assignments by the cosine to centres that k-means renews
    before every epoch; the information of cluster and point is raised, that of cluster and group lowered.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters K.
    epochs, warmup_epochs : int, default=300, 20
        Passes through the data; in the first ones only the reconstruction counts.
    batch_size : int, default=512
        Rows per step.
    lr : float, default=1e-3
        Adam's rate (the authors' code; the paper prints 1e-4).
    a_balance, a_onehot : float, default=0.04
        Weights of the clusters' evenness and of hard assignments; 0 for the former where classes are very unequal.
    b : float, default=0.2
        Weight of the information of cluster and group.
    tau : float, default=0.1
        Temperature of the soft assignment.
    center_refresh : {"kmeans", "warm"}, default="kmeans"
        k-means anew with `n_init` restarts before every epoch, or one run from the centres of the epoch before, which
        takes a third of the time on small data and ends alike.
    reduction : {"mean", "sum"}, default="mean"
        Of the reconstruction error over a row's elements: as the authors' code, or as the paper prints it, to which the
        other weights do not belong.
    consistency, consistency_tau : float, default=0.0, 0.2
        Weight and temperature of a term that keeps together and apart the rows that k-means on each group alone, at the
        end of the warm-up, has put together and apart: an unpublished variant of the authors, who take about 0.05.
    labels : {"cosine", "kmeans"}, default="cosine"
        Labels by the largest cosine to the centres of the last epoch, or by k-means on the final latent rows.
    group_decoders : bool, default=True
        A decoder branch for each group, or one for all.
    n_init : int, default=10
        Restarts of k-means.
    network : {"auto", "mlp", "sdae", "fc", "conv"} or nnx.Module, default="auto"
        Autoencoder: "auto" takes "conv" for images and "fc", the authors' wide network, for vectors, "mlp" for vectors
        of up to 256 numbers. Or an NNX module of one's own: an encoder, which gets the decoder of "auto", or an
        autoencoder as `fairjax.deep.nets.autoencoders` describes it.
    n_latent : int, optional
        Latent dimension; K by default.
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

    Notes
    -----
    Data in [0, 1] are brought to [-1, 1], where the weights belong. Many groups are served by one grouped product: rows
    pay for their own branch only, though every branch's weights are read and updated in each step.

    Examples
    --------
    >>> from fairjax import datasets
    >>> from fairjax.deep import FCMI
    >>> data = datasets.load_reverse_digits()
    >>> model = FCMI(10, epochs=40, warmup_epochs=15, batch_size=128, random_state=0)
    >>> model = model.fit(data.X, sensitive_features=data.sensitive)  # doctest: +SKIP
    """

    _vector_network: ClassVar[str] = "fc"
    _unit_norm: ClassVar[bool] = True
    _networks: ClassVar[tuple[str, ...]] = ("auto", "mlp", "sdae", "fc", "conv")  # the loss has no divergence
    _choices: ClassVar[dict[str, tuple[str, ...]]] = FCMIConfig.choices

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        epochs: int = 300,
        warmup_epochs: int = 20,
        batch_size: int = 512,
        lr: float = 1e-3,
        a_balance: float = 0.04,
        a_onehot: float = 0.04,
        b: float = 0.2,
        tau: float = 0.1,
        center_refresh: Literal["kmeans", "warm"] = "kmeans",
        reduction: Literal["mean", "sum"] = "mean",
        consistency: float = 0.0,
        consistency_tau: float = 0.2,
        labels: Literal["cosine", "kmeans"] = "cosine",
        group_decoders: bool = True,
        n_init: int = 10,
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
        self.warmup_epochs = warmup_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.a_balance = a_balance
        self.a_onehot = a_onehot
        self.b = b
        self.tau = tau
        self.center_refresh = center_refresh
        self.reduction = reduction
        self.consistency = consistency
        self.consistency_tau = consistency_tau
        self.labels = labels
        self.group_decoders = group_decoders
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.n_devices = n_devices
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork, n_groups: int) -> FCMIConfig:
        return FCMIConfig(
            network=network,
            n_clusters=self.n_clusters,
            batch=self.batch_size,
            n_init=self.n_init,
            epochs=self.epochs,
            warmup_epochs=self.warmup_epochs,
            lr=self.lr,
            a_balance=self.a_balance,
            a_onehot=self.a_onehot,
            b=self.b,
            tau=self.tau,
            center_refresh=self.center_refresh,
            reduction=self.reduction,
            consistency=self.consistency,
            consistency_tau=self.consistency_tau,
            labels=self.labels,
        )

    @property
    def _group_branches(self) -> bool:
        return self.group_decoders
