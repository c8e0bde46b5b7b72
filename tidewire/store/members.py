"""Rows of channel memberships, with each member's read state."""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.member_roles import MemberRoles
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


async def of_user(source: Source, user_id: str, *, limit: int, offset: int) -> list[ChannelMemberWithTeam]:
    """Return a page of a user's memberships with their teams, by channel id."""
    rows = await source.fetch(_Q["memberships_with_team"], user_id, limit, offset)
    return [ChannelMemberWithTeam(**row) for row in rows]


async def lines_of_user_after(
    source: Source, user_id: str, channel_id: str, *, limit: int
) -> tuple[bytes, int, str]:
    """Return (memberships after a channel id, "" for the first, as JSON with one a line; how many; the last id)."""
    [row] = await source.fetch(_Q["memberships_as_lines"], user_id, channel_id, limit)
    return row["lines"], row["count"], row["last"] or ""


async def roles_of(source: Source, channel_id: str, user_id: str) -> str:
    """Return a member's roles, space separated; "" for one who is no member."""
    roles: str | None = await source.fetchval(_Q["roles_of"], channel_id, user_id)
    return roles or ""


async def own_roles(source: Source, user_id: str, channel_ids: list[str]) -> dict[str, str]:
    """Return channel id → the user's roles there, for those of these channels that he is in."""
    rows = await source.fetch(_Q["own_roles"], user_id, channel_ids)
    return {row["channel_id"]: row["roles"] for row in rows}


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


async def leave_many(tx: Transaction, channel_id: str, user_ids: list[str]) -> None:
    """End the memberships of these users in a channel, whose rows are locked."""
    if user_ids:
        await tx.execute(_Q["leave_channel_many"], channel_id, user_ids)


async def lock_all(tx: Transaction, channel_id: str) -> dict[str, bool]:
    """Return user id → account is active of all members; they stay until the transaction ends."""
    return {row["user_id"]: row["active"] for row in await tx.fetch(_Q["lock_all_members"], channel_id)}


async def lock(tx: Transaction, channel_id: str, user_id: str) -> ChannelMember | None:
    """Return a membership, locked against changes until the transaction ends, or None."""
    row = await tx.fetchrow(_Q["lock_member"], channel_id, user_id)
    return None if row is None else ChannelMember(**row)


async def lock_own(tx: Transaction, user_id: str, channel_ids: list[str]) -> None:
    """Lock a user's memberships in these channels until the transaction ends."""
    await tx.execute(_Q["lock_own_members"], user_id, channel_ids)


async def set_roles(
    tx: Transaction, channel_id: str, user_id: str, roles: MemberRoles, *, at: int
) -> ChannelMember:
    """Store a locked member's roles."""
    row = await tx.fetchrow(_Q["set_channel_roles"], channel_id, user_id, *roles, at)
    assert row is not None, "the row is locked"
    return ChannelMember(**row)


async def set_notify_props(
    tx: Transaction, user_id: str, channel_ids: list[str], props: dict[str, str], *, at: int
) -> list[ChannelMember]:
    """Change these notify_props of a user's memberships, leaving the others; return the memberships, by channel id."""
    rows = await tx.fetch(_Q["set_notify_props"], user_id, channel_ids, props, at)
    return sorted(_members(rows), key=lambda member: member.channel_id)


async def count_in_team(source: Source, user_id: str, team_id: str) -> int:
    """Return in how many channels of a team the user is."""
    number: int = await source.fetchval(_Q["count_in_team"], user_id, team_id)
    return number


async def leave_team(tx: Transaction, team_id: str, user_id: str) -> list[str]:
    """End a user's memberships in all channels of a team; return the channel ids, sorted."""
    return sorted(row["channel_id"] for row in await tx.fetch(_Q["leave_channels_of_team"], team_id, user_id))


class Viewed(NamedTuple):
    """A channel that was marked read. mentioned, unread: it held unread mentions, unread posts."""

    channel_id: str
    last_post_at: int
    mentioned: bool
    unread: bool


async def view(tx: Transaction, user_id: str, channel_ids: list[str], *, at: int) -> list[Viewed]:
    """Mark channels read; return those that the user is in.

    Who mentions him just now is waited for first, by a statement of its own: one that waited would clear that mention
    and count the channel's posts as they were before.
    """
    await lock_own(tx, user_id, channel_ids)
    return [Viewed(*row) for row in await tx.fetch(_Q["view_channels"], user_id, channel_ids, at)]


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
