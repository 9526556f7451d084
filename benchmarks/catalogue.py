"""Every benchmark: its module, what its sections measure, about how long they take on two cores, their records."""

from collections.abc import Iterator
from typing import NamedTuple


class Section(NamedTuple):
    """What is measured, roughly in how many minutes, and the name of the record in ``results``, without ``.json``."""

    what: str
    minutes: float
    record: str


class Case(NamedTuple):
    """A benchmark.

    Attributes
    ----------
    module : has ``SECTIONS``, a function of a `running.Run` for each section; it returns what the record is to hold, or
        writes it itself. It may have ``add_arguments(parser)``, and ``CHILDREN``, what runs in processes of its own.
    about : in a line.
    sections : in the order in which ``all`` runs them.
    pieces : whether the record is written piece by piece, so that the same command goes on where it was stopped.
    """

    module: str
    about: str
    sections: dict[str, Section]
    pieces: bool = False


CASES = {
    "direct": Case(
        "benchmarks.direct.sections",
        "the direct route",
        {
            "targets": Section("cost, balance, gap on Adult and Bank from KMeans' centres", 3, "direct-targets"),
            "adult-speed": Section("a whole fit of Adult, after compilation", 1, "direct-adult-speed"),
            "million": Section("an iteration beside one of Lloyd's, 10^6 points; memory", 1, "direct-million"),
            "shifted": Section("whole fits of 10^6 points beside KMeans.fit, groups moved apart", 3, "direct-shifted"),
            "starts": Section("costs of ten seeds from either kind of start", 10, "direct-starts"),
            "sweep": Section("20 restarts x 10 levels of epsilon, one by one and in one call", 3, "direct-sweep"),
            "startup": Section("import, and the first command in an empty cache", 1, "direct-startup"),
            "waiting": Section("what fits of new sizes and controls wait for the compiler", 2, "direct-waiting"),
            "growth": Section("seconds of an iteration from 10^4 to 10^7 points", 4, "direct-growth"),
            "cells": Section("a fair assignment with many groups and clusters beside HiGHS", 5, "direct-cells"),
        },
    ),
    "batches": Case(
        "benchmarks.direct.batches",
        "many fits in one call on a CPU",
        {
            "sets": Section("1,000 data sets of 1,000 x 5 points beside KMeans", 1, "batches-sets"),
            "sweep": Section("20 starts x 10 levels of epsilon on Adult", 2, "batches-sweep"),
        },
    ),
    "search": Case(
        "benchmarks.direct.search",
        "what search and restarts have reached after so many seconds",
        {"restarts": Section("four data sets, 5 to 50 clusters", 25, "search-restarts")},
        pieces=True,
    ),
    "sharded": Case(
        "benchmarks.scale.sharded",
        "rows spread over four virtual devices",
        {"rows": Section("memory, messages, cost and labels beside one device", 4, "sharded-rows")},
    ),
    "streaming": Case(
        "benchmarks.scale.streaming",
        "fits over tables in blocks",
        {"fit": Section("rate of a pass, passes of an iteration, memory, certificate", 10, "streaming-fit")},
    ),
    "streaming-growth": Case(
        "benchmarks.scale.growth",
        "a pass over tables of 10^6 to 10^8 rows in blocks",
        {"growth": Section("seconds and memory of a pass", 5, "streaming-growth")},
    ),
    "reading": Case(
        "benchmarks.scale.reading",
        "readers of tables",
        {"tables": Section("a million mixed rows of CSV and Parquet, beside pandas", 3, "reading-tables")},
    ),
    "alignment": Case(
        "benchmarks.alignment.sections",
        "the alignment route",
        {
            "speed": Section("an iteration with partition 1024, whole and in its parts", 2, "alignment-speed"),
            "starts": Section("the paper's tables on Adult and Bank, by start and weight", 9, "alignment-starts"),
            "partition": Section("sizes of the partition, and both schemes", 4, "alignment-partition"),
            "full": Section("no partition at all; needs 12 GiB", 23, "alignment-full"),
            "control": Section("what the ε of FCA-C does, beside a bound on the gap", 5, "alignment-control"),
            "clusters": Section("5, 10 and 20 clusters", 3, "alignment-clusters"),
            "census": Section("20 clusters of 3,000 rows of the Census", 1, "alignment-census"),
            "groups": Section("three groups beside the direct route, Bank", 1, "alignment-groups"),
            "sinkhorn": Section("three regularisations beside exact transport", 2, "alignment-sinkhorn"),
        },
    ),
    "transport": Case(
        "benchmarks.transport.sections",
        "optimal transport beside POT, optax and ott-jax",
        {
            "exact": Section("one batch of each size, cold and from warm duals", 15, "transport-exact"),
            "sinkhorn": Section("one batch of each size, at one error of the marginals", 15, "transport-sinkhorn"),
        },
    ),
    "programmes": Case(
        "benchmarks.programmes.study",
        "is every fair-assignment programme solved, and is its certificate true?",
        {"study": Section("100,000 random programmes, some of them beside HiGHS", 32, "programmes")},
        pieces=True,
    ),
    "accelerator": Case(
        "benchmarks.gpu.accelerator",
        "every route on one accelerator",
        {"full": Section("a whole fit, iterations, batches, training, transport", 8, "accelerator")},
    ),
    "rivals": Case(
        "benchmarks.baselines.rivals",
        "VFC, SFC, Fairlets, SpFC, FMC beside their authors' codes",
        {"rivals": Section("cost, balance, seconds on Adult and Bank", 15, "baselines-rivals")},
    ),
    "assigned": Case(
        "benchmarks.baselines.assigned",
        "FAlg, FCBC, FRAC, MS-FlowFC beside the figures of exact solvers",
        {"assigned": Section("cost, balance, seconds on Adult and Bank", 10, "baselines-assigned")},
    ),
    "specified": Case(
        "benchmarks.baselines.specified",
        "every figure that was stated of other methods, and ours",
        {"specified": Section("66 rows: cost, balance, how many times as fast", 25, "baselines-specified")},
        pieces=True,
    ),
    "compared": Case(
        "benchmarks.baselines.compared",
        "every method side by side",
        {"compared": Section("tables and learned features, five starts; the curve of Adult", 15, "baselines-compared")},
        pieces=True,
    ),
    "sizes": Case(
        "benchmarks.baselines.sizes",
        "k-means with bounds on sizes beside k-means-constrained",
        {"sizes": Section("same optimum, how many seconds", 8, "baselines-sizes")},
    ),
    "deep": Case(
        "benchmarks.deep.protocols",
        "deep methods on the bundled digits",
        {"protocols": Section("every method, several seeds in one vmap", 15, "deep-protocols")},
    ),
    "deep-real": Case(
        "benchmarks.deep.real",
        "deep methods on real data",
        {
            "reduced": Section("a few thousand images, few epochs, three seeds", 500, "deep-reduced"),
            "full": Section("full protocols, five seeds: for a GPU", 600, "deep-full"),
        },
        pieces=True,
    ),
    "deep-step": Case(
        "benchmarks.deep.step",
        "a training step beside PyTorch's",
        {"step": Section("DFC, FCMI with images, 30 groups, one branch", 3, "deep-step")},
    ),
    "screening": Case(
        "benchmarks.deep.screening",
        "trials of the deep methods: which changes gain?",
        {
            name: Section(what, minutes, f"screening-{name}")
            for name, what, minutes in (
                ("reverse-digits", "the bundled digits and their reversals", 64),
                ("half-reversed-digits", "the same, each digit in one group only", 26),
                ("mnist-usps", "1,000 images of each, plain networks", 80),
                ("reverse-mnist", "the same for MNIST and its reversals", 52),
            )
        },
        pieces=True,
    ),
    "seeds": Case(
        "benchmarks.deep.seeds",
        "why some seeds of FCMI end worse, and whether DeepFCA's restarts find good ones",
        {
            "mnist-usps": Section("ten seeds after every epoch, scores without labels", 20, "seeds-mnist-usps"),
            "restarts-mnist-usps": Section("DeepFCA's score and ten seeds", 4, "seeds-restarts-mnist-usps"),
            "restarts-half-reversed-digits": Section("the same", 2, "seeds-restarts-half-reversed-digits"),
        },
    ),
    "analyses": Case(
        "benchmarks.deep.analyses",
        "the papers' in-depth analyses, reduced",
        {
            "training": Section("t-SNE, probe, critic, matching, decoders, information, FWD", 15, "analyses-training"),
            **{
                f"sweep-{name}": Section(f"{what} against what comes out", minutes, f"analyses-sweep-{name}")
                for name, what, minutes in (
                    ("fcmi-group-weight", "FCMI's weight of fairness", 10),
                    ("fcmi-consistency", "FCMI's weight of consistency", 10),
                    ("dfc-lr", "DFC's rate of learning", 10),
                    ("dfc-alpha-f", "DFC's weight of fairness", 10),
                    ("dfc-alpha-s", "DFC's weight of structure", 10),
                )
            },
        },
    ),
    "ablations": Case(
        "benchmarks.deep.ablations",
        "ablations of the papers, grids of weights, centres among the rows",
        {
            "fcmi-losses": Section("FCMI without either of its losses", 8, "ablations-fcmi-losses"),
            "fcmi-grid": Section("FCMI over both weights", 15, "ablations-fcmi-grid"),
            "fairoids": Section("centres and fairoids among the rows", 3, "ablations-fairoids"),
            "fairoids-clusters": Section("fairoids for each number of clusters", 10, "ablations-fairoids-clusters"),
            "fairoids-adult": Section("fairness over its weight, Adult", 5, "ablations-fairoids-adult"),
            "dfc-structure": Section("DFC with and without structure", 8, "ablations-dfc-structure"),
        },
    ),
    "tables": Case(
        "benchmarks.tables.pages",
        "write the tables of README.md and benchmarks/README.md from the records; no measurement",
        {"tables": Section("with --check, only name what differs", 0.1, "")},
    ),
    "figures": Case(
        "benchmarks.tables.figures",
        "draw the pictures of records anew; no measurement",
        {"figures": Section("of all records that have any", 0.2, "")},
    ),
}


def listed() -> Iterator[str]:
    """The lines of ``--list``."""
    for name, case in CASES.items():
        yield f"{name}: {case.about}" + (" (piece by piece: the same command goes on)" if case.pieces else "")
        for section, (what, minutes, record) in case.sections.items():
            time = f"{minutes:g} min" if minutes < 90 else f"{minutes / 60:.0f} h"
            where = f"results/{record}.json" if record else ""
            yield f"    {section:22}{time:>8}  {what:66}  {where}".rstrip()
