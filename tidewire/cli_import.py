"""The command `tidewire import`: reads flags, shows progress, says what was done. The work is in tidewire.bulk."""

import asyncio
import signal
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tidewire.cli_common import Config, Flag
from tidewire.command import fail, settings_at
from tidewire.settings import Settings, name_of
from tidewire.wire.errors import Unavailable

PLAIN_EVERY_S = 10.0  # a line where nobody looks at a bar
STOPPED, INTERRUPTED = 3, 130


def import_file(
    file: Path,
    *,
    attachments: Path | None = None,
    dry_run: Flag = False,
    stop_on_error: Flag = False,
    report: Path | None = None,
    data_dir: Path | None = None,
    config: Config = None,
) -> None:
    """Read a workspace out of FILE, a .jsonl or .zip in Mattermost's bulk format.

    A server may run meanwhile; who is connected sees the result when all of it is in. What cannot be imported is left
    out and named at the end. Cut off, it goes on where it was when it is started again with the same file; a file that
    is done changes nothing; another file that holds the same things brings them up to date. The database is the one of
    the settings, else that of a running `tidewire serve`. More: docs/migration.md.

    Exit status: 0 done, whatever was left out; 1 it could not be done; 2 the command line is wrong; 3 it was stopped,
    by --stop-on-error or by a broken file; 130 by Ctrl-C.

    Parameters
    ----------
    file
        File to read.
    attachments
        Folder of the files that a .jsonl names; default: `data` beside it.
    dry_run
        Write nothing; say what would be left out.
    stop_on_error
        Stop before the first line that cannot be imported.
    report
        File for the report as JSON.
    data_dir
        Data directory of a running serve; default as for serve.
    config
        TOML file with settings.
    """
    settings = settings_at(data_dir, config)
    if attachments is not None and not attachments.is_dir():
        fail(f"{attachments}: there is no such folder")
    where = name_of(settings.database.url)
    try:
        done = asyncio.run(_Run(settings, file, attachments, dry_run, stop_on_error, report).run())
    except Unavailable as error:
        fail(f"cannot import into {where}: {error.__cause__ or error}", "start it again: it goes on where it was")
    except (asyncpg.PostgresError, OSError) as error:
        fail(f"cannot import into {where}: {error}")
    sys.exit(done)


class _Run:
    """One run of the command."""

    def __init__(
        self,
        settings: Settings,
        file: Path,
        attachments: Path | None,
        dry: bool,
        stop_on_error: bool,
        report: Path | None,
    ) -> None:
        self._settings, self._file, self._attachments = settings, file, attachments
        self._dry, self._stop_on_error, self._report = dry, stop_on_error, report
        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._looked_at = console.is_terminal
        self._said_at = self._began = time.monotonic()
        self._interrupted = False

    async def run(self) -> int:
        """Import; return the exit status."""
        from tidewire.bulk.archive import BadArchive, open_source
        from tidewire.bulk.importing import Importer, State, Stopped
        from tidewire.bulk.opening import Busy, open_kit
        from tidewire.bulk.reading import digest_of

        async with AsyncExitStack() as stack:
            stack.enter_context(self._bar)
            try:
                source = open_source(self._file, self._attachments)
            except BadArchive as error:
                fail(f"{self._file}: {error}")
            stack.callback(source.close)
            reading = self._bar.add_task("reading", total=self._file.stat().st_size)
            digest = digest_of(self._file, lambda read: self._bar.advance(reading, read))
            self._bar.remove_task(reading)
            opening = open_kit(self._settings, source, digest, self._file.name, dry=self._dry)
            try:
                kit, progress = await stack.enter_async_context(opening)
            except Busy:
                fail("another import is under way")
            if progress.finished_at:
                sys.stdout.write(f"{self._file} is imported already; nothing was changed\n")
                self._write_report(kit.report, "done before")
                return 0
            if progress.line and not self._dry:
                sys.stdout.write(f"going on behind line {progress.line:,}\n")
            task = self._bar.add_task("dry run" if self._dry else "import", total=source.lines_bytes)

            def show(state: State) -> None:
                self._bar.update(task, completed=state.at_byte)
                self._say(state.at_byte / max(1, source.lines_bytes), state.report.lines)

            importer = Importer(kit, stop_on_error=self._stop_on_error, progress=show)

            def interrupt() -> None:
                self._interrupted = True
                importer.stop()

            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, interrupt)
            began = self._numbers(kit.report)
            try:
                await importer.run(progress.line, progress.at_byte)
            except Stopped as error:
                self._bar.stop()
                self._finish(kit.report, began, "stopped")
                sys.stderr.write(f"tidewire: stopped: {error}\n")
                if not self._dry:
                    sys.stderr.write("tidewire: to go on, start the same command again\n")
                return INTERRUPTED if self._interrupted else STOPPED
            self._bar.stop()
            self._finish(kit.report, began, "would be done" if self._dry else "done")
            return 0

    def _say(self, part: float, lines: int) -> None:
        """Write a line now and then, where there is no bar."""
        now = time.monotonic()
        if not self._looked_at and now - self._said_at > PLAIN_EVERY_S:
            self._said_at = now
            sys.stderr.write(f"{part:.0%}, line {lines:,}\n")

    def _finish(self, report: Any, began: int, outcome: str) -> None:
        took = time.monotonic() - self._began
        posts = self._numbers(report) - began
        for text in report.texts():
            sys.stdout.write(text + "\n")
        sys.stdout.write(f"{outcome}: {report.lines:,} lines, {took:.1f} s, {posts / took:,.0f} posts/s\n")
        sys.stdout.flush()
        self._write_report(report, outcome)

    @staticmethod
    def _numbers(report: Any) -> int:
        counts = (report.made, report.changed, report.same)
        return sum(
            one.get(type_, 0) for one in counts for type_ in ("post", "reply", "direct_post", "reaction")
        )

    def _write_report(self, report: Any, outcome: str) -> None:
        if self._report is None:
            return
        content = {
            "outcome": outcome,
            "file": self._file.name,
            "skipped": report.skipped,
            **msgspec.to_builtins(report),
        }
        try:
            self._report.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
        except OSError as error:
            fail(f"{self._report}: {error.strerror}")
