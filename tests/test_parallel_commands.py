"""``fairjax fit --distributed`` by several processes of this machine, streamed and in memory; and what is refused."""

import json

import numpy as np
import pytest
from joined_processes import K, N, ended, labels_in, running, write_people

import fairjax
from fairjax import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


_COMMAND = """
import sys
import jax
jax.config.update("jax_disable_most_optimizations", True)
from fairjax import cli
from fairjax.datasets import shares
shares._PIECE = 200
sys.exit(cli.main(sys.argv[1:]))
"""


def started(size, *arguments):
    """Processes that run the command together."""
    names = ("--coordinator", "--processes", "--process")
    return running(_COMMAND, size, "fit", *arguments, "--distributed", numbers=names)


def options(folder, *more):
    return (f"{folder}/*.parquet", "--sensitive", "sex", "--clusters", K, "--drop", "id", *more)


def alone(capsys, *arguments):
    assert cli.main(["fit", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_the_command_streams_shares(folder, tmp_path, size):
    """The first process alone says what came out, in one JSON object; what others print is out of its way."""
    stream = options(folder, "--stream", "--tol", 0, "--max-iter", 2, "--json")
    found = ended(
        started(
            size,
            *stream,
            "--out",
            tmp_path / "labels",
            "--model",
            tmp_path / "model.npz",
            "--report",
            tmp_path / "page.html",
        )
    )
    assert [code for *_, code in found] == [0] * size, found
    assert [bool(out) for out, *_ in found] == [True] + [False] * (size - 1)
    told = json.loads(found[0][0])
    assert (told["n"], told["n_iter"], told["n_processes"], told["status"]) == (N, 2, size, 0)
    np.testing.assert_array_equal(np.bincount(labels_in(tmp_path / "labels")), told["sizes"])
    assert f"{size} processes clustered a share of the rows each" in (tmp_path / "page.html").read_text()
    assert fairjax.load(tmp_path / "model.npz").cost_ == pytest.approx(told["cost"])


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_a_fit_in_memory_of_shares(capsys, folder, tmp_path, size):
    found = ended(started(
        size, *options(folder), "--out", tmp_path / "labels", "--model", tmp_path / "model.npz", "--json"
    ))  # fmt: skip
    assert [code for *_, code in found] == [0] * size, found
    told = json.loads(found[0][0])
    one = alone(capsys, folder / "0.parquet", "--sensitive", "sex", "--clusters", K, "--drop", "id")
    assert one.keys() - told.keys() <= {"attributes", "search", "unfair_cost", "unfair_balance"}
    assert (told["n"], told["status"], told["n_passes"]) == (N, 0, None)
    assert told["gap"] <= 1e-5
    np.testing.assert_array_equal(np.bincount(labels_in(tmp_path / "labels")), told["sizes"])
    assert json.loads((tmp_path / "labels" / "manifest.json").read_text())["cost"] == told["cost"]
    code = cli.main(["predict", str(tmp_path / "model.npz"), str(folder / "1.parquet"), "--json"])
    assert code == 0


ADDRESS = ("--coordinator", "127.0.0.1:1", "--processes", "2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--coordinator", "a:1"), "--coordinator belongs to --distributed"),
        (("--distributed", "--coordinator", "a:1"), "--coordinator is given without --processes"),
        (("--distributed", "--block-rows", "9"), "--block-rows belongs to --stream"),
        (("--distributed", "--method", "falg"), "--distributed is for --method direct"),
        (("--distributed", "--missing", "mean"), "no meaning with --distributed"),
        (("--distributed", "--join-timeout", "0"), "--join-timeout is 0; expected a number of seconds above 0"),
        (
            ("--distributed", *ADDRESS, "--process", "1", "--join-timeout", "0.3"),
            "no coordinator answered at 127.0.0.1:1 within 0.3 s; start process 0 there",
        ),
        (
            ("--distributed", *ADDRESS, "--process", "2"),
            "process is 2 of 2; expected 0 to 1",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(capsys, folder, arguments, words):
    code = cli.main(["fit", str(folder), "--sensitive", "sex", *arguments])
    found = capsys.readouterr()
    assert (code, found.out) == (2, "")
    assert words in found.err
    assert found.err.count("\n") == 1
