"""Tables of the deep methods at reduced size: protocols, real images, trials, an ablation."""

from typing import Any

from benchmarks import records
from benchmarks.tables.markdown import markdown

_BOTH = ("accuracy", "balance")
_PROTOCOLS = {  # title, class, record, its name there
    "Autoencoder + k-means": ("AEKMeans", "deep-protocols", "ae, reversed"),
    "DEC (Xie et al., 2016)": ("DEC", "deep-protocols", "dec, reversed"),
    "DFC (Li et al., 2020)": ("DFC", "deep-protocols", "dfc, reversed"),
    "FCMI (Zeng et al., 2023)": ("FCMI", "deep-protocols", "fcmi, reversed"),
    "FCA on the latent rows": ("DeepFCA", "deep-protocols-deepfca", "deepfca without fair targets, reversed"),
    "the same, fair assignments as targets": ("DeepFCA", "deep-protocols-deepfca", "deepfca, reversed"),
}


def protocols() -> str:
    """Deep methods on the bundled digits and their reversals."""
    rows = [
        [title, f"`{name}`", *(records.figure(f"{record} / methods / {key} / {what} / mean -> .3f") for what in _BOTH)]
        for title, (name, record, key) in _PROTOCOLS.items()
    ]
    return markdown(["method", "class", *_BOTH], rows)


_REDUCED = {
    "Autoencoder + k-means": "ae",
    "DEC": "dec",
    "DFC": "dfc",
    "Fairoids": "fairoids",
    "FCMI": "fcmi",
    "`DeepFCA`, fair assignments as targets": "deepfca",
    "the same, smooth": "deepfca-vat",
    "the same, smooth, less fair targets": "deepfca-slack",
    "FCMI, two views of each image": "fcmi-views",
    "`DeepFCA`, two views of each image": "deepfca-views",
    "FCMI, two views, the best of three starts": "fcmi-restarts",
    "`DeepFCA`, two views, the best of three starts": "deepfca-restarts",
}


def reduced() -> str:
    """Deep methods on real data, at a tenth of the training."""
    pieces = records.record("deep-reduced")["pieces"]

    def cell(data: str, method: str) -> str:
        summary = pieces.get(f"{data}, {method}", {}).get("summary")
        return "not run" if summary is None else ", ".join(f"{summary[what]['mean']:.3f}" for what in _BOTH)

    data = ("reverse-mnist", "mnist-usps", "har")
    rows = [[title, *(cell(each, key) for each in data)] for title, key in _REDUCED.items()]
    return markdown(["method", "Reverse MNIST", "MNIST and USPS", "HAR, 30 people"], rows)


_SCREENED = ("reverse-digits", "half-reversed-digits", "mnist-usps", "reverse-mnist")


def screening() -> str:
    """Every trial of a deep method, beside the trial that it changes."""
    rows = []
    for data in _SCREENED:
        for name, trial in records.record(f"screening-{data}")["trials"].items():
            means = [f"{trial[what]:.3f}" for what in ("accuracy", "nmi", "balance")]
            rows.append([data, name, *means, *_gained(trial.get("gain"))])
    titles = ["data", "trial", "accuracy", "NMI", "balance", "gain over", "accuracy gained ± standard error", "kept"]
    return markdown(titles, rows)


def _gained(gain: dict[str, Any] | None) -> list[str]:
    if gain is None:
        return ["", "", ""]
    return [gain["over"], f"{gain['mean']:+.3f} ± {gain['standard_error']:.3f}", "yes" if gain["kept"] else "no"]


def ablation() -> str:
    """FCMI without either of its losses, means over the seeds."""
    found, what = records.record("ablations-fcmi-losses")["variants"], ("accuracy", "nmi", "balance", "mnce")
    rows = [[name, *(f"{scores[each]:.3f}" for each in what)] for name, scores in found.items()]
    return markdown(["FCMI", "accuracy", "NMI", "balance", "MNCE"], rows)


TABLES = {
    "deep protocols": protocols,
    "deep reduced": reduced,
    "screening": screening,
    "ablation": ablation,
}
