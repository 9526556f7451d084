"""Pictures of the deep methods that their records hold the figures of."""

from typing import Any

import numpy as np

from benchmarks.records import follow
from benchmarks.tables import deep

Record = dict[str, Any]
DIGITS = [str(digit) for digit in range(10)]
SOURCES = ["original", "reversed"]


def curves(record: Record) -> Any:
    """One panel for each piece: the loss terms over its whole training, each term in one colour everywhere."""
    from matplotlib import colormaps
    from matplotlib import pyplot as plt

    pieces = deep.ordered(record["pieces"])
    chosen = {name: piece for name, piece in pieces.items() if piece.get("curves")}
    terms = sorted({key.split(": ")[1] for piece in chosen.values() for key in piece["curves"]})
    colors = dict(zip(terms, colormaps["tab20"].colors, strict=False))
    columns = min(3, len(chosen))
    lines = -(-len(chosen) // columns)
    drawing, panels = plt.subplots(
        lines, columns, figsize=(4 * columns, 2.9 * lines), squeeze=False, layout="constrained"
    )
    for panel in panels.flat[len(chosen) :]:
        panel.set_axis_off()
    handles: dict[str, Any] = {}
    for panel, (name, piece) in zip(panels.flat, chosen.items(), strict=False):
        # before anything is drawn, so that the limits are those of the scale
        positive = all(value > 0 for values in piece["curves"].values() if any(values) for value in values)
        panel.set_yscale("log") if positive else panel.set_yscale("symlog", linthresh=1e-3)
        behind = 0
        for number, (stage, length) in enumerate(piece["steps"].items()):
            for key, values in piece["curves"].items():
                place, term = key.split(": ")
                if place == stage and any(values):
                    steps = [behind + (i + 0.5) * length / len(values) for i in range(len(values))]
                    (handles[term],) = panel.plot(steps, values, color=colors[term], linewidth=1.2)
            if number:
                panel.axvline(behind, color="0.5", linestyle=":", linewidth=1)
            # stages may be short: their names take turns in two lines
            panel.annotate(
                stage, (behind, 1.01 + 0.07 * (number % 2)), xycoords=("data", "axes fraction"), fontsize=6, color="0.3"
            )
            behind += length
        data, method = name.split(", ")
        panel.set_title(f"{deep.NAMES[method]}, {data}", fontsize=10, pad=20)
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(which="both", labelsize=7)
        panel.grid(alpha=0.3)
    names = [term for term in terms if term in handles]
    drawing.legend([handles[term] for term in names], names, loc="outside lower center", ncols=6, fontsize=9)
    drawing.supylabel("weighted loss term, first seed", fontsize=9)
    return drawing


def probe(record: Record) -> Any:
    """How much of the group the rows of each method tell."""
    from fairjax.deep.analysis import figures

    return figures.histogram(
        {"accuracy": list(record["probe"].values())}, list(record["probe"]), ylabel="accuracy of a new classifier",
        title="How much of the group the rows tell (chance: 0.5)",
    )  # fmt: skip


def critic(record: Record) -> Any:
    """Accuracy of DFC's critic over the training."""
    from fairjax.deep.analysis import figures

    found, title = record["critic"], "DFC's critic on all rows"
    return figures.curves(
        {title: {"accuracy": found["accuracy"]}}, found["steps"], xlabel="step", ylabels=["accuracy"],
        levels={title: {"chance": 0.5}},
    )  # fmt: skip


def matching(record: Record) -> Any:
    """Groups clustered apart, then matched in three ways, beside DFC."""
    from fairjax.deep.analysis import figures

    names = ["accuracy", "nmi", "balance"]
    series = {name: [one[what] for what in names] for name, one in record["matching"].items()}
    return figures.histogram(series, names, ylabel="score", title="Groups clustered apart, then matched")


def information(record: Record) -> Any:
    """What clusters tell of rows and of groups, over FCMI's training."""
    from fairjax.deep.analysis import figures

    panels = {name: {"FCMI": values} for name, values in record["information"].items() if name != "epochs"}
    return figures.curves(
        panels, record["information"]["epochs"], xlabel="epoch", ylabels=["nats", "nats"],
        levels={"I(X; C), raised": {"log K, the most": float(np.log(10))}},
    )  # fmt: skip


def losses(record: Record) -> Any:
    """The same with and without FCMI's losses."""
    from fairjax.deep.analysis import figures

    levels = {"I(X; C)": {"log K, the most": float(np.log(10))}}
    return figures.curves(
        {what: {name: np.array(y) for name, y in own.items()} for what, own in record["curves"].items()},
        record["epochs"], xlabel="epoch", ylabels=["nats", "nats"], levels=levels,
        title="FCMI with and without its losses",
    )  # fmt: skip


def fwd(record: Record) -> Any:
    """FWD of k-means on each method's latent rows, over the number of clusters."""
    from fairjax.deep.analysis import figures

    lines = {name: values for name, values in record["fwd"].items() if name != "clusters"}
    return figures.curves(
        {"k-means on each method's latent rows": lines}, record["fwd"]["clusters"], xlabel="clusters K",
        ylabels=["FWD (0 is fair)"],
    )  # fmt: skip


def sweep(record: Record) -> Any:
    """One weight of a method against what comes out, the seeds' range around their mean."""
    from fairjax.deep.analysis import figures

    panels = {
        "agreement with the classes": {score: np.array(record[score]) for score in ("accuracy", "nmi")},
        "fairness": {score: np.array(record[score]) for score in ("balance", "fwd")},
    }
    return figures.curves(
        panels, record["values"], xlabel=record["setting"], ylabels=["score", "score"], log=True,
        title=record["method"],
    )  # fmt: skip


def grid(score: str) -> Any:
    """A picture of one score of FCMI over both weights."""

    def drawn(record: Record) -> Any:
        from fairjax.deep.analysis import figures

        weights = [[f"{a:g}" for a in record[name]] for name in ("a_balance and a_onehot", "group_weight")]
        return figures.grid(
            np.array(record[score]), *weights, xlabel="weight of fairness", ylabel="weight of clustering",
            title=f"FCMI: {score}",
        )  # fmt: skip

    return drawn


def fairoids_clusters(record: Record) -> Any:
    """FWD of fairoids and of DEC, trained anew for each number of clusters."""
    from fairjax.deep.analysis import figures

    lines = {name: np.array(values) for name, values in record["fwd"].items()}
    return figures.curves(
        {"trained anew for each K": lines}, record["clusters"], xlabel="clusters K", ylabels=["FWD (0 is fair)"]
    )


def fairoids_adult(record: Record) -> Any:
    """Fairness over its weight."""
    from fairjax.deep.analysis import figures

    lines = {name: np.array(record[name]) for name in ("accuracy", "balance", "fwd")}
    return figures.curves(
        {"Adult, two clusters": lines}, record["gamma"], xlabel="weight γ of the fairness", ylabels=["score"], log=True
    )


def scatter(groups: list[str], marks: dict[str, str] | None = None) -> Any:
    """A picture of latent rows on planes of t-SNE, coloured by class and by group, and of what is marked among them."""

    def drawn(record: Record) -> Any:
        from fairjax.deep.analysis import figures

        found = follow(record, "tsne")
        places = found["places"] if marks is None else found["places"]["rows"]
        signs = {
            ("centres" if name == "centers" else name): (sign, planes(found["places"][name]))
            for name, sign in (marks or {}).items()
        }
        colours = {"class": (found["class"], DIGITS), "group": (found["group"], groups)}
        return figures.scatters(planes(places), colours, marks=signs)

    return drawn


def planes(places: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Places (n, 2) by panel."""
    return {name: np.transpose([points["x"], points["y"]]) for name, points in places.items()}


def decoders(record: Record) -> Any:
    """A digit of each class and group through FCMI's decoder of either group."""
    from fairjax.deep.analysis import figures

    rows = {name: np.reshape(rows, (-1, 8, 8)) for name, rows in follow(record, "decoders").items()}
    return figures.images(rows, title="FCMI: rows through the decoder of either group")


def unfairest(record: Record) -> Any:
    """Shares of the groups in each method's unfairest cluster."""
    from fairjax.deep.analysis import Unfairest, figures

    found = {name: Unfairest(**one) for name, one in record["unfairest"].items() if follow(one, "overall")}
    return figures.unfairest(found, SOURCES)


def seeds(record: Record) -> Any:
    """Accuracy and two scores without labels over FCMI's training, of the best and the worst seeds."""
    from fairjax.deep.analysis import figures

    values = {"accuracy": record["accuracy"]["by_seed"], **follow(record, "by_seed")}
    order = [one["seed"] for one in record["seeds"]]  # the best first
    groups = {"best three": order[:3], "worst three": order[-3:]}
    panels = {
        name: {label: np.array(found)[which].T for label, which in groups.items()} for name, found in values.items()
    }
    return figures.curves(
        panels, record["accuracy"]["epochs"], xlabel="epoch", title="FCMI's seeds: mean and range of three"
    )


_SVG, _PNG = (".svg",), (".png",)
FIGURES = {
    "deep-curves-reduced": ("deep-reduced", _PNG, curves),
    "seeds-mnist-usps": ("seeds-mnist-usps", _SVG, seeds),
    "analyses-tsne": ("analyses-training", _PNG, scatter(SOURCES)),
    "analyses-decoders": ("analyses-training", _PNG, decoders),
    "analyses-unfairest": ("analyses-training", _SVG, unfairest),
    "analyses-probe": ("analyses-training", _SVG, probe),
    "analyses-critic": ("analyses-training", _SVG, critic),
    "analyses-matching": ("analyses-training", _SVG, matching),
    "analyses-information": ("analyses-training", _SVG, information),
    "analyses-fwd": ("analyses-training", _SVG, fwd),
    **{
        f"analyses-sweep-{name}": (f"analyses-sweep-{name}", _SVG, sweep)
        for name in ("fcmi-group-weight", "fcmi-consistency", "dfc-lr", "dfc-alpha-f", "dfc-alpha-s")
    },
    "ablations-fcmi-losses": ("ablations-fcmi-losses", _SVG, losses),
    "ablations-fcmi-grid-accuracy": ("ablations-fcmi-grid", _SVG, grid("accuracy")),
    "ablations-fcmi-grid-balance": ("ablations-fcmi-grid", _SVG, grid("balance")),
    "ablations-fairoids-clusters": ("ablations-fairoids-clusters", _SVG, fairoids_clusters),
    "ablations-fairoids": (
        "ablations-fairoids", _PNG, scatter(["as they are", "brighter"], {"centers": "*", "fairoids": "D"}),
    ),
    "ablations-dfc-structure": ("ablations-dfc-structure", _PNG, scatter(SOURCES, {"centers": "*"})),
    "ablations-fairoids-adult": ("ablations-fairoids-adult", _SVG, fairoids_adult),
}  # fmt: skip
