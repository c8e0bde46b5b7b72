"""Processes that start before their database, or beside one of another version: they wait, and say why."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from tests.fixtures.ports import free_port
from tests.fixtures.postgres import Postgres
from tidewire.store.db import Database
from tidewire.store.migrate import migrate, newest
from tidewire.store.waiting import once_there

ROOT = Path(__file__).parents[3]
PATIENCE_S = 120  # a Python process that starts on a busy machine


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, nor can: it is bound."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@asynccontextmanager
async def process(*words: str, database_url: str, redis_port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of Tidewire's whose standard error is read."""
    environment = {
        "TIDEWIRE_DATABASE_URL": database_url,
        "TIDEWIRE_REDIS_URL": f"redis://127.0.0.1:{redis_port}",  # nobody: that hinders no start
        "TIDEWIRE_GATEWAY_PORT": str(free_port()),
        "TIDEWIRE_API_PORT": str(free_port()),
        "TIDEWIRE_API_STOP_S": "3",
        "TIDEWIRE_LOG_FORMAT": "json",
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidewire", *words),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def said(child: asyncio.subprocess.Process, event: str) -> dict[str, str]:
    """Return the line with this event; every line before it is JSON too."""
    assert child.stdout is not None
    while (line := json.loads(await child.stdout.readline()))["event"] != event:
        pass
    return dict(line)


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ("gateway", signal.SIGTERM),
        ("gateway", signal.SIGINT),
        ("push worker", signal.SIGTERM),
        ("api", signal.SIGTERM),
    ],
)
async def test_without_a_database_it_waits_and_stops_when_asked(
    words: str, how: signal.Signals, closed_port: int
) -> None:
    url = f"postgresql://somebody:geheim@127.0.0.1:{closed_port}/none"
    async with process(*words.split(), database_url=url, redis_port=closed_port) as child:
        line = await said(child, "waiting for the database")
        assert line["what"] == f"the database none at 127.0.0.1:{closed_port}"
        assert "refused" in line["why"] or "failed" in line["why"]  # uvloop's words, asyncio's
        child.send_signal(how)
        assert child.stdout is not None
        rest = await child.stdout.read()
        assert await child.wait() == 0
    assert b"Traceback" not in rest and b"geheim" not in rest


async def test_an_empty_database_is_waited_for_until_somebody_migrates_it(
    postgres: Postgres, closed_port: int
) -> None:
    admin = await asyncpg.connect(postgres.url())
    await admin.execute("CREATE DATABASE not_migrated")
    url = postgres.url("not_migrated")
    try:
        async with process("gateway", database_url=url, redis_port=closed_port) as child:
            line = await said(child, "waiting for the database")
            assert line["why"] == f"it has schema 0, this version needs {newest()}: run `tidewire migrate`"
            await migrate(url)
            await said(child, "gateway listens")
            child.send_signal(signal.SIGINT)
            assert await child.wait() == 0
    finally:
        await admin.execute("DROP DATABASE not_migrated WITH (FORCE)")
        await admin.close()


async def test_a_newer_schema_is_a_warning(database_url: str) -> None:
    async def nothing() -> str:
        return "opened"

    db = Database(database_url, size=1)
    try:
        with capture_logs() as before:
            assert await once_there(db, nothing) == "opened"
        await db.execute("INSERT INTO schema_version (number, name) VALUES (9000, 'of tomorrow')")
        with capture_logs() as after:
            assert await once_there(db, nothing) == "opened"
    finally:
        await db.close()
    assert before == []
    (line,) = after
    assert (line["log_level"], line["schema"], line["known"]) == ("warning", 9000, newest())
