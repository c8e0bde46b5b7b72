"""Custom statuses: an emoji and a text in the user's props, and the last ones in his preferences to choose from again.

Source: Mattermost API v4, CustomStatus; clients stop showing one at its expires_at.
"""

import re
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, structs

from tidewire.actions import permissions, preferences
from tidewire.actions.services import Services
from tidewire.actions.users import announce_updated, missing
from tidewire.store import preferences as preference_store
from tidewire.store import users
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Preference, Session, User

PROP = "customStatus"
CATEGORY, RECENT = "custom_status", "recent_custom_statuses"
TEXT_MAX = 100  # characters; what is longer is cut, as the reference does
RECENT_MAX = 5
DEFAULT_EMOJI = "speech_balloon"
NEVER = "0001-01-01T00:00:00Z"
DATE = "date_and_time"
DURATIONS = frozenset({"thirty_minutes", "one_hour", "four_hours", "today", "this_week", DATE})
_EMOJI = re.compile(r"[a-zA-Z0-9_+-]{1,64}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z")


class CustomStatus(Struct):
    """What a user says he is doing. expires_at: RFC 3339, year 1 for never."""

    emoji: str = ""
    text: str = ""
    duration: str = ""
    expires_at: str = NEVER


_decode_recent = msgspec.json.Decoder(list[CustomStatus]).decode
_encode = msgspec.json.encode


def _is_past(text: str, now: datetime) -> bool:
    """Tell whether a time is over; year 1 is. Raises: ValueError for what is no time."""
    if not _TIME.match(text):
        raise ValueError(text)
    seconds, zone = text[:19], text[19:].lstrip(".0123456789")
    return datetime.fromisoformat(seconds + zone) < now


def checked(wanted: CustomStatus) -> CustomStatus:
    """Return a status as it is stored. Raises: 400 for an empty one, an unknown duration, or an end that is over."""
    if not (wanted.emoji or wanted.text) or (wanted.emoji and not _EMOJI.match(wanted.emoji)):
        raise body_param("custom_status")
    try:
        past = _is_past(wanted.expires_at or NEVER, datetime.now(UTC))
    except (ValueError, OverflowError) as error:
        raise body_param("custom_status") from error
    never = (wanted.expires_at or NEVER).startswith("0001-01-01T00:00:00")
    if (past and not (never and not wanted.duration)) or wanted.duration not in {"", *DURATIONS}:
        raise body_param("custom_status")
    return CustomStatus(
        wanted.emoji or DEFAULT_EMOJI,
        wanted.text[:TEXT_MAX],
        wanted.duration or ("" if never else DATE),
        NEVER if never else wanted.expires_at,
    )


def _check(services: Services, session: Session, user_id: str) -> None:
    if not services.config.flag("TeamSettings.EnableCustomUserStatuses"):
        raise AppError("api.custom_status.disabled", 501, "Custom statuses are switched off.")
    permissions.check_self(session, user_id)


async def do_set_custom_status(
    services: Services, session: Session, user_id: str, wanted: CustomStatus
) -> None:
    """Store a status, remember it among the last five, and tell. Raises: 400, 403, 404, 501."""
    _check(services, session, user_id)
    status = checked(wanted)
    async with services.db.transaction() as tx:
        await _put_prop(services, tx, user_id, _encode(status).decode())
        recent = await _recent(tx, user_id)
        others = [one for one in recent if one.text != status.text]
        await _put_recent(tx, user_id, [status, *others][:RECENT_MAX])


async def do_clear_custom_status(services: Services, session: Session, user_id: str) -> None:
    """Remove the status and tell; the last ones stay. Raises: 403, 404, 501."""
    _check(services, session, user_id)
    async with services.db.transaction() as tx:
        await _put_prop(services, tx, user_id, "")


async def do_forget_recent(services: Services, session: Session, user_id: str, gone: CustomStatus) -> None:
    """Remove one of the last statuses and tell. Raises: 403, 404, 501; 400 if it is none of them."""
    _check(services, session, user_id)
    async with services.db.transaction() as tx:
        await _lock(tx, user_id)
        recent = await _recent(tx, user_id)
        rest = [one for one in recent if (one.emoji, one.text) != (gone.emoji, gone.text)]
        if len(rest) == len(recent):
            raise AppError(
                "api.custom_status.recent_custom_statuses.delete.app_error", 400, "There is no such status."
            )
        await _put_recent(tx, user_id, rest)


async def _lock(tx: Transaction, user_id: str) -> User:
    user = await users.lock(tx, user_id)
    if user is None:
        raise missing()
    return user


async def _put_prop(services: Services, tx: Transaction, user_id: str, text: str) -> None:
    user = await _lock(tx, user_id)
    at = max(now_ms(), user.update_at + 1)
    user = structs.replace(user, props={**user.props, PROP: text}, update_at=at)
    await users.update(tx, user)
    await announce_updated(services, tx, user)


async def _recent(tx: Transaction, user_id: str) -> list[CustomStatus]:
    rows = await preference_store.of_user(tx, user_id, CATEGORY, RECENT)
    try:
        return _decode_recent(rows[0].value) if rows else []
    except msgspec.DecodeError:
        return []  # clients may write any preference; theirs is overwritten


async def _put_recent(tx: Transaction, user_id: str, recent: list[CustomStatus]) -> None:
    item = Preference(user_id, CATEGORY, RECENT, _encode(recent[:RECENT_MAX]).decode())
    await preference_store.put(tx, user_id, [item])
    preferences.announce_changed(tx, user_id, [item])
