"""The command `tidewire export`: reads flags, shows progress, says what was done. The work is in tidewire.bulk."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tidewire.cli_common import Config, Flag
from tidewire.command import fail, settings_at
from tidewire.settings import name_of
from tidewire.store.db import Database
from tidewire.wire.errors import Unavailable

T = TypeVar("T")
FORMATS = (".jsonl", ".zip")


def export_file(
    file: Path,
    *,
    team: str = "",
    no_attachments: Flag = False,
    no_passwords: Flag = False,
    no_profile_pictures: Flag = False,
    no_archived_channels: Flag = False,
    force: Flag = False,
    data_dir: Path | None = None,
    config: Config = None,
) -> None:
    """Write the workspace to FILE in Mattermost's bulk format, for `tidewire import` or a Mattermost server.

    A FILE.zip has attachments, custom emojis and profile pictures in it, a FILE.jsonl the lines alone. It can be made
    while people write: it shows one moment. It is there when it is whole, and only its owner can read it: it may hold
    everything that was ever written here, and hashes of passwords. The database is the one of the settings, else that
    of a running `tidewire serve`. What is not in the format: docs/migration.md.

    Parameters
    ----------
    file
        File to write; its name ends with .zip or .jsonl.
    team
        Name of the only team to export, with the people who are or were in it; no direct and group channels.
    no_attachments
        Leave out the files of posts.
    no_passwords
        Leave out the hashes of passwords: people need a new one then.
    no_profile_pictures
        Leave out pictures of people and bots.
    no_archived_channels
        Leave out archived channels with their posts.
    force
        Replace a file that is there.
    data_dir
        Data directory of a running serve; default as for serve.
    config
        TOML file with settings.
    """
    if file.suffix.lower() not in FORMATS:
        fail(f"{file}: the name must end with {' or '.join(FORMATS)}")
    settings = settings_at(data_dir, config)
    from tidewire.actions.config import Config as Configuration
    from tidewire.actions.file_store import FileStore
    from tidewire.bulk.export import export
    from tidewire.bulk.export_job import NoSuchTeam, Options, Report, sentences

    options = Options(
        team=team,
        attachments=not no_attachments,
        passwords=not no_passwords,
        archived_channels=not no_archived_channels,
        profile_pictures=not no_profile_pictures,
    )

    async def work(progress: Callable[[str, int, int], None]) -> Report:
        db = Database(settings.database.url)
        configuration = Configuration(settings, db)
        await configuration.reload()
        await db.close()  # from here on the export has its own connection
        store = FileStore(settings, configuration, "")
        return await export(db, lambda: store.objects, file, options, force=force, progress=progress)

    start = time.monotonic()
    try:
        report = _run_with_bar(work, name_of(settings.database.url))
    except NoSuchTeam:
        fail(f"there is no team {team}")
    except FileExistsError as error:
        fail(f"{error}; --force replaces it")
    took = time.monotonic() - start
    size = file.stat().st_size / 1e6
    rate = report.posts / took
    done, left_out = sentences(report)
    sys.stdout.write(f"exported {done}\n{file}: {size:,.1f} MB ({took:.1f} s, {rate:,.0f} posts/s)\n")
    for line in left_out:
        sys.stdout.write(f"left out: {line}\n")


def _run_with_bar(work: Callable[[Callable[[str, int, int], None]], Coroutine[Any, Any, T]], where: str) -> T:
    """Work on the database, and show how far it is if somebody looks. Ctrl-C and SIGTERM cancel it."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("export", total=None)

        async def run() -> T:
            current = asyncio.current_task()
            assert current is not None
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
            return await work(lambda what, done, total: bar.update(task, description=what, completed=done, total=total))

        try:
            return asyncio.run(run())
        except asyncio.CancelledError:
            sys.exit(128 + signal.SIGTERM)
        except Unavailable as error:
            fail(f"cannot export {where}: {error.__cause__ or error}")
        except FileExistsError:
            raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            fail(f"cannot export {where}: {error}")
