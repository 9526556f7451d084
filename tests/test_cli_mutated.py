"""Files with mutated bytes on the command line: every one ends in a code, in seconds, with one sentence."""

import bz2
import gzip
import io
import random
import time
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from cli_cases import run


@pytest.fixture
def folder(tmp_path, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


TOKENS = (
    b",", b";", b"\t", b'"', b"'", b"\n", b"\r", b"\0", b"\xff", b"1e999", b"nan", b"NA", b"-", b"=1+1",
    b"\xef\xbb\xbf", b"\\", b"#", b" ", b"9" * 30, b"1,234", b"1.234,5", b"31/12/2020", b"true", b"\x1b[2J", b"%",
    b"\xe2\x80\xae",
)  # fmt: skip


def seeds():
    """Small files of every format."""
    draw = random.Random(0)
    frame = pd.DataFrame(
        {
            "age": [draw.randint(18, 90) for _ in range(24)],
            "income": [round(draw.gauss(3e3, 1e3), 2) for _ in range(24)],
            "job": [draw.choice(["cook", "nurse, RN", 'say "hi"', ""]) for _ in range(24)],
            "day": pd.date_range("2024-01-01", periods=24),
            "sex": [draw.choice("FM") for _ in range(24)],
        }
    )
    frame.loc[3, "income"] = np.nan
    text = frame.to_csv(index=False).encode()
    found = [("a.csv", text), ("a.csv", frame.to_csv(sep=";", decimal=",", index=False).encode())]
    found += [("a.tsv", frame.to_csv(sep="\t").encode()), ("a.txt", text.decode().encode("utf-16"))]
    found += [("a.csv.gz", gzip.compress(text)), ("a.csv.bz2", bz2.compress(text))]
    for put, name in ((frame.to_parquet, "a.parquet"), (frame.to_feather, "a.feather")):
        stream = io.BytesIO()
        put(stream)
        found.append((name, stream.getvalue()))
    found.append(("a.csv.zst", pa.compress(text, codec="zstd", asbytes=True)))
    stream = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    found.append(("a.arrow", stream.getvalue()))
    stream = io.BytesIO()
    frame.to_excel(stream, index=False)
    found.append(("a.xlsx", stream.getvalue()))
    stream = io.BytesIO()
    np.savez(stream, X=frame[["age", "income"]].fillna(0).to_numpy(float), sensitive=frame["sex"].to_numpy(str))
    found.append(("a.npz", stream.getvalue()))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", text)
    found.append(("a.zip", stream.getvalue()))
    return found


def mutated(content, draw):
    data = bytearray(content)
    for _ in range(draw.choice([0, 1, 1, 2, 3, 8])):
        place, kind = draw.randrange(len(data) + 1), draw.randrange(6)
        if kind == 0 and data:
            data[min(place, len(data) - 1)] = draw.randrange(256)
        elif kind == 1:
            data[place:place] = draw.choice(TOKENS)
        elif kind == 2:
            del data[place : place + draw.choice([1, 2, 10, 100])]
        elif kind == 3:
            data[place:place] = data[place : place + draw.choice([5, 50, 200])]
        elif kind == 4 and draw.random() < 0.2:
            data = data[:place]
        else:
            swapped = (draw.choice([b",", b"\n", b'"', b"1"]), draw.choice(TOKENS), draw.choice([1, 5, -1]))
            data = bytearray(bytes(data).replace(*swapped))
    return bytes(data)


WAYS = (
    (),
    ("--sensitive", "sex"),
    ("--sensitive", "sex", "--missing", "mean", "--categorical", "one-hot", "--dates", "number"),
    ("--sensitive", "sex,job", "--missing-group", "--min-group", "3"),
)


def inside(content, draw):
    """A workbook with one of its files mutated, since a changed byte of the archive is seldom more than that."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        changed = draw.choice(old.namelist())
        for name in old.namelist():
            new.writestr(name, mutated(old.read(name), draw) if name == changed else old.read(name))
    return stream.getvalue()


def check_endings(folder, capsys, count, seed, fits=0):
    """Every mutated file ends in 0 or 2, in seconds, with a sentence and no character that a terminal would obey."""
    draw, files, codes = random.Random(seed), seeds(), []
    for i in range(count):
        name, content = draw.choice(files)
        change = inside if name == "a.xlsx" and draw.random() < 0.8 else mutated
        (folder / name).write_bytes(change(content, draw))
        command = ["inspect", name, *draw.choice(WAYS)]
        if i < fits:
            command = ["fit", name, *draw.choice(WAYS), "--clusters", "2", "--json", "--max-iter", "2"]
        began = time.process_time()
        code, out, err = run(capsys, *command)
        assert code in (0, 2), (command, err)
        assert time.process_time() - began < (60 if i < fits else 10), command  # a fit may have to be compiled
        assert not (set(out) | set(err)) & {chr(c) for c in (*range(10), *range(11, 32), *range(127, 160))}
        assert (err.count("\n"), bool(out)) == ((0, True) if code == 0 else (1, False))
        assert len(err) < 2500
        codes.append(code)
    assert set(codes) == {0, 2}


def test_a_few_mutated_files(folder, capsys):
    check_endings(folder, capsys, 60, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_ten_thousand_mutated_files(folder, capsys, seed):
    resource = pytest.importorskip("resource")
    check_endings(folder, capsys, 1000, seed, fits=30)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 << 20  # KiB
