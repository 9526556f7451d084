"""``fairjax bench`` takes what ``fairjax fit`` takes: each option, and a sentence where one means nothing."""

import argparse
import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from data_files import need

from fairjax import cli
from fairjax.cli import bench_methods, bench_options
from fairjax.datasets.files import find
from fairjax.datasets.sources import ADULT_TRAIN

BASE = ("bench", "people.csv", "--clusters", "3", "--seeds", "1", "--json")


@pytest.fixture
def people(tmp_path, monkeypatch):
    """A table of 60 people with two protected columns and a key."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [
        f"{i},{40 + 5 * rng.normal() + 5 * (i % 2):.2f},{rng.normal():.3f},{'FM'[i % 2]},{'NNS'[i // 2 % 3]}"
        for i in range(60)
    ]
    (tmp_path / "people.csv").write_text("nr,age,income,sex,region\n" + "\n".join(rows) + "\n")
    return tmp_path


def bench(capsys, *arguments):
    code = cli.main([*BASE, *arguments])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    (result,) = json.loads(out)["results"]
    return result, {row["method"]: row for row in result["methods"]}


def options_of(command):
    actions = next(action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction))
    return {name: a for name, a in actions.choices[command]._option_string_actions.items() if name.startswith("--")}


def test_it_has_every_option_of_fit_that_means_something_to_it():
    fit, own = options_of("fit"), options_of("bench")
    assert set(fit) - set(own) == {"--method", *bench_options.WITHOUT}
    unsaid = {"--epsilon", "--transport-weight", "--partition-size", "--reg", "--center-update", "--clusters"}
    for name in set(fit) & set(own):
        assert (fit[name].type, fit[name].nargs, fit[name].choices) == (own[name].type, own[name].nargs, None), name
        assert name in unsaid or fit[name].default == own[name].default, name


@pytest.mark.parametrize("option", [*bench_options.WITHOUT, "--method"])
def test_what_means_nothing_to_it_is_said_in_a_sentence(people, capsys, option):
    assert cli.main(["bench", "people.csv", "--sensitive", "sex", option, "1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert option in err
    assert "did you mean --methods?" in err if option == "--method" else "means nothing to fairjax bench: " in err


@pytest.mark.slow
def test_each_attribute_by_itself(people, capsys):
    """Fair methods that can hold each column fair do, plain ones take part, and a sentence names the others."""
    arguments = ("--key", "nr", "--sensitive", "sex,region", "--methods", "kmeans,falg,vfc,frac")
    result, rows = bench(capsys, *arguments, "--attributes", "separately")
    assert result["separately"]
    assert result["n_features"] == 2
    best = result["attributes"]
    assert best == {"sex": 1.0, "region": 0.5}
    assert result["max_balance"] == 0.5
    refused = [name for name, row in rows.items() if row["status"] == "refused"]
    assert [name.partition(" ")[0] for name in refused] == ["VFC", "VFC", "FRAC", "FRAC"]
    (note,) = [note for note in result["notes"] if "made for one set of groups" in note]
    assert all(name.rstrip(",") in note for name in refused)
    for name, row in rows.items():
        if name not in refused:
            assert row["balance"] == min(row["balance_sex"], row["balance_region"]), name
    assert rows["k-means"]["cost"] < rows["FAlg δ=0"]["cost"]
    assert rows["FAlg δ=0"]["balance"] >= 0.3


def test_combinations_have_balances_by_column_beside(people, capsys):
    result, rows = bench(capsys, "--drop", "nr", "--sensitive", "sex,region", "--methods", "kmeans")
    assert not result["separately"]
    assert rows["k-means"]["balance"] <= min(rows["k-means"]["balance_sex"], rows["k-means"]["balance_region"])
    assert result["max_balance"] == 0.5
    code = cli.main([*BASE[:-1], "--drop", "nr", "--sensitive", "sex,region", "--methods", "kmeans"])
    out = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "balance by sex region" in out
    assert "Balance is that of the combinations; the best possible are 1.0000 by sex, 0.5000 by region." in out


@pytest.mark.slow
def test_settings_of_methods(people, capsys):
    """A setting goes to the methods that have it, or to the one that is named; such a method has one row."""
    arguments = ("--drop", "nr,region", "--sensitive", "sex", "--methods", "kmeans,falg,frac")
    _, rows = bench(capsys, *arguments, "--set", "delta=0.1", "--set", "frac.tau=0.5", "--set", "frac.assignment=exact")
    assert list(rows) == ["k-means", "FAlg, delta=0.1", "FRAC, tau=0.5, assignment='exact'"]


def test_options_of_the_alignment_routes():
    """They are settings of the rows that align groups; controls are rows of their own."""
    options = ("--methods", "kmeans,exact,sinkhorn,fca-c", "--reg", "0.1", "--partition-size", "64", "--epsilon", "0.2")
    told = cli._parser().parse_args(["bench", *options, "--set", "fca-c.rule=cheapest"])
    exact, sinkhorn = {"partition_size": 64, "reg": 0.1}, {"partition_size": 64, "reg": 0.1}
    released = {"partition_size": 64, "rule": "cheapest"}
    assert bench_methods.chosen(told) == ["kmeans", ("exact", exact), ("sinkhorn", sinkhorn), ("fca-c", released)]
    assert bench_methods.controls(told) == [("fca", {"epsilon": 0.2})]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--reg", "0.1"), "--reg belongs to methods that align the groups (exact, sinkhorn, fca-alignment)"),
        (
            ("--methods", "kmeans", "--devices", "2"),
            "--devices belongs to fca and the deep methods, and none of them is compared",
        ),
        (("--devices", "4096"), "--devices"),
        (("--set", "zzz=1"), "--set zzz=1: none of kmeans, falg, fca has a setting of that name; see fairjax methods"),
        (("--set", "vfc.step=2"), "'vfc' is none of --methods kmeans,falg,fca"),
        (("--set", "fca.tol=2"), "settings of fca have options of their own"),
        (("--set", "falg.delt=1"), "--set delt: falg has no setting of that name; did you mean delta?"),
        (("--set", "falg.n_init=1"), "--set n_init: this setting has the option --n-init"),
        (("--set", "delta"), "--set 'delta' has no value; expected NAME=VALUE"),
        (("--attributes", "separately"), "--attributes separately is for several sensitive columns, and there is one"),
        (("--attributes", "apart"), "--attributes is 'apart'; expected one of 'jointly', 'separately'"),
    ],
)
def test_bad_input(people, capsys, arguments, words):
    assert cli.main(["bench", "people.csv", "--sensitive", "sex", "--drop", "nr,region", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_cells_that_a_spreadsheet_would_run(people, capsys):
    (people / "people.csv").rename("=1+1.csv")
    arguments = (
        "bench",
        "=1+1.csv",
        "--drop",
        "nr,region",
        "--sensitive",
        "sex",
        "--methods",
        "kmeans",
        "--seeds",
        "1",
    )
    assert cli.main([*arguments, "--clusters", "3", "--out", "table.csv", "--plain-formulas"]) == 0
    with open("table.csv", newline="") as stream:
        assert next(csv.DictReader(stream))["data"] == "'=1+1.csv"


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--attributes", "separately", "--methods", "kmeans,falg,fca,mpfc,vfc"),
        ("--devices", "2"),
        ("--methods", "falg,fcbc", "--set", "delta=0.1", "--set", "fcbc.pof=1.1"),
        ("--methods", "exact,sinkhorn,fca-alignment", "--partition-size", "256", "--reg", "0.05", "--max-iter", "3"),
        ("--methods", "exact", "--center-update", "gradient", "--max-iter", "3"),
        ("--min-balance", "0.3", "--search", "2", "--n-init", "2", "--methods", "fca"),
        ("--key", "column 3", "--methods", "kmeans"),
        ("--methods", "kmeans,ae", "--set", "ae.steps=20", "--devices", "2"),
    ],
)
def test_every_option_on_adult(tmp_path, options):
    """In a process of its own, with two devices."""
    need(ADULT_TRAIN)
    columns = ("--no-header", "--features", "column 1,column 5,column 13") if "--key" not in options else (
        "--no-header", "--drop", ",".join(f"column {i}" for i in (2, 4, 6, 7, 8, 9, 14, 15)))  # fmt: skip
    protected = "column 10,column 9" if "separately" in options else "column 10"
    arguments = [
        "bench",
        str(find(ADULT_TRAIN)),
        *columns,
        "--sensitive",
        protected,
        "--seeds",
        "1",
        "--json",
        *options,
    ]
    code = "import os, sys; os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'\n" \
        f"from fairjax import cli; sys.exit(cli.main({arguments!r}))"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["n"] == 32_561
    figures = [row for row in result["methods"] if row["status"] != "refused"]
    assert all(row["cost"] is not None for row in figures)
    assert all(row["method"].startswith("VFC") for row in result["methods"] if row["status"] == "refused")
