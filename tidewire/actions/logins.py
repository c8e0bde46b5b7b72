"""Logging in: name and password, second factor, and what else must be so. Sessions are tidewire.actions.sessions'."""

import asyncio
from weakref import WeakValueDictionary

from msgspec import Struct

from tidewire.actions import login_limits, mail, mfa, passwords, verification
from tidewire.actions.services import Services
from tidewire.actions.sessions import describe_agent, do_create_session
from tidewire.actions.users import get_user
from tidewire.store import users
from tidewire.store.users import Credentials
from tidewire.wire.errors import AppError
from tidewire.wire.models import Session, User
from tidewire.wire.roles import is_guest

# Attempts on one account take turns: a burst cannot pass the limit by being checked before it is counted.
_turns: "WeakValueDictionary[str, asyncio.Lock]" = WeakValueDictionary()
_REFUSALS = {
    "inactive": "Login failed because your account is deactivated.",
    "not_verified": "Login failed because the e-mail address has not been verified.",
    "bot_login_forbidden": "Bot login is forbidden.",
}


class Login(Struct):
    """What a client sends to log in; other members (`deviceId`, …) are ignored."""

    login_id: str = ""
    id: str = ""
    password: str = ""
    token: str = ""
    device_id: str = ""


class Client(Struct):
    """What a request says about the client that logs in. user_id: whose account it was about, once that is known."""

    address: str
    user_agent: str = ""
    user_id: str = ""


def _masked(by_username: bool, by_email: bool) -> AppError:
    """Return the one 401 for whatever is wrong with name or password."""
    names = {(True, True): "email_username", (False, True): "email", (True, False): "username"}
    return AppError(
        "api.user.login.invalid_credentials_" + names.get((by_username, by_email), "sso"),
        401,
        "Enter a valid email or username and/or password.",
    )


def _refused(why: str) -> AppError:
    return AppError(f"api.user.login.{why}.app_error", 401, _REFUSALS[why])


async def do_login(services: Services, login: Login, client: Client) -> tuple[User, Session]:
    """Check a password and a second factor; return the account and a new session, whose token is in it this once.

    Raises: 400 for a blank password; 401, the same for an unknown name and a wrong password; 401 for too many attempts,
    a bot, a deactivated account or an address that must be verified first; 400 where a code is missing, 401 where it
    is wrong; 429 for too many failures from one address; Unavailable.
    """
    config = services.config
    by_username = config.flag("EmailSettings.EnableSignInWithUsername")
    by_email = config.flag("EmailSettings.EnableSignInWithEmail")
    name = (login.id or login.login_id).strip().lower()
    if not login.password:
        raise AppError("api.user.login.blank_pwd.app_error", 400, "Password field must not be blank")
    if not name or len(name) > 128 or len(login.password.encode("utf-8", "replace")) > 1024:
        raise _masked(by_username, by_email)
    turn = _turns.setdefault(name, asyncio.Lock())
    async with turn:
        attempts = config.number("ServiceSettings.MaximumLoginAttempts")
        limits = services.settings.limits
        await services.throttle.check(limits, client.address, name, attempts=attempts)
        known = await users.credentials(services.db, name, by_username=by_username, by_email=by_email)
        if known is not None:
            client.user_id = known.user_id
            if attempts and known.failed_attempts >= attempts:
                raise login_limits.too_many()
        if not await passwords.verify(known.password_hash if known else "", login.password):
            await _note_failure(services, client, name, known)
            raise (
                _refused("bot_login_forbidden") if known and known.is_bot else _masked(by_username, by_email)
            )
        assert known is not None, "nobody has no password"
        if known.delete_at:
            raise _refused("inactive")
        await _check_second_factor(services, login, client, known)
    if verification.wants_verified(services) and not known.email_verified:
        raise _refused("not_verified")
    if known.failed_attempts:
        await users.note_attempt(services.db, known.user_id, failed=False)
    if passwords.is_outdated(known.password_hash):
        await users.set_password_hash(
            services.db, known.user_id, await passwords.hash_password(login.password)
        )
    user = await get_user(services, known.user_id)
    if is_guest(user.roles) and not config.flag("GuestAccountsSettings.Enable"):
        raise AppError("api.user.login.guest_accounts.disabled.error", 401, "Guest accounts are switched off.")
    session = await do_create_session(
        services, user, known, device_id=login.device_id, user_agent=client.user_agent
    )
    await _tell(services, user, client)
    return user, session


async def _note_failure(services: Services, client: Client, name: str, known: Credentials | None) -> None:
    """Count a failure: of the address, and of the account, or of the name where there is none."""
    limits = services.settings.limits
    await services.throttle.note_failure(limits, client.address, "" if known else name)
    if known is not None:
        await users.note_attempt(services.db, known.user_id, failed=True)


async def _check_second_factor(services: Services, login: Login, client: Client, known: Credentials) -> None:
    """Raise 400 where a code is needed (the password was right), 401 for a wrong or a used one."""
    if not known.mfa_active or not mfa.is_enabled(services):
        return
    if not login.token:
        raise AppError(
            "mfa.validate_token.authenticate.app_error", 400, "Multi-factor authentication is required."
        )
    if not await mfa.use_code(services, services.db, known.user_id, login.token):
        await _note_failure(services, client, "", known)
        raise AppError("api.user.check_user_mfa.bad_code.app_error", 401, "Invalid MFA token.")


async def _tell(services: Services, user: User, client: Client) -> None:
    """Mail a user about a login, where the settings want it."""
    if not services.settings.users.mail_logins:
        return
    agent = describe_agent(client.user_agent)
    device = f"{agent['browser']} on {agent['os']}"
    await mail.send(
        services, services.db, "new_login", user.email, username=user.username, device=device, address=client.address
    )
