"""Endings from outside: memory that runs out, signals, forks, two trainings in one folder, protected files."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

from fairjax import FCA, cli, metrics
from fairjax._core import forks, memory
from fairjax._core.atomic import replacing, write_all
from fairjax.deep.training import checkpoints
from fairjax.errors import InputError, OutOfMemoryError

X = np.random.default_rng(0).normal(size=(60, 3))
GROUPS = np.arange(60) % 2
ERRORS = {
    "numpy": MemoryError("Unable to allocate 7.25 GiB for an array with shape (300000, 3000) and data type float64"),
    "jax": jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 7784628224 bytes."),
    "jax, internal": jax.errors.JaxRuntimeError("INTERNAL: Out of memory allocating 7784628224 bytes."),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_memory_that_runs_out_says_what_would_fit(kind, monkeypatch, capsys):
    def exhausted(*_, **__):
        raise ERRORS[kind]

    monkeypatch.setattr("fairjax.fca.fitting.fit", exhausted)
    monkeypatch.setattr(memory, "free", lambda: 2e9)
    with pytest.raises(OutOfMemoryError, match=r"ran out with 60 rows and 40 clusters: one block of 7\.8 GB") as told:
        FCA(40).fit(X, sensitive_features=GROUPS)
    assert isinstance(told.value, MemoryError)
    assert "2 GB are free; about 5 clusters would fit, or 7 rows" in str(told.value)
    assert cli.main(["fit", "--clusters", "40", "--quiet"]) == 2
    assert "memory ran out with 442 rows and 40 clusters" in capsys.readouterr().err


def test_memory_that_runs_out_in_reading_is_a_sentence(monkeypatch, capsys):
    def exhausted(*_, **__):
        raise ERRORS["numpy"]

    monkeypatch.setattr("fairjax.datasets.load", exhausted)
    assert cli.main(["fit", "--quiet"]) == 2
    assert "do not fit into memory: one block of 7.8 GB was asked for" in capsys.readouterr().err


def test_other_errors_are_no_lack_of_memory():
    with pytest.raises(RuntimeError, match="INTERNAL: something else"), memory.explained(60, 3):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")
    assert 0 < memory.free() < 1e15


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize(
    "compute",
    [
        lambda: FCA(2).fit(X, sensitive_features=GROUPS),
        lambda: metrics.balance(GROUPS, GROUPS),
    ],
    ids=["fit", "metrics"],
)
def test_a_fork_of_a_process_where_jax_was_at_work_is_told(compute):
    jax.numpy.ones(3).block_until_ready()
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX and Python warn of the fork itself
        child = os.fork()
    if child == 0:
        try:
            compute()
            os.write(writer, b"computed")
        except InputError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read().decode()
    os.waitpid(child, 0)
    assert "forked from one in which JAX was at work" in said
    assert 'get_context("spawn")' in said
    forks.check()  # all is well in the parent


# the main thread is away for seconds in code that hears no signal, as in a compilation
_AWAY = """
import bz2, os
from fairjax.cli import interrupt
interrupt.listen()
data = os.urandom(1 << 26)
print("away", flush=True)
bz2.compress(data)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_is_answered_while_the_main_thread_is_away(name):
    number = getattr(signal, name)
    command = f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{_AWAY}"
    process = subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "away\n"
    time.sleep(0.2)  # until it is away
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    said = "Ctrl-C" if name == "SIGINT" else name
    assert err == f"fairjax: stopped by {said}; output files are as they were\n"


def test_two_trainings_do_not_share_a_folder(tmp_path):
    with (
        checkpoints.claimed(tmp_path),
        pytest.raises(InputError, match=f"process {os.getpid()}.* is writing checkpoints to"),
        checkpoints.claimed(tmp_path),
    ):
        pytest.fail("both write")
    with checkpoints.claimed(tmp_path):
        pass


def test_an_ended_training_leaves_the_folder_free(tmp_path):
    hold = (
        f"import os, time\nfrom fairjax.deep.training import checkpoints\nc = checkpoints.claimed({str(tmp_path)!r})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", f"{hold}c.__enter__()\nprint('held', flush=True)\ntime.sleep(60)"],
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(InputError, match="another training"), checkpoints.claimed(tmp_path):
        pass
    process.kill()
    process.communicate(timeout=60)
    for _ in range(100):
        try:
            with checkpoints.claimed(tmp_path):
                return
        except InputError:
            time.sleep(0.05)
    pytest.fail("the lock outlived its process")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is protected from root")
def test_a_protected_file_is_not_replaced(tmp_path):
    old = tmp_path / "old.csv"
    old.write_text("old")
    old.chmod(0o444)
    for write in (lambda: write_all([(str(old), b"new")]), lambda: replacing(old).__enter__()):
        with pytest.raises(InputError, match="is write-protected"):
            write()
    assert old.read_text() == "old"


def test_a_replaced_file_keeps_what_was_its_own(tmp_path):
    old, link = tmp_path / "old.csv", tmp_path / "link.csv"
    old.write_text("old")
    old.chmod(0o640)
    link.symlink_to(old)
    with replacing(link) as stream:
        stream.write(b"new")
    assert (old.read_text(), link.is_symlink(), old.stat().st_mode & 0o777) == ("new", True, 0o640)
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["link.csv", "old.csv"]
