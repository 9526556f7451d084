"""The copy of a table that passes read: it changes nothing, and is kept only where it pays."""

import dataclasses
import os
from types import SimpleNamespace

import numpy as np
import pytest
from streaming_cases import G40, X40, D, K, cut, people, problem

from fairjax import FCA
from fairjax.errors import InputError
from fairjax.fca.streaming import fitting, iterations, scratch
from fairjax.fca.streaming.feed import Workshop
from fairjax.fca.streaming.scratch import Scratch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_copy_of_the_table_changes_nothing(tmp_path, monkeypatch):
    X, groups = people()
    whole, _ = problem(cut(X, groups, 700, 2500))
    plain = fitting.finish(whole, fitting.run(whole, fitting.begin(whole, X[:K].astype(float)), 3))
    kept = Scratch(tmp_path)
    whole = dataclasses.replace(whole, workshop=Workshop(kept))
    state = iterations.step(whole, fitting.begin(whole, X[:K].astype(float)))
    monkeypatch.setattr(whole.intake, "table", None)  # which is not read again
    found = fitting.finish(whole, fitting.run(whole, state, 3))
    assert found.cost == plain.cost
    np.testing.assert_array_equal(found.counts, plain.counts)
    assert not list(tmp_path.iterdir())  # it has no name
    kept.close()
    with pytest.raises(InputError, match=r"cannot be kept in .*nowhere.* \(No such file or directory\)"):
        FCA(K).fit_blocks(cut(X40, G40), scratch_dir=tmp_path / "nowhere")


def test_a_disk_that_is_full_while_the_table_is_copied(tmp_path, monkeypatch):
    X, groups = people()
    whole, _ = problem(cut(X, groups))
    kept = Scratch(tmp_path)
    whole = dataclasses.replace(whole, workshop=Workshop(kept))

    class Full:
        def seek(self, _):
            pass

        def write(self, _):
            raise OSError(28, os.strerror(28))

    kept.close()
    monkeypatch.setattr(kept, "_file", Full())
    with pytest.raises(InputError, match=r"No space left on device.*more room as scratch_dir, or leave that out"):
        iterations.step(whole, fitting.begin(whole, X[:K].astype(float)))


def test_a_copy_that_nobody_asked_for_is_given_up(tmp_path, monkeypatch):
    """Where the disk has turned out to be too small, passes read the table as if there had been no copy."""
    X, groups = people()
    whole, _ = problem(cut(X, groups, 700, 2500))
    plain = fitting.finish(whole, fitting.run(whole, fitting.begin(whole, X[:K].astype(float)), 2))
    kept = Scratch(tmp_path, needed=False)
    write, written = kept._file.write, []

    def fill_up(part):
        written.append(len(part))
        if len(written) > 4:
            raise OSError(28, os.strerror(28))
        return write(part)

    class Small:
        seek, truncate, write = kept._file.seek, kept._file.truncate, staticmethod(fill_up)

    monkeypatch.setattr(kept, "_file", Small())
    whole = dataclasses.replace(whole, workshop=Workshop(kept))
    found = fitting.finish(whole, fitting.run(whole, fitting.begin(whole, X[:K].astype(float)), 2))
    assert kept.given_up
    assert kept.n_bytes == 0
    assert found.cost == plain.cost
    np.testing.assert_array_equal(found.counts, plain.counts)
    monkeypatch.undo()
    kept.close()


@pytest.mark.parametrize(
    ("kind", "memory", "disk", "folder"),
    [
        ("ext4", 100, 200, "tmp"),
        ("tmpfs", 100, 200, None),  # of the machine's memory
        ("ext4", 39, 200, None),  # the system could not keep it at hand
        ("ext4", 100, 79, None),  # the disk would be filled
        ("ext4", None, 200, None),  # nothing is known
    ],
)
def test_where_a_copy_pays(tmp_path, monkeypatch, kind, memory, disk, folder):
    (tmp_path / "mounts").write_text(f"none / {kind} rw 0 0\nother /nowhere tmpfs rw 0 0\n")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(scratch, "_MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(scratch.memory, "machine", lambda: None if memory is None else memory * 2**20)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: SimpleNamespace(free=disk * 2**20))
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr(scratch, "_LEAST", 2**20)
    found = scratch.where_it_pays(10 * 2**20, 2)  # of each of two processes
    assert found == (None if folder is None else str(tmp_path / folder))
    assert scratch.where_it_pays(2**19) is None  # not worth it


@pytest.mark.slow
def test_fits_of_large_tables_keep_a_copy(tmp_path, monkeypatch):
    X, groups = people(2000)
    settings = {"n_clusters": K, "init": X[:K], "max_iter": 2}
    monkeypatch.setattr(scratch, "_LEAST", 1)
    monkeypatch.setattr(scratch, "where_it_pays", lambda n_bytes, _: asked.append(n_bytes) or str(tmp_path))
    asked = []
    model = FCA(**settings).fit_blocks(cut(X, groups, 700))
    assert asked == [model._copied_bytes]
    assert model._copied_bytes >= 2000 * 4 * (D + 2)
    assert not list(tmp_path.iterdir())
    other = FCA(**settings).fit_blocks(cut(X, groups, 700), scratch_dir=None)
    assert (other._copied_bytes, other.cost_) == (0, model.cost_)
    assert len(asked) == 1
