"""One fit by several processes on this machine, which find each other by gloo; and those that do not come, or go."""

import json
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import joined_runs
import numpy as np
import pytest
from compilation import for_children
from joined_processes import ended, free_port

from fairjax import parallel
from fairjax._core import joining
from fairjax.errors import InputError


def together(names, n_processes):
    """Lines of standard output, standard error and exit code of each process that runs functions of joined_runs.py."""
    script, port = Path(joined_runs.__file__), free_port()
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), ",".join(names), str(port), str(n_processes), str(number)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=for_children(),
        )
        for number in range(n_processes)
    ]  # fmt: skip
    return [  # without what gloo tells there
        ([line for line in out.splitlines() if not line.startswith("[Gloo]")], err, code)
        for out, err, code in ended(processes, 300)
    ]


def answers(name, n_processes):
    found = together([name], n_processes)
    for _, err, code in found:
        assert code == 0, err[-2000:]
    return [json.loads(out[-1]) for out, _, _ in found]


@pytest.fixture(scope="module")
def pair():
    """Two processes that refuse bad input, then fit, and then lose one of them."""
    return together(["refuse", "fit", "lose"], 2)


def test_processes_fit_as_one(pair):
    """Of unequal shares: the same cost and centres everywhere, and each its own rows' labels."""
    assert [len(out) for out, _, _ in pair] == [3, 2], pair
    assert_as_one([json.loads(out[1]) for out, _, _ in pair])


@pytest.mark.slow
def test_three_processes_fit_as_one():
    """One of them without rows."""
    assert_as_one(answers("fit", 3))


def assert_as_one(found):
    X, sex = joined_runs.data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few iterations
        one = joined_runs.model(1).fit(X, sensitive_features=sex)
    for own, share in zip(found, joined_runs.SHARES[len(found)], strict=True):
        np.testing.assert_allclose(own["cost"], one.cost_, rtol=1e-5)
        np.testing.assert_allclose(own["inertia"], one.inertia_, rtol=1e-5)
        np.testing.assert_allclose(own["centers"], one.cluster_centers_, atol=1e-3)
        assert own["status"] == 0
        assert own["gap"] <= 1e-5
        assert own["groups"] == ["f", "m"]
        assert own["balance"] > one.max_balance_ - 0.01
        assert len(own["labels"]) == share
        assert np.all(np.abs(np.array(own["soft"]) - 1) < 1e-5)
        # no file holds the rows of one process as if they were all
        assert own["kept"]
        assert own["predicts"]
        assert set(own["words"]) == {"labels_", "assignment"}
        assert all(f"that of {len(found)} processes" in words for words in own["words"].values())
    labels = np.concatenate([own["labels"] for own in found])
    assert np.mean(labels == one.labels_) > 0.998


@pytest.mark.slow
def test_an_array_over_processes_is_taken_as_it_lies():
    found = answers("lie", 2)
    assert found[0]["cost"] == found[1]["cost"]
    for own in found:
        assert own["status"] == 0
        assert own["gap"] <= 1e-5
        assert len(own["labels"]) == 3_000
        assert own["same"] > 0.99


def test_bad_input_of_one_process_is_told_by_all(pair):
    words = [json.loads(out[0]) for out, _, _ in pair]
    assert words[0] == words[1]
    assert words[0].startswith("process 1: Input X contains NaN")


def test_a_lost_process_ends_the_others(pair):
    """With a sentence, and soon: the pair is waited for no longer than five minutes."""
    (out, err, code), (_, _, lost) = pair
    assert lost == -9
    assert code == 1, err[-2000:]
    assert "process 0 of 2 lost another one and cannot go on" in out[2]


def test_a_coordinator_that_does_not_answer():
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(InputError, match=rf"no coordinator answered at {address} within 0\.3 s; start process 0 there"):
        parallel.start(address, n_processes=2, process=1, timeout=0.3)


def test_processes_that_do_not_come():
    with pytest.raises(InputError, match=r"after 0\.3 s processes 1 and 2 of 3 had not come to process 0"):
        parallel.start(f"127.0.0.1:{free_port()}", n_processes=3, process=0, timeout=0.3)


def test_a_port_that_is_taken():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f"process 0 cannot listen at port {port}: "):
            joining.meet("127.0.0.1", port, 2, 0, 0.3)


@pytest.mark.parametrize(
    ("coordinator", "numbers", "message"),
    [
        ("somewhere", {"n_processes": 2, "process": 0}, "coordinator is 'somewhere'; expected HOST:PORT"),
        ("a:99999", {"n_processes": 2, "process": 0}, "coordinator is 'a:99999'; expected HOST:PORT"),
        ("a:1", {"n_processes": 2, "process": 2}, "process is 2 of 2; expected 0 to 1"),
        ("a:1", {"n_processes": 2}, "process is None; expected a whole number of at least 0"),
        (None, {"process": 1}, "given without a coordinator"),
    ],
)
def test_addresses_and_numbers(coordinator, numbers, message):
    with pytest.raises(InputError, match=message):
        parallel.start(coordinator, **numbers)
