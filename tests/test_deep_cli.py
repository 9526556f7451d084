"""Deep methods on the command line, and training processes that are ended from outside."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fairjax import cli


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def people(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "people.csv"
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["age", "income", "sex"])
        writer.writerows([f"{40 + 10 * rng.normal():.2f}", f"{rng.normal():.3f}", "FM"[i % 2]] for i in range(60))
    return path


def fit(capsys, *arguments):
    code = cli.main(["fit", *map(str, arguments)])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_fit_by_a_deep_method(people, tmp_path, capsys):
    labels, page = tmp_path / "labels.csv", tmp_path / "report.html"
    arguments = (people, "--sensitive", "sex", "--clusters", 3, "--method", "fcmi", "--json")
    folder = ("--checkpoint-dir", tmp_path / "run")
    code, out, err = fit(capsys, *arguments, *folder, "--out", labels, "--report", page)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert {"cost", "balance", "max_balance", "n", "n_clusters", "n_iter", "converged", "seconds"} <= set(found)
    assert (found["n"], found["n_clusters"], found["n_iter"]) == (60, 3, 60)
    assert 1 <= found["n_nonempty"] <= 3
    # the estimator's warning is a note here, and nothing is printed beside it
    assert "Steps of 128 rows are more than the data can fill: rows are drawn with replacement." in found["notes"]
    assert len(labels.read_text().splitlines()) == 61
    assert "FCMI" in page.read_text()
    # a finished run resumes at its end
    code, out, _ = fit(capsys, *arguments, *folder, "--resume")
    assert code == 0
    again = json.loads(out)
    assert {**again, "seconds": 0, "compile_seconds": 0} == {**found, "seconds": 0, "compile_seconds": 0}
    code, _, err = fit(capsys, *arguments, *folder)
    assert code == 2
    assert "holds a checkpoint of this run already" in err


def test_settings_reach_the_method(people, capsys):
    # traced or outside of the programs, so that those of the test before serve
    settings = ("--set", "lr=0.002", "--set", "n-latent=none", "--set", "labels=cosine")
    arguments = ("--sensitive", "sex", "--method", "fcmi", "--clusters", 3, *settings, "--json")
    code, out, err = fit(capsys, people, *arguments)
    assert (code, err) == (0, "")
    assert {"lr": 0.002, "n_latent": None, "epochs": 60}.items() <= json.loads(out)["parameters"].items()


def test_fit_by_imsat(people, capsys):
    arguments = (people, "--sensitive", "sex", "--clusters", 3, "--method", "imsat", "--json")
    code, out, err = fit(capsys, *arguments, "--set", "epochs=2")
    assert (code, err) == (0, "")
    assert json.loads(out)["parameters"]["vat_radius"] == 0.25
    code, out, err = fit(capsys, *arguments, "--set", "vat-neighbour=40")
    assert (code, out) == (2, "")
    assert "the group F has 30 rows, and the neighbour of rank 40 asks for 41" in err


def test_methods_and_their_settings_are_listed(capsys):
    assert cli.main(["methods", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found[-11:]] == [
        "ae", "clustergan", "dac", "dcn", "dec", "deepfca", "dfc", "fair-imsat", "fairoid", "fcmi", "imsat",
    ]  # fmt: skip
    assert cli.main(["methods", "dec"]) == 0
    assert 'optimizer {"sgd", "adam"}, default="sgd"' in capsys.readouterr().out
    assert cli.main(["methods", "k-means"]) == 2
    err = capsys.readouterr().err
    assert "there is no method 'k-means' with settings; expected one of kmeans, falg" in err
    assert "ae, clustergan" in err


@pytest.mark.slow
def test_a_control_of_fairness_reaches_deepfca(people, capsys):
    arguments = (people, "--sensitive", "sex", "--clusters", 3, "--method", "deepfca", "--min-balance", 0.5, "--json")
    code, out, err = fit(capsys, *arguments)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["parameters"]["min_balance"] == 0.5
    assert found["balance"] > 0.4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--method", "fcmi", "--epsilon", 0.1), "--epsilon belongs to --method direct and deepfca"),
        (("--method", "deepfca", "--max-iter", 5), "--max-iter belongs to --method direct"),
        (("--method", "fcmi", "--partition-size", 5), "--partition-size belongs to --method exact and sinkhorn"),
        (("--method", "deepfca", "--transport-weight", 2), "--transport-weight belongs to --method exact and sinkhorn"),
        (("--method", "deepfca", "--reg", 1), "no meaning for deepfca; give it by --set"),
        (("--method", "ae", "--resume"), "--resume needs --checkpoint-dir"),
        (("--method", "k-means"), "--method is 'k-means'; expected one of direct, exact, sinkhorn, kmeans, falg"),
        (("--set", "lr=1"), "--set belongs to other methods (kmeans, falg"),
        (("--method", "dec", "--set", "lr"), "--set 'lr' has no value; expected NAME=VALUE"),
        (("--method", "dec", "--set", "lr=fast"), "--set lr: lr is 'fast'; expected a finite number of at least 0"),
        (("--method", "dec", "--set", "update-evry=3"), "dec has no setting of that name; did you mean update_every?"),
        (("--method", "dec", "--set", "n_clusters=3"), "this setting has the option --clusters"),
        (("--method", "fcmi", "--set", "group_decoders=maybe"), "group_decoders is 'maybe'; expected True or False"),
        (("--resume",), "--checkpoint-dir, --checkpoint-every and --resume belong to the deep"),
        (("--sensitive", "sex", "--method", "fcmi", "--devices", 1000), "--devices is 1000; there "),
        (
            ("--checkpoint-dir", "run"),
            "belong to the deep methods (ae, clustergan, dac, dcn, dec, deepfca, dfc, fair-imsat, fairoid, fcmi, "
            "imsat)",
        ),
    ],
)
def test_options_of_the_other_kind(people, capsys, arguments, words):
    code, out, err = fit(capsys, people, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [(KeyboardInterrupt, 130, "stopped by Ctrl-C"), (SystemExit(143), 143, "stopped by SIGTERM")],
)
def test_an_interruption_says_how_to_go_on(people, tmp_path, capsys, monkeypatch, end, code, words):
    def stop(*_, **__):
        (tmp_path / "run" / "100").mkdir(parents=True)
        raise end

    monkeypatch.setattr("fairjax.deep.FCMI.fit", stop)
    folder = tmp_path / "run"
    arguments = ("--sensitive", "sex", "--method", "fcmi", "--checkpoint-dir", folder)
    found, out, err = fit(capsys, people, *arguments)
    assert (found, out) == (code, "")
    assert f"{words}; the training is kept in {folder}: go on with --resume" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("method", "side"), [("fcmi", 28), ("dfc", 32), ("direct", 32)])
def test_sets_of_images_have_the_size_of_the_methods_protocol(method, side, capsys, monkeypatch):
    from fairjax.errors import InputError

    def load(name, *, size=32, **_):
        raise InputError(f"{name} of side {size}")

    monkeypatch.setattr("fairjax.datasets.load", load)
    code, _, err = fit(capsys, "mnist-usps", "--method", method)
    assert (code, err) == (2, f"fairjax: mnist-usps of side {side}\n")


# Processes that are ended from outside

_CHILD = """
import sys
import numpy as np
from fairjax.deep import AEKMeans
X = np.random.default_rng(0).random((500, 16))
model = AEKMeans(4, steps=30_000, batch_size=64, n_init=1, checkpoint_dir=sys.argv[1], resume=True,
                 checkpoint_every=300, random_state=0)
np.save(sys.argv[2], model.fit(X).predict_proba(X))
"""


def start(folder, result):
    return subprocess.Popen([sys.executable, "-c", _CHILD, folder, result], stderr=subprocess.PIPE, text=True)


def newest(folder):
    """Number of the newest whole checkpoint, or 0."""
    if not folder.is_dir():
        return 0
    return max((int(name) for name in os.listdir(folder) if name.isdigit()), default=0)


def wait_beyond(folder, step, process):
    for _ in range(6000):
        if newest(folder) > step:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError("no checkpoint came")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_ended_process_loses_nothing(tmp_path, number):
    folder, result = tmp_path / "run", tmp_path / "result.npy"
    behind = 0
    for _ in range(3):
        process = start(folder, result)
        wait_beyond(folder, behind, process)
        process.send_signal(number)
        _, words = process.communicate(timeout=120)
        assert process.returncode in (-number, 128 + number, 1), words
        assert newest(folder) > behind
        behind = newest(folder)
        assert not result.exists()
    process = start(folder, result)
    _, words = process.communicate(timeout=300)
    assert process.returncode == 0, words
    # the same without an interruption, in a folder of its own
    whole = tmp_path / "whole.npy"
    process = start(tmp_path / "other", whole)
    process.communicate(timeout=300)
    np.testing.assert_array_equal(np.load(result), np.load(whole))
