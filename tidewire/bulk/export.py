"""A workspace, or a team of it, as a file in Mattermost's bulk format: the order of its lines, and what is beside them.

All lines come from one snapshot of the database: what people write meanwhile is not in them. Attachments are copied
after it. What the format has no place for: docs/migration.md.
"""

from array import array
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec

from tidewire import __version__
from tidewire.actions.post_rules import UNCOUNTED
from tidewire.bulk import export_people, export_posts
from tidewire.bulk.export_file import Archive, Spool, whole_file
from tidewire.bulk.export_job import Gone, Job, NoSuchTeam, Options, Progress, Report
from tidewire.bulk.export_rows import Snapshot
from tidewire.bulk.lines import VERSION, ChannelLine, EmojiLine, Line, RoleLine, TeamLine, VersionInfo
from tidewire.store.db import Database
from tidewire.store.objects import Missing, Objects
from tidewire.wire.roles import ROLES

ZIP = ".zip"
FILES_GONE = "files whose bytes are gone"
_PICTURES_AT_ONCE = 16  # of at most 512 KiB each
_entry = msgspec.json.Decoder(tuple[str, int, str]).decode


async def export(
    db: Database,
    objects: Callable[[], Objects],
    path: Path,
    options: Options,
    *,
    force: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """Write a file: the lines alone, or if its name ends with .zip, attachments, emojis and profile pictures with them.

    objects: gives the store that attachments are in; not called where there are none. force: an older file is replaced.
    Raises: FileExistsError, OSError, NoSuchTeam, Unavailable, and what asyncpg does; nothing is left then.
    """
    with whole_file(path, force=force) as file, closing(Spool(path.parent)) as spool, _archive(path, file) as archive:
        async with Snapshot.open(db) as rows:
            job = Job(rows, options, archive, spool, progress)
            await _prepare(job)
            if archive is None:
                job.write = file.write
                await _write_lines(job)
            else:
                await _put_pictures(job, archive)
                with archive.lines() as job.write:
                    await _write_lines(job)
        if archive is not None:
            await _copy_attachments(job, archive, objects)
    return job.report


@contextmanager
def _archive(path: Path, file: IO[bytes]) -> Iterator[Archive | None]:
    if path.suffix.lower() != ZIP:
        yield None
        return
    with closing(Archive(file)) as archive:
        yield archive


async def _prepare(job: Job) -> None:
    """Find out what is to be exported, and what is left out of it from the start."""
    options, rows = job.options, job.rows
    if options.team:
        job.team_id = await rows.value("team_id", options.team) or ""
        if not job.team_id:
            raise NoSuchTeam(options.team)
        job.people = frozenset(row["user_id"] for row in await rows.all("people_of_team", job.team_id))
    scope = job.team_id, options.archived_channels
    job.total = await rows.value("total", *scope)
    for channel_id, *gone in await rows.whole("uncounted", sorted(UNCOUNTED)):
        times, root_times, rest, root_rest = gone
        job.gone[channel_id] = _gone(times, rest), _gone(root_times, root_rest)
    (left_out,) = await rows.all("left_out", *scope)
    job.report.left_out.update({f"archived {what}": count for what, count in left_out.items() if count})


async def _put_pictures(job: Job, archive: Archive) -> None:
    """Put emojis and profile pictures into the archive, before the lines that name them."""
    async for rows in job.rows.pieces("emojis", at_once=_PICTURES_AT_ONCE):
        for name, data in rows:
            archive.put(_emoji_path(name), data)
    if job.pictures:
        async for rows in job.rows.pieces("pictures", *job.scope, at_once=_PICTURES_AT_ONCE):
            for username, png in rows:
                archive.put(export_people.picture_path(username), png)


async def _write_lines(job: Job) -> None:
    """Write all lines, in the order in which an import needs them."""
    job.write(msgspec.json.encode(Line(type="version", version=VERSION, info=_info())) + b"\n")
    roles = [_role(row["name"], row["permissions"]) for row in await job.rows.all("roles")]
    job.put("role", [] if job.team_id else roles)
    names = [row["name"] for row in await job.rows.all("emoji_names")]
    if job.archive is not None:
        job.put("emoji", [EmojiLine(name, _emoji_path(name)) for name in names])
    elif names:
        job.report.left_out["emojis"] += len(names)
    async for rows in job.rows.pieces("teams", job.team_id):
        job.put("team", [_team(*row) for row in rows])
    async for rows in job.rows.pieces("channels", job.team_id, job.options.archived_channels):
        job.put("channel", [_channel(*row) for row in rows])
    await export_people.write_users(job)
    await export_people.write_bots(job)
    await export_posts.write_posts(job)
    if not job.team_id:
        broken = await export_people.write_direct_channels(job)
        await export_posts.write_direct_posts(job, broken)


def _gone(times: list[int] | None, rest: int) -> Gone:
    return Gone(array("q", times or ()), max(0, rest))


def _info() -> VersionInfo:
    return VersionInfo("tidewire", __version__, datetime.now(UTC).isoformat(timespec="milliseconds"))


def _role(name: str, permissions: list[str]) -> RoleLine:
    role = ROLES[name]
    return RoleLine(name, role.display_name, role.description, permissions, role.scheme_managed)


def _emoji_path(name: str) -> str:
    return f"emoji/{name}"


def _team(name: str, display_name: str, kind: str, description: str, is_open: bool) -> TeamLine:
    return TeamLine(name, display_name, kind, description or None, is_open)


def _channel(
    team: str, name: str, display_name: str, kind: str, header: str, purpose: str, delete_at: int
) -> ChannelLine:
    return ChannelLine(
        team, name, display_name, kind, header or None, purpose or None, deleted_at=delete_at or None
    )


async def _copy_attachments(job: Job, archive: Archive, objects: Callable[[], Objects]) -> None:
    """Copy what the lines name, each file once."""
    store = None
    for number, text in enumerate(job.attachments.texts(), 1):
        job.progress("attachments", number, job.attachments.count)
        key, size, path = _entry(text)
        if archive.has(path):
            continue
        store = store or objects()
        try:
            opened = await store.get(key)
        except Missing:  # the post was deleted for good since, or its file was lost before
            job.report.left_out[FILES_GONE] += 1
            continue
        await archive.copy(path, size, opened.pieces)
        job.report.files += 1
        job.report.file_bytes += opened.size
