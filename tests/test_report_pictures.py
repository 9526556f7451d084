"""Pictures of the report: the plane, colours, bars and maps, images, the curve and the history."""

import itertools
import re

import numpy as np
import pytest
from report_cases import Page, make

from fairjax.errors import InputError
from fairjax.report import charts, composition, labels, palette, plane, render


def test_plane_shows_what_it_says():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(9000, 4)) * np.array([5.0, 1.0, 0.1, 0.1])
    data = make(n=9000, n_features=4, X=X, raw=None)
    flat = plane.project(data)
    assert len(flat.rows) == plane.MOST_POINTS
    assert abs(flat.directions[0, 0]) > 0.999
    total = X.var(axis=0)
    np.testing.assert_allclose(flat.explained, total[:2] / total.sum(), atol=0.01)
    np.testing.assert_allclose(flat.directions @ flat.directions.T, np.eye(2), atol=1e-12)
    assert "a random sample of 4,000 of 9,000 points" in plane.explained(data, flat)


def test_plane_draws_every_point_that_is_inside_once():
    data = make(n=300, n_groups=3)
    picture = plane.picture(data)
    beyond = re.search(r"(\d+) far point", picture)
    drawn = len(re.findall(r"M\d+ \d+h0", picture))
    assert drawn == data.n - (int(beyond.group(1)) if beyond else 0)


def test_badges_part():
    places = np.full((30, 2), 1500)
    moved = plane._apart(places, 100.0)
    away = np.hypot(*(moved[:, None] - moved).transpose(2, 0, 1))
    np.fill_diagonal(away, np.inf)
    assert away.min() > 80.0


def test_colours_are_readable_and_repeat_far_apart():
    for colour in palette.GROUPS:
        light = palette.luminance(colour)
        ink = 1.0 if palette.ink_on(colour) == "#fff" else 0.0
        contrast = (max(light, ink) + 0.05) / (min(light, ink) + 0.05)
        assert contrast >= 4.5, colour
    assert palette.spread_colours(np.zeros((7, 2))).tolist() == list(range(7))
    line = np.stack([np.arange(20.0), np.zeros(20)], axis=1)
    chosen = palette.spread_colours(line)
    gaps = [np.diff(np.flatnonzero(chosen == c)).min(initial=99) for c in range(10)]
    assert min(gaps) >= 5


def test_bars_up_to_eight_groups_then_a_map():
    few = composition.picture(make(n_groups=8, n=480))
    many = composition.picture(make(n_groups=9, n=450, n_clusters=5))
    assert 'class="stack"' in few
    assert 'class="heat"' not in few
    assert 'class="heat"' in many
    widths = [float(w) for w in re.findall(r'class="g\d" style="width:([\d.]+)%"', few)]
    np.testing.assert_allclose(sum(widths), 100.0 * 8, atol=0.1)  # four fair rows and four ordinary ones


def test_images_in_a_learned_space():
    """Average images take the place of means, the plane is the learned one, and nothing is called proven."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(240, 2))
    data = make(n_features=4, raw=None, latent=latent, image_shape=(2, 2, 1), unfair=None, curve=[], history=[])
    page = Page(render(data))
    pictures = [value for tag, name, value in page.attributes if tag == "img" and name == "src"]
    assert len(pictures) == data.n_clusters * 3  # all, and two groups
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in pictures)
    assert "average image of group 1 in cluster 0" in [value for _, name, value in page.attributes if name == "alt"]
    assert "The plane is one of the learned space" in page.words
    assert "no bound on their cost" in page.words
    np.testing.assert_allclose(np.abs(plane.project(data).points), np.abs(project_by_hand(latent)), atol=1e-6)
    with pytest.raises(InputError, match="image_shape is"):
        make(n_features=4, raw=None, image_shape=(3, 2, 1))
    with pytest.raises(InputError, match="latent has shape"):
        make(latent=latent[:5])


def project_by_hand(points):
    centred = points - points.mean(0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2].T


def test_curve_and_history():
    data = make()
    svg = charts.price_curve(data)
    assert svg.count('class="dot"') == 3
    assert "ordinary k-means" in svg
    assert "this run" in svg
    assert charts.price_curve(make(curve=())) == ""
    assert charts.history(make(history=[1.0])) == ""
    assert charts.curve_rows(data)[-1] == ["0", "0.900", "2.500", "+25.0%"]
    flat = charts.history(make(history=[2.0, 2.0, 2.0]))
    assert "inf" not in flat
    tiny = charts.price_curve(make(curve=[(0.1, 0.2, 2e-14), (0.0, 0.9, 6e-14)], cost=6e-14, unfair=None))
    assert "e-14" in tiny


def test_a_curve_whose_balances_are_next_to_nothing_is_drawn_over_what_would_have_to_move():
    curve = [(1.0, 0.0, 2.0, 1.6), (0.5, 0.0, 2.2, 0.9), (0.0, 0.02, 2.5, 0.3)]
    data = make(curve=curve, balance=0.02, group_violation=0.3)
    assert charts.by_violation(data)
    assert not charts.by_violation(make(curve=[(0.0, 0.8, 2.5, 0.3)]))
    svg = charts.price_curve(data)
    assert "% of a group to be moved" in svg
    assert "epsilon 1: to be moved 80%, cost 2" in svg
    places = [float(x) for x in re.findall(r'class="dot" cx="([\d.]+)"', svg)]
    assert places == sorted(places, reverse=True)  # the fairest is on the right
    assert charts.curve_rows(data)[0] == ["1", "0.000", "80.0%", "2.000", "0.0%"]
    page = Page(render(data))
    assert "balance 0; what tells them apart" in page.words


@pytest.mark.parametrize("corner", [(60.0, 225.0), (440.0, 25.0), (250.0, 120.0), (60.0, 25.0)])
def test_names_of_marks_cover_no_line_and_stay_inside(corner):
    line, best = [(60.0, 225.0), (200.0, 200.0), (440.0, 25.0)], [(440.0, 22.0), (440.0, 228.0)]
    other = labels.box(435.0, 220.0, "best possible", "end")
    *_, own = labels.place("ordinary k-means", corner, [line, best], [other], (58, 4, 460, 228))
    assert own[0] >= 58
    assert own[2] <= 460
    assert not labels._overlap(own, other)
    assert not any(labels._meets(own, a, b) for path in (line, best) for a, b in itertools.pairwise(path))
