"""The estimator `DFC`."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from fairjax.deep.methods.dfc import DFCConfig
from fairjax.deep.methods.estimator import PRETRAIN_DECAY, DeepClusterer, is_vae
from fairjax.deep.nets.network import Network
from fairjax.deep.nets.own import OwnNetwork

__all__ = ["DFC"]

_ALL_GROUPS, _LEAST_BATCH = 1024, 16  # rows of a batch by default, of all groups together and of one


class DFC(DeepClusterer):
    """Deep fair clustering for visual learning (Li, Zhao, Liu, CVPR 2020), for two groups and more.

    A model of each group alone is trained and frozen; then one encoder for all keeps the structure that they found,
    sharpens its clusters, and hides the groups from a critic. The defaults are those of the authors' code.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters K.
    steps : int, default=20000
        Steps of the joint stage.
    pretrain_steps, group_pretrain_steps, group_steps : int, default=10000, 10000, 20000
        Steps of the joint autoencoder, of the groups' own ones, and of their sharpening.
    batch_size : int, optional
        Rows of *each group* per step, by default 512 for two groups and 1024 // T, but at least 16, for T; a group with
        fewer is drawn from with replacement. The losses are sums over rows, so another size is another method, unless
        `scale_to_batch`.
    lr : float, default=1e-2
        Start of the joint stage's rate, which decays as (1 + 10 t)^(-3/4) (the paper prints 1e-4).
    pretrain_lr, group_lr : float, default=1e-3, 1e-4
        Adam's rates of the autoencoders and of the groups' sharpening.
    alpha_f, alpha_s : float, default=1.0
        Weights of the critic and of the structure; with ``alpha_s=0`` no group models are trained.
    scale_to_batch : bool, default=False
        Correct the sums for a batch other than 512.
    critic_head : {"auto", "softmax"}, default="auto"
        One logit for two groups, or one output for each group in any case.
    critic_dropout, critic_speed, ramp : float, default=0.5, 10.0, 10.0
        Dropout of the critic's hidden layers; its rate as a multiple of `lr`; how fast it gains weight: by
        ``2 / (1 + exp(-ramp t)) - 1`` at the share t of the steps.
    critic_on : {"assignment", "latent"}, default="assignment"
        What the critic sees.
    kl : {"code", "paper"}, default="code"
        KL(target, prediction), or the reverse as printed.
    target : {"batch", "group_full"}, default="batch"
        Targets of the sharpening from each group's rows of the batch, or, as printed, from all rows of each group,
        every `update_every` steps.
    update_every : int, default=140
    reduction : {"sum", "mean"}, default="sum"
        Of the structural loss over pairs of rows.
    group_reduction : {"mean", "sum"}, default="mean"
        Of clustering and structure over groups; the paper prints a sum.
    weight_decay : float, default=5e-4
        L2 added to the gradient in the joint stage.
    recon : {"mse", "bce"}, default="mse"
        Reconstruction error of the autoencoders; "bce" takes values in [0, 1].
    beta : float, default=1.0
        Weight of a variational autoencoder's divergence.
    recalibrate_bn : bool, default=False
        After the training, take the batch averages of the encoder anew from the mixture of all rows; training leaves
        those of batches with equally many rows of every group.
    n_init : int, default=20
        Restarts of k-means.
    network : {"auto", "mlp", "sdae", "fc", "conv", "vae"} or nnx.Module, default="auto"
        Autoencoder: "auto" takes "vae", the authors' network, and "mlp" for vectors of up to 256 numbers. Or an
        NNX module of one's own: an encoder, which gets the decoder of "auto", or an autoencoder as
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
    >>> from fairjax.deep import DFC
    >>> DFC(10, steps=4000, batch_size=128).alpha_s
    1.0

    As the reproducibility report ran it:

    >>> from fairjax.deep import dfc
    >>> DFC(**dfc.PRESETS["dfc_report"]).lr
    0.001
    """

    _image_network: ClassVar[str] = "vae"
    _vector_network: ClassVar[str] = "vae"
    _choices: ClassVar[dict[str, tuple[str, ...]]] = DFCConfig.choices

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        steps: int = 20_000,
        pretrain_steps: int = 10_000,
        group_pretrain_steps: int = 10_000,
        group_steps: int = 20_000,
        batch_size: int | None = None,
        lr: float = 1e-2,
        pretrain_lr: float = 1e-3,
        group_lr: float = 1e-4,
        alpha_f: float = 1.0,
        alpha_s: float = 1.0,
        scale_to_batch: bool = False,
        critic_head: Literal["auto", "softmax"] = "auto",
        critic_dropout: float = 0.5,
        critic_speed: float = 10.0,
        ramp: float = 10.0,
        critic_on: Literal["assignment", "latent"] = "assignment",
        kl: Literal["code", "paper"] = "code",
        target: Literal["batch", "group_full"] = "batch",
        update_every: int = 140,
        reduction: Literal["sum", "mean"] = "sum",
        group_reduction: Literal["mean", "sum"] = "mean",
        weight_decay: float = 5e-4,
        recon: Literal["mse", "bce"] = "mse",
        beta: float = 1.0,
        recalibrate_bn: bool = False,
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
        self.steps = steps
        self.pretrain_steps = pretrain_steps
        self.group_pretrain_steps = group_pretrain_steps
        self.group_steps = group_steps
        self.batch_size = batch_size
        self.lr = lr
        self.pretrain_lr = pretrain_lr
        self.group_lr = group_lr
        self.alpha_f = alpha_f
        self.alpha_s = alpha_s
        self.scale_to_batch = scale_to_batch
        self.critic_head = critic_head
        self.critic_dropout = critic_dropout
        self.critic_speed = critic_speed
        self.ramp = ramp
        self.critic_on = critic_on
        self.kl = kl
        self.target = target
        self.update_every = update_every
        self.reduction = reduction
        self.group_reduction = group_reduction
        self.weight_decay = weight_decay
        self.recon = recon
        self.beta = beta
        self.recalibrate_bn = recalibrate_bn
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.n_devices = n_devices
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork, n_groups: int) -> DFCConfig:
        vae = is_vae(network)
        return DFCConfig(
            network=network,
            n_clusters=self.n_clusters,
            batch=self.batch_size or max(_LEAST_BATCH, _ALL_GROUPS // n_groups),
            n_init=self.n_init,
            pretrain_steps=self.pretrain_steps,
            pretrain_lr=self.pretrain_lr,
            pretrain_weight_decay=PRETRAIN_DECAY if vae else 0.0,
            sum_pixels=vae,
            group_pretrain_steps=self.group_pretrain_steps,
            group_steps=self.group_steps,
            group_lr=self.group_lr,
            steps=self.steps,
            lr=self.lr,
            alpha_f=self.alpha_f,
            alpha_s=self.alpha_s,
            scale_to_batch=self.scale_to_batch,
            critic_head=self.critic_head,
            critic_dropout=self.critic_dropout,
            critic_speed=self.critic_speed,
            ramp=self.ramp,
            critic_on=self.critic_on,
            kl=self.kl,
            target=self.target,
            update_every=self.update_every,
            reduction=self.reduction,
            group_reduction=self.group_reduction,
            weight_decay=self.weight_decay,
            recon=self.recon,
            beta=self.beta,
            recalibrate_bn=self.recalibrate_bn,
        )
