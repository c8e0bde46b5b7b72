"""Keeps what rows belong to while they are written, as there are no foreign keys.

A deletion for good locks what it deletes FOR UPDATE before it looks for what belongs to it: whoever holds it is waited
for and seen, and whoever comes later finds nothing to hold. What is announced to a channel, a team or a user is held by
that already (store/db.py), and a post by its lock.
"""

from collections.abc import Sequence

from tidewire.store import sql
from tidewire.store.db import Transaction

_Q = sql.load("holds")


async def hold(
    tx: Transaction,
    *,
    posts: Sequence[str] = (),
    channels: Sequence[str] = (),
    teams: Sequence[str] = (),
    users: Sequence[str] = (),
) -> bool:
    """Keep these, each named once, from being deleted for good until the transaction ends; False if one is gone."""
    found = await tx.fetchval(_Q["hold"], posts, channels, teams, users)
    return bool(found == len(posts) + len(channels) + len(teams) + len(users))
