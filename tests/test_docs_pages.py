"""The pages say what is so: their figures are in the records, their commands parse, README's code runs as it stands."""

import contextlib
import doctest
import importlib
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

import fairjax
from fairjax import cli

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
README = ROOT / "README.md"


@pytest.fixture(scope="module")
def records() -> ModuleType:
    return importlib.import_module("benchmarks.records")


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    return importlib.import_module("benchmarks.tables.pages")


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_every_figure_on_a_page_is_in_a_record(records):
    n_figures, n_tables = 0, 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"\{measured\}`([^`]+)`", text):
            n_figures += bool(records.figure(path))
        for path, body in re.findall(r"^```\{measured-table\} (.+?)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            options = dict(re.findall(r"^:(\w+): (.+)$", body, re.MULTILINE))
            columns = [line for line in body.splitlines() if not line.startswith(":")]
            n_tables += bool(records.table(path, columns, **options))
    assert n_figures > 30
    assert n_tables > 10


def test_every_table_is_that_of_its_record(tables):
    texts = [path.read_text(encoding="utf-8") for path in tables.FILES]
    assert [name for text in texts for name in tables.differing(text)] == []  # python -m benchmarks tables
    assert sorted(tables.TABLES) == sorted(re.findall(r"<!-- table: (.+) -->\n", "".join(texts)))


def test_every_sentence_that_quotes_a_record_says_what_it_holds(tables):
    assert [*tables.misquoted()] == []


def test_a_table_that_was_changed_by_hand_is_named(tables):
    path = tables.FILES[0]
    text = path.read_text(encoding="utf-8")
    changed = text.replace("| 0.3148 | 0.4941 | 0.4943 |", "| 0.3100 | 0.4941 | 0.4943 |", 1)
    assert [*tables.differing(changed)] == ["methods"]
    assert tables.rewritten(changed) == text


def test_the_reader_of_records_does_what_its_examples_say(records):
    assert doctest.testmod(records).failed == 0


def test_a_figure_that_no_record_holds_is_named(records):
    with pytest.raises(records.MissingFigureError, match="there is no record nothing"):
        records.figure("nothing / at all -> .2f")
    with pytest.raises(records.MissingFigureError, match="nothing at 'price'"):
        records.figure("direct-targets / rows / 0 / price -> .2f")


def test_a_column_without_a_figure_is_missed_unless_it_is_optional(records):
    path, columns = "direct-targets / rows", ["data = data", "price = price -> .2f"]
    with pytest.raises(records.MissingFigureError, match=r"no item of .* has anything at 'price'"):
        records.table(path, columns)
    assert records.table(path, columns, optional="price")[0] == ["data"]


def commands() -> list[str]:
    found = []
    for page in [README, *PAGES]:
        for block in blocks(page, "bash"):
            found += re.findall(r"^fairjax .*$", block, re.MULTILINE)
    return found


def test_every_command_on_a_page_parses():
    parser = cli._parser()
    assert len(commands()) > 15
    for command in commands():
        words = shlex.split(command.partition(" < ")[0], comments=True)[1:]
        with contextlib.suppress(SystemExit):  # --help
            parser.parse_args(words)


def test_code_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = blocks(README, "python")
    assert len(code) >= 3
    names: dict[str, object] = {}
    for block in code:
        exec(compile(block, str(README), "exec"), names)
    assert {"model.npz", "report.html"} <= {path.name for path in tmp_path.iterdir()}


def rooms_in_order() -> list[str]:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `fairjax/(\w+)/` \|", text, re.MULTILINE)


def test_every_room_has_a_page_and_a_line_for_contributors():
    rooms = {path.parent.name for path in (ROOT / "fairjax").glob("[a-z_]*/__init__.py")}
    assert sorted(rooms_in_order()) == sorted(rooms)
    public = {name for name in fairjax.__all__ if name in rooms}
    assert public <= {path.stem for path in (ROOT / "docs" / "api").glob("*.rst")}


def test_rooms_import_only_those_above_them():
    order = rooms_in_order()
    for i, room in enumerate(order):
        below = set(order[i + 1 :])
        for path in (ROOT / "fairjax" / room).rglob("*.py"):
            if (room, path.name) == ("saving", "loading.py"):
                continue  # makes models of the rooms below, when it is called
            text = path.read_text(encoding="utf-8")
            imported = set(re.findall(r"^\s*(?:from|import) fairjax\.(\w+)", text, re.MULTILINE))
            for names in re.findall(r"^\s*from fairjax import (.+)$", text, re.MULTILINE):
                imported |= set(re.findall(r"\w+", names))
            assert not imported & below, f"{path} imports {imported & below}, which stand below {room}"


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {fairjax.__version__}\n" in citation
