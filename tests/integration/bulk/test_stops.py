"""Imports that are cut off: killed, interrupted, in each other's way. In the end they come to the same."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.bulk import town
from tests.integration.bulk.town import Place, command, environment, many, write
from tidewire.actions.config import Config
from tidewire.actions.file_janitor import GRACE_MS, Janitor
from tidewire.actions.file_store import FileStore
from tidewire.store.db import Database
from tidewire.wire.ids import now_ms

pytestmark = pytest.mark.asyncio(loop_scope="module")
POSTS = 2000  # some six batches


def start(place: Place, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start the command."""
    env = os.environ | environment(place.settings)
    return subprocess.Popen(
        command(*arguments), env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the command's end; return (status, output, errors)."""
    out, errors = await asyncio.to_thread(process.communicate, timeout=60)
    return process.returncode, out, errors


async def line_of(place: Place) -> int:
    """Return how far the import is."""
    rows = await place.rows("SELECT line FROM imports")
    return rows[0]["line"] if rows else 0


async def moved(place: Place, line: int, process: subprocess.Popen[str]) -> int:
    """Wait until the import is beyond a line; return where it is."""
    async with asyncio.timeout(60):
        while (now := await line_of(place)) <= line:
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.01)
    return now


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(
    postgres: Postgres, redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Path, dict[str, list[str]]]]:
    """A file, and what an import of it makes that nobody disturbs."""
    files = {"a.txt": b"walrus", "b.txt": b"narwhal"}
    path = write(tmp_path_factory.mktemp("bulk") / "town.zip", *many(POSTS), files=files)
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        report = await town.run(place.settings, path)
        assert not report.reasons
        yield path, await place.everything()


async def test_killed_twice_it_comes_to_the_same(
    postgres: Postgres, redis: Redis, whole: tuple[Path, dict[str, list[str]]], tmp_path: Path
) -> None:
    path, expected = whole
    async with cloned(postgres) as url:
        place, line = Place.at(url, redis.url, tmp_path), 20
        for _ in range(2):
            process = start(place, path)
            line = await moved(place, line, process)
            process.send_signal(signal.SIGKILL)
            await finish(process)
            assert line <= await line_of(place) < POSTS
            assert len(await place.rows("SELECT FROM posts")) < len(expected["posts"])
        status, out, errors = await finish(start(place, path, "--report", path.with_name("report.json")))
        assert status == 0, errors
        assert "going on behind line" in out
        assert await place.everything() == expected
        # What a killed one had stored for lines that it did not commit goes in the end.
        db = Database(url)
        config = Config(place.settings, db)
        await config.reload()
        store = FileStore(place.settings, config, "")
        await Janitor(db, store).sweep(now_ms() + GRACE_MS)
        await db.close()
        files = await place.rows("SELECT key FROM files")
        assert await store.objects.keys() == sorted(row["key"] for row in files)
        report = json.loads(path.with_name("report.json").read_text())
        assert (report["outcome"], report["made"]["post"], report["made"]["reply"]) == ("done", POSTS, POSTS)
        assert not report["reasons"]
        status, out, _ = await finish(start(place, path))
        assert status == 0
        assert "is imported already; nothing was changed" in out
        assert await place.everything() == expected


async def test_interrupted_it_says_how_to_go_on(
    postgres: Postgres, redis: Redis, whole: tuple[Path, dict[str, list[str]]]
) -> None:
    path, expected = whole
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        process = start(place, path)
        await moved(place, 20, process)
        process.send_signal(signal.SIGSTOP)
        status, _, errors = await finish(start(place, path))  # not both at once
        assert status == 1
        assert "another import is under way" in errors
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        status, out, errors = await finish(process)
        assert status == 130, errors
        assert "Traceback" not in errors
        assert "to go on, start the same command again" in errors
        assert "stopped: " in out
        assert len(await place.rows("SELECT FROM posts")) < len(expected["posts"])
        status, _, errors = await finish(start(place, path))
        assert status == 0, errors
        assert await place.everything() == expected


async def test_what_cannot_be_begun_is_one_line(postgres: Postgres, redis: Redis, tmp_path: Path) -> None:
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        (tmp_path / "x.zip").write_bytes(b"PK\x03\x04 and no more")
        for arguments, text in (
            ((tmp_path / "none.jsonl",), "No such file"),
            ((tmp_path / "x.zip",), "the archive has no end"),
            ((tmp_path / "x.zip", "--attachments", tmp_path / "none"), "there is no such folder"),
        ):
            status, _, errors = await finish(start(place, *arguments))
            assert status == 1
            assert text in errors
            assert len(errors.splitlines()) == 1
