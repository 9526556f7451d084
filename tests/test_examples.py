"""The example scripts run as they are and print what they promise."""

import runpy
import warnings
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PROMISED = {
    "adult": "best possible",
    "algorithm_1": "proportions of the clusters",
    "fairness_sweep": "epsilon",
    "training_step": "step 30",
    "pipeline": "Patients by cluster and sex",
    "export_assignment": "assigned as by predict",
}


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PROMISED)


SWEEP = pytest.param("fairness_sweep", marks=pytest.mark.slow)  # compiles a whole fit under vmap


@pytest.mark.parametrize("name", [SWEEP if name == "fairness_sweep" else name for name in PROMISED])
def test_example_runs(name, capsys, monkeypatch, tmp_path):
    # without the file of Adult its example takes the bundled cohort, here as on any machine
    monkeypatch.delenv("FAIRJAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr()
    assert PROMISED[name] in printed.out
    assert "nan" not in printed.out.lower()
