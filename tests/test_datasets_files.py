"""Finding, checking and downloading of data files, and the catalogue of data sets."""

import bz2
import gzip
import hashlib
import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from fairjax import datasets
from fairjax.datasets import files, sources
from fairjax.datasets.files import DataFile
from fairjax.errors import InputError

CONTENT = b"1,2\n3,4\n"
FILE = DataFile(
    name="points.csv",
    paths=("set/points.csv", "points.csv"),
    sha256=(hashlib.sha256(CONTENT).hexdigest(),),
    remedy="ask the author",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Empty data folder and empty cache, so that no real file is seen."""
    data = tmp_path / "data"
    (data / "set").mkdir(parents=True)
    monkeypatch.setenv("FAIRJAX_DATA", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return data


@pytest.mark.parametrize(
    ("place", "packed"),
    [
        ("set/points.csv", CONTENT),
        ("set/points.csv.gz", gzip.compress(CONTENT, mtime=0)),
        ("set/points.csv.bz2", bz2.compress(CONTENT)),
        ("points.csv.gz", gzip.compress(CONTENT, mtime=0)),
        ("set/points.csv", gzip.compress(CONTENT, mtime=0)),  # packed under the plain name
    ],
)
def test_plain_and_packed_files_are_read_alike(folder, place, packed):
    (folder / place).write_bytes(packed)
    assert files.find(FILE) == folder / place
    assert files.read(FILE) == CONTENT


def test_named_folder_comes_before_the_cache(folder):
    cached = files.user_cache() / "set" / "points.csv"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    assert files.find(FILE) == cached
    (folder / "points.csv").write_bytes(CONTENT)
    assert files.find(FILE) == folder / "points.csv"


def test_cache_follows_the_platform(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    for platform, expected in (("linux", ".cache/fairjax"), ("darwin", "Library/Caches/fairjax")):
        monkeypatch.setattr(sys, "platform", platform)
        assert files.user_cache() == Path("/home/someone") / expected


def test_missing_file_says_where_it_was_sought_and_how_to_get_it(folder):
    with pytest.raises(InputError, match=r"points\.csv was not found in .*data nor in .*cache") as error:
        files.read(FILE)
    assert "ask the author and put it at" in str(error.value)
    assert "download" not in str(error.value)
    with pytest.raises(InputError, match=r"download=True \(--download .*\), or take adult\.data from https://archive"):
        datasets.load_adult()
    with pytest.raises(InputError, match=r"cannot be downloaded by fairjax; ask the author"):
        files.read(FILE, download=True)


def test_other_content_is_refused(folder):
    (folder / "points.csv").write_bytes(b"1,2\n3,5\n")
    with pytest.raises(InputError, match=r"is not the expected points\.csv .*SHA-256"):
        files.read(FILE)


@pytest.mark.parametrize("packed", [gzip.compress(CONTENT * 50, mtime=0), bz2.compress(CONTENT * 50)])
@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:12] + b"\xff" * 8 + b[20:]])
def test_damaged_archives_are_refused(folder, packed, damage):
    (folder / "points.csv.gz").write_bytes(damage(packed))
    with pytest.raises(InputError, match="cannot be unpacked"):
        files.read(FILE)


def test_md5_of_the_packed_file_vouches_where_no_sha256_is_published(folder):
    packed = bz2.compress(CONTENT)
    file = replace(FILE, sha256=("0" * 64,), md5=(hashlib.md5(packed).hexdigest(),))
    (folder / "points.csv.bz2").write_bytes(packed)
    assert files.read(file) == CONTENT


def test_download_takes_the_member_checks_it_and_keeps_it_in_the_cache(folder, tmp_path):
    inner, outer = io.BytesIO(), tmp_path / "outer.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep/points.csv", CONTENT)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    file = replace(FILE, url=outer.as_uri(), members=("inner.zip", "deep/points.csv"))
    with pytest.raises(InputError, match="was not found"):
        files.read(file)
    assert files.read(file, download=True) == CONTENT
    kept = files.user_cache() / "set" / "points.csv"
    assert kept.read_bytes() == CONTENT
    outer.unlink()
    assert files.read(file, download=True) == CONTENT  # from the cache


def test_packed_download_keeps_its_form(folder, tmp_path):
    (tmp_path / "points.csv.gz").write_bytes(gzip.compress(CONTENT, mtime=0))
    file = replace(FILE, url=(tmp_path / "points.csv.gz").as_uri())
    assert files.read(file, download=True) == CONTENT
    assert files.find(file) == files.user_cache() / "set" / "points.csv.gz"


@pytest.mark.parametrize("served", [b"<html>no such page</html>", b"PK\x03\x04 cut short", None])
def test_failed_download_leaves_nothing_behind(folder, tmp_path, served):
    address = tmp_path / "served.zip"
    if served is not None:
        address.write_bytes(served)
    for members in ((), ("points.csv",)):
        with pytest.raises(InputError, match=r"ask the author"):
            files.read(replace(FILE, url=address.as_uri(), members=members), download=True)
    assert not [path for path in files.user_cache().rglob("*") if path.is_file()]


def test_unwritable_cache_is_told(folder, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file where a folder should be")
    (tmp_path / "points.csv").write_bytes(CONTENT)
    with pytest.raises(InputError, match="cannot be written"):
        files.read(replace(FILE, url=(tmp_path / "points.csv").as_uri()), download=True)


def test_catalog_tells_what_is_missing(folder):
    entries = {entry.name: entry for entry in datasets.catalog()}
    assert tuple(entries) == datasets.names()
    assert {name for name, entry in entries.items() if entry.available} == {"diabetes", "reverse-digits"}
    (adult,) = entries["adult"].missing
    assert (adult.name, adult.found) == ("adult.data", None)
    assert "archive.ics.uci.edu" in adult.how_to_get
    assert entries["har"].missing[0].name == "X_train.txt"
    (folder / "adult.data").write_bytes(b"")
    found = {entry.name: entry for entry in datasets.catalog()}["adult"]
    assert found.available
    assert found.files[0].found == folder / "adult.data"


def test_catalog_shows_the_form_that_is_complete(folder):
    (folder / "hapt_features.npz").write_bytes(b"")
    entry = next(entry for entry in datasets.catalog() if entry.name == "har")
    assert entry.available
    assert [file.name for file in entry.files] == ["hapt_features.npz"]


def test_load_by_name():
    assert datasets.load("diabetes", l2_normalize=True).X.shape == (442, 9)
    with pytest.raises(InputError, match=r"no data set named 'diabetis'; did you mean 'diabetes'\?"):
        datasets.load("diabetis")
    with pytest.raises(InputError, match=r"no data set named 'zzz'; choose one of diabetes, adult"):
        datasets.load("zzz")
    with pytest.raises(InputError, match=r"'reverse-digits' has no option 'l2_normalize'; its options are"):
        datasets.load("reverse-digits", l2_normalize=True)
    with pytest.raises(InputError, match=r"'bank-marital' has no option 'groups'"):
        datasets.load("bank-marital", groups="married")


def test_only_files_with_a_digest_have_an_address():
    known = [value for value in vars(sources).values() if isinstance(value, DataFile)]
    known += [*sources.USPS.values(), *(file for pair in sources.MNIST.values() for file in pair)]
    for file in known:
        assert file.url is None or file.sha256
        assert file.url is None or file.url.startswith("https://")
        assert file.url or file.remedy


def test_import_is_light():
    code = (
        "import sys, fairjax.datasets; print([m for m in ('jax', 'pandas', 'sklearn', 'urllib.request') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
