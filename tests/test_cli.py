"""The command line: exit codes, one sentence for bad input, whole files, JSON, progress only where it is seen."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from cli_cases import run

from fairjax import __version__
from fairjax.cli import bar, inputs
from fairjax.datasets import names

K = "3"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("FAIRJAX_DATA", raising=False)


@pytest.fixture
def people(tmp_path, monkeypatch):
    """A table of 60 people: two useful columns, a constant one, text, and three group columns."""
    rng = np.random.default_rng(0)
    sex = rng.integers(0, 2, 60)
    path = tmp_path / "people.csv"
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["age", "income", "city", "sex", "planet", "id"])
        for i in range(60):
            age, income = 40 + 10 * rng.normal() + 5 * sex[i], 3 + rng.normal()
            writer.writerow([f"{age:.2f}", f"{income:.3f}", "abc"[i % 3], "FM"[sex[i]], "earth", f"p{i}"])
    monkeypatch.chdir(tmp_path)
    return path


def fit(*arguments):
    return ("fit", "people.csv", "--features", "age,income", "--sensitive", "sex", "--clusters", K, *arguments)


def test_json_and_files(people, capsys):
    code, out, err = run(capsys, *fit("--json", "--out", "labels.csv", "--report", "report.html"))
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert out.count("\n") == 1
    needed = {"cost", "balance", "max_balance", "n", "n_clusters", "n_iter", "converged", "seconds"}
    assert needed <= set(found)
    assert (found["n"], found["n_clusters"], found["status"], found["converged"]) == (60, 3, 0, True)
    assert found["unfair_cost"] <= found["cost"] * (1 + 1e-5)
    assert set(found["groups"]) == {"F", "M"}

    with open("labels.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    with open(people, newline="") as stream:
        sexes = [row["sex"] for row in csv.DictReader(stream)]
    assert [row["id"] for row in rows] == [f"p{i}" for i in range(60)]
    assert [row["sex"] for row in rows] == sexes
    counts = [[sum(r["cluster"] == k and r["sex"] == g for r in rows) for g in "FM"] for k in "012"]
    assert min(min(c) / max(c) for c in counts) == pytest.approx(found["balance"])

    page = people.with_name("report.html").read_text()
    parser = HTMLParser()
    parser.feed(page)
    parser.close()
    assert page.startswith("<!DOCTYPE html>")
    assert "people.csv" in page
    assert "epsilon" in page
    assert sorted(os.listdir(".")) == ["labels.csv", "people.csv", "report.html"]


def test_summary_for_people(people, capsys):
    code, out, err = run(capsys, *fit("--min-balance", "0.5", "--out", "labels.csv"))
    assert (code, err) == (0, "")
    assert "sex = F and sex = M in a ratio of at least" in out
    assert "Ordinary k-means, which ignores sex" in out
    assert "Wrote labels.csv." in out
    code, out, err = run(capsys, *fit("--quiet"))
    assert (code, out, err) == (0, "", "")


def test_report_of_a_floor_and_of_one_group(people, capsys):
    code, *_ = run(capsys, *fit("--min-balance", "0.5", "--report", "floor.html", "--quiet"))
    assert code == 0
    assert "min_balance" in people.with_name("floor.html").read_text()
    columns = ("--features", "age,income", "--clusters", K)
    code, out, _ = run(capsys, "fit", "people.csv", *columns, "--report", "one.html", "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["unfair_cost"], found["group_violation"], found["sensitive"]) == (None, None, None)
    assert "only one group" in people.with_name("one.html").read_text()


def test_same_seed_same_answer(people, capsys):
    found = [json.loads(run(capsys, *fit("--json", "--seed", "3", "--n-init", "2"))[1]) for _ in range(2)]
    assert found[0]["cost"] == found[1]["cost"]
    assert found[0]["parameters"]["n_init"] == 2


@pytest.mark.parametrize("init", ["aligned", "k-means++", "random"])
def test_every_start_is_compared_with_k_means(people, capsys, init):
    code, out, err = run(capsys, *fit("--init", init, "--json", "--report", "start.html"))
    found = json.loads(out)
    assert (code, err, found["status"], found["parameters"]["init"]) == (0, "", 0, init)
    assert 0 < found["unfair_cost"] <= found["cost"] * (1 + 1e-6)
    assert "rdinary k-means" in people.with_name("start.html").read_text()


def test_notes_are_told(people, capsys):
    code, out, _ = run(capsys, *fit("--features", "age,income", "--epsilon", "0.3", "--max-iter", "1"))
    assert code == 0
    assert "Stopped after 1 iteration before the centres had settled" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "people.csv", "--sensitive", "sex"), ["'city'", "--features age,income"]),
        (fit("--init", "best"), ["init is 'best'", "'aligned'"]),
        (("fit", "people.csv", "--sensitive", "sexx", "--features", "age"), ["'sexx'", "did you mean 'sex'"]),
        (("fit", "people.csv", "--sensitive", "sex", "--features", "agee"), ["'agee'", "did you mean 'age'"]),
        (("fit", "people.csv", "--sensitive", "planet", "--features", "age"), ["one value ('earth')"]),
        (("fit", "people.csv", "--sensitive", "id", "--features", "age"), ["different value in every row"]),
        (fit("--clusters", "0"), ["--clusters", "'0' is no whole number from 1", "see fairjax fit --help"]),
        (fit("--clusters", "61"), ["n_samples=60", "less than --clusters 61"]),
        (fit("--epsilon", "2.5"), ["--epsilon is 2.5", "0 to 2", "see fairjax fit --help"]),
        (fit("--tol", "-1"), ["--tol is -1.0", "see fairjax fit --help"]),
        (fit("--method", "exact", "--transport-weight", "-1"), ["--transport-weight is -1.0"]),
        (fit("--epsilon", "-1"), ["epsilon is -1.0"]),
        (fit("--epsilon", "0.1", "--min-balance", "0.5"), ["choose one fairness control"]),
        (fit("--min-balance", "1"), ["allow at most"]),
        (fit("--method", "fast"), ["method is 'fast'", "direct", "fcmi"]),
        (fit("--method", "exact", "--epsilon", "0.1"), ["--epsilon 0.1", "--method exact", "choose --method direct"]),
        (fit("--out", "missing/labels.csv"), ["cannot write --out missing/labels.csv", "No such file"]),
        (fit("--report", "."), ["--report . is not a file"]),
        (fit("--out", "people.csv"), ["is the input itself"]),
        (fit("--out", "a.csv", "--report", "./a.csv"), ["is of no format that is written"]),
        (("fit", "empty.csv"), ["is empty"]),
        (("fit", "header.csv"), ["no rows"]),
        (("fit", "nan.csv"), ["'a' has 1 missing"]),
        (("fit", "inf.csv"), ["'a' has 1 infinite"]),
        (("fit", "constant.csv"), ["no column varies"]),
        (("fit", "cut.csv.gz"), ["cut short or damaged"]),
        (("fit", "no.csv"), ["no.csv does not exist"]),
        (("fit", "diabets"), ["'diabets'", "did you mean 'diabetes'"]),
        (("fit", "adult"), ["adult.data"]),
        (("fit", "--sensitive", "race"), ["'race'", "'sex'"]),
        (("fit", "--features", "age"), ["--features chooses columns of a file"]),
        (("fit", "reverse-digits", "--l2-normalize"), ["taken as they are"]),
        (("fit", "--cluster", "3"), ["unrecognized arguments: --cluster"]),
        (("fit", "--clusters", "two"), ["--clusters", "'two'"]),
        (("bench", "people.csv", "--features", "age"), ["has one group"]),
        (("bench", "--seeds", "0"), ["--seeds", "'0' is no whole number", "see fairjax bench --help"]),
        (("bench", "--init", "best"), ["--init is 'best'", "'aligned'"]),
        (("bench", "--clusters", "500"), ["442 rows for 500 clusters"]),
        (("plot",), ["'plot'"]),
        ((), ["COMMAND"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_sentence(people, capsys, arguments, words):
    people.with_name("empty.csv").write_text("")
    people.with_name("header.csv").write_text("a,b\n")
    people.with_name("nan.csv").write_text("a,b\n1,2\n,3\n4,4\n")
    people.with_name("inf.csv").write_text("a,b\n1,2\ninf,3\n4,4\n")
    people.with_name("constant.csv").write_text("a,b\n1,2\n1,2\n1,2\n")
    people.with_name("cut.csv.gz").write_bytes(gzip.compress(people.read_bytes())[:300])
    before = {name: os.stat(name).st_mtime_ns for name in os.listdir(".")}
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("fairjax: ")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert {name: os.stat(name).st_mtime_ns for name in os.listdir(".")} == before


def test_bad_paths_are_refused_before_the_work(people, capsys, monkeypatch):
    monkeypatch.setattr(inputs, "read", lambda *_, **__: pytest.fail("worked before looking at the paths"))
    assert run(capsys, *fit("--out", "missing/labels.csv"))[0] == 2


@pytest.mark.parametrize("place", ["fairjax.fca.stages.iterations", "fairjax.report.files.os.replace"])
def test_interruption_leaves_files_as_they_were(people, capsys, monkeypatch, place):
    def stop(*_, **__):
        raise KeyboardInterrupt

    people.with_name("labels.csv").write_text("old")
    monkeypatch.setattr(place, stop)
    code, out, err = run(capsys, *fit("--out", "labels.csv", "--report", "report.html"))
    assert (code, out) == (130, "")
    assert err == "fairjax: stopped by Ctrl-C; output files are as they were\n"
    assert people.with_name("labels.csv").read_text() == "old"
    assert sorted(os.listdir(".")) == ["labels.csv", "people.csv"]


def test_too_little_memory_is_one_sentence(people, capsys, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(inputs, "read", fail)
    code, _, err = run(capsys, *fit())
    assert code == 2
    assert "memory" in err


def test_version_and_help(capsys):
    assert run(capsys, "--version") == (0, f"fairjax {__version__}\n", "")
    for command in ((), ("fit",), ("bench",), ("datasets",)):
        code, out, err = run(capsys, *command, "--help")
        assert (code, err) == (0, "")
        assert "usage: fairjax" in out


def test_datasets(capsys):
    code, out, _ = run(capsys, "datasets")
    assert code == 0
    assert all(name in out for name in names())
    assert "bundled with scikit-learn" in out
    code, out, _ = run(capsys, "datasets", "--json")
    found = {entry["name"]: entry for entry in json.loads(out)}
    assert set(found) == set(names())
    assert found["diabetes"]["available"]
    assert not found["adult"]["available"]
    assert "adult.data" in found["adult"]["files"][0]["how_to_get"]


def test_every_known_set_names_its_attribute():
    assert set(inputs._ATTRIBUTES) == set(names())


def test_bench(people, capsys):
    arguments = (
        "bench", "people.csv", "--features", "age,income", "--sensitive", "sex", "--clusters", K, "--seeds", "2"
    )  # fmt: skip
    code, out, err = run(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    (result,) = json.loads(out)["results"]
    methods = result["methods"]
    assert methods[0]["method"] == "k-means"
    assert [row["method"] for row in methods[1:3]] == ["FAlg δ=0", "FAlg δ=0.2"]
    assert len(methods) == 7
    assert len(result["runs"]) == 14
    assert {"method", "seed", "control", "cost", "balance", "violation", "status", "gap"} <= set(result["runs"][0])
    assert result["quoted"] == []
    assert methods[0]["cost"] <= methods[-1]["cost"]
    assert methods[-1]["balance"] > methods[0]["balance"]
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    assert "k-means" in out
    assert "Medians over 2 starts" in out
    assert "time is from the aligned start on" in " ".join(out.split())
    code, out, _ = run(capsys, *arguments, "--init", "k-means++")
    assert code == 0
    assert "from the k-means centres on" in " ".join(out.split())


def test_bar_appears_only_on_a_terminal_and_only_after_a_while(monkeypatch, capsys):
    with bar.Bar() as silent:
        assert not silent._timer.is_alive()
        silent("reading", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with bar.Bar() as quick:
        quick("reading", 0.5)
    assert quick._progress is None
    monkeypatch.setattr(bar, "_PATIENCE", 0.01)
    with bar.Bar() as shown:
        deadline = time.monotonic() + 10
        while shown._progress is None and time.monotonic() < deadline:
            time.sleep(0.01)
        shown("fair clustering", 0.5)
        assert shown._progress.tasks[0].completed == 0.5
    assert capsys.readouterr().out == ""


# a test runner in the background has SIGINT ignored, and its children with it
_LAUNCH = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("fairjax", run_name="__main__")
"""


def start(*arguments, **options):
    command = [sys.executable, "-c", _LAUNCH, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_process_runs_the_bundled_cohort_and_keeps_its_programs(tmp_path):
    cache = tmp_path / "cache"
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    process = start("fit", "--json", "--clusters", "2", env=environment)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["n"] == 442
    assert list((cache / "fairjax" / "compiled").glob("*/*"))


def test_process_ends_with_2_on_bad_input_without_importing_jax(tmp_path):
    (tmp_path / "jax.py").write_text("raise SystemExit('jax was imported')")
    process = start("fit", "nothing.csv", cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == "fairjax: nothing.csv does not exist; check the path\n"


def test_process_ends_with_130_on_interrupt(tmp_path):
    (tmp_path / "old.csv").write_text("old")
    process = start("fit", "--out", "old.csv", "--n-init", "1000000", cwd=tmp_path)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("fairjax: stopped by Ctrl-C; output files are as they were\n")
    assert (tmp_path / "old.csv").read_text() == "old"
    assert os.listdir(tmp_path) == ["old.csv"]


def test_process_is_quiet_when_its_reader_leaves(tmp_path):
    with start("datasets", "--json") as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) in (0, 1)
