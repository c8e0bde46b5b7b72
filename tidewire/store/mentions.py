"""What decides whom a post mentions, read for a channel. What follows from it is tidewire.actions.mention_map."""

from typing import NamedTuple

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction

Source = Database | Transaction
_Q = sql.load("mentions")


class MemberSettings(NamedTuple):
    """An active member's name and those of his settings that concern mentions and pushes, as stored; None: not set."""

    user_id: str
    username: str
    first_name: str
    keywords: str | None
    by_first_name: str | None
    channel_wide: str | None
    desktop: str | None
    desktop_threads: str | None
    ignore_channel_wide: str | None
    mark_unread: str | None
    channel_desktop: str | None
    channel_desktop_threads: str | None
    follows_all: str | None
    push: str | None = None
    channel_push: str | None = None


def _settings(rows: list[Record]) -> list[MemberSettings]:
    return [MemberSettings(*row) for row in rows]


async def member_settings(
    source: Source, channel_id: str, limit: int, *, after: str = ""
) -> list[MemberSettings]:
    """Return active members of a channel by user id, those above `after`, at most `limit`."""
    return _settings(await source.fetch(_Q["member_settings"], channel_id, limit, after))


async def keyword_settings(source: Source, channel_id: str) -> list[MemberSettings]:
    """Return the active members whom keywords or first names mention, or who follow every thread.

    Cost: with their number, not the channel's.
    """
    return _settings(await source.fetch(_Q["keyword_settings"], channel_id))


async def settings_of(source: Source, channel_id: str, user_ids: list[str]) -> list[MemberSettings]:
    """Return the active ones of these users who are members of the channel."""
    return _settings(await source.fetch(_Q["settings_of"], channel_id, user_ids))


async def named_members(source: Source, channel_id: str, names: list[str]) -> dict[str, str]:
    """Return username → user id of the active members with these usernames."""
    return {row["username"]: row["id"] for row in await source.fetch(_Q["named_members"], channel_id, names)}


async def channels_of_user(source: Source, user_id: str) -> list[str]:
    """Return the ids of the channels that a user is in."""
    return [row["channel_id"] for row in await source.fetch(_Q["channels_of_user"], user_id)]
