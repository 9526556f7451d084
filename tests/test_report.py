"""The report: one self-contained page, honest sentences, whole files, and the few lines on a terminal."""

import dataclasses
import io
import os
import re

import numpy as np
import pytest
from report_cases import EXTREMES, Page, bare, make

from fairjax.errors import InputError
from fairjax.report import centers, chance, formats, print_summary, render, sections, words, write
from fairjax.report import page as page_module
from fairjax.report.chance import Chance

CHANCE = Chance(np.array([2.4, 2.6]), np.array([0.9, 0.8]), np.array([0.5, 0.3]))


@pytest.mark.parametrize("name", EXTREMES)
def test_page_is_whole_and_self_contained(name):
    text = render(EXTREMES[name]())
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert len(page.ids) == len(set(page.ids))
    assert {ident for ident, _ in sections.CONTENTS} - {"chance"} <= set(page.ids)
    assert {value[1:] for tag, name, value in page.attributes if (tag, name) == ("a", "href")} <= set(page.ids)
    assert "script" not in page.tags
    for _, attribute, value in page.attributes:
        if attribute in {"src", "href", "xlink:href", "data", "action"}:
            assert value.startswith(("#", "data:")), value
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in text.lower().replace("http-equiv", "")
    assert "nan" not in re.findall(r"[a-z]+", page.words.lower())
    assert "NaN" not in text


def test_every_picture_and_table_speaks():
    page = Page(render(make(n_groups=12, n=480)))
    kinds = {tag for tag, name, value in page.attributes if (name, value) == ("role", "img")}
    assert {"svg", "div"} <= kinds
    pictures = sum(1 for _, name, value in page.attributes if (name, value) == ("role", "img"))
    named = sum(1 for _, name, value in page.attributes if name == "aria-label" and value)
    assert named >= pictures
    assert page.tags.count("svg") <= pictures
    assert page.tags.count("table") == page.tags.count("caption")
    scopes = {value for tag, name, value in page.attributes if tag == "th" and name == "scope"}
    assert scopes == {"col", "row"}


def test_sections_come_in_order_with_their_contents():
    text = render(make(chance=CHANCE))
    places = [text.index(f'<section id="{ident}"') for ident, _ in sections.CONTENTS]
    assert places == sorted(places)
    said = Page(text).words
    for part in (
        "Every cluster holds group 0 and group 1 in a ratio of at least 0.9; the best possible here is 1.",
        "lets that ratio fall to 0.2. Fairness raises the cost by 25%.",
        "can cost less than 0.31481; this one costs 0.31482: 0.0032% above the proven bound.",
        "the best of 3 starts is shown",
        "fairjax fit survey.csv --clusters 4",
        "Converged after 12 iterations.",
    ):
        assert part in said


def test_user_strings_are_escaped():
    evil = "<td><script>alert('x')</script>&\"</td>"
    data = make(
        title=evil,
        group_names=[evil, "b"],
        feature_names=[evil, "f1", "f2"],
        sensitive=evil,
        command=evil,
        method=evil,
        version=evil,
        status=evil,
        notes=(evil,),
        parameters={evil: evil},
        control=evil,
    )
    text = render(data)
    page = Page(text)
    assert "script" not in page.tags
    assert "<script" not in text
    assert evil in "".join(page.text)


def test_same_input_same_page():
    assert render(make(n=6000, n_clusters=5)) == render(make(n=6000, n_clusters=5))


def test_numbers_that_do_not_depend_on_the_order_of_unfair_ids():
    data = make()
    ids = np.array([2, 0, 3, 1])
    moved = dataclasses.replace(data, unfair={**data.unfair, "labels": ids[data.unfair["labels"]]})
    np.testing.assert_array_equal(data.unfair_counts, moved.unfair_counts)


def test_matching_finds_the_same_clusters_under_other_names():
    data = make()
    ids = np.array([2, 0, 3, 1])
    same = dataclasses.replace(data, unfair={**data.unfair, "labels": ids[data.labels]})
    np.testing.assert_array_equal(same.unfair_order, ids)
    np.testing.assert_array_equal(same.unfair_counts, same.counts)


def test_weights_count_like_repeated_points():
    data = bare()
    times = np.array([1, 2, 0, 3, 1, 1])
    again = np.repeat(np.arange(6), times)
    weighted = bare(weights=times.astype(float))
    repeated = bare(X=data.X[again], labels=data.labels[again], groups=data.groups[again])
    for name in ("counts", "overall", "centers", "overall_mean", "overall_std", "deviations", "explained"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), err_msg=name)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"labels": np.array([0, 0, 0, 1, 1, 2])}, "labels runs from 0 to 2"),
        ({"groups": np.zeros(5, int)}, "groups has shape (5,)"),
        ({"groups": np.zeros(6)}, "expected (6,) integers"),
        ({"raw": np.zeros((6, 2))}, "raw has shape (6, 2)"),
        ({"weights": np.ones(5)}, "weights has shape (5,)"),
        ({"feature_names": ["a", "b"]}, "2 feature names were given for 1 columns"),
        ({"X": np.zeros((0, 1))}, "at least one point"),
        ({"unfair": {"cost": 1.0, "balance": 1.0, "labels": np.zeros(3, int)}}, "unfair labels has shape"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(changes, part):
    with pytest.raises(InputError, match=re.escape(part)):
        bare(**changes)


def test_headlines_fit_the_case():
    assert "only one group" in words.headline(EXTREMES["one group"]())
    lost = bare(groups=np.array([0, 0, 0, 1, 0, 1]), balance=0.0)
    assert words.headline(lost).startswith("Cluster 0 holds nobody from b, so the balance is 0")
    assert "rarest of the 5 groups" in words.headline(EXTREMES["five groups"]())
    assert "bare = 0 and bare = 1" in words.headline(bare(group_names=["0", "1"], sensitive="bare"))
    cheap = {"cost": 5.0, "balance": 0.0, "labels": make().labels}
    assert "leaves some group out of a cluster altogether" in words.comparison(make(unfair=cheap))
    assert "cost 50% less" in words.comparison(make(unfair=cheap))
    assert "fairness is free" in words.price(make(unfair={**cheap, "cost": 2.5}))
    assert words.comparison(bare()) == ""


def test_tightest_names_cluster_and_groups():
    data = bare()
    assert words.tightest(data, data.counts) == "The least balanced is cluster 0, where b and a are as 50 to 100."
    even = np.array([[2.0, 2.0], [1.0, 1.0]])
    assert "equally common" in words.tightest(data, even)


def test_certificate_says_only_what_is_proven():
    assert "did not compute a proven bound" in words.certificate(bare())[0]
    exact = words.certificate(make(primal=0.5, dual=0.5, gap=0.0))[0]
    assert "exactly that" in exact
    derived = words.certificate(make(primal=1.0, dual=0.9, gap=None))[0]
    assert "10% above" in derived
    assert all("local optimum" in words.certificate(data)[-1] for data in (bare(), make()))


def test_table_of_means_keeps_the_features_that_stand_out():
    data = make(n=50, n_features=40, labels=np.arange(50) % 4, feature_names=None)
    shown = centers.chosen_features(data)
    assert len(shown) == centers.MOST_FEATURES
    assert set(np.abs(data.deviations).argmax(axis=1)) <= set(shown)
    np.testing.assert_allclose(data.centers[1], data.raw[data.labels == 1].mean(axis=0))
    assert words.traits(("a", "b"), np.array([np.nan, np.nan])) == "no points"
    assert words.traits(("a", "b"), np.array([0.1, -0.2])) == "near the overall mean"


def test_a_table_too_wide_says_that_it_scrolls():
    page = render(make(n_features=12))
    assert "Scroll sideways for more" in page
    assert "broad-hint" in page
    assert "Scroll sideways" not in render(bare())


def test_two_costs_are_explained():
    assert "changes the cost to 2.5, the figure at the top" in Page(render(make())).words
    assert "the figure at the top" not in Page(render(make(primal=2.5, dual=2.5))).words


def test_chance_is_told_where_other_starts_were_tried():
    assert "How much is chance?" not in render(make())
    page = Page(render(make(chance=CHANCE)))
    assert "From 2 other starts they ended at costs from 2.4 to 2.6, where this run has 2.5" in page.words
    assert "depends much on the start" in page.words
    assert "A lower cost is possible" in page.words
    assert "2 2.600 +4.00% 0.800 0.30" in page.words
    assert "Some points change" in chance.words(2.4, CHANCE._replace(agreement=np.array([0.7, 0.8])))


def test_names_of_groups_are_all_led_by_the_feature_or_none():
    assert make(group_names=["f", "m"], sensitive="sex").names == ("sex = f", "sex = m")
    assert make(group_names=["north", "south"]).names == ("north", "south")


def test_a_price_of_nothing_is_said():
    unfair = {"cost": 0.0, "balance": 0.2, "labels": make().labels}
    assert "costs nothing here" in Page(render(make(unfair=unfair))).words


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1234567.0, "1,234,567"), (99999.6, "100,000"), (12.3456, "12.35"), (float("inf"), "n/a")],
)
def test_numbers(value, text):
    assert formats.number(value) == text


def test_fixed_has_no_negative_zero():
    assert formats.fixed(-0.0001, 2) == "0.00"
    assert formats.fixed(-1.5, 1) == "−1.5"
    assert formats.fixed(float("nan"), 1) == "–"


@pytest.fixture
def old_report(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    yield target
    assert os.listdir(tmp_path) == ["report.html"]  # nothing is left beside it


def test_write_replaces_a_file_whole(old_report):
    data = bare()
    assert write(data, old_report) == old_report.resolve()
    assert old_report.read_text(encoding="utf-8") == render(data)


def test_failed_rendering_leaves_the_old_file(old_report, monkeypatch):
    def fail(data):
        raise RuntimeError("no picture")

    monkeypatch.setattr(page_module.sections, "ALL", (fail,))
    with pytest.raises(RuntimeError, match="no picture"):
        write(bare(), old_report)
    assert old_report.read_text() == "old"


def test_failed_writing_leaves_the_old_file(old_report, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left"):
        write(bare(), old_report)
    assert old_report.read_text() == "old"


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "missing" / "report.html", tmp_path / "file" / "report.html"):
        with pytest.raises(InputError, match="cannot write"):
            write(bare(), path)
    for path in (tmp_path, os.devnull):
        with pytest.raises(InputError, match="is not a file"):
            write(bare(), path)


def test_link_keeps_pointing(tmp_path):
    real = tmp_path / "real.html"
    real.write_text("old")
    link = tmp_path / "link.html"
    link.symlink_to(real)
    write(bare(), link)
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def summary(data, width=100):
    from rich.console import Console

    stream = io.StringIO()
    print_summary(data, Console(file=stream, width=width, color_system=None))
    return stream.getvalue()


@pytest.mark.parametrize("name", EXTREMES)
def test_summary_prints(name):
    text = summary(EXTREMES[name]())
    assert "ratio" in text
    assert "nan" not in re.findall(r"[a-z]+", text.lower())
    assert max(map(len, text.splitlines())) <= 100


def test_summary_shows_groups_or_their_extremes():
    few = summary(make(group_names=["women", "[bold]men"]))
    assert "women" in few
    assert "[bold]men" in few
    assert "Fairness raises the cost by 25%" in " ".join(few.split())
    assert "proven gap 0.0032%" in few
    many = summary(EXTREMES["thirty groups"]())
    assert "rarest against all" in many
    long = summary(EXTREMES["fifty clusters"]())
    assert "30 more are not" in long
