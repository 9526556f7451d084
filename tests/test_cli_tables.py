"""Tables and endings on the command line: the table back with its clusters, a sentence and a code for every file."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_cases import run

from fairjax._core.atomic import write_all
from fairjax.errors import InputError

K = ("--clusters", "2")


@pytest.fixture
def folder(tmp_path, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [
        [f"{i:02}", f"{rng.normal():.2f}".replace(".", ","), "ab"[i % 2], "FM"[rng.integers(2)], "NSS"[i % 3], "=1+1"]
        for i in range(60)
    ]
    rows[4][1] = ""
    with open("people.csv", "w", newline="") as stream:
        csv.writer(stream, delimiter=";").writerows([["id", "income", "job", "sex", "region", "note"], *rows])
    return tmp_path


def fit(*arguments):
    return (
        "fit",
        "people.csv",
        "--features",
        "income,job",
        "--missing",
        "mean",
        "--categorical",
        "one-hot",
        *K,
        *arguments,
    )


def test_the_table_comes_back_in_its_own_order_and_spelling(folder, capsys):
    code, out, err = run(capsys, *fit("--sensitive", "sex", "--out", "clustered.csv"))
    assert (code, err) == (0, "")
    assert "'income': decimal commas" in out
    before, after = (Path(name).read_text().splitlines() for name in ("people.csv", "clustered.csv"))
    assert [line.rpartition(";")[0] for line in after] == before
    assert after[0].endswith(";cluster")
    assert {line.rpartition(";")[2] for line in after[1:]} == {"0", "1"}


def test_a_key_and_the_cluster_alone(folder, capsys):
    own = ("fit", "people.csv", "--drop", "job,note,region", "--missing", "mean", *K)
    code, out, err = run(capsys, *own, "--sensitive", "sex", "--key", "id", "--out", "c.csv", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["n_features"] == 1  # a key is not clustered on
    lines = Path("c.csv").read_text().splitlines()
    assert lines[0] == "id;cluster"
    assert [line.split(";")[0] for line in lines[1:]] == [f"{i:02}" for i in range(60)]


def test_several_sensitive_columns_and_other_formats(folder, capsys):
    pytest.importorskip("openpyxl")
    both = ("--sensitive", "sex,region", "--missing", "drop")
    code, out, err = run(capsys, *fit(*both, "--out", "c.parquet", "--columns", "id,sex,region", "--json"))
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["n"], found["sensitive"], set(found["attributes"])) == (59, "sex and region", {"sex", "region"})
    assert set(found["groups"]) == {"F, N", "F, S", "M, N", "M, S"}
    frame = pd.read_parquet("c.parquet")
    assert frame.columns.tolist() == ["id", "sex", "region", "cluster", "group"]
    assert frame["cluster"].isna().to_numpy().nonzero()[0].tolist() == [4]  # the row that was left out
    counts = frame.dropna().groupby(["sex", "cluster"]).size().unstack()
    assert found["attributes"]["sex"]["balance"] == pytest.approx((counts.min() / counts.max()).min())
    code, out, err = run(capsys, *fit(*both, "--out", "c.xlsx", "--quiet"))
    assert (code, out, err) == (0, "", "")
    sheet = pd.read_excel("c.xlsx")
    assert sheet.columns.tolist()[-2:] == ["cluster", "group"]
    assert sheet["note"].tolist() == ["=1+1"] * 60  # text, which is not run


def test_every_sensitive_column_fair_by_itself(folder, capsys):
    both = ("--sensitive", "sex,region", "--missing", "drop", "--attributes", "separately")
    code, out, err = run(capsys, *fit(*both, "--json"))
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["parameters"]["attributes"] == "separately"
    assert found["balance"] == min(each["balance"] for each in found["attributes"].values())
    assert found["max_balance"] == min(each["max_balance"] for each in found["attributes"].values())


def test_formulas_and_names_that_are_taken(folder, capsys):
    text = Path("people.csv").read_text().replace("region", "cluster", 1)
    Path("people.csv").write_text(text)
    code, *_ = run(capsys, *fit("--sensitive", "sex", "--out", "c.tsv", "--plain-formulas", "--quiet"))
    assert code == 0
    with open("c.tsv", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert rows[0]["note"] == "'=1+1"
    assert (rows[0]["cluster"], rows[0]["cluster_2"] in "01") == ("N", True)
    assert rows[0]["income"][0] in "-0123456789"  # numbers stay as they are


def test_standard_input_and_inspection(folder, capsys, monkeypatch):
    class Input:
        buffer = io.BytesIO(Path("people.csv").read_bytes())

    monkeypatch.setattr(sys, "stdin", Input)
    code, out, err = run(capsys, "inspect", "-", "--sensitive", "sex")
    assert (code, err) == (0, "")
    for words in (
        "standard input (60 rows, 6 columns)",
        "parted by semicolons",
        "2 groups: F",
        "Problem: 'income' has 1",
    ):
        assert words in out
    code, out, err = run(capsys, "inspect", "people.csv", "--json")
    assert json.loads(out)["columns"][1]["missing"] == 1
    code, out, err = run(capsys, "fit", "--header")
    assert (code, out) == (2, "")
    assert "--header says how a file is read" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "https://example.org/a.csv"), ["is an address", "--download"]),
        (("fit", "s3://bucket/a.csv"), ["an address of a kind that is not read"]),
        (("fit", "loop.csv"), ["is a link that leads back to itself"]),
        (("fit", "dangling.csv"), ["is a link to something that does not exist"]),
        (("fit", "people.csv/x.csv"), ["a part of the path is a file"]),
        (("fit", "/dev/zero.csv"), ["does not exist"]),
        (("fit", "/dev/zero"), ["is a device or socket"]),
        (("fit", "a.json"), ["is JSON", "save it as CSV or Parquet"]),
        (fit("--out", "c.doc"), ["--out 'c.doc' is of no format that is written", ".csv", ".xlsx"]),
        (fit("--out", "c"), ["--out 'c' is of no format"]),
        (fit("--report", "c.pdf"), ["--report 'c.pdf'", ".html"]),
        (fit("--columns", "id"), ["--columns chooses what --out writes"]),
        (fit("--columns", "nam", "--out", "c.csv"), ["no column 'nam' for --columns"]),
        (fit("--key", "id"), ["--key chooses what --out writes"]),
        (fit("--key", "ids", "--out", "c.csv"), ["no column 'ids' for --key; did you mean 'id'?"]),
        (fit("--key", "id", "--columns", "id", "--out", "c.csv"), ["--columns and --key both choose"]),
        (
            fit("--key", "sex", "--out", "c.csv"),
            ["the key 'sex' has the value", "in row 1 (line 2 of the file) and in"],
        ),
        (fit("--key", "income", "--out", "c.csv"), ["the key 'income' has no value in row 5 (line 6 of the file)"]),
        (fit("--sensitive", "sx"), ["no column 'sx' for --sensitive; did you mean 'sex'?"]),
        (fit("--sensitive", "SEX"), ["did you mean 'sex'?"]),
        (fit("--missing", "zero"), ["missing is 'zero'", "'median'"]),
        (fit("--separator", ";;"), ["separator is ';;'"]),
        (fit("--seed", "-1"), ["--seed", "'-1' is no whole number from 0 to 4,294,967,295"]),
        (fit("--seed", "4294967296"), ["--seed"]),
        (fit("--max-iter", "99999999999"), ["--max-iter", "1,000,000"]),
        (fit("--n-init", "0"), ["--n-init"]),
        (("fit", "--n-clusters", "3"), ["did you mean --clusters?", "see fairjax fit --help"]),
        (("fit", "--sed", "3"), ["did you mean --seed?"]),
        (("inspect", "adult"), ["is a known data set"]),
        (("inspect",), ["DATA", "see fairjax inspect --help"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_sentence(folder, capsys, arguments, words):
    os.symlink("loop.csv", "loop.csv")
    os.symlink("nothing.csv", "dangling.csv")
    Path("a.json").write_text("{}")
    before = sorted(os.listdir("."))
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert sorted(os.listdir(".")) == before


def test_long_names_and_control_characters_stay_out_of_sentences(folder, capsys):
    Path("long.csv").write_text("a," + "n" * 1_000_000 + "\n1,2\n3,4\n5,q\n")
    assert len(run(capsys, "fit", "long.csv")[2]) < 500
    Path("odd.csv").write_text("a,g\x1b[2J\n" + "1,\x9b31mx\n2,y\n3,y\n")
    for arguments in (("fit", "odd.csv"), ("fit", "\x1b[31mred.csv"), ("fit", "--\x1b[31m"), ("inspect", "odd.csv")):
        found = "".join(run(capsys, *arguments)[1:])
        assert found
        assert not set(found) & {"\x1b", "\x9b"}


def test_files_are_written_all_or_none(folder, monkeypatch):
    Path("old.csv").write_text("old")
    os.chmod("old.csv", 0o640)
    os.symlink("old.csv", "link.csv")
    write_all([("link.csv", b"new"), ("other.html", "text")])
    assert Path("old.csv").read_text() == "new"
    assert os.stat("old.csv").st_mode & 0o777 == 0o640
    assert os.path.islink("link.csv")
    names = sorted(os.listdir("."))
    with pytest.raises(InputError, match=r"cannot write missing/x\.html"):
        write_all([("old.csv", b"newer"), ("missing/x.html", "text")])
    assert Path("old.csv").read_text() == "new"
    assert sorted(os.listdir(".")) == names


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_what_was_replaced_is_put_back_when_the_next_one_fails(folder, monkeypatch, links):
    Path("old.csv").write_text("old")
    names, replace = sorted(os.listdir(".")), os.replace

    def full(source, target):
        if Path(target).name == "last.html":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    if not links:
        monkeypatch.delattr(os, "link")
    with pytest.raises(InputError, match=r"cannot write last\.html: No space left"):
        write_all([("old.csv", b"new"), ("fresh.csv", b"new"), ("last.html", "text")])
    assert Path("old.csv").read_text() == "old"
    assert sorted(os.listdir(".")) == names


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize(
    ("shell", "code", "words"),
    [("> /dev/full", 2, "standard output cannot be used"), (">&-", 2, "standard output is closed"), ("| true", 0, "")],
)
def test_standard_output_that_fails_is_a_sentence(shell, code, words):
    command = f"{sys.executable} -m fairjax datasets --json {shell}"
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert found.returncode == code
    assert "Traceback" not in found.stderr
    assert words in found.stderr


def test_what_an_encoding_lacks_is_replaced(folder):
    Path("é.csv").write_text("ä,sex\n" + "1,ö\n2,ß\n" * 3)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "fairjax", "inspect", "é.csv", "--sensitive", "sex"]
    found = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    assert (found.returncode, found.stderr) == (0, b"")
    assert b"2 groups: ? 3, ? 3" in found.stdout


def test_small_values_of_each_column_are_merged_where_each_is_fair_by_itself(folder, capsys):
    """In the fit, in new rows by its model, and in comparisons; combinations stay as they are."""
    towns = [*"aaabbbccd", "e"]
    rows = [f"{i % 7},{i % 5 + i % 2},{'FM'[i % 2]},{towns[i // 2 % 10]}" for i in range(80)]
    (folder / "towns.csv").write_text("x,y,sex,town\n" + "\n".join(rows) + "\n")
    told = ("towns.csv", "--sensitive", "sex,town", "--attributes", "separately", "--clusters", "3", "--json")
    code, out, err = run(capsys, "fit", *told, "--min-group", "10", "--method", "falg", "--model", "m.npz")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["groups"] == {
        f"{sex}, {town}": n for sex in "FM" for town, n in zip([*"abc", "other"], (12, 12, 8, 8), strict=True)
    }
    assert any("'town': merged 2 groups of fewer than 10 rows ('d' 8, 'e' 8) into 'other'" in n for n in found["notes"])
    assert found["attributes"]["town"]["max_balance"] == 16 / 24
    code, out, err = run(capsys, "predict", "m.npz", "towns.csv", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["groups"] == found["groups"]
    assert json.loads(out)["attributes"]["town"]["max_balance"] == 16 / 24
    code, out, err = run(capsys, "bench", *told, "--min-group", "10", "--methods", "falg", "--seeds", "1")
    assert (code, err) == (0, "")
    assert json.loads(out)["results"][0]["attributes"] == {"sex": 1.0, "town": 16 / 24}
