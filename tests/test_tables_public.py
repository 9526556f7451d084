"""Real public tables, as their sources spread them, from the file to the report and back."""

import csv
import importlib.util
import json
import os
from pathlib import Path

import pytest
from data_files import need

from fairjax import cli
from fairjax.datasets.files import find
from fairjax.datasets.sources import ADULT_TEST, ADULT_TRAIN, BANK, CENSUS_POINTS

ONE_HOT = ("--categorical", "one-hot")
HEADLESS = ("--no-header",)
COUNTED = ("--no-header", "--skip", "1")  # scikit-learn's files begin with their size

# file, options, sensitive columns, rows and groups
TABLES = {
    "adult": (ADULT_TRAIN, (*HEADLESS, *ONE_HOT), "column 10", 32_561, 2),
    "adult by sex and race": (ADULT_TEST, (*COUNTED, *ONE_HOT), "column 10,column 9", 16_281, 10),
    "bank": (BANK, ONE_HOT, "marital", 41_188, 4),
    "census": (CENSUS_POINTS, (), "column 21", 3_000, 4),
    "breast cancer": ("sklearn/datasets/data/breast_cancer.csv", COUNTED, "column 31", 569, 2),
    "iris": ("sklearn/datasets/data/iris.csv", COUNTED, "column 5", 150, 3),
    "wine": ("sklearn/datasets/data/wine_data.csv", COUNTED, "column 14", 178, 3),
    "diabetes": ("sklearn/datasets/data/diabetes_data_raw.csv.gz", (), "column 2", 442, 2),
    "digits": ("sklearn/datasets/data/digits.csv.gz", (), "column 65", 1_797, 10),
    "exercise": ("sklearn/datasets/data/linnerud_exercise.csv", ("--bins", "2"), "Jumps", 20, 2),
    "stocks": (
        "matplotlib/mpl-data/sample_data/Stocks.csv",
        ("--missing", "median", "--missing-group", "--bins", "2", "--dates", "number"),
        "IBM",
        524,
        3,
    ),
    "one stock": ("matplotlib/mpl-data/sample_data/msft.csv", ("--dates", "number", "--bins", "3"), "Volume", 65, 3),
}


def place(source):
    """Where a table stands; a test whose table is not here is skipped."""
    if not isinstance(source, str):
        need(source)
        return find(source)
    package, _, rest = source.partition("/")
    spec = importlib.util.find_spec(package)
    path = Path(spec.origin).parent / rest if spec is not None else Path(rest)
    if not path.exists():
        pytest.skip(f"this {package} comes without {rest}")
    return path


@pytest.mark.parametrize("name", TABLES)
def test_inspection_of_a_public_table(capsys, name):
    source, options, sensitive, rows, groups = TABLES[name]
    reading = [option for option in options if option not in (*ONE_HOT, "--missing", "median", "--dates", "number")]
    assert cli.main(["inspect", str(place(source)), "--sensitive", sensitive, "--json", *reading]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == rows
    assert len(found["groups"]) == groups or groups is None


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_public_table_to_the_report_and_back(tmp_path, monkeypatch, capsys, name):
    source, options, sensitive, rows, groups = TABLES[name]
    path = place(source)
    monkeypatch.chdir(tmp_path)
    arguments = ["fit", str(path), "--sensitive", sensitive, "--clusters", "3", "--json", *options]
    code = cli.main([*arguments, "--out", "back.csv", "--report", "report.html"])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["n"] == rows
    assert found["status"] == 0
    assert len(found["groups"]) == groups or groups is None
    assert 0.8 * found["max_balance"] - 0.2 <= found["balance"] <= found["max_balance"] * (1 + 1e-9)
    assert os.path.getsize("report.html") > 20_000
    with open("back.csv", newline="") as stream:
        clusters = [row["cluster"] for row in csv.DictReader(stream, delimiter=_separator("back.csv"))]
    assert len(clusters) == rows
    assert set(clusters) <= {"0", "1", "2"}


def _separator(path):
    with open(path) as stream:
        header = stream.readline()
    return ";" if ";" in header else ","
