"""`tidewire loadtest …`: reads flags, shows progress, writes files. The work is in the modules beside it."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Annotated, NoReturn

import asyncpg
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from loadtest.seed import Plan, SeededUser, seed
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
    try:
        settings = load()
        url = settings.database.url or _running_database(settings, data_dir)
        output = os.open(tokens, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except SettingsError as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}")
    plan = Plan(users, channels, channel_members, settings.session.length_hours, password, seed_number)
    start = time.monotonic()
    try:
        seeded = asyncio.run(_seed(url, plan))
    except (Unavailable, asyncpg.PostgresError) as error:
        _stop(f"cannot seed: {error.__cause__ or error}")
    with open(output, "w", encoding="ascii") as file:
        file.writelines(user.line() for user in seeded)
    took = time.monotonic() - start
    sys.stdout.write(f"{users} users in {channels} channels of {plan.members}: {tokens} ({took:.1f} s)\n")


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
