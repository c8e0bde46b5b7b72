"""Logins: check a password, make a session, find it again, end it. Ending one silences its sockets everywhere."""

import asyncio
from weakref import WeakValueDictionary

from msgspec import Struct

from tidewire.actions import login_limits, passwords, permissions
from tidewire.actions.copies import announce
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.bus.envelope import EndSessions, user_key
from tidewire.store import sessions, users
from tidewire.store.db import Transaction
from tidewire.store.sessions import Ended
from tidewire.wire.defaults import session_props
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id, new_token, now_ms
from tidewire.wire.models import Session, User

HOUR_MS = 3_600_000
# Attempts on one account take turns: a burst cannot pass the limit by being checked before it is counted.
_turns: "WeakValueDictionary[str, asyncio.Lock]" = WeakValueDictionary()


class Login(Struct):
    """What a client sends to log in; other members (`deviceId`, …) are ignored."""

    login_id: str = ""
    id: str = ""
    password: str = ""
    token: str = ""
    device_id: str = ""


class Client(Struct):
    """What a request says about the client that logs in."""

    address: str
    user_agent: str = ""


def _masked() -> AppError:
    return AppError(
        "api.user.login.invalid_credentials_email_username",
        401,
        "Enter a valid email or username and/or password.",
    )


async def session_of_token(services: Services, token: str) -> Session | None:
    """Return the live session of a token, or None. Waits for nothing when the session is cached.

    Raises: Unavailable when the database must be asked and does not answer.
    """
    hashed = sessions.token_hash(token)

    async def load() -> Session | None:
        return await sessions.by_hash(services.db, hashed)

    key = cache_key(hashed)
    session: Session | None = services.cache.peek(key) or await services.cache.get(key, load)
    return None if session is None or session.expires_at <= now_ms() else session


def cache_key(hashed: bytes) -> str:
    """Return the cache key of a session."""
    return "session:" + hashed.hex()


async def do_login(services: Services, login: Login, client: Client) -> tuple[User, Session]:
    """Check a password; return the account and a new session, whose token is in it this once.

    Raises: 400 for a blank password; 401, the same for an unknown name and a wrong password; 401 for too many attempts;
    429 for too many from one address; Unavailable.
    """
    name = (login.id or login.login_id).strip().lower()
    if not login.password:
        raise AppError("api.user.login.blank_pwd.app_error", 400, "Password field must not be blank")
    if not name or len(name) > 128 or len(login.password.encode()) > 1024:
        raise _masked()
    limits = services.settings.limits
    attempts = services.config.number("ServiceSettings.MaximumLoginAttempts")
    turn = _turns.setdefault(name, asyncio.Lock())
    async with turn:
        await login_limits.check(services.redis, limits, client.address, name, attempts=attempts)
        known = await users.credentials(services.db, name)
        if known is not None and attempts and known.failed_attempts >= attempts:
            raise login_limits.too_many()
        if not await passwords.verify(known.password_hash if known else "", login.password):
            await login_limits.note_failure(services.redis, limits, client.address, "" if known else name)
            if known is not None:
                await users.note_attempt(services.db, known.user_id, failed=True)
            raise _masked()
    assert known is not None, "nobody has no password"
    if known.delete_at:
        raise AppError(
            "api.user.login.inactive.app_error", 401, "Login failed because your account is deactivated."
        )
    if known.failed_attempts:
        await users.note_attempt(services.db, known.user_id, failed=False)
    if passwords.is_outdated(known.password_hash):
        await users.set_password_hash(
            services.db, known.user_id, await passwords.hash_password(login.password)
        )
    user = await get_user(services, known.user_id)
    return user, await do_create_session(
        services, user, device_id=login.device_id, user_agent=client.user_agent
    )


async def do_create_session(
    services: Services, user: User, *, device_id: str = "", user_agent: str = ""
) -> Session:
    """Store a session and return it with its token, which nobody can read again."""
    token, now = new_token(), now_ms()
    session = Session(
        id=new_id(now),
        user_id=user.id,
        create_at=now,
        expires_at=now + services.config.number(_length_key(device_id)) * HOUR_MS,
        last_activity_at=now,
        device_id=device_id[:512],
        roles=user.roles,
        props=session_props(new_token(), **describe_agent(user_agent)),
    )
    async with services.db.transaction() as tx:
        await sessions.insert(tx, session, hashed=sessions.token_hash(token))
    session.token = token
    return session


def _length_key(device_id: str) -> str:
    """Return the key that says how long a login lives: phones name their device."""
    return f"ServiceSettings.SessionLength{'Mobile' if device_id else 'Web'}InHours"


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


def _announce_end(tx: Transaction, user_id: str, ended: list[Ended]) -> None:
    if ended:
        announce(
            tx,
            user_key(user_id),
            effects=[EndSessions(user_id, [item.session_id for item in ended])],
            invalidates=[cache_key(item.token_hash) for item in ended],
        )


async def do_logout(services: Services, session: Session) -> None:
    """End the caller's session."""
    async with services.db.transaction() as tx:
        _announce_end(tx, session.user_id, await sessions.delete(tx, session.user_id, session.id))


async def do_revoke_session(services: Services, session: Session, user_id: str, session_id: str) -> None:
    """End one session of a user. Raises: 403; 400 if he has no such session."""
    permissions.check_self(session, user_id)
    async with services.db.transaction() as tx:
        ended = await sessions.delete(tx, user_id, session_id)
        _announce_end(tx, user_id, ended)
    if not ended:
        raise AppError("api.context.invalid_body_param.app_error", 400, name="session_id")


async def do_revoke_all_sessions(services: Services, session: Session, user_id: str) -> None:
    """End all sessions of a user. Raises: 403."""
    permissions.check_self(session, user_id)
    async with services.db.transaction() as tx:
        _announce_end(tx, user_id, await sessions.delete_all(tx, user_id))
