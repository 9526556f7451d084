"""The sections of the page, in the order of a reader's questions."""

from collections.abc import Callable

from fairjax.report import centers, chance, charts, composition, images, plane, words
from fairjax.report.data import ReportData, row_balance
from fairjax.report.formats import duration, number, percent, plural, signed
from fairjax.report.markup import columns, esc, fold, paragraph, section, table


def header(data: ReportData) -> str:
    """Return title, headline and what the reader must not miss."""
    warning = "" if data.converged else paragraph(words.ending(data), "warning")
    notes = "".join(paragraph(note, "remark") for note in data.notes)
    return (
        f'<header><p class="eyebrow">Fair clustering report</p><h1>{esc(data.title)}</h1>'
        f"{paragraph(words.headline(data), 'lead')}{paragraph(words.comparison(data), 'follow')}"
        f"{warning}{notes}</header>"
    )


def key_figures(data: ReportData) -> str:
    """Return the handful of numbers that people quote."""
    sizes = data.counts.sum(axis=1)
    tiles = []
    if data.n_groups > 1:
        ratio = data.balance / data.max_balance if data.max_balance > 0 else None
        tiles.append(
            _tile(
                "Balance",
                number(data.balance, 3),
                f"{percent(ratio)} of the best possible, {number(data.max_balance, 3)}",
            )
        )
    if data.price is not None and data.unfair is not None:
        tiles.append(
            _tile(
                "Price of fairness",
                signed(data.price, percent(data.price)),
                f"cost over ordinary k-means, {number(data.unfair['cost'])}",
            )
        )
    share = "" if data.explained is None else f"; clusters explain {percent(data.explained)} of the spread"
    tiles.append(_tile("Cost", number(data.cost), f"mean squared distance to the cluster's centre{share}"))
    tiles.append(
        _tile("Clusters", number(data.n_clusters), f"of {number(sizes.min())} to {number(sizes.max())} points")
    )
    groups = "one group" if data.n_groups < 2 else plural(data.n_groups, "group")
    by = f" by {data.sensitive}" if data.sensitive and data.n_groups > 1 else ""
    tiles.append(_tile("Points", number(data.n_points, 6), f"{plural(data.n_features, 'feature')}; {groups}{by}"))
    if data.gap is not None:
        tiles.append(
            _tile(
                "Proven gap",
                percent(max(data.gap, 0.0)),
                "at most, above the cheapest fair assignment to these centres, before rounding to labels",
            )
        )
    return section("figures", "Key figures", f'<dl class="tiles">{"".join(tiles)}</dl>')


def groups(data: ReportData) -> str:
    """Return the groups' shares of every cluster, as a picture and as numbers."""
    lines = [words.tightest(data, data.counts), words.violation(data)]
    order = (
        "Each ordinary cluster stands beside the fair one with which it shares most points."
        if data.unfair is not None
        else "Ordinary k-means was not run for comparison."
    )
    intro = "Each row is a cluster, numbered as in the labels. " + (
        "In a fair one the colours meet where they do in all the data, at the upright lines."
        if 1 < data.n_groups <= composition.MOST_BARS
        else "A row without blue or orange has the same mixture of groups as all the data."
        if data.n_groups > 1
        else "All points are in one group."
    )
    return section(
        "groups",
        "Who is in which cluster",
        paragraph(f"{intro} {order}"),
        composition.picture(data),
        paragraph(" ".join(line for line in lines if line)),
        composition.counts_table(data),
    )


def sizes(data: ReportData) -> str:
    """Return the sizes of the clusters."""
    empty = int((data.counts.sum(axis=1) == 0).sum())
    return section(
        "sizes",
        "Cluster sizes",
        paragraph(f"{plural(empty, 'cluster')} received no points." if empty else ""),
        composition.sizes(data),
    )


def price(data: ReportData) -> str:
    """Return the price of fairness, as a curve if one was computed."""
    curve = charts.price_curve(data)
    text = words.price(data) or "Ordinary k-means was not run for comparison, so the price is unknown."
    if not curve:
        return section(
            "price",
            "The price of fairness",
            paragraph(text),
            paragraph("No curve over other levels of fairness was computed.", "note"),
        )
    head = [data.control, "balance reached", *(["to be moved"] if charts.by_violation(data) else []), "cost", "price"]
    rows = table(head, charts.curve_rows(data), "What was asked for, and what came out")
    lead = (
        "Every dot is a clustering at another level of fairness. Where the line is flat, more fairness "
        "costs little; where it is steep, the last bit is expensive."
    )
    if charts.by_violation(data):
        lead += (
            " Nearly all of them lack some group in some cluster, which makes their balance 0; what tells them apart "
            "is how much of one group would have to move for its clusters to be those of another."
        )
    body = columns(
        [
            f'<figure class="chart">{curve}</figure>',
            fold("The numbers behind the curve", rows, opened=len(data.curve) <= 8),
        ],
        "wide",
    )
    return section("price", "The price of fairness", paragraph(f"{text} {lead}"), body)


def view(data: ReportData) -> str:
    """Return the data on the plane of its two widest directions."""
    few = 2 <= data.n_groups <= plane.MOST_PANELS
    text = (
        "Dots are points, coloured by cluster, one panel for each group: where clusters are fair, every "
        "colour is in every panel, as often as the group's size allows."
        if few
        else "Dots are points, coloured by cluster."
    )
    if data.latent is not None:
        text += " The plane is one of the learned space, in which the clusters were found."
    return section("view", "The data on a plane", paragraph(text), plane.picture(data))


def means(data: ReportData) -> str:
    """Return the cluster means, as images if the points are images."""
    if data.image_shape is not None:
        text = "The average image of each cluster: of all its members, and of those of each group where groups are few."
        return section("means", "What the clusters are like", paragraph(text), images.picture(data))
    text = (
        "The average member of each cluster. Blue lies below the overall mean, orange above; the small "
        "number is the distance in standard deviations (SD)."
    )
    if data.n_features > centers.MOST_FEATURES:
        text += f" Of {data.n_features} features, {centers.MOST_FEATURES} that set the clusters apart are shown."
    return section("means", "What the clusters are like", paragraph(text), centers.picture(data))


def proof(data: ReportData) -> str:
    """Return the certificate and the course of the cost."""
    lines = "".join(paragraph(line) for line in words.certificate(data))
    solver = paragraph(f"In the solver's words: {data.status}", "note") if data.status and data.latent is None else ""
    text = f"<div>{lines}{paragraph(words.ending(data))}{solver}</div>"
    chart = charts.history(data)
    if data.primal is not None and number(data.primal) != number(data.cost) and data.latent is None:
        text = f"{text[:-6]}{paragraph(words.two_costs(data))}</div>"
    return section("proof", "How good is it?", columns([text, chart], "wide") if chart else text)


def run(data: ReportData) -> str:
    """Return what was run, so that it can be run again."""
    facts = {
        "Method": data.method,
        "Sensitive feature": data.sensitive or ("" if data.n_groups > 1 else "none"),
        "Time": duration(data.seconds) if data.seconds is not None else "",
        "Version": data.version,
    }
    rows = [(name, value) for name, value in facts.items() if value]
    rows += [(str(name), "none" if value is None else str(value)) for name, value in data.parameters.items()]
    items = "".join(f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>" for name, value in rows)
    command = f'<p>To run it again:</p><pre tabindex="0"><code>{esc(data.command)}</code></pre>' if data.command else ""
    return section("run", "What was run", f'<dl class="facts">{items}</dl>', command)


def reading(data: ReportData) -> str:
    """Return the terms, and what the report does not claim."""
    whole = data.counts.sum(axis=0, keepdims=True)
    best = float(row_balance(whole)[0])
    feature = f"“{data.sensitive}”" if data.sensitive else "the groups above"
    terms = {
        "Cluster": "A set of points that lie close together. Its number is only a name.",
        "Balance": (
            "In each cluster, the count of the rarest group over that of the most common one; the smallest "
            "such ratio is the balance. No clustering can do better in all of its clusters than the data "
            f"as a whole: {number(best, 3)}."
        ),
        "Cost": (
            "The mean squared distance between a point and its cluster's centre, in the units that were "
            "clustered. Lower means tighter clusters."
        ),
        "Price of fairness": (
            "How much higher the cost is than that of ordinary k-means, which forms the tightest clusters "
            "it can and ignores the groups."
        ),
        "What is not claimed": (
            f"Only {feature} was balanced; other groups may still be spread unevenly. A fair spread does "
            "not make a cluster right for any use that it is put to: its user has to judge that."
        ),
    }
    items = "".join(f"<dt>{esc(name)}</dt><dd>{esc(text)}</dd>" for name, text in terms.items())
    return section("reading", "How to read this", f'<dl class="terms">{items}</dl>')


def footer(data: ReportData) -> str:
    """Return the last line."""
    text = f"Made by {data.version or 'fairjax'}. This page needs no network and runs no script."
    return f"<footer>{paragraph(text)}</footer>"


ALL: tuple[Callable[[ReportData], str], ...] = (
    key_figures,
    groups,
    sizes,
    price,
    chance.build,
    view,
    means,
    proof,
    run,
    reading,
)
CONTENTS = (
    ("figures", "Key figures"),
    ("groups", "Groups"),
    ("sizes", "Sizes"),
    ("price", "Price"),
    ("chance", "Chance"),
    ("view", "Plane"),
    ("means", "Means"),
    ("proof", "Proof"),
    ("run", "Run"),
    ("reading", "Terms"),
)


def _tile(name: str, value: str, hint: str) -> str:
    return f'<div><dt>{esc(name)}</dt><dd class="big">{esc(value)}</dd><dd>{esc(hint)}</dd></div>'
