"""Takes a team's rows away for good. Who may ask for that, and what is told, is tidewire.actions.team_deletion."""

from tidewire.store import files, permanent, search, sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.ids import now_ms

_Q = sql.load("team_deletion")


async def end_memberships(
    tx: Transaction, team_id: str, *, at: int
) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """Take everybody out of a team and its channels, and archive them.

    Return (channel ids, (channel id, user id) of who left, user ids of who left the team), each sorted. A channel that
    just moves to another team stays as it is there.
    """
    members = sorted(row["user_id"] for row in await tx.fetch(_Q["end_team_memberships"], team_id, at))
    channel_ids = await _channels(tx, "channels_of_team", team_id)
    await tx.execute(_Q["hold_channel_memberships"], channel_ids)
    still = set(await _channels(tx, "channels_of_team", team_id))
    left = await end_channel_memberships(tx, [one for one in channel_ids if one in still])
    still.intersection_update(await _channels(tx, "hold_channels_of_team", team_id))  # those without members, too
    await tx.execute(_Q["archive_channels"], team_id, at)
    return [one for one in channel_ids if one in still], left, members


async def _channels(tx: Transaction, name: str, team_id: str) -> list[str]:
    return [row["id"] for row in await tx.fetch(_Q[name], team_id)]


async def end_channel_memberships(tx: Transaction, channel_ids: list[str]) -> list[tuple[str, str]]:
    """Take everybody out of channels; return (channel id, user id), sorted."""
    rows = await tx.fetch(_Q["end_channel_memberships"], channel_ids)
    return sorted((row["channel_id"], row["user_id"]) for row in rows)


async def delete_posts(db: Database, channel_ids: list[str]) -> None:
    """Delete the posts and files of channels that nobody is in, some at a time."""
    while await delete_some_posts(db, channel_ids):
        pass
    await files.delete_in_channels(db, channel_ids, now_ms())
    await search.leave_out(db, channel_ids=channel_ids)


async def delete_some_posts(db: Database, channel_ids: list[str]) -> int:
    """Delete some posts of channels that nobody is in; return how many, 0 if there are none."""
    async with db.transaction() as tx:
        return await permanent.delete_some_posts(tx, channel_ids)


async def delete_rows(db: Database, team_id: str, channel_ids: list[str]) -> None:
    """Delete what is left of a team that nobody is in: posts some at a time, then the rest at once.

    channel_ids: of its channels. One that was being made while they were listed goes as well.
    """
    gone: set[str] = set()
    while True:
        await delete_posts(db, channel_ids)
        gone.update(channel_ids)
        await db.execute(_Q["delete_own"], team_id)  # as with users: first what can be seen, with nothing held
        async with db.transaction() as tx:
            await tx.execute(_Q["lock_channels_of_team"], team_id)
            await tx.execute(_Q["lock_team"], team_id)
            channel_ids = [
                one for one in await _channels(tx, "channels_of_team", team_id) if one not in gone
            ]
            if not channel_ids:
                await permanent.delete_late(tx, sorted(gone))
                for name in ("delete_own", "delete_channels", "delete_team"):
                    await tx.execute(_Q[name], team_id)
                return
            await tx.execute(_Q["archive_channels"], team_id, now_ms())
