"""The estimators of the deep methods, in the manner of scikit-learn."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from fairjax.deep.aekmeans import AEKMeansConfig
from fairjax.deep.base import DeepClusterer, is_vae
from fairjax.deep.dec import DECConfig
from fairjax.deep.dfc import DFCConfig
from fairjax.deep.fairoid import FairoidConfig
from fairjax.deep.fcmi import FCMIConfig
from fairjax.deep.nets import Network, OwnNetwork

__all__ = ["DEC", "DFC", "FCMI", "AEKMeans", "FairoidDEC"]


class AEKMeans(DeepClusterer):
    """Autoencoder and k-means: the unfair baseline.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters K.
    steps : int, default=10000
        Steps of training.
    batch_size : int, default=256
        Rows per step.
    lr : float, default=1e-3
        Adam's rate.
    n_init : int, default=20
        Restarts of k-means.
    network : {"auto", "mlp", "sdae", "fc", "conv", "vae"} or nnx.Module, default="auto"
        Autoencoder: "conv" for images and "sdae" for vectors, "mlp" for vectors of up to 256 numbers; or a module of
        one's own, as `fairjax.deep.nets` describes it.
    n_latent : int, optional
        Latent dimension; K by default, 64 for "vae".
    compute : {"float32", "bfloat16"}, default="float32"
        Type in which the layers compute; losses stay in float32.
    checkpoint_dir : path, optional
        Folder for checkpoints: every `checkpoint_every` steps, at Ctrl-C and at SIGTERM; the last three are kept.
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

    Examples
    --------
    >>> import numpy as np
    >>> from fairjax.deep import AEKMeans
    >>> X = np.repeat(np.eye(4), 8, axis=0)
    >>> model = AEKMeans(4, steps=100, batch_size=8, n_latent=3, n_init=1, random_state=0).fit(X)
    >>> model.labels_.shape, model.embed(X).shape
    ((32,), (32, 3))
    """

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        steps: int = 10_000,
        batch_size: int = 256,
        lr: float = 1e-3,
        n_init: int = 20,
        network: Any = "auto",
        n_latent: int | None = None,
        compute: Literal["float32", "bfloat16"] = "float32",
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
        checkpoint_every: int = 1000,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork) -> AEKMeansConfig:
        return AEKMeansConfig(
            network=network,
            n_clusters=self.n_clusters,
            batch=self.batch_size,
            n_init=self.n_init,
            steps=self.steps,
            lr=self.lr,
            sum_pixels=is_vae(network),
        )


class DEC(DeepClusterer):
    """Deep embedded clustering (Xie, Girshick, Farhadi, ICML 2016), which knows nothing of groups.

    An autoencoder, k-means on its latent rows, then turns of sharpening: targets from all rows every
    `update_every` steps, SGD on their divergence, until few labels change.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters K.
    pretrain_steps, steps : int, default=10000
        Steps of the autoencoder, most steps of the sharpening.
    batch_size : int, default=256
        Rows per step.
    pretrain_lr, lr : float, default=1e-3, 0.01
        Rates of Adam on the autoencoder and of `optimizer` afterwards.
    optimizer : {"sgd", "adam"}, default="sgd"
        With momentum 0.9 the former.
    target : {"full", "batch"}, default="full"
        Targets from all rows, or from each batch.
    update_every : int, default=140
        Steps between two updates of the targets.
    tol : float, default=1e-3
        The end: share of labels that changed between two updates.
    n_init : int, default=20
        Restarts of k-means.
    network : {"auto", "mlp", "sdae", "fc", "conv", "vae"} or nnx.Module, default="auto"
        Autoencoder: "conv" for images and "sdae" for vectors, "mlp" for vectors of up to 256 numbers; or a module of
        one's own, as `fairjax.deep.nets` describes it.
    n_latent : int, optional
        Latent dimension; K by default, 64 for "vae".
    compute : {"float32", "bfloat16"}, default="float32"
        Type in which the layers compute; losses stay in float32.
    checkpoint_dir : path, optional
        Folder for checkpoints: every `checkpoint_every` steps, at Ctrl-C and at SIGTERM; the last three are kept.
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

    Examples
    --------
    >>> from fairjax.deep import DEC
    >>> DEC(3, target="batch", optimizer="adam", lr=1e-3).target
    'batch'
    """

    _choices: ClassVar[dict[str, tuple[str, ...]]] = {"optimizer": ("sgd", "adam"), "target": ("full", "batch")}

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        pretrain_steps: int = 10_000,
        steps: int = 10_000,
        batch_size: int = 256,
        pretrain_lr: float = 1e-3,
        lr: float = 0.01,
        optimizer: Literal["sgd", "adam"] = "sgd",
        target: Literal["full", "batch"] = "full",
        update_every: int = 140,
        tol: float = 1e-3,
        n_init: int = 20,
        network: Any = "auto",
        n_latent: int | None = None,
        compute: Literal["float32", "bfloat16"] = "float32",
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
        checkpoint_every: int = 1000,
        random_state: Any = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.pretrain_steps = pretrain_steps
        self.steps = steps
        self.batch_size = batch_size
        self.pretrain_lr = pretrain_lr
        self.lr = lr
        self.optimizer = optimizer
        self.target = target
        self.update_every = update_every
        self.tol = tol
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork) -> DECConfig:
        return DECConfig(
            network=network,
            n_clusters=self.n_clusters,
            batch=self.batch_size,
            n_init=self.n_init,
            pretrain_steps=self.pretrain_steps,
            pretrain_lr=self.pretrain_lr,
            sum_pixels=is_vae(network),
            steps=self.steps,
            lr=self.lr,
            optimizer=self.optimizer,
            target=self.target,
            update_every=self.update_every,
            tol=self.tol,
        )


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
    group_decoders : bool, default=True
        A decoder branch for each group, or one for all.
    n_init : int, default=10
        Restarts of k-means.
    network : {"auto", "mlp", "sdae", "fc", "conv", "vae"} or nnx.Module, default="auto"
        Autoencoder: "conv" for images and "sdae" for vectors, "mlp" for vectors of up to 256 numbers; or a module of
        one's own, as `fairjax.deep.nets` describes it.
    n_latent : int, optional
        Latent dimension; K by default, 64 for "vae".
    compute : {"float32", "bfloat16"}, default="float32"
        Type in which the layers compute; losses stay in float32.
    checkpoint_dir : path, optional
        Folder for checkpoints: every `checkpoint_every` steps, at Ctrl-C and at SIGTERM; the last three are kept.
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

    Notes
    -----
    Data in [0, 1] are brought to [-1, 1], where the weights belong; "auto" takes "fc", the authors' wide network, for
    vectors of more than 256 numbers. Many groups are served by one grouped
    product: rows pay for their own branch only, though every branch's weights are read and updated in each step.

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
    _choices: ClassVar[dict[str, tuple[str, ...]]] = {"center_refresh": ("kmeans", "warm")}

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
        group_decoders: bool = True,
        n_init: int = 10,
        network: Any = "auto",
        n_latent: int | None = None,
        compute: Literal["float32", "bfloat16"] = "float32",
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
        self.group_decoders = group_decoders
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork) -> FCMIConfig:
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
        )

    @property
    def _group_branches(self) -> bool:
        return self.group_decoders


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
    batch_size : int, default=512
        Rows of *each group* per step; a group with fewer is drawn from with replacement. The losses are sums over rows,
        so another size is another method, unless `scale_to_batch`.
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
    critic_on : {"assignment", "latent"}, default="assignment"
        What the critic sees.
    kl : {"code", "paper"}, default="code"
        KL(target, prediction), or the reverse as printed.
    n_init : int, default=20
        Restarts of k-means.
    network : {"auto", "mlp", "sdae", "fc", "conv", "vae"} or nnx.Module, default="auto"
        Autoencoder: "conv" for images and "sdae" for vectors, "mlp" for vectors of up to 256 numbers; or a module of
        one's own, as `fairjax.deep.nets` describes it.
    n_latent : int, optional
        Latent dimension; K by default, 64 for "vae".
    compute : {"float32", "bfloat16"}, default="float32"
        Type in which the layers compute; losses stay in float32.
    checkpoint_dir : path, optional
        Folder for checkpoints: every `checkpoint_every` steps, at Ctrl-C and at SIGTERM; the last three are kept.
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

    Notes
    -----
    "auto" takes "vae", the authors' network, for images.

    Examples
    --------
    >>> from fairjax.deep import DFC
    >>> DFC(10, steps=4000, batch_size=128).alpha_s
    1.0
    """

    _image_network: ClassVar[str] = "vae"
    _choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "critic_head": ("auto", "softmax"),
        "critic_on": ("assignment", "latent"),
        "kl": ("code", "paper"),
    }

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        steps: int = 20_000,
        pretrain_steps: int = 10_000,
        group_pretrain_steps: int = 10_000,
        group_steps: int = 20_000,
        batch_size: int = 512,
        lr: float = 1e-2,
        pretrain_lr: float = 1e-3,
        group_lr: float = 1e-4,
        alpha_f: float = 1.0,
        alpha_s: float = 1.0,
        scale_to_batch: bool = False,
        critic_head: Literal["auto", "softmax"] = "auto",
        critic_on: Literal["assignment", "latent"] = "assignment",
        kl: Literal["code", "paper"] = "code",
        n_init: int = 20,
        network: Any = "auto",
        n_latent: int | None = None,
        compute: Literal["float32", "bfloat16"] = "float32",
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
        self.critic_on = critic_on
        self.kl = kl
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork) -> DFCConfig:
        vae = is_vae(network)
        return DFCConfig(
            network=network,
            n_clusters=self.n_clusters,
            batch=self.batch_size,
            n_init=self.n_init,
            pretrain_steps=self.pretrain_steps,
            pretrain_lr=self.pretrain_lr,
            # the L2 of the authors' pretraining belongs to their network's batch normalisation
            pretrain_weight_decay=5e-4 if vae else 0.0,
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
            critic_on=self.critic_on,
            kl=self.kl,
        )


class FairoidDEC(DeepClusterer):
    """DEC with fairoids (Wang and Davidson, 2019): centroids at an equal distance from all groups' mean latents.

    A weak form of fairness: it helps where the groups differ mildly, and fails where they lie far apart.

    Parameters
    ----------
    n_clusters : int, default=10
        Number of clusters K.
    epochs : int, default=30
        Passes through the data after the autoencoder.
    pretrain : {"end2end", "layerwise"}, default="end2end"
        Adam on the whole autoencoder, or layer by layer with SGD first ("sdae" and "mlp").
    pretrain_steps, layer_steps : int, default=10000, 5000
        Steps of the whole autoencoder, and of each layer.
    batch_size : int, default=256
        Rows per step.
    pretrain_lr, layer_lr, lr : float, default=1e-3, 0.1, 0.01
        Rates.
    optimizer : {"sgd", "adam"}, default="sgd"
        After the autoencoder.
    gamma : float, default=10.0
        Weight of the fairness; the paper searches 0.01 to 1000.
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
        Autoencoder: "conv" for images and "sdae" for vectors, "mlp" for vectors of up to 256 numbers; or a module of
        one's own, as `fairjax.deep.nets` describes it.
    n_latent : int, optional
        Latent dimension; K by default, 64 for "vae".
    compute : {"float32", "bfloat16"}, default="float32"
        Type in which the layers compute; losses stay in float32.
    checkpoint_dir : path, optional
        Folder for checkpoints: every `checkpoint_every` steps, at Ctrl-C and at SIGTERM; the last three are kept.
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

    Examples
    --------
    >>> from fairjax.deep import FairoidDEC
    >>> FairoidDEC(6, gamma=1.0).gamma
    1.0
    """

    _choices: ClassVar[dict[str, tuple[str, ...]]] = {
        "pretrain": ("end2end", "layerwise"),
        "optimizer": ("sgd", "adam"),
        "fairoids": ("epoch", "fixed", "batch"),
        "target": ("epoch", "batch"),
        "phi_centroids": ("batch", "param"),
        "reduction": ("mean", "sum"),
    }

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
        lr: float = 0.01,
        optimizer: Literal["sgd", "adam"] = "sgd",
        gamma: float = 10.0,
        fairoids: Literal["epoch", "fixed", "batch"] = "epoch",
        target: Literal["epoch", "batch"] = "epoch",
        phi_centroids: Literal["batch", "param"] = "batch",
        reduction: Literal["mean", "sum"] = "mean",
        n_init: int = 20,
        network: Any = "auto",
        n_latent: int | None = None,
        compute: Literal["float32", "bfloat16"] = "float32",
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
        self.lr = lr
        self.optimizer = optimizer
        self.gamma = gamma
        self.fairoids = fairoids
        self.target = target
        self.phi_centroids = phi_centroids
        self.reduction = reduction
        self.n_init = n_init
        self.network = network
        self.n_latent = n_latent
        self.compute = compute
        self.checkpoint_dir = checkpoint_dir
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.random_state = random_state

    def _config(self, network: Network | OwnNetwork) -> FairoidConfig:
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
            sum_pixels=is_vae(network),
            epochs=self.epochs,
            lr=self.lr,
            optimizer=self.optimizer,
            gamma=self.gamma,
            fairoids=self.fairoids,
            target=self.target,
            phi_centroids=self.phi_centroids,
            reduction=self.reduction,
        )
