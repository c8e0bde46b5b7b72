"""`tidewire loadtest …`: reads flags, shows progress, writes files. The work is in the modules beside it."""

import asyncio
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import asyncpg
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from loadtest.runner import Run, execute
from loadtest.seed import Plan, SeededUser, seed
from loadtest.swarm.herd import CannotRun
from tidewire.settings import Settings, SettingsError, default_data_dir, load
from tidewire.store.db import Database
from tidewire.wire.errors import Unavailable

app = App(name="loadtest", help="Make load, or what load needs.")


@app.command(name="seed")
def seed_command(
    *,
    tokens: Path,
    users: int = 10_000,
    channels: int = 1,
    channel_members: int = 0,
    password: str = "",
    seed_number: Annotated[int, Parameter(name="--seed")] = 0,
    data_dir: Path | None = None,
) -> None:
    """Create users with sessions in a new team and its public channels, straight in the database.

    Writes one line `token user_id username channel_id team_id` for each user, with the first of his channels, or - if
    he is in none. The database is the one of the settings, else that of a running `tidewire serve`.

    Parameters
    ----------
    tokens
        File to write; only its owner can read it, for whoever has a token is that user.
    users
        Users, each with a session.
    channels
        Public channels.
    channel_members
        Members of each channel, spread evenly over the users; 0: all of them.
    password
        Password of every user; empty: they have their tokens only.
    seed_number
        Another number deals the members in another way.
    data_dir
        Data directory of the running `tidewire serve`.
    """
    if users < 1 or channels < 0 or not 0 <= channel_members <= users:
        _stop("--users must be 1 or more, --channels 0 or more, --channel-members 0 to --users")
    plan = Plan(users, channels, channel_members, password=password, seed=seed_number)
    _seed_into(plan, tokens, data_dir)


@app.command(name="run")
def run_command(
    suite: str,
    /,
    *more: Annotated[str, Parameter(allow_leading_hyphen=True)],
    host: str = "http://localhost:8065",
    ws_host: list[str] | None = None,
    users: int = 0,
    run_time: Annotated[str, Parameter(name="--time")] = "",
    tokens: Path | None = None,
    web: bool = False,
    targets: Path | None = None,
    report: Path | None = None,
    data_dir: Path | None = None,
) -> None:
    """Run a suite against a server and check its targets.

    Exit status: 0 all met, 1 it could not begin, 2 wrong command line, 3 targets missed, 4 broken off, figures partial.

    Parameters
    ----------
    suite
        storm: everybody reconnects. firehose: posts at a fixed rate, to receivers.
    more
        Flags of the suite (--rest 1000) and of Locust.
    host
        Address of the server.
    ws_host
        HOST:PORT of a gateway, repeatable; default: those of the local `tidewire serve`, else the server's address.
    users
        How many; the suite has a default.
    run_time
        When to end at the latest, such as 60s or 5m; a storm ends by itself.
    tokens
        File of `tidewire loadtest seed`; without one users are made in the local `tidewire serve`.
    web
        Show Locust's page on port 8089 and start from there.
    targets
        TOML file of limits; default: the suite's own.
    report
        JSON file to write.
    data_dir
        Data directory of the running `tidewire serve`.
    """
    try:
        settings = load()
        folder = data_dir or Path(settings.serve.data_dir or default_data_dir())
        run = Run(
            suite, host, tuple(ws_host or ()), users, run_time, tokens, web, targets, report, more
        )
        status = execute(run, folder, lambda plan, file: _seed_into(plan, file, data_dir))
    except (CannotRun, SettingsError) as error:
        _stop(str(error))
    sys.exit(status)


def _seed_into(plan: Plan, tokens: Path, data_dir: Path | None) -> None:
    """Make the users and write their file."""
    try:
        settings = load()
        url = settings.database.url or _running_database(settings, data_dir)
        output = os.open(tokens, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except SettingsError as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}")
    start = time.monotonic()
    try:
        seeded = asyncio.run(_seed(url, replace(plan, session_hours=settings.session.length_hours)))
    except (Unavailable, asyncpg.PostgresError) as error:
        _stop(f"cannot seed: {error.__cause__ or error}")
    with open(output, "w", encoding="ascii") as file:
        file.writelines(user.line() for user in seeded)
    took = time.monotonic() - start
    sys.stdout.write(f"{plan.users} users in {plan.channels} channels of {plan.members}: {tokens} ({took:.1f} s)\n")
    sys.stdout.flush()


def _running_database(settings: Settings, data_dir: Path | None) -> str:
    """Return the address that a running `serve` left in its data directory. Raises: OSError."""
    folder = data_dir or Path(settings.serve.data_dir or default_data_dir())
    try:
        return (folder.expanduser() / "database.url").read_text().strip()
    except FileNotFoundError:
        _stop(f"no tidewire serve runs on {folder}: start it, or give --data-dir or TIDEWIRE_DATABASE_URL")


async def _seed(url: str, plan: Plan) -> list[SeededUser]:
    console = Console(stderr=True)
    columns = TextColumn("rows"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("seed")
        database = Database(url)
        return await seed(database, plan, lambda done, total: bar.update(task, completed=done, total=total))


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"tidewire loadtest: {message}\n")
    sys.exit(1)
