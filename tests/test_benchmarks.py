"""The benchmarks are what the catalogue says: modules, records, public imports; the runner goes on where it stopped."""

import argparse
import ast
import importlib
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import catalogue, measure, running

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks"
FORWARDS = {"accelerator.py", "deep_real.py"}
MODULES = sorted(path for path in FOLDER.rglob("*.py") if path.parent != FOLDER)
RECORDS = sorted(path for path in (FOLDER / "results").glob("*.json"))


def source_of(module: str) -> ast.Module:
    return ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))


def assigned(tree: ast.Module) -> set[str]:
    found = {name.id for node in tree.body if isinstance(node, ast.Assign) for name in node.targets
             if isinstance(name, ast.Name)}  # fmt: skip
    return found | {node.target.id for node in tree.body
                    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}  # fmt: skip


@pytest.mark.parametrize("name", catalogue.CASES)
def test_a_case_is_a_module_with_sections(name):
    tree = source_of(catalogue.CASES[name].module)
    assert ast.get_docstring(tree)
    assert "SECTIONS" in assigned(tree)
    listed = ast.unparse(next(
        node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)
        and "SECTIONS" in ast.unparse(node).split("=")[0]
    ))  # fmt: skip
    sections = catalogue.CASES[name].sections
    # sections whose names are put together stand in a table of their own
    plain = [section for section in sections if not section.startswith("sweep-")]
    assert [section for section in plain if f"'{section}'" not in listed] == []


def test_every_record_comes_from_a_section():
    known = {section.record for case in catalogue.CASES.values() for section in case.sections.values()} - {""}
    # a record of some pieces, or of another size, has the name of the section's and a word more
    strange = [path.stem for path in RECORDS if path.stem not in known
               and not any(path.stem.startswith(f"{name}-") for name in known)]  # fmt: skip
    assert strange == []


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_begins_with_what_repeats_it(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    assert list(record)[:5] == ["benchmark", "command", "date", "machine", "versions"]
    words = re.fullmatch(r"python -m benchmarks (\S+)(?: ([a-z][\w-]*))?(?: --.*)?", record["command"])
    assert words, record["command"]
    sections = catalogue.CASES[words[1]].sections
    assert len(sections) == 1 if words[2] is None else words[2] in sections
    assert not re.search(r"/(home|tmp|root|work)/", path.read_text(encoding="utf-8"))


def imported(path: Path) -> list[tuple[str, str]]:
    """Packages and names that a file imports from fairjax."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fairjax":
            found += [(node.module, alias.name) for alias in node.names]
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names if alias.name.startswith("fairjax.")]
    return found


# what looks inside an algorithm, to time its parts
INSIDE = {
    "alignment/parts.py", "direct/search.py", "gpu/passes.py", "scale/sharded.py",
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_only_public_names_are_imported(path):
    if str(path.relative_to(FOLDER)) in INSIDE:
        return
    for module, name in imported(path):
        public = importlib.import_module(module)
        listed = getattr(public, "__all__", None) or []
        assert name in listed, f"{name} is not a public name of {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_files_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 80, node.name


def options(**given):
    return argparse.Namespace(
        **{"quick": False, "out": None, "only": [""], "again": False, "minutes": math.inf} | given
    )


def test_a_record_is_whole_with_its_numbers_in_one_line(tmp_path):
    found = {"places": [1, -2.5, 1e-7], "words": ["[1,", "2]"], "rows": [{"empty": [], "nested": [[1], [2, 3]]}]}
    path = measure.write(tmp_path / "some.json", "some", "python -m benchmarks some", found)
    text = path.read_text(encoding="utf-8")
    assert {name: json.loads(text)[name] for name in found} == found
    assert '"places": [1, -2.5, 1e-07],' in text


def test_pieces_go_on_where_a_run_was_stopped(tmp_path, capsys):
    known = {"a": 1, "c": 3}

    def names(**given):
        run = running.Run("compared", "compared", "some", options(**given), "a command")
        return list(run.pieces("abcd", known.__contains__))

    assert names() == ["b", "d"]
    assert names(again=True) == names(quick=True) == ["a", "b", "c", "d"]
    assert names(only=["c", "d"]) == ["d"]
    assert names(minutes=-1) == []
    assert "b: not begun after -1 minutes" in capsys.readouterr().out


def test_a_record_is_written_whole_with_its_header(tmp_path):
    run = running.Run(
        "direct", "targets", "direct-targets", options(out=tmp_path), "python -m benchmarks direct targets"
    )
    assert run.record() == {}
    run.write({"rows": [1]})
    run.write({"rows": [1, 2]})
    assert [path.name for path in tmp_path.iterdir()] == ["direct-targets.json"]
    record = run.record()
    assert (record["benchmark"], record["command"]) == ("direct targets", "python -m benchmarks direct targets")
    assert record["rows"] == [1, 2]
    assert record["versions"]["fairjax"] == importlib.import_module("fairjax").__version__
    with pytest.raises(ValueError, match="JSON"):
        run.write({"rows": [math.nan]})
    assert run.record() == record


def test_quick_runs_leave_the_records_alone():
    run = running.Run("direct", "targets", "direct-targets", options(quick=True), "")
    assert measure.RESULTS not in run.path.parents
    assert running.Run("direct", "targets", "direct-targets", options(), "").path.parent == measure.RESULTS
    file = Path("elsewhere") / "found.json"
    assert running.Run("direct", "targets", "direct-targets", options(out=file), "").path == file


def test_a_command_tells_what_was_asked_for_and_no_paths():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--torch-python", type=Path)
    parser.add_argument("--joined", action="store_true")

    def command(case, *words):
        return running.command_of(case, "sets", parser, parser.parse_args(words))

    assert command("batches") == "python -m benchmarks batches sets"
    asked = command(
        "batches", "--repeats", "5", "--seconds", "0.5", "--joined", "--torch-python", "/some/where", "--quick"
    )
    assert asked == "python -m benchmarks batches sets --repeats 5 --seconds 0.5 --torch-python PATH --joined --quick"
    # of pieces those that are not run now stay in the record, so that it is none of some
    assert command("compared", "--only", "adult") == "python -m benchmarks compared sets"
    assert command("accelerator", "--only", "adult") == "python -m benchmarks accelerator sets --only adult"


def test_the_list_names_every_case_and_record():
    lines = "\n".join(catalogue.listed())
    for name, case in catalogue.CASES.items():
        assert f"\n{name}: " in f"\n{lines}"
        for section in case.sections.values():
            assert section.what in lines
            assert section.record in lines


@pytest.mark.slow
@pytest.mark.parametrize("words", [["tables", "--check"], ["reading", "--quick"], ["programmes", "--quick"]])
def test_the_runner_runs(words, tmp_path):
    command = [sys.executable, "-m", "benchmarks", *words, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"== {words[0]}")


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(FORWARDS))
def test_an_older_path_forwards(script):
    done = subprocess.run([sys.executable, str(FOLDER / script), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m benchmarks {script.removesuffix('.py').replace('_', '-')}" in done.stdout
