"""Checkpoints of a fit over blocks: it goes on as if it had not been interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from compilation import for_children
from streaming_cases import K, cut, people

from fairjax import FCA
from fairjax.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


_CHILD = """
import sys, warnings
import numpy as np
from fairjax import FCA
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
from compilation import optimiser
from streaming_cases import K, cut, people
X, groups = people(2000)
model = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=int(sys.argv[3]))
with optimiser(False):  # as here, or last digits would differ
    model.fit_blocks(cut(X, groups, 700), checkpoint_dir=sys.argv[2], resume=True)
"""


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    X, groups = people(2000)
    table = cut(X, groups, 700)
    whole = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=5).fit_blocks(table)
    FCA(K, random_state=0, init=X[:K], tol=0, max_iter=2).fit_blocks(table, checkpoint_dir=tmp_path)
    assert (tmp_path / "fit.npz").stat().st_size < 10_000
    with pytest.raises(InputError, match="holds the checkpoint of a fit already"):
        FCA(K, max_iter=2).fit_blocks(table, checkpoint_dir=tmp_path)
    model = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=5).fit_blocks(
        table, checkpoint_dir=tmp_path, resume=True
    )
    assert model.n_iter_ == 5
    assert model.cost_ == whole.cost_
    np.testing.assert_array_equal(model.cluster_centers_, whole.cluster_centers_)
    np.testing.assert_array_equal(model.result_.history, whole.result_.history)
    np.testing.assert_array_equal(model.streamed_.rule.labels, whole.streamed_.rule.labels)
    np.testing.assert_array_equal(model.start_centers_, whole.start_centers_)
    for other, words in (
        (FCA(K, epsilon=0.1), "a fit with epsilon=0.0, and this one has 0.1"),
        (FCA(K + 1), "n_clusters=4"),
    ):
        with pytest.raises(InputError, match=words):
            other.fit_blocks(table, checkpoint_dir=tmp_path, resume=True)
    X[0] += 1
    with pytest.raises(InputError, match="of other data"):
        FCA(K).fit_blocks(cut(X, groups), checkpoint_dir=tmp_path, resume=True)
    (tmp_path / "fit.npz").write_bytes(b"torn")
    with pytest.raises(InputError, match="damaged"):
        FCA(K).fit_blocks(table, checkpoint_dir=tmp_path, resume=True)


def test_a_disk_that_is_full_at_a_checkpoint(tmp_path, monkeypatch):
    """The fit ends with a sentence, and the checkpoint before is as it was."""
    X, groups = people(2000)
    table, settings = cut(X, groups, 700), {"random_state": 0, "init": X[:K], "tol": 0}
    FCA(K, max_iter=1, **settings).fit_blocks(table, checkpoint_dir=tmp_path)
    before = (tmp_path / "fit.npz").read_bytes()

    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(InputError, match="No space left on device"):
        FCA(K, max_iter=2, **settings).fit_blocks(table, checkpoint_dir=tmp_path, resume=True)
    assert (tmp_path / "fit.npz").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"fit.npz", ".lock"}


def killed(tmp_path, n_kills, n_iter, rng):
    """Kill a fit so many times, each a moment after it has got on; then let it end here."""
    folder = tmp_path / "run"
    for _ in range(n_kills):
        before = iteration_of(folder)
        arguments = [sys.executable, "-c", _CHILD, str(Path(__file__).parent), str(folder), str(n_iter)]
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=for_children())
        try:
            while iteration_of(folder) <= before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(0.3 * rng.random())
            process.send_signal(signal.SIGKILL)
            _, words = process.communicate(timeout=60)
            assert process.returncode in (0, -signal.SIGKILL), words
        finally:
            process.kill()
    X, groups = people(2000)
    model = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=n_iter)
    return model.fit_blocks(cut(X, groups, 700), checkpoint_dir=folder, resume=True)


def iteration_of(folder):
    """Iterations of the fit that is kept there; a torn file would be none."""
    if not (folder / "fit.npz").exists():
        return 0
    with np.load(folder / "fit.npz") as kept:
        return len(kept["history"])


@pytest.mark.slow
@pytest.mark.parametrize(("n_kills", "n_iter"), [(2, 40), (20, 400)])
def test_a_killed_fit_ends_as_if_it_had_not_been(tmp_path, n_kills, n_iter):
    X, groups = people(2000)
    whole = FCA(K, random_state=0, init=X[:K], tol=0, max_iter=n_iter).fit_blocks(cut(X, groups, 700))
    model = killed(tmp_path, n_kills, n_iter, np.random.default_rng(0))
    assert model.n_iter_ == whole.n_iter_
    assert model.cost_ == whole.cost_
    np.testing.assert_array_equal(model.result_.history, whole.result_.history)
