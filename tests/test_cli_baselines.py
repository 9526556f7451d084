"""Methods of `fairjax.baselines` on the command line: settings, the same outputs, one sentence for bad input."""

import dataclasses
import json
from typing import Literal
from unittest.mock import patch

import numpy as np
import pytest

from fairjax import cli
from fairjax.baselines import FAlg, setting
from fairjax.baselines.catalogue import METHODS, Method
from fairjax.cli import baselines
from fairjax.datasets import read_table
from fairjax.errors import InputError


@pytest.fixture
def people(tmp_path, monkeypatch):
    """A table of 60 people in two groups."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [f"{40 + 5 * rng.normal() + 5 * (i % 2):.2f},{rng.normal():.3f},{'FM'[i % 2]}" for i in range(60)]
    (tmp_path / "people.csv").write_text("age,income,sex\n" + "\n".join(rows) + "\n")
    return tmp_path


def run(capsys, *arguments):
    code = cli.main(["fit", "people.csv", "--sensitive", "sex", "--clusters", "3", *arguments])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_a_fit_is_that_of_the_estimator(people, capsys):
    outputs = ("--json", "--out", "out.csv", "--report", "report.html")
    code, out, err = run(capsys, "--method", "falg", "--set", "delta=0.1", *outputs)
    assert (code, err) == (0, "")
    found = json.loads(out)
    data = read_table("people.csv", sensitive="sex")
    model = FAlg(3, delta=0.1, random_state=0).fit(data.X, sensitive_features=data.groups)
    assert (found["cost"], found["balance"]) == (model.cost_, model.balance_)
    assert (found["objective"], found["violation"]) == (model.objective_, model.violation_)
    assert (found["status"], found["converged"]) == ("optimal", True)
    assert found["parameters"]["delta"] == 0.1
    assert found["unfair_cost"] <= found["cost"]
    labels = [int(line.rpartition(",")[2]) for line in (people / "out.csv").read_text().splitlines()[1:]]
    assert labels == model.labels_.tolist()
    page = (people / "report.html").read_text()
    assert "FAlg: Fair assignment to the centres" in page
    assert "solved its assignment to a proven optimum" in page


def test_a_model_is_kept_and_predicts(people, capsys):
    code, _, err = run(capsys, "--method", "falg", "--set", "delta=0.1", "--model", "m.npz", "--json")
    assert (code, err) == (0, "")
    assert cli.main(["predict", "m.npz", "people.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 60


def test_what_has_no_optimum_says_so(people, capsys):
    code, out, err = run(capsys, "--method", "sfc", "--set", "balance=1:2", "--n-init", "2")
    assert (code, err) == (0, "")
    assert "Every cluster holds F and M" in out.replace("sex = ", "")


def test_words_are_values():
    assert baselines.parsed("yes") is True
    assert baselines.parsed("none") is None
    assert baselines.parsed("7") == 7
    assert baselines.parsed("a,b") == "a,b"


def test_words_of_a_choice_stay_words():
    @dataclasses.dataclass
    class Matched:
        matching: Literal["greedy", "none"] = setting("greedy", "How.")
        floor: float | None = setting(None, "Least.")

    entry = Method("matched", "Matched", "", "", "seeds")
    with patch.object(Method, "estimator", Matched):
        assert baselines.settings(entry, ["matching=none", "floor=none"]) == {"matching": "none", "floor": None}


def test_a_method_may_have_no_settings():
    entry = Method("bare", "Bare", "", "", "seeds")
    with (
        patch.object(Method, "estimator", dataclasses.make_dataclass("Bare", [])),
        pytest.raises(InputError, match=r"--set 'x' has no value; expected NAME=VALUE$"),
    ):
        baselines.settings(entry, ["x"])


def test_every_method_is_listed_with_its_settings(capsys):
    for name, entry in baselines.methods().items():
        control = entry.estimator.control
        described = {about[0]: about[2] for about in baselines.described(entry.estimator)}
        assert all(described.values()), name
        assert control is None or control in described, name
    assert cli.main(["methods", "frac", "--json"]) == 0
    known = [each["name"] for each in json.loads(capsys.readouterr().out)]
    assert known == ["tau", "assignment", "in_processing", "tol_of"]


def test_the_help_of_bench_names_all_methods(capsys):
    assert cli.main(["bench", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split()).replace("- ", "-")
    for name in METHODS:
        assert f"{name}," in text or f"{name};" in text, name


def test_bench_of_two_sets_with_a_picture(people, capsys):
    arguments = ("bench", "people.csv", "./people.csv", "--sensitive", "sex", "--clusters", "3", "--seeds", "1")
    written = ("--curve", "curve.svg", "--out", "table.csv", "--report", "page.html")
    assert cli.main([*arguments, "--methods", "kmeans,falg", *written, "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert len(results) == 2
    for result in results:
        assert [row["method"] for row in result["methods"]] == ["k-means", "FAlg δ=0", "FAlg δ=0.2"]
        assert len(result["curve"]) == 13
        assert result["notes"] == []
    assert (people / "curve.svg").read_text().count("cost") >= 1
    table = (people / "table.csv").read_text().splitlines()
    assert table[0].startswith("data,n_clusters,max_balance,method,")
    assert len(table) == 7
    page = (people / "page.html").read_text()
    assert page.count("<svg") == 2
    assert page.count("<title>FAlg δ=") == 24
    assert "--report page.html" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--methods", "falk"), "there is no method 'falk'; did you mean 'falg'?"),
        (("--methods", ","), "--methods names none"),
        (("--methods", "falg,FAlg"), "--methods names falg twice"),
        (("--curve", "curve.gif"), "--curve is 'curve.gif'; expected a file ending in .svg, .png, .pdf"),
        (("--curve", "no/curve.svg"), "cannot write --curve no/curve.svg"),
        (("--time-limit", "-1"), "--time-limit is -1"),
        (("--out", "table.doc"), "--out 'table.doc' is of no format that is written"),
        (("--report", "people.csv"), "--report 'people.csv'"),
    ],
)
def test_bad_input_of_bench(people, capsys, arguments, words):
    assert cli.main(["bench", "people.csv", "--sensitive", "sex", "--clusters", "3", *arguments]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert words in found.err
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--method", "falg", "--delta", "0.1"), "--delta 0.1; it is a setting of falg: say --set delta=VALUE"),
        (("--method", "falg", "--set", "delt=1"), "--set delt: falg has no setting of that name; did you mean delta?"),
        (("--method", "falg", "--set", "zzz=1"), "see fairjax methods falg"),
        (("--method", "falg", "--set", "delta"), "has no value; expected NAME=VALUE, such as --set delta=..."),
        (("--method", "falg", "--set", "delta=1", "--set", "delta=0"), "--set delta is given twice"),
        (("--method", "falg", "--set", "n_init=3"), "has the option --n-init; use that"),
        (("--method", "falg", "--set", "delta=2"), "delta is 2; expected a number from 0 to below 1"),
        (
            ("--method", "fcbc", "--epsilon", "0.1"),
            "--epsilon belongs to other methods and has no meaning for fcbc; its",
        ),
        (("--method", "kmeans", "--search", "3"), "no meaning for kmeans; leave it out"),
        (("--method", "sfc", "--model", "m.npz"), "--model: this SFC has no rule for new points"),
        (("--method", "vfc", "--attributes", "separately"), "belongs to the methods direct and falg"),
        (("--method", "vfc", "--resume"), "belong to the deep methods; vfc is done in one go"),
        (("--method", "vfc", "--devices", "2"), "--devices belongs to the direct route and the deep methods"),
        (("--method", "vfc", "--init", "aligne"), "--init is 'aligne'; expected one of 'k-means++', 'random'"),
        (("--method", "sfc", "--set", "balance=2:4"), "share the factor 2"),
    ],
)
def test_bad_input(people, capsys, arguments, words):
    code, out, err = run(capsys, "--out", "out.csv", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (people / "out.csv").exists()
