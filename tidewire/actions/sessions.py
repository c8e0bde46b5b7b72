"""Sessions: make one, find it again, end it. Ending one silences its sockets everywhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidewire.actions import permissions, push_targets
from tidewire.actions.copies import announce
from tidewire.actions.services import Services
from tidewire.bus.envelope import EndSessions, user_key
from tidewire.store import sessions, users
from tidewire.store.db import Database, Transaction
from tidewire.store.sessions import Ended
from tidewire.store.users import Credentials
from tidewire.wire.defaults import session_props
from tidewire.wire.errors import AppError, body_param, logged_out
from tidewire.wire.ids import new_id, new_token, now_ms
from tidewire.wire.models import Session, User
from tidewire.wire.roles import is_guest

if TYPE_CHECKING:
    from tidewire.actions.config import Config

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
USERS_AT_ONCE = 200
DEVICE_MAX = 512  # characters
_LENGTH_WEB = "ServiceSettings.SessionLengthWebInHours"
_LENGTH_MOBILE = "ServiceSettings.SessionLengthMobileInHours"
OAUTH = "ServiceSettings.EnableOAuthServiceProvider"
BY_ACCESS_TOKEN = "UserAccessToken"  # noqa: S105 (a session's type, as clients see it)


async def session_of_token(services: Services, token: str) -> Session | None:
    """Return the live session of a token, or None. Waits for nothing when the session is cached.

    Raises: Unavailable when the database must be asked and does not answer.
    """
    hashed = sessions.token_hash(token)

    async def load() -> Session | None:
        return await sessions.by_hash(services.db, hashed)

    key = cache_key(hashed)
    session: Session | None = services.cache.peek(key) or await services.cache.get(key, load)
    if session is not None and session.expires_at <= now_ms():
        # Another worker may have pushed its end forward; while Redis is away we do not hear of it at once.
        session = await load()
    if session is None or session.expires_at <= now_ms():
        return None
    if session.is_oauth and not services.config.flag(OAUTH):
        return None
    props = session.props
    by_access_token = props.get("type") == BY_ACCESS_TOKEN and props.get("is_bot") != "true"
    if by_access_token and not services.config.flag("ServiceSettings.EnableUserAccessTokens"):
        return None
    return session


def cache_key(hashed: bytes) -> str:
    """Return the cache key of a session."""
    return "session:" + hashed.hex()


def length_ms(config: "Config", *, mobile: bool) -> int:
    """Return how long a login lives."""
    return config.number(_LENGTH_MOBILE if mobile else _LENGTH_WEB) * HOUR_MS


def _is_mobile(session: Session) -> bool:
    return bool(session.device_id) or session.props.get("isMobile") == "true"


async def do_create_session(
    services: Services, user: User, known: Credentials, *, device_id: str = "", user_agent: str = ""
) -> Session:
    """Store a session and return it with its token, which nobody can read again.

    known: what the login was checked against; 401 if password or second factor have changed meanwhile. A device has
    one session: the user's earlier ones there end.
    """
    token, now = new_token(), now_ms()
    agent = describe_agent(user_agent)
    mobile = bool(device_id) or agent["browser"] == "Mattermost Mobile"
    session = Session(
        id=new_id(now),
        user_id=user.id,
        create_at=now,
        expires_at=now + length_ms(services.config, mobile=mobile),
        last_activity_at=now,
        device_id=device_id[:DEVICE_MAX],
        roles=user.roles,
        props=session_props(new_token(), mobile=mobile, guest=is_guest(user.roles), **agent),
    )
    async with services.db.transaction() as tx:
        locked = await users.lock(tx, user.id)
        shown = known.last_password_update, known.mfa_active
        if locked is None or locked.delete_at or (locked.last_password_update, locked.mfa_active) != shown:
            raise logged_out()
        session.roles, session.props["is_guest"] = locked.roles, str(is_guest(locked.roles)).lower()
        if session.device_id:
            ended = await sessions.delete_of_device(tx, user.id, session.device_id, but="")
            announce_end(tx, user.id, ended)
            announce(tx, user_key(user.id), invalidates=[push_targets.KEY])
        await sessions.insert(tx, session, hashed=sessions.token_hash(token))
    session.token = token
    return session


def _threshold_ms(length: int) -> int:
    """Return how old a session's end must be to be pushed forward. Source: Mattermost API v4: 1 %, at most a day."""
    return min(length // 100, DAY_MS)


def may_extend(config: "Config", expires_at: int, now: int) -> bool:
    """Tell whether use may push a session's end forward, of whatever kind it is; do_extend_by_id knows the kind."""
    if not config.flag("ServiceSettings.ExtendSessionLengthWithActivity"):
        return False
    for mobile in (False, True):  # no generator: each post asks
        length = length_ms(config, mobile=mobile)
        if now - (expires_at - length) >= _threshold_ms(length):
            return True
    return False


async def do_extend(db: Database, config: "Config", session: Session) -> bool:
    """Push the end of a session that is used forward, if it is old enough; tell whether that happened."""
    now = now_ms()
    if session.is_oauth or session.props.get("type") == BY_ACCESS_TOKEN or session.expires_at <= now:
        return False
    if not may_extend(config, session.expires_at, now):
        return False
    length = length_ms(config, mobile=_is_mobile(session))
    latest = now + length - _threshold_ms(length)
    if session.expires_at > latest:
        return False
    async with db.transaction() as tx:
        await users.lock_all(tx, [session.user_id])
        extended = await sessions.extend(tx, session.id, expires_at=now + length, not_after=latest, now=now)
        announce_change(tx, session.user_id, extended)
    if extended:
        session.expires_at = now + length
    return bool(extended)


async def do_extend_by_id(db: Database, config: "Config", session_id: str) -> int:
    """The same for a session of which only the id is known; return when it ends now, 0 if it is over."""
    session = await sessions.by_id(db, session_id)
    if session is None:
        return 0
    await do_extend(db, config, session)
    return session.expires_at


def announce_change(
    tx: Transaction, user_id: str, changed: list[Ended], *, stale: Sequence[str] = ()
) -> None:
    """Announce that sessions have changed. stale: further cache keys."""
    if changed:
        hashes = [cache_key(item.token_hash) for item in changed]
        announce(tx, user_key(user_id), invalidates=[*hashes, *stale])


async def do_set_device(
    services: Services, session: Session, *, device_id: str | None, props: dict[str, str]
) -> bool:
    """Store what a phone says about itself; tell whether the session's end has changed.

    device_id: where to push to; the device's other sessions of the user end, and this one lives as long as a phone's.
    "" takes the device away, None leaves it.
    """
    if device_id == "" and session.device_id:
        props = {**props, "last_removed_device_id": session.device_id}
    now = now_ms()
    expires_at = now + length_ms(services.config, mobile=True) if device_id else None
    async with services.db.transaction() as tx:
        await users.lock_all(tx, [session.user_id])
        if device_id:
            ended = await sessions.delete_of_device(tx, session.user_id, device_id, but=session.id)
            announce_end(tx, session.user_id, ended)
        changed = await sessions.set_device(
            tx, session, device_id=device_id, expires_at=expires_at, props=props
        )
        announce_change(tx, session.user_id, changed, stale=[push_targets.KEY] if device_id else [])
    if expires_at is not None and changed:
        session.expires_at = expires_at
    return expires_at is not None


_BROWSERS = ("Mattermost Mobile", "Mattermost", "Electron", "Edg", "OPR", "Firefox", "Chrome", "Safari")
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iOS",
    "iPad": "iOS",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "Linux": "Linux",
}


def describe_agent(user_agent: str) -> dict[str, str]:
    """Return platform, os and browser for the list of a user's sessions; a rough guess, for people's eyes only."""
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "Unknown")
    browser = next(
        (mark for mark in _BROWSERS if mark in user_agent), user_agent.partition("/")[0][:64] or "Unknown"
    )
    return {"platform": system, "os": system, "browser": browser}


async def list_sessions(services: Services, session: Session, user_id: str) -> list[Session]:
    """Return a user's live sessions, without tokens and CSRF secrets. Raises: 403."""
    permissions.check_self(session, user_id)
    found = await sessions.of_user(services.db, user_id, now=now_ms())
    for item in found:
        item.props.pop("csrf", None)
    return found


def announce_end(tx: Transaction, user_id: str, ended: list[Ended]) -> None:
    """Announce that sessions are over: their sockets fall silent, no worker keeps them in memory."""
    if ended:
        announce(
            tx,
            user_key(user_id),
            effects=[EndSessions(user_id, [item.session_id for item in ended])],
            invalidates=[cache_key(item.token_hash) for item in ended],
        )


async def end_all_sessions(tx: Transaction, user_ids: list[str]) -> None:
    """End all that users are logged in by, access tokens included while they are deactivated, and every socket."""
    await users.lock_all(tx, user_ids)
    hashes = await sessions.delete_of_users(tx, user_ids)
    for number, user_id in enumerate(user_ids):
        announce(
            tx,
            user_key(user_id),
            effects=[EndSessions(user_id)],
            invalidates=[cache_key(hashed) for hashed in hashes] if number == 0 else [],
        )


async def do_logout(services: Services, session: Session) -> None:
    """End the caller's session."""
    async with services.db.transaction() as tx:
        await users.lock_all(tx, [session.user_id])
        announce_end(tx, session.user_id, await sessions.delete(tx, session.user_id, session.id))


async def do_revoke_session(services: Services, session: Session, user_id: str, session_id: str) -> None:
    """End one session of a user. Raises: 403; 400 if he has no such session."""
    permissions.check_self(session, user_id)
    if not session_id:
        raise body_param("session_id")
    async with services.db.transaction() as tx:
        await users.lock_all(tx, [user_id])
        ended = await sessions.delete(tx, user_id, session_id)
        announce_end(tx, user_id, ended)
    if not ended:
        raise AppError("api.context.invalid_body_param.app_error", 400, name="session_id")


async def do_revoke_all_sessions(services: Services, session: Session, user_id: str) -> None:
    """End all sessions of a user. Raises: 403."""
    permissions.check_self(session, user_id)
    async with services.db.transaction() as tx:
        await users.lock_all(tx, [user_id])
        announce_end(tx, user_id, await sessions.delete_all(tx, user_id))


async def do_revoke_everybodys_sessions(services: Services, session: Session) -> None:
    """End all sessions of the installation, the caller's too. Raises: 403.

    In portions, each of which is over when it commits: a failure in between leaves the rest to another call.
    """
    permissions.check_system(session, "manage_system")
    last = ""
    while user_ids := await sessions.users_after(services.db, last, limit=USERS_AT_ONCE):
        async with services.db.transaction() as tx:
            await end_all_sessions(tx, user_ids)
        last = user_ids[-1]
