"""One of several processes on this machine, for test_parallel_processes.py; a line of JSON tells what it found."""

import json
import os
import signal
import sys
import tempfile
import warnings

import jax
import numpy as np

import fairjax
from fairjax import FCA, parallel
from fairjax.errors import InputError, LostProcessError

K, ITERATIONS = 3, 6
SHARES = {2: (4_000, 2_001), 3: (700, 0, 5_301)}


def data():
    """Overlapping blobs of three features, whose groups lie apart."""
    rng = np.random.default_rng(1)
    middle = 2 * rng.normal(size=(K, 3))
    X = (middle[rng.integers(K, size=6_001)] + rng.normal(size=(6_001, 3))).astype(np.float32)
    sex = np.where(rng.random(6_001) < 1 / (1 + np.exp(-X[:, 0])), "f", "m")
    return X, sex


def model(n_devices):
    return FCA(K, random_state=0, max_iter=ITERATIONS, n_devices=n_devices)


def told(found):
    return {
        "cost": found.cost_, "gap": found.gap_, "status": found.status_, "balance": found.balance_,
        "labels": found.labels_.tolist(), "groups": list(found.group_names_), "inertia": found.inertia_,
        "centers": found.cluster_centers_.tolist(), "soft": found.assignment().sum(1).tolist()[:9],
    }  # fmt: skip


def fit(n_processes, process):
    """A fit of unequal shares, of which one may be empty."""
    X, sex = data()
    first = sum(SHARES[n_processes][:process])
    own = slice(first, first + SHARES[n_processes][process])
    found = model("all").fit(X[own], sensitive_features=sex[own])
    return told(found) | saved(found, X[:9], sex[:9])


def saved(found, X, sex):
    """What a model that each process saves says of its rows, and whether it predicts as before."""
    with tempfile.TemporaryDirectory() as folder:
        found.save(f"{folder}/model.npz")
        loaded = fairjax.load(f"{folder}/model.npz")
    same = loaded.predict(X, sensitive_features=sex) == found.predict(X, sensitive_features=sex)
    words = {}
    for name, ask in {"labels_": lambda: loaded.labels_, "assignment": loaded.assignment}.items():
        try:
            ask()
        except AttributeError as error:
            words[name] = str(error)
    kept = loaded.cost_ == found.cost_ and loaded.result_.assignment.labels.size == 0
    return {"predicts": bool(same.all()), "kept": bool(kept), "words": words}


def lie(n_processes, process):
    """A fit of an array whose rows lie on the devices of all processes."""
    X, sex = data()
    n_own = 6_000 // n_processes
    own = slice(process * n_own, (process + 1) * n_own)
    split = parallel.split_rows(parallel.data_mesh())
    spread = jax.make_array_from_process_local_data(split, X[own])
    found = model(1).fit(spread, sensitive_features=sex[own])
    same = found.predict(spread, sensitive_features=sex[own]) == found.labels_
    return told(found) | {"same": float(np.mean(same))}


def refuse(n_processes, process):
    """Bad input of one process is told by all."""
    X, sex = data()
    if process == 1:
        X[3, 1] = np.nan
    try:
        model("all").fit(X, sensitive_features=sex)
    except InputError as error:
        return str(error)


def lose(n_processes, process):
    """The last process is killed before the fit."""
    X, sex = data()
    if process == n_processes - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        model("all").fit(X, sensitive_features=sex)
    except LostProcessError as error:
        return str(error)


if __name__ == "__main__":
    names, port, *numbers = sys.argv[1:]
    n_processes, process = map(int, numbers)
    jax.config.update("jax_disable_most_optimizations", True)
    warnings.simplefilter("ignore")  # so few iterations
    parallel.start(f"127.0.0.1:{port}", n_processes=n_processes, process=process)
    for name in names.split(","):
        print(json.dumps(globals()[name](n_processes, process)), flush=True)
