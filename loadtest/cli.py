"""`tidewire loadtest …`: reads flags, shows progress, writes files. The work is in the modules beside it."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import asyncpg
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from loadtest.capacity.command import find_capacity
from loadtest.capacity.search import Search
from loadtest.purge import purge as purge_all
from loadtest.report.document import default_folder
from loadtest.runner import Run, execute
from loadtest.seed import Plan, seed
from loadtest.shapes import USERS_PER_CHANNEL
from loadtest.sizing.command import size_command
from loadtest.swarm.herd import CannotRun
from tidewire.cli_common import PLAIN, Flag
from tidewire.settings import Settings, SettingsError, default_data_dir, load, name_of
from tidewire.store.db import Database
from tidewire.wire.errors import Unavailable

MOST_POSTS = 50_000_000  # some 200 bytes of memory each, until they are written
T = TypeVar("T")

app = App(
    name="loadtest", help="Put load on a server, and say what an installation needs.", default_parameter=PLAIN
)


@app.command(name="seed")
def seed_command(
    *,
    tokens: Path | None = None,
    users: int = 10_000,
    channels: int | None = None,
    channel_members: int | None = None,
    teams: int | None = None,
    posts: int | None = None,
    password: str = "",
    seed_number: Annotated[int, Parameter(name="--seed")] = 0,
    purge: Flag = False,
    data_dir: Path | None = None,
) -> None:
    """Create users with sessions in new teams and their public channels, straight in the database.

    Writes one line `token user_id username channel_id team_id` for each user, with the first of his channels, or - if
    he is in none. The database is the one of the settings, else that of a running `tidewire serve`.

    With --teams or --posts, and without --channel-members, an installation is made as they are: default channels, few
    large channels and many small ones, a month of posts and what is read of them (docs/loadtest.md).

    Parameters
    ----------
    tokens
        File to write; only its owner can read it, for whoever has a token is that user.
    users
        Users, each with a session, each in one team.
    channels
        Public channels of all teams together; default 1, or one for ten users.
    channel_members
        Members of each channel, spread evenly over the users; 0, the default: all of them.
    teams
        Teams; default 1.
    posts
        Posts of the last 30 days, replies among them; default none.
    password
        Password of every user; empty: they have their tokens only.
    seed_number
        Another number deals members and posts in another way. The same one makes the same shapes, with new ids;
        default 0.
    purge
        Delete all that was ever seeded, and what a load made of it; with --tokens, seed anew then.
    data_dir
        Data directory of the running `tidewire serve`.
    """
    many, has = users if channel_members is None else channel_members, (teams or 1, posts or 0)
    if users < 1 or (channels or 0) < 0 or not 0 <= many <= users:
        _stop("--users must be 1 or more, --channels 0 or more, --channel-members 0 to --users")
    if not 1 <= has[0] <= users or not 0 <= has[1] <= MOST_POSTS:
        _stop(f"--teams must be 1 to --users, --posts 0 to {MOST_POSTS}")
    if tokens is None and not purge:
        _stop("--tokens FILE is missing: where the users are to be written")
    skewed = channel_members is None and (teams is not None or posts is not None)
    if channels is None:
        channels = -(-users // USERS_PER_CHANNEL) if skewed else has[0]
    if purge:
        _purge(data_dir)
    if tokens is not None:
        plan = Plan(
            users, channels, channel_members or 0, password=password, seed=seed_number, teams=has[0], posts=has[1],
            skewed=skewed,
        )  # fmt: skip
        _seed_into(plan, tokens, data_dir)


@app.command(name="run")
def run_command(
    suite: str,
    /,
    *more: Annotated[str, Parameter(allow_leading_hyphen=True)],
    host: str = "",
    ws_host: list[str] | None = None,
    users: int = 0,
    run_time: Annotated[str, Parameter(name="--time")] = "",
    tokens: Path | None = None,
    web: Flag = False,
    targets: Path | None = None,
    report: Path | None = None,
    metrics_url: list[str] | None = None,
    data_dir: Path | None = None,
) -> None:
    """Run a suite against a server and check its targets.

    Exit status: 0 all met, 1 it could not begin, 2 wrong command line, 3 targets missed, 4 broken off, figures partial.

    Parameters
    ----------
    suite
        users: people with the web app. storm: everybody reconnects. firehose: posts at a fixed rate, to receivers.
        push: notifications through a push proxy. soak: people for hours, and what grows. costs: what each call costs
        the server, for `tidewire loadtest size`.
    more
        Flags of the suite (--rest 1000) and of Locust.
    host
        Address of the server; default http://localhost:8065, of a push proxy http://localhost:8066.
    ws_host
        HOST:PORT of a gateway, repeatable; default: those of the local `tidewire serve`, else the server's address.
    users
        How many; default: users 200, storm 10000, firehose 1000, push 32, soak 100, costs 2000.
    run_time
        When to end at the latest, such as 60s or 5m; default: users, firehose and push 60s, soak 4h; storm and costs
        end by themselves.
    tokens
        File of `tidewire loadtest seed`, or with a line `user password` for each user; without one users are made in
        the local `tidewire serve`.
    web
        Show Locust's page on port 8089 and start from there.
    targets
        TOML file of limits; default: the suite's own.
    report
        Folder for report.html and report.json, or the JSON file, beside which the page goes; default: a new folder in
        loadtest-reports.
    metrics_url
        Where a server answers /metrics, repeatable; default: that of the local `tidewire serve`.
    data_dir
        Data directory of the running `tidewire serve`.
    """
    try:
        settings = load()
        folder = data_dir or Path(settings.serve.data_dir or default_data_dir())
        run = Run(
            suite, host, tuple(ws_host or ()), users, run_time, tokens, web, targets, report,
            tuple(metrics_url or ()), more=more,
        )  # fmt: skip
        status = execute(run, folder, lambda plan, file: _seed_into(plan, file, data_dir))
    except (CannotRun, SettingsError) as error:
        _stop(str(error))
    sys.exit(status)


@app.command(name="capacity")
def capacity_command(
    suite: str = "users",
    /,
    *more: Annotated[str, Parameter(allow_leading_hyphen=True)],
    host: str = "",
    ws_host: list[str] | None = None,
    start: int = 100,
    most: int = 2_000,
    factor: float = 2.0,
    precision: float = 0.1,
    run_time: Annotated[str, Parameter(name="--time")] = "30s",
    tokens: Path | None = None,
    targets: Path | None = None,
    report: Path | None = None,
    metrics_url: list[str] | None = None,
    data_dir: Path | None = None,
) -> None:
    """Raise the users of a suite until a target breaks, and say which was the largest number that held.

    Ctrl-C ends it with what was found so far. Exit status: 0 found, 1 it could not begin, 2 wrong command line, 3 not
    even the first number held, 4 ended early.

    Parameters
    ----------
    suite
        Which suite; see `run`. For a storm, users are sockets.
    more
        Flags of the suite and of Locust.
    host
        Address of the server; default: see `run`.
    ws_host
        HOST:PORT of a gateway, repeatable; see `run`.
    start
        Users of the first step.
    most
        Users that are not exceeded; so many are seeded.
    factor
        So many times more in the next step, while targets hold.
    precision
        Largest difference between held and broken, as a share, with which it ends.
    run_time
        Length of a step.
    tokens
        File of `tidewire loadtest seed`; without one users are made in the local `tidewire serve`.
    targets
        TOML file of limits; default: the suite's own.
    report
        Folder for capacity.html, capacity.json and a report of each step; default: a new one in loadtest-reports.
    metrics_url
        Where a server answers /metrics, repeatable; see `run`.
    data_dir
        Data directory of the running `tidewire serve`.
    """
    try:
        settings = load()
        folder = data_dir or Path(settings.serve.data_dir or default_data_dir())
        run = Run(
            suite, host, tuple(ws_host or ()), 0, run_time, tokens, False, targets,
            report or default_folder(f"capacity-{suite}"), tuple(metrics_url or ()), more=more,
        )  # fmt: skip
        search = Search(start, most, factor, precision)
        status = find_capacity(run, folder, search, lambda plan, file: _seed_into(plan, file, data_dir))
    except (CannotRun, SettingsError, ValueError) as error:
        _stop(str(error))
    sys.exit(status)


app.command(name="size")(size_command)


def _seed_into(plan: Plan, tokens: Path, data_dir: Path | None) -> None:
    """Make the users and write their file."""
    try:
        settings = load()
        url = settings.database.url or _running_database(settings, data_dir)
        made = not tokens.exists()
        output = os.open(tokens, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except SettingsError as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}")
    start = time.monotonic()
    with open(output, "w", encoding="ascii") as file:
        try:
            work = partial(seed, plan=replace(plan, session_hours=settings.session.length_hours))
            file.writelines(user.line() for user in _with_bar(url, work, "seed"))
        except BaseException:
            if made:  # an empty one would fail a later run, and nobody would know why
                tokens.unlink()
            raise
    took = time.monotonic() - start
    channels = f"{plan.channels} channels" + ("" if plan.skewed else f" of {plan.members}")
    more = f", {plan.teams} teams, {plan.posts:,} posts" if plan.skewed else ""
    sys.stdout.write(f"{plan.users} users in {channels}{more}: {tokens} ({took:.1f} s)\n")
    sys.stdout.flush()


def _purge(data_dir: Path | None) -> None:
    """Delete what was seeded."""
    try:
        settings = load()
        url = settings.database.url or _running_database(settings, data_dir)
    except SettingsError as error:
        _stop(str(error))
    start = time.monotonic()
    found = _with_bar(url, purge_all, "purge")
    took = time.monotonic() - start
    counts = f"{len(found.users)} users, {len(found.teams)} teams, {len(found.channels)} channels"
    sys.stdout.write(f"purged {counts}, {found.posts:,} posts ({took:.1f} s)\n")
    sys.stdout.flush()


def _running_database(settings: Settings, data_dir: Path | None) -> str:
    """Return the address that a running `serve` left in its data directory. Raises: OSError."""
    folder = data_dir or Path(settings.serve.data_dir or default_data_dir())
    try:
        return (folder.expanduser() / "database.url").read_text().strip()
    except FileNotFoundError:
        _stop(f"no tidewire serve runs on {folder}: start it, or give --data-dir or TIDEWIRE_DATABASE_URL")


def _with_bar(url: str, work: Callable[..., Coroutine[Any, Any, T]], name: str) -> T:
    """Do something with the database, and show how far it is if somebody looks."""
    console = Console(stderr=True)
    columns = TextColumn(name), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name)

        def advance(done: float, total: float) -> None:
            bar.update(task, completed=done, total=total)

        try:
            return asyncio.run(work(Database(url), progress=advance))
        except (Unavailable, asyncpg.PostgresError) as error:
            _stop(f"cannot {name} {name_of(url)}: {error.__cause__ or error}")


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"tidewire loadtest: {message}\n")
    sys.exit(1)
