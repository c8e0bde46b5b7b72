"""Parts of an export that need no database."""

import os
import stat
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from tidewire.bulk.export_file import Archive, Spool, whole_file
from tidewire.bulk.export_job import Gone, Report, sentences
from tidewire.bulk.export_rows import WEIGHT, cut


@pytest.mark.parametrize(
    ("weights", "sizes"),
    [
        ([], [0]),
        ([0], [1]),
        ([1, 2, 3], [3]),
        ([WEIGHT, 1], [1, 1]),
        ([1, WEIGHT], [1, 1]),
        ([WEIGHT - 1, 1, 1], [2, 1]),
        ([10 * WEIGHT, 10 * WEIGHT, 1, 1], [1, 1, 2]),
    ],
)
def test_pieces_are_bounded_and_whole(weights: list[int], sizes: list[int]) -> None:
    pieces = cut(weights)
    assert [len(weights[piece]) for piece in pieces] == sizes
    assert [one for piece in pieces for one in weights[piece]] == weights


def test_deleted_posts_count_as_read_up_to_the_last_look() -> None:
    gone = Gone(array("q", [5, 5, 9]), 1)
    assert [gone.until(at) for at in (4, 5, 8, 9)] == [1, 3, 3, 4]


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(ZeroDivisionError), whole_file(path) as file:
        file.write(b"half")
        assert [stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()] == [0o600]
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with whole_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"whole", 0o600)
    with pytest.raises(FileExistsError), whole_file(path):
        pass
    os.symlink("nowhere", tmp_path / "b.jsonl")
    with pytest.raises(FileExistsError), whole_file(tmp_path / "b.jsonl"):
        pass
    with whole_file(path, force=True) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and len(list(tmp_path.iterdir())) == 2


def test_one_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(FileExistsError), whole_file(path):
        path.write_text("another's")
    assert path.read_text() == "another's" and list(tmp_path.iterdir()) == [path]


async def test_an_archive_has_each_name_once(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    with (tmp_path / "a.zip").open("w+b") as file:
        archive = Archive(file)
        archive.put("emoji/x", b"1")
        archive.put("emoji/x", b"2")
        with archive.lines() as write:
            write(b"{}\n")
        await archive.copy("attachments/y", 2, pieces())
        assert archive.has("attachments/y") and not archive.has("attachments/z")
        archive.close()
    with ZipFile(tmp_path / "a.zip") as found:
        assert found.namelist() == ["data/emoji/x", "import.jsonl", "data/attachments/y"]
        assert [found.read(name) for name in found.namelist()] == [b"1", b"{}\n", b"ab"]


def test_a_spool_gives_back_what_it_got(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    texts = ["", "a\tb", "\u2028 \x85 \x0b", "ü🧀"]
    for text in texts:
        spool.add(text)
    assert list(spool.texts()) == texts and spool.count == 4
    assert not list(tmp_path.iterdir())
    spool.close()


def test_what_was_done_in_words() -> None:
    report = Report(replies=2, files=1, file_bytes=1_500_000)
    report.lines.update({"team": 1, "post": 1_000})
    report.left_out["attachments"] = 3
    assert sentences(report) == ("1 teams, 1,002 posts, 1 attachments (1.5 MB)", ["3 attachments"])
