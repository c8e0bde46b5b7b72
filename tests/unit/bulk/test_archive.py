"""Archives and folders that are not to be trusted: nothing outside is read, nothing grows, nothing is unpacked."""

import os
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tidewire.bulk import archive
from tidewire.bulk.archive import BadArchive, NoFile, clean_path, open_source

LINES = b'{"type":"version","version":1}\n'
Fill = Callable[[zipfile.ZipFile], None]


def made(path: Path, fill: Fill = lambda file: None, *, lines: str = "import.jsonl") -> Path:
    """Write an archive with lines and what `fill` puts in."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        if lines:
            file.writestr(lines, LINES)
        fill(file)
    return path


def some(count: int) -> Fill:
    """Return what fills an archive with so many small files."""

    def fill(file: zipfile.ZipFile) -> None:
        for number in range(count):
            file.writestr(f"data/{number}", b"x" * 50)

    return fill


def link(file: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("data/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    file.writestr(info, "/etc/passwd")


def twice(file: zipfile.ZipFile) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.writestr("data/a", b"1")
        file.writestr("data/a", b"2")


@pytest.mark.parametrize(
    ("fill", "why"),
    [
        (lambda file: file.writestr("/etc/passwd", b"x"), "relative"),
        (lambda file: file.writestr("data/../../../etc/passwd", b"x"), "relative"),
        (lambda file: file.writestr("data\\..\\x", b"x"), "relative"),
        (lambda file: file.writestr("C:/x", b"x"), "relative"),
        (lambda file: file.writestr("data/" + "x" * 2000, b"x"), "too long"),
        (link, "is a link"),
        (twice, "there twice"),
        (lambda file: file.writestr("data/bomb", b"\0" * (17 << 20)), "grows more than 200 times"),
        (lambda file: file.writestr("data/x", b"x", zipfile.ZIP_BZIP2), "packed in a way"),
        (lambda file: file.writestr("other.jsonl", LINES), "there are 2"),
    ],
)
def test_archives_that_are_refused(tmp_path: Path, fill: Fill, why: str) -> None:
    with pytest.raises(BadArchive, match=why):
        open_source(made(tmp_path / "a.zip", fill), None)


def test_many_small_bombs_are_one(tmp_path: Path) -> None:
    def fill(file: zipfile.ZipFile) -> None:
        for number in range(8):
            file.writestr(f"data/{number}", b"\0" * (3 << 20))

    with pytest.raises(BadArchive, match="grows more than 100 times"):
        open_source(made(tmp_path / "a.zip", fill), None)


def test_entries_are_counted_before_they_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.zip", some(20))
    monkeypatch.setattr(archive, "ENTRIES_MAX", 10)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the list was made"))
    with pytest.raises(BadArchive, match="21 entries"):
        open_source(path, None)


def test_a_zip64_end_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.zip")
    data = path.read_bytes()
    at = data.rindex(b"PK\x05\x06")
    size, start = struct.unpack_from("<II", data, at + 12)
    record = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 5_000_000, 5_000_000, size, start)
    locator = struct.pack("<IIQI", 0x07064B50, 0, at, 1)
    end = data[at : at + 8] + b"\xff" * 12 + data[at + 20 :]
    path.write_bytes(data[:at] + record + locator + end)
    with pytest.raises(BadArchive, match="5,000,000 entries"):
        open_source(path, None)


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip", some(3))
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    entries = [at for at in range(first, len(data)) if data[at : at + 4] == b"PK\x01\x02"]
    data[entries[2] + 42 : entries[2] + 46] = data[entries[1] + 42 : entries[1] + 46]
    path.write_bytes(data)
    with pytest.raises(BadArchive, match="overlap"):
        open_source(path, None)


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04", b"PK\x03\x04" + b"x" * 500, b"PK\x05\x06" + b"\xff" * 18, b"PK\x05\x06"]
)
def test_broken_archives_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    with pytest.raises(BadArchive):
        open_source(path, None)


def test_what_is_cut_off_or_changed_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = made(tmp_path / "a.zip", lambda file: file.writestr("data/x", os.urandom(5000)))
    data = bytearray(path.read_bytes())
    data[data.index(b"data/x") + 2000] ^= 1
    path.write_bytes(data)
    source = open_source(path, None)
    with source.open_file("x") as opened, pytest.raises(zipfile.BadZipFile):
        opened.stream.read()
    source.close()


def test_files_come_out_of_the_data_folder_or_beside_it(tmp_path: Path) -> None:
    def fill(file: zipfile.ZipFile) -> None:
        file.writestr("data/a/b.txt", b"in data")
        file.writestr("c.txt", b"beside")
        file.mkdir("data/folder")

    source = open_source(made(tmp_path / "a.zip", fill), None)
    for path, content in (("a/b.txt", b"in data"), ("c.txt", b"beside"), ("./a//b.txt", b"in data")):
        with source.open_file(path) as opened:
            assert (opened.name, opened.size, opened.stream.read()) == (
                path.rpartition("/")[2],
                len(content),
                content,
            )
    for path in (
        "",
        "b.txt",
        "folder",
        "import.jsonl",
        "../import.jsonl",
        "/c.txt",
        "a/../c.txt",
        "a\0b",
        "..\\c.txt",
    ):
        with pytest.raises(NoFile):
            source.open_file(path)
    assert source.open_lines(0).read() == LINES
    assert source.open_lines(5).read() == LINES[5:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]
    source.close()


def test_links_and_pipes_of_a_folder_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    data = tmp_path / "in" / "data"
    data.mkdir(parents=True)
    (tmp_path / "in" / "x.jsonl").write_bytes(LINES)
    (data / "good").write_bytes(b"good")
    (data / "inner").symlink_to("good")
    (data / "out").symlink_to("../../secret")
    (data / "up").symlink_to("../..")
    (data / "loop").symlink_to("loop")
    os.mkfifo(data / "pipe")
    source = open_source(tmp_path / "in" / "x.jsonl", None)
    for path in ("good", "inner", "data/good"):
        with source.open_file(path) as opened:
            assert opened.stream.read() == b"good"
    for path in ("out", "up/secret", "loop", "pipe", "../../secret", str(tmp_path / "secret"), "data", "."):
        with pytest.raises(NoFile):
            source.open_file(path)


def test_without_a_folder_there_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(LINES)
    with pytest.raises(NoFile, match="no folder"):
        open_source(tmp_path / "x.jsonl", None).open_file("good")


@pytest.mark.parametrize("path", ["a:b/c", "//x", "a/..", "..", "a\\b"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(NoFile):
        clean_path(path)
