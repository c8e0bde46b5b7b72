"""Builds what a transaction announces: one envelope of effects and copies. Who may see it has been decided before.

The members of `broadcast` in a body are those that clients read; the copy beside it names the same audience to
the gateways.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from tidewire.bus.envelope import Copy, Effect, Envelope, Only, Push, encode
from tidewire.store.db import Transaction
from tidewire.wire.events import encode_prefix
from tidewire.wire.ids import now_ms


def to_user(
    event: str,
    data: dict[str, Any],
    user_id: str,
    *,
    channel_id: str = "",
    team_id: str = "",
    droppable: bool = False,
) -> Copy:
    """Return a copy for one user's connections; channel or team only say in `broadcast` what it is about."""
    body = encode_prefix(event, data, user_id=user_id, channel_id=channel_id, team_id=team_id)
    return Copy(
        body, user_id=user_id, channel_id=channel_id, team_id=team_id, droppable=droppable, name=event
    )


def to_channel(event: str, data: dict[str, Any], channel_id: str, *, omit: Sequence[str] = ()) -> Copy:
    """Return a copy for the members of a channel, without the omitted users."""
    body = encode_prefix(event, data, channel_id=channel_id, omit_users=list(omit))
    return Copy(body, channel_id=channel_id, omit_users=list(omit), name=event)


def to_team(event: str, data: dict[str, Any], team_id: str, *, omit: Sequence[str] = ()) -> Copy:
    """Return a copy for the members of a team, without the omitted users."""
    body = encode_prefix(event, data, team_id=team_id, omit_users=list(omit))
    return Copy(body, team_id=team_id, omit_users=list(omit), name=event)


def to_all(
    event: str,
    data: dict[str, Any],
    *,
    omit: Sequence[str] = (),
    only: Only = Only.ANY,
    guests: Sequence[str] | None = None,
) -> Copy:
    """Return a copy for every connection. only: ADMINS get what is marked sensitive, NON_ADMINS what is sanitized.

    guests: those of the guests who may know; None: all.
    """
    body = encode_prefix(
        event,
        data,
        omit_users=list(omit),
        sanitized=only is Only.NON_ADMINS,
        sensitive=only is Only.ADMINS,
    )
    allowed = None if guests is None else list(guests)
    return Copy(body, everyone=True, omit_users=list(omit), only=only, name=event, guests=allowed)


def announce(
    tx: Transaction,
    key: str,
    copies: Iterable[Copy] = (),
    *,
    effects: Iterable[Effect] = (),
    invalidates: Iterable[str] = (),
    push: Push | None = None,
) -> None:
    """Add one numbered announcement of a key to the transaction. invalidates: cache keys that are out of date then.

    push: what the push worker is to decide on.
    """
    stale = list(invalidates)
    tx.announce(key, encode(Envelope(key, list(effects), list(copies), now_ms(), stale, push)), stale)
