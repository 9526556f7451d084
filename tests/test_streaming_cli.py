"""``fairjax fit --stream``: files in, labels and a model out; what is refused, and with which words."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_cases import run

N, K = 900, 3


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("FAIRJAX_DATA", raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    blob, sex = rng.integers(0, K, N), rng.integers(0, 2, N)
    columns = {
        "id": np.arange(N),
        "age": 40 + 20 * blob + rng.normal(size=N),
        "income": 3e4 + 1e4 * blob * sex + 1e3 * rng.normal(size=N),
        "sex": np.array(["F", "M"])[sex],
    }
    path = tmp_path_factory.mktemp("people")
    for part in range(2):
        rows = slice(part * 500, part * 500 + 500)
        pq.write_table(pa.table({name: column[rows] for name, column in columns.items()}), path / f"{part}.parquet")
    return path


def test_a_folder_of_parquet_is_clustered_and_labelled(capsys, tmp_path, folder):
    common = ("fit", f"{folder}/*.parquet", "--sensitive", "sex", "--clusters", K, "--stream", "--key", "id")
    out = ("--out", tmp_path / "labels", "--model", tmp_path / "model.npz", "--checkpoint-dir", tmp_path / "run")
    code, text, err = run(capsys, *common, *out)
    assert (code, err) == (0, "")
    assert "900 rows of 2 features in 2 files, 3 clusters" in " ".join(text.split())
    assert f"Wrote {tmp_path / 'labels'}." in text
    found = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "labels").glob("part-*.parquet"))])
    assert found.column_names == ["row", "id", "cluster"]
    assert found["id"].to_pylist() == list(range(N))

    page = tmp_path / "page.html"
    # the same again from the last checkpoint, for a program
    code, text, err = run(capsys, *common, *out, "--resume", "--json", "--report", page)
    assert (code, err) == (0, "")
    told = json.loads(text)
    assert told["n"] == N
    assert told["groups"].keys() == {"F", "M"}
    assert told["gap"] <= 1e-5
    assert told["status"] == 0
    assert told["balance"] >= 0.95 * told["max_balance"]
    sizes = np.bincount(found["cluster"].to_numpy(), minlength=K)
    assert told["sizes"] == sizes.tolist()

    # the page tells the counts of all rows, and that the rest is of a sample where it is
    assert "900" in page.read_text()
    assert re.search(r"cost over ordinary k-means", page.read_text())

    # the model knows the columns and how they were scaled
    code, text, err = run(capsys, "predict", tmp_path / "model.npz", folder / "1.parquet", "--json")
    assert (code, err) == (0, "")
    again = json.loads(text)["sizes"]
    assert np.abs(np.array(again) - np.bincount(found["cluster"].to_numpy()[500:], minlength=K)).sum() <= 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--report", "page.csv"), "'page.csv' is of no format that is written"),
        (("--missing", "mean"), "--missing is for tables that fit into memory"),
        (("--method", "falg"), "--stream is for --method direct"),
        (("--resume",), "--resume needs --checkpoint-dir"),
        (("--features", "agge"), "did you mean 'age'?"),
        (("--out", "."), "is a folder with other files in it"),
        (("--epsilon", "3"), "--epsilon is 3.0; expected a number from 0 to 2"),
        (("--clusters", "901", "--init", "random"), "900 rows, less than --clusters 901"),
        (("--key", "id"), "say --out FOLDER too"),
    ],
)
def test_what_is_refused(capsys, folder, arguments, words):
    code, text, err = run(capsys, "fit", folder, "--sensitive", "sex", "--stream", *arguments)
    assert (code, text) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_block_rows_belong_to_streams(capsys, folder):
    code, _, err = run(capsys, "fit", folder / "0.parquet", "--block-rows", "100")
    assert code == 2
    assert "--block-rows belongs to --stream" in err
    code, _, err = run(capsys, "fit", "--stream")
    assert code == 2
    assert "--stream needs DATA" in err


@pytest.mark.slow
def test_one_group_is_pointed_out(capsys, tmp_path):
    pq.write_table(pa.table({"age": np.arange(30.0), "sex": ["F"] * 30}), tmp_path / "people.parquet")
    code, text, _ = run(capsys, "fit", tmp_path, "--sensitive", "sex", "--clusters", 2, "--stream", "--json")
    assert code == 0
    assert json.loads(text)["notes"] == ["sex has one value (F), so there was nothing to be fair to"]
