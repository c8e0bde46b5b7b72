"""A small town in Mattermost's bulk format, and imports of it: in this process, or by the command."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import asyncpg

from tests.fixtures.api import new_settings
from tidewire.bulk.archive import open_source
from tidewire.bulk.importing import Importer, State
from tidewire.bulk.opening import open_kit
from tidewire.bulk.reading import digest_of
from tidewire.bulk.report import Report
from tidewire.settings import Settings

AT = 1_700_000_000_000  # ms, of the first post
Object = dict[str, Any]
VERSION: Object = {"type": "version", "version": 1, "info": {"generator": "a test"}}


def line(type_: str, **members: Any) -> Object:
    """Return a line."""
    return {"type": type_, type_: members}


def team(name: str, **more: Any) -> Object:
    return line("team", **{"name": name, "display_name": name.title(), "type": "O", **more})


def channel(place: str, name: str, **more: Any) -> Object:
    return line("channel", **{"team": place, "name": name, "display_name": name.title(), "type": "O", **more})


def user(name: str, *places: str, **more: Any) -> Object:
    """Return a line of a user; places: "team" or "team/channel"."""
    teams: dict[str, list[Object]] = {}
    for place in places:
        team_name, _, channel_name = place.partition("/")
        inside = teams.setdefault(team_name, [])
        if channel_name:
            inside.append({"name": channel_name, "roles": "channel_user"})
    memberships = [{"name": one, "roles": "team_user", "channels": inside} for one, inside in teams.items()]
    return line("user", **{"username": name, "email": f"{name}@example.org", "teams": memberships, **more})


def post(place: str, name: str, message: str, at: int, **more: Any) -> Object:
    team_name, _, channel_name = place.partition("/")
    own = {"team": team_name, "channel": channel_name, "user": name, "message": message, "create_at": AT + at}
    return line("post", **{**own, **more})


def reply(name: str, message: str, at: int, **more: Any) -> Object:
    return {"user": name, "message": message, "create_at": AT + at, **more}


def _bytes(one: Object | str | bytes) -> bytes:
    if isinstance(one, dict):
        one = json.dumps(one)
    return one.encode() if isinstance(one, str) else one


def write(path: Path, *lines: Object | str | bytes, files: dict[str, bytes] | None = None) -> Path:
    """Write lines, behind the version's, as .jsonl or .zip; strings and bytes as they are."""
    texts = [
        one if isinstance(one, bytes) else (one if isinstance(one, str) else json.dumps(one)).encode()
        for one in lines
    ]
    data = b"\n".join([json.dumps(VERSION).encode(), *texts]) + b"\n"
    if path.suffix == ".zip":
        with ZipFile(path, "w", ZIP_DEFLATED) as archive:
            archive.writestr("import.jsonl", data)
            for name, content in (files or {}).items():
                archive.writestr(f"data/{name}", content)
    else:
        path.write_bytes(data)
        for name, content in (files or {}).items():
            target = path.parent / "data" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return path


async def run(
    settings: Settings,
    path: Path,
    *,
    dry: bool = False,
    stop_on_error: bool = False,
    progress: Callable[[State], None] = lambda _: None,
) -> Report:
    """Import a file in this process. Raises: Stopped."""
    source = open_source(path, None)
    try:
        async with open_kit(settings, source, digest_of(path, lambda _: None), path.name, dry=dry) as (
            kit,
            at,
        ):
            if at.finished_at:
                return kit.report
            return await Importer(kit, stop_on_error=stop_on_error, progress=progress).run(
                at.line, at.at_byte
            )
    finally:
        source.close()


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of an import."""
    return [sys.executable, "-m", "tidewire", "import", *map(str, arguments)]


def environment(settings: Settings) -> dict[str, str]:
    """Return what tells the command where things are."""
    return {
        "TIDEWIRE_DATABASE_URL": settings.database.url,
        "TIDEWIRE_REDIS_URL": settings.redis.url,
        "TIDEWIRE_FILES_DIRECTORY": settings.files.directory,
    }


def reasons(report: Report) -> set[tuple[str, str]]:
    """Return (type, reason) of all that was left out."""
    return {(one.type, one.reason) for one in report.reasons}


# What a workspace is, without ids and the times at which it was made here.
QUERIES = {
    "teams": "SELECT name, display_name, type, description, allow_open_invite FROM teams",
    "channels": """SELECT t.name AS team, c.name, c.type, c.display_name, c.header, c.purpose, c.delete_at,
        c.last_post_at, c.last_root_post_at, c.total_msg_count, c.total_msg_count_root
        FROM channels c LEFT JOIN teams t ON t.id = c.team_id WHERE c.type IN ('O', 'P')""",
    "directs": """SELECT c.type, c.header, c.last_post_at, c.total_msg_count,
        (SELECT array_agg(u.username ORDER BY username) FROM channel_members m JOIN users u ON u.id = m.user_id
            WHERE m.channel_id = c.id) AS people FROM channels c WHERE c.type IN ('D', 'G')""",
    "users": """SELECT username, email, roles, nickname, delete_at, notify_props, props, locale, is_bot,
        bot_description, auth_service, password_hash LIKE '$argon2%' AS own, email_verified FROM users""",
    "members": """SELECT nullif(c.name, CASE WHEN c.type IN ('D', 'G') THEN c.name END) AS name, c.type,
        c.last_post_at, u.username, m.explicit_roles, m.scheme_admin, m.scheme_guest,
        m.msg_count, m.msg_count_root, m.mention_count, m.notify_props, c.total_msg_count
        FROM channel_members m JOIN users u ON u.id = m.user_id JOIN channels c ON c.id = m.channel_id""",
    "team_members": """SELECT t.name, u.username, m.scheme_admin, m.scheme_guest FROM team_members m
        JOIN users u ON u.id = m.user_id JOIN teams t ON t.id = m.team_id""",
    "posts": """SELECT p.id, u.username, p.create_at, p.edit_at, p.message, p.type, p.props, p.hashtags, p.is_pinned,
        p.has_reactions, r.message AS root, p.priority, cardinality(p.file_ids) AS files
        FROM posts p JOIN users u ON u.id = p.user_id LEFT JOIN posts r ON r.id = p.root_id""",
    "threads": """SELECT p.message, t.reply_count, t.last_reply_at, (SELECT array_agg(u.username ORDER BY o.i)
        FROM unnest(t.participants) WITH ORDINALITY o(id, i) JOIN users u ON u.id = o.id) AS people
        FROM threads t JOIN posts p ON p.id = t.root_id""",
    "followers": """SELECT p.message, u.username, m.following, m.last_viewed_at, m.unread_mentions FROM thread_members m
        JOIN posts p ON p.id = m.root_id JOIN users u ON u.id = m.user_id""",
    "reactions": """SELECT p.message, u.username, r.emoji_name, r.create_at FROM reactions r
        JOIN posts p ON p.id = r.post_id JOIN users u ON u.id = r.user_id""",
    "files": "SELECT p.message, f.name, f.size, f.sha256, f.create_at FROM files f JOIN posts p ON p.id = f.post_id",
    "search": "SELECT p.message, s.words::text FROM post_search s JOIN posts p ON p.id = s.post_id",
    "preferences": """SELECT u.username, f.category, f.value, p.message FROM preferences f
        JOIN users u ON u.id = f.user_id LEFT JOIN posts p ON p.id = f.name""",
}


@dataclass
class Place:
    """A database with its settings, for whole workspaces."""

    settings: Settings

    @classmethod
    def at(cls, url: str, redis_url: str, directory: Path | None = None) -> "Place":
        """Return the place of a database; directory: of files of its own."""
        return cls(new_settings(url, redis_url, **({"files": {"directory": str(directory)}} if directory else {})))

    async def rows(self, query: str, *args: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        connection = await asyncpg.connect(self.settings.database.url)
        try:
            return [dict(row) for row in await connection.fetch(query, *args)]
        finally:
            await connection.close()

    async def everything(self, *, ids: bool = True) -> dict[str, list[str]]:
        """Return the workspace as texts in an order of their own. ids: those of posts, which come from the file."""
        found = {}
        for name, query in QUERIES.items():
            rows = await self.rows(query)
            found[name] = sorted(str({k: v for k, v in row.items() if ids or k != "id"}) for row in rows)
        return found


def many(posts: int) -> Iterator[Object]:
    """Yield a town with so many roots, each with a reply and a reaction; some have a file, "a.txt" or "b.txt"."""
    yield team("town")
    yield channel("town", "square")
    for number in range(8):
        yield user(f"u{number}", "town/square", "town/off-topic")
    for number in range(posts):
        who = f"u{number % 8}"
        yield post(
            "town/square" if number % 3 else "town/off-topic", who, f"number {number}", number * 10,
            replies=[reply(f"u{(number + 1) % 8}", f"answer {number}", number * 10 + 5)],
            reactions=[{"user": "u0", "emoji_name": "tada", "create_at": AT + number * 10 + 1}],
            **({"attachments": [{"path": "ab"[number // 50 % 2] + ".txt"}]} if number % 50 == 0 else {}),
        )  # fmt: skip
    for number in range(1, 4):
        yield line("direct_channel", members=["u0", f"u{number}"], shown_by=["u0"])
        for at in range(posts // 20):
            members = ["u0", f"u{number}"]
            yield line(
                "direct_post",
                channel_members=members,
                user="u0",
                message=f"d{number} {at}",
                create_at=AT + at,
            )
