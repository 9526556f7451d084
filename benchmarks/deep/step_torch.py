"""The authors' training steps in PyTorch, for `step.py`, which runs this in a process and environment of its own.

It needs torch and numpy only. Each line on standard input, ``CASE STEPS``, is answered by one JSON line: the seconds of
that many steps, a step being a batch drawn on the host, forward, backward, and Adam. Networks, losses, initialisers'
families and optimisers are those of the papers' public code as `fairjax.deep` describes them; the rows are random.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

K = 10


def block(*layers: nn.Module, norm: int | None = None, last: nn.Module | None = None) -> nn.Sequential:
    norms = [] if norm is None else [nn.BatchNorm2d(norm)]
    return nn.Sequential(*layers, *norms, nn.ReLU() if last is None else last)


class DFCEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        plan = ((1, 16, 1), (16, 32, 2), (32, 32, 1), (32, 16, 2))
        self.convs = nn.Sequential(*(block(nn.Conv2d(a, b, 3, s, 1, bias=False), norm=b) for a, b, s in plan))
        self.trunk = nn.Sequential(nn.Linear(1024, 512), nn.BatchNorm1d(512), nn.ReLU())
        self.mean, self.logvar = nn.Linear(512, 64), nn.Linear(512, 64)

    def forward(self, x: Tensor) -> Tensor:
        h = self.trunk(self.convs(x).flatten(1))
        mean, logvar = self.mean(h), self.logvar(h)
        return mean + torch.exp(logvar / 2) * torch.randn_like(mean)


class ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(context, x, factor):
        context.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        return -context.factor * gradient, None


def dfc(batch: int, lay_out: Callable[[Tensor], Tensor]) -> Iterator[None]:
    encoder, centers = DFCEncoder(), nn.Parameter(torch.randn(K, 64))
    critic = nn.Sequential(
        nn.Linear(K, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 1)
    )
    speeds = [{"params": [*encoder.parameters(), centers]}, {"params": critic.parameters(), "lr": 0.1}]
    adam = torch.optim.Adam(speeds, lr=0.01, weight_decay=5e-4)
    images = [torch.rand(2048, 1, 32, 32) for _ in range(2)]
    frozen = [torch.softmax(torch.randn(2048, K), 1) for _ in range(2)]
    labels = torch.cat([torch.ones(batch), torch.zeros(batch)])
    while True:
        rows = [torch.randperm(2048)[:batch] for _ in range(2)]
        x = lay_out(torch.cat([image[row] for image, row in zip(images, rows, strict=True)]))
        z = encoder(x)
        student = 1 / (1 + ((z[:, None] - centers) ** 2).sum(2))
        q = student / student.sum(1, keepdim=True)
        clustering, structure = torch.zeros(()), torch.zeros(())
        for one, row, own in zip(q.split(batch), rows, frozen, strict=True):
            weighted = (one**2 / one.sum(0)).detach()
            p = weighted / weighted.sum(1, keepdim=True)
            clustering = clustering + 0.5 * functional.kl_div(one.log(), p, reduction="sum")
            gaps = one @ one.T - own[row] @ own[row].T
            structure = structure + 0.5 * (gaps**2).sum()
        logits = critic(ReverseGradient.apply(q, 0.5))[:, 0]
        loss = clustering + structure + functional.binary_cross_entropy_with_logits(logits, labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        yield


class ConvFCMI(nn.Module):
    def __init__(self, n_groups: int) -> None:
        super().__init__()
        plan = ((1, 16, 1), (16, 32, 2), (32, 32, 1), (32, 16, 2))
        back = ((16, 32, 2), (32, 32, 1), (32, 16, 2), (16, 1, 1))
        self.convs = nn.Sequential(*(block(nn.Conv2d(a, b, 3, s, 1)) for a, b, s in plan))
        self.code = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, K))
        self.head = nn.Sequential(nn.Linear(K, 256), nn.ReLU(), nn.Linear(256, 784), nn.ReLU())
        self.branches = nn.ModuleList(
            nn.Sequential(
                *(
                    block(nn.ConvTranspose2d(a, b, 3, s, 1, s - 1), last=nn.Tanh() if b == 1 else None)
                    for a, b, s in back
                )
            )
            for _ in range(n_groups)
        )
        self.small = (16, 7, 7)

    def encode(self, x: Tensor) -> Tensor:
        return functional.normalize(self.code(self.convs(x).flatten(1)))

    def decode(self, z: Tensor, groups: Tensor, shape: torch.Size) -> Tensor:
        return by_group(self.head(z).view(-1, *self.small), groups, self.branches, shape)


class WideFCMI(nn.Module):
    def __init__(self, n_groups: int) -> None:
        super().__init__()

        def wide(widths: list[int]) -> list[nn.Module]:
            layers: list[nn.Module] = []
            for a, b in pairwise(widths):
                layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()]
            return layers

        self.trunk = nn.Sequential(*wide([561, 1024, 1024, 512]), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 6))
        self.head = nn.Sequential(nn.Linear(6, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU())
        self.branches = nn.ModuleList(
            nn.Sequential(*wide([512, 1024, 1024]), nn.Linear(1024, 561), nn.Tanh()) for _ in range(n_groups)
        )

    def encode(self, x: Tensor) -> Tensor:
        return functional.normalize(self.trunk(x))

    def decode(self, z: Tensor, groups: Tensor, shape: torch.Size) -> Tensor:
        return by_group(self.head(z), groups, self.branches, shape)


def by_group(z: Tensor, groups: Tensor, branches: nn.ModuleList, shape: torch.Size) -> Tensor:
    """Each group's rows through its branch; a single row is doubled, as batch statistics need two."""
    found = torch.zeros(shape)
    for group, branch in enumerate(branches):
        rows = torch.nonzero(groups == group)[:, 0]
        if len(rows) == 1:
            rows = rows.repeat(2)
        if len(rows):
            found[rows] = branch(z[rows])
    return found


def fcmi(net: nn.Module, x: Tensor, n_groups: int, n_clusters: int, batch: int, lay_out: Callable) -> Iterator[None]:
    all_groups = torch.arange(len(x)) % n_groups
    centers = functional.normalize(torch.randn(n_clusters, n_clusters))
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    while True:
        rows = torch.randperm(len(x))[:batch]
        seen, groups = lay_out(x[rows]), all_groups[rows]
        z = net.encode(seen)
        found = net.decode(z, groups, seen.shape)
        c = torch.softmax(z @ centers.T / 0.1, 1)
        joint = (c.T @ functional.one_hot(groups, n_groups).float() / batch).clamp_min(1e-12)
        p, shares = joint.sum(1, keepdim=True), joint.sum(0, keepdim=True)
        clustering = (p * p.log()).sum() - (c * (c + 1e-8).log()).sum(1).mean()
        fairness = (joint * (joint / (p * shares)).log()).sum()
        loss = functional.mse_loss(found, seen) + 0.04 * clustering + 0.2 * fairness
        adam.zero_grad()
        loss.backward()
        adam.step()
        yield


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(int(sys.argv[1]))
    batch = int(sys.argv[2])

    def channels_last(x: Tensor) -> Tensor:
        return x.to(memory_format=torch.channels_last)

    digits, vectors = torch.rand(2048, 1, 28, 28) * 2 - 1, torch.rand(2048, 561) * 2 - 1
    cases: dict[str, Callable[[], Iterator[None]]] = {
        "dfc": lambda: dfc(batch, lambda x: x),
        "dfc, channels last": lambda: dfc(batch, channels_last),
        "fcmi": lambda: fcmi(ConvFCMI(2), digits, 2, K, batch, lambda x: x),
        "fcmi, channels last": lambda: fcmi(ConvFCMI(2), digits, 2, K, batch, channels_last),
        "fcmi, 30 groups": lambda: fcmi(WideFCMI(30), vectors, 30, 6, batch, lambda x: x),
        "fcmi, one branch": lambda: fcmi(WideFCMI(1), vectors, 1, 6, batch, lambda x: x),
    }
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    running: dict[str, Iterator[None]] = {}
    for line in sys.stdin:
        name, steps = line.strip().rsplit(" ", 1)
        if name not in running:
            if name.split(",")[0] != next(iter(running), name).split(",")[0]:
                running.clear()  # the wide networks hold gigabytes
            running[name] = cases[name]()
            next(running[name])
        began, busy = time.perf_counter(), time.process_time()
        for _ in range(int(steps)):
            next(running[name])
        seconds, processor_seconds = time.perf_counter() - began, time.process_time() - busy
        found = {"seconds": seconds, "processor_seconds": processor_seconds}
        print(json.dumps({name: value / int(steps) for name, value in found.items()}), flush=True)


if __name__ == "__main__":
    main()
