"""The benchmark for accelerators runs, quick, and leaves whole results, however it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "accelerator.py"


def start(path, *options):
    environment = {name: value for name, value in os.environ.items() if name != "FAIRJAX_DATA"}
    command = [sys.executable, str(SCRIPT), "--quick", "--only", "adult,passes", "--out", str(path), *options]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def test_rows_of_the_direct_route(tmp_path):
    process = start(tmp_path / "found.json")
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert list(tmp_path.iterdir()) == [tmp_path / "found.json"]
    assert "stopped" not in found
    assert str(tmp_path) not in json.dumps(found)

    rows = found["rows"]
    assert [row["section"] for row in rows] == ["adult", *["passes"] * 7]
    assert [row["what"].split(", n=")[0].split(", 1")[0] for row in rows] == [
        "whole fit", "Lloyd iteration, sums by product", "Lloyd iteration, sums by scatter", "iteration of FCA",
        "one reading", "pass", "pass, fused", "iteration of FCA, fused",
    ]  # fmt: skip
    for row in rows:
        assert "error" not in row
        assert "skipped" not in row
        assert row["what"] in printed
        assert row["seconds"]["median"] > 0
        assert row["compile_seconds"] > 0
        assert row["dtype"] == "float32"
        assert row["device"]
    for row in (rows[0], rows[3], rows[-1]):
        assert row["status"] == [0]
        assert 0 <= row["gap"] <= 1e-5
        assert row["cost"] > 0
    assert rows[0]["converged"] == 1
    assert rows[3]["iterations_timed"] == rows[-1]["iterations_timed"] == 3
    least = min(row["seconds"]["median"] for row in rows[1:3])
    assert rows[3]["times_lloyd"] == pytest.approx(rows[3]["seconds"]["median"] / least)
    assert rows[5]["cost"] == pytest.approx(rows[6]["cost"], rel=1e-5)
    assert rows[6]["times_one_reading"] == pytest.approx(rows[6]["seconds"]["median"] / rows[4]["seconds"]["median"])


def test_stops_at_the_budget(tmp_path):
    process = start(tmp_path / "found.json", "--budget", "0.5")
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["stopped"].startswith("at the end of the budget, in whole_fit")
    assert found["rows"] == []
    assert "stopped at the end of the budget" in printed


def test_a_signal_leaves_whole_rows(tmp_path):
    process = start(tmp_path / "found.json")
    assert process.stdout.readline().startswith("== accelerator")
    assert process.stdout.readline().startswith("whole fit")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["stopped"].startswith("by a signal, in iteration")
    assert len(found["rows"]) == 1
