"""Takes away all that `seed` ever made, and what a load made of it. Others are told as the API would.

What is seeded is known by its mail domain, which nobody else can have: users and teams, with all channels of these
teams, and direct and group channels of seeded people alone. Their sockets are closed, sessions and caches end, and the
objects of their files are left to the janitor. Posts that they wrote elsewhere stay.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtest.seed import MAIL_DOMAIN, Progress
from tidewire.actions.copies import announce, to_user
from tidewire.bus.cache import EVERYTHING
from tidewire.bus.envelope import EndSessions, LeaveChannel, LeaveTeam, channel_key, team_key, user_key
from tidewire.store import permanent, sessions, team_deletion
from tidewire.store.db import Database
from tidewire.wire.ids import now_ms

_USERS_AT_ONCE = 500  # some 100 ms of one core, with ten memberships each
_CHANNELS_AT_ONCE = 50
_MAIL = "%@" + MAIL_DOMAIN


@dataclass(frozen=True)
class Found:
    """What there is to purge: ids, and about how many posts."""

    users: list[str]
    teams: list[str]
    channels: list[str]
    posts: int


async def find(database: Database) -> Found:
    """Return what was seeded. Raises: Unavailable, asyncpg errors (no schema)."""
    users = await database.fetch("SELECT id FROM users WHERE email LIKE $1 ORDER BY id", _MAIL)
    teams = await database.fetch("SELECT id FROM teams WHERE email LIKE $1 ORDER BY id", _MAIL)
    team_ids = [row["id"] for row in teams]
    channels = await database.fetch(
        """SELECT c.id, c.total_msg_count AS posts FROM channels c WHERE c.team_id = ANY($1::text[]) UNION ALL
           SELECT c.id, c.total_msg_count FROM channels c WHERE c.type IN ('D', 'G') AND c.team_id = '' AND EXISTS
               (SELECT FROM channel_members m WHERE m.channel_id = c.id) AND NOT EXISTS
               (SELECT FROM channel_members m JOIN users u ON u.id = m.user_id
                WHERE m.channel_id = c.id AND u.email NOT LIKE $2)
           ORDER BY id""",
        team_ids, _MAIL,
    )  # fmt: skip
    return Found(
        [row["id"] for row in users], team_ids, [row["id"] for row in channels], sum(row["posts"] for row in channels)
    )


async def purge(database: Database, progress: Progress = lambda rows, total: None) -> Found:
    """Delete it; return what was found. It can be asked again where it was cut off.

    progress: called now and then with what is done and all there is, in users, posts and channels.
    Raises: Unavailable, asyncpg errors (no schema).
    """
    found = await find(database)
    total, done = len(found.users) + len(found.channels) + found.posts, 0

    def advance(count: int) -> None:
        nonlocal done
        done = min(total, done + count)
        progress(done, total)

    for team_id in found.teams:
        await _close(database, team_id)
    for some in _slices(found.users, _USERS_AT_ONCE):
        await _end_sessions(database, some, found.teams)
    for some in _slices(found.channels, _CHANNELS_AT_ONCE):
        while count := await team_deletion.delete_some_posts(database, some):
            advance(count)
        await team_deletion.delete_posts(database, some)
        await permanent.delete_channels(database, some)
        advance(len(some))
    for some in _slices(found.users, _USERS_AT_ONCE):
        await _delete_users(database, some)
        advance(len(some))
    for team_id in found.teams:  # last: by them and by users it is found again where it was cut off
        await team_deletion.delete_rows(database, team_id, [])
    # Numbers of an announcement come from a row; if nobody is left, nobody asks.
    keeper = await database.fetchval("SELECT id FROM users LIMIT 1")
    if keeper:
        async with database.transaction() as tx:
            announce(tx, user_key(keeper), invalidates=[EVERYTHING])
    return found


async def _close(database: Database, team_id: str) -> None:
    """Archive a team with its channels, and take those out of it, with word to them, who were not seeded."""
    async with database.transaction() as tx:
        left = await tx.fetch(
            """DELETE FROM channel_members m USING channels c, users u WHERE c.team_id = $1 AND m.channel_id = c.id
               AND u.id = m.user_id AND u.email NOT LIKE $2 RETURNING m.channel_id, m.user_id""",
            team_id, _MAIL,
        )  # fmt: skip
        out = await tx.fetch(
            """DELETE FROM team_members m USING users u WHERE m.team_id = $1 AND u.id = m.user_id
               AND u.email NOT LIKE $2 RETURNING m.user_id""",
            team_id, _MAIL,
        )  # fmt: skip
        now = now_ms()
        for table, key in (("channels", "team_id"), ("teams", "id")):
            await tx.execute(
                f"UPDATE {table} SET delete_at = $2, update_at = $2 WHERE {key} = $1 AND delete_at = 0",  # noqa: S608
                team_id, now,
            )  # fmt: skip
        for row in left:
            announce(tx, channel_key(row["channel_id"]), effects=[LeaveChannel(row["user_id"], row["channel_id"])])
        users = [row["user_id"] for row in out]
        announce(
            tx,
            team_key(team_id),
            [to_user("leave_team", {"user_id": one, "team_id": team_id}, one) for one in users],
            effects=[LeaveTeam(one, team_id) for one in users],
            invalidates=[EVERYTHING],
        )


async def _end_sessions(database: Database, user_ids: list[str], teams: Sequence[str]) -> None:
    """Close the users' sockets and end what they are logged in by."""
    async with database.transaction() as tx:
        await sessions.delete_of_users(tx, user_ids)
        if teams:
            announce(tx, team_key(teams[0]), effects=[EndSessions(one) for one in user_ids], invalidates=[EVERYTHING])


async def _delete_users(database: Database, user_ids: list[str]) -> None:
    """Take users out of everything and delete them."""
    async with database.transaction() as tx:
        for table in ("thread_members", "channel_members", "team_members"):
            await tx.execute(f"DELETE FROM {table} WHERE user_id = ANY($1::text[])", user_ids)  # noqa: S608 - named above
    await permanent.delete_own(database, user_ids)
    async with database.transaction() as tx:
        await permanent.delete_accounts(tx, user_ids)


def _slices(ids: list[str], size: int) -> Iterator[list[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
