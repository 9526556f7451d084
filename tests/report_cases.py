"""What the tests of the report share: a reader of pages, and what there is to report."""

from html.parser import HTMLParser

import numpy as np

from fairjax.report import (
    ReportData,
)

VOID = {"meta", "link", "br", "wbr", "hr", "img", "input"}


class Page(HTMLParser):
    """Checks that tags balance and keeps what the tests ask about."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.attributes, self.tags, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def make(n=240, n_groups=2, n_clusters=4, n_features=3, seed=0, **changes):
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(n, n_features)) * 10.0 + 50.0
    groups = np.arange(n) % n_groups
    labels = (np.arange(n) // n_groups) % n_clusters
    other = rng.integers(0, n_clusters, n)
    values = {
        "title": "survey",
        "X": (raw - raw.mean(0)) / raw.std(0),
        "labels": labels,
        "groups": groups,
        "group_names": [f"group {g}" for g in range(n_groups)],
        "n_clusters": n_clusters,
        "cost": 2.5,
        "balance": 0.9,
        "max_balance": 1.0,
        "sensitive": "region",
        "feature_names": [f"f{j}" for j in range(n_features)],
        "raw": raw,
        "method": "direct",
        "parameters": {"clusters": n_clusters, "epsilon": 0.0, "min_balance": None, "n_init": 3},
        "command": "fairjax fit survey.csv --clusters 4",
        "version": "fairjax 0.1.0",
        "seconds": 1.5,
        "n_iter": 12,
        "primal": 0.31482,
        "dual": 0.31481,
        "gap": 3.2e-5,
        "group_violation": 0.002,
        "unfair": {"cost": 2.0, "balance": 0.2, "labels": other},
        "curve": [(0.1, 0.2, 2.0), (0.05, 0.6, 2.2), (0.0, 0.9, 2.5)],
        "control": "epsilon",
        "history": [4.0, 3.0, 2.5],
    }
    return ReportData(**{**values, **changes})


def bare(**changes):
    """Only what is required."""
    values = {
        "title": "bare",
        "X": np.arange(6.0)[:, None],
        "labels": np.array([0, 0, 0, 1, 1, 1]),
        "groups": np.array([0, 1, 0, 1, 0, 1]),
        "group_names": ["a", "b"],
        "n_clusters": 2,
        "cost": 2 / 3,
        "balance": 0.5,
        "max_balance": 1.0,
    }
    return ReportData(**{**values, **changes})


EXTREMES = {
    "usual": lambda: make(),
    "bare": bare,
    "one group": lambda: bare(groups=np.zeros(6, int), group_names=["all"]),
    "one cluster": lambda: bare(labels=np.zeros(6, int), n_clusters=1),
    "one point": lambda: bare(X=np.ones((1, 1)), labels=np.array([0]), groups=np.array([0]), n_clusters=1),
    "empty cluster": lambda: make(n_clusters=6, labels=np.arange(240) % 5),
    "constant data": lambda: bare(X=np.ones((6, 2))),
    "five groups": lambda: make(n=400, n_groups=5, n_clusters=20),
    "thirty groups": lambda: make(n=900, n_groups=30, n_clusters=6, labels=np.arange(900) % 5),
    "fifty clusters": lambda: make(n=5000, n_groups=9, n_clusters=50, n_features=15),
    "no raw": lambda: make(raw=None, feature_names=None),
    "no curve": lambda: make(curve=(), history=()),
    "not converged": lambda: make(converged=False, notes=("Three rows were dropped.",)),
    "nothing finite": lambda: make(
        cost=float("nan"),
        balance=float("nan"),
        gap=float("nan"),
        primal=float("nan"),
        history=[float("nan")] * 2,
    ),
    "weighted": lambda: make(weights=np.linspace(0.0, 2.0, 240)),
    "wide": lambda: make(n_features=600, n=50, labels=np.arange(50) % 4, feature_names=None),
}
