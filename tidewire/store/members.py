"""Rows of channel memberships, with each member's read state."""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.models import ChannelMember, ChannelMemberWithTeam

Source = Database | Transaction
_Q = sql.load("members")


class Unread(NamedTuple):
    """What waits for a member in a channel."""

    team_id: str
    channel_id: str
    msg_count: int
    mention_count: int
    mention_count_root: int
    urgent_mention_count: int
    msg_count_root: int


def _members(rows: list[Record]) -> list[ChannelMember]:
    return [ChannelMember(**row) for row in rows]


async def get(source: Source, channel_id: str, user_ids: list[str]) -> list[ChannelMember]:
    """Return the memberships that exist, by user id."""
    return _members(await source.fetch(_Q["members"], channel_id, user_ids))


async def page(source: Source, channel_id: str, *, limit: int, offset: int) -> list[ChannelMember]:
    """Return members of a channel by user id."""
    return _members(await source.fetch(_Q["page_of_members"], channel_id, limit, offset))


async def of_user_in_team(source: Source, user_id: str, team_id: str) -> list[ChannelMember]:
    """Return a user's memberships in a team's channels and in D and G, by channel id."""
    return _members(await source.fetch(_Q["memberships_in_team"], user_id, team_id))


async def of_user(
    source: Source, user_id: str, *, limit: int | None, offset: int
) -> list[ChannelMemberWithTeam]:
    """Return a user's memberships with their teams, by channel id. limit: None for all."""
    rows = await source.fetch(_Q["memberships_with_team"], user_id, limit, offset)
    return [ChannelMemberWithTeam(**row) for row in rows]


async def roles_of(source: Source, channel_id: str, user_id: str) -> str:
    """Return a member's roles, space separated; "" for one who is no member."""
    roles: str | None = await source.fetchval(_Q["roles_of"], channel_id, user_id)
    return roles or ""


async def join(
    tx: Transaction,
    channel_id: str,
    user_ids: list[str],
    *,
    at: int,
    notify_props: dict[str, str],
    admin: str = "",
) -> list[str]:
    """Make users members, with nothing unread; return those who were none before. admin: who runs the channel."""
    return [
        row["user_id"]
        for row in await tx.fetch(_Q["join_channel"], channel_id, user_ids, at, notify_props, admin)
    ]


async def leave(tx: Transaction, channel_id: str, user_id: str) -> bool:
    """End a membership; False if there was none."""
    return await tx.fetchval(_Q["leave_channel"], channel_id, user_id) is not None


async def leave_team(tx: Transaction, team_id: str, user_id: str) -> list[str]:
    """End a user's memberships in all channels of a team; return the channel ids, sorted."""
    return sorted(row["channel_id"] for row in await tx.fetch(_Q["leave_channels_of_team"], team_id, user_id))


async def view(tx: Transaction, user_id: str, channel_ids: list[str], *, at: int) -> dict[str, int]:
    """Mark channels read; return channel id → its last_post_at, for those the user is in."""
    rows = await tx.fetch(_Q["view_channels"], user_id, channel_ids, at)
    return {row["channel_id"]: row["last_post_at"] for row in rows}


async def unread(source: Source, user_id: str, channel_id: str) -> Unread | None:
    """Return what waits for a member, or None for one who is none."""
    row = await source.fetchrow(_Q["unread"], user_id, channel_id)
    return None if row is None else Unread(*row)


async def others_in_groups(source: Source, user_id: str, channel_ids: list[str]) -> dict[str, list[str]]:
    """Return channel id → ids of the other members, for the group channels among these that the user is in."""
    members: dict[str, list[str]] = {}
    for row in await source.fetch(_Q["members_of_groups"], user_id, channel_ids):
        members.setdefault(row["channel_id"], []).append(row["user_id"])
    return members


async def sharing_channel(source: Source, user_id: str, others: list[str]) -> set[str]:
    """Return who of the others is in a channel with the user."""
    return {row["user_id"] for row in await source.fetch(_Q["sharing_channel"], user_id, others)}
