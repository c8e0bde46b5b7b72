"""Passwords and addresses: change them, reset them by e-mail, show that an address is one's own."""

from msgspec import structs

from tidewire.actions import (
    mail,
    one_time_tokens,
    own_password,
    passwords,
    permissions,
    validate,
    verification,
)
from tidewire.actions.services import Services
from tidewire.actions.sessions import announce_end
from tidewire.actions.users import announce_updated, get_user, missing
from tidewire.store import one_time_tokens as token_store
from tidewire.store import sessions, users
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session, User


async def do_send_verification(services: Services, email: str) -> None:
    """Send the link to whoever has the address and needs it; says nothing about whether anybody has."""
    if not email:
        raise body_param("email")
    user = await users.by_email(services.db, email.strip().lower())
    if user is not None and not (user.email_verified or user.delete_at or user.is_bot):
        verification.send(services, user)


async def do_verify_email(services: Services, token: str) -> None:
    """Mark an address as shown. Raises: 400 for a token that is unknown, used, too old or for a former address."""
    async with services.db.transaction() as tx:
        found = await one_time_tokens.do_redeem(tx, one_time_tokens.VERIFY, token)
        user = await users.lock(tx, found.user_id) if found is not None else None
        now = now_ms()
        if found is None or user is None or found.expires_at <= now or user.email != found.email:
            raise AppError("api.user.verify_email.bad_link.app_error", 400, "Bad verify email link.")
        await _verify(tx, services, user, now)


async def _verify(tx: Transaction, services: Services, user: User, now: int) -> User:
    at = max(now, user.update_at + 1)
    await users.verify_email(tx, user.id, at=at)
    changed = structs.replace(user, email_verified=True, update_at=at)
    await announce_updated(services, tx, changed)
    return changed


async def do_verify_for_member(services: Services, session: Session, user_id: str) -> User:
    """Mark a user's address as shown, on an admin's word; return the account. Raises: 403, 404."""
    permissions.check_system(session, "manage_system")
    async with services.db.transaction() as tx:
        user = await users.lock(tx, user_id)
        if user is None:
            raise missing()
        if user.email_verified:
            return user
        return await _verify(tx, services, user, now_ms())


async def do_reset_attempts(services: Services, session: Session, user_id: str) -> None:
    """Let a locked account try again. Raises: 403, 404."""
    permissions.check_system(session, "sysconsole_write_user_management_users")
    async with services.db.transaction() as tx:
        user = await users.lock(tx, user_id)
        if user is None:
            raise missing()
        await users.note_attempt(tx, user_id, failed=False)


async def do_send_reset(services: Services, email: str) -> None:
    """Send a link for a new password to whoever has the address; says nothing about whether anybody has.

    Raises: 400 for an account that has no password here, because another service keeps it.
    """
    if not email:
        raise body_param("email")
    user = await users.by_email(services.db, email.strip().lower())
    if user is None or user.delete_at or user.is_bot:
        return
    if user.auth_service:
        raise AppError(
            "api.user.send_password_reset.sso.app_error", 400, "Cannot reset password for SSO accounts."
        )
    services.mail.later(
        lambda: verification.mail_token(services, one_time_tokens.RESET, "password_reset", user)
    )


async def do_reset_password(services: Services, token: str, password: str) -> None:
    """Set a new password by a token; attempts, other tokens and all sessions go with the old one.

    Raises: 400 for a token that is unknown, used or too old, and for a password against the rules.
    """
    if len(token) != one_time_tokens.LENGTH:
        raise body_param("token")
    validate.check_password(password, services.config)
    # Before the expensive hash; whoever takes the token is decided in the transaction.
    if await one_time_tokens.peek(services.db, one_time_tokens.RESET, token) is None:
        raise _invalid_link()
    hashed = await passwords.hash_password(password)
    async with services.db.transaction() as tx:
        found = await one_time_tokens.do_redeem(tx, one_time_tokens.RESET, token)
        user = await users.lock(tx, found.user_id) if found is not None else None
        if found is None or user is None or user.email != found.email or user.delete_at:
            raise _invalid_link()
        if found.expires_at <= now_ms():
            raise AppError(
                "api.user.reset_password.link_expired.app_error", 400, "The password reset link has expired."
            )
        await _change(tx, services, user, hashed, keep_session_id="", method="by a reset link")


def _invalid_link() -> AppError:
    return AppError(
        "api.user.reset_password.invalid_link.app_error",
        400,
        "The reset password link does not appear to be valid.",
    )


async def _change(
    tx: Transaction, services: Services, user: User, hashed: str, *, keep_session_id: str, method: str
) -> None:
    """Store a new password, end what the old one opened, where the configuration wants it, and mail the user how."""
    at = max(now_ms(), user.update_at + 1)
    await users.change_password(tx, user.id, hashed, at=at)
    await token_store.delete_of_user(tx, user.id)
    changed = structs.replace(user, last_password_update=at, update_at=at, failed_attempts=0)
    await announce_updated(services, tx, changed)
    if services.config.flag("ServiceSettings.TerminateSessionsOnPasswordChange"):
        announce_end(tx, user.id, await sessions.delete_all(tx, user.id, but=keep_session_id))
    await mail.send(services, tx, "password_changed", user.email, username=user.username, method=method)


async def do_change_password(
    services: Services, session: Session, user_id: str, current: str, new: str
) -> None:
    """Change one's own password, showing the present one, or as a system admin another's.

    Raises: 403, 404; 400 for a wrong present password, or a new one against the rules; 401 after too many tries.
    """
    permissions.check_not_oauth(session)
    permissions.check_self(session, user_id, "manage_system")
    user = await get_user(services, user_id)
    own = user_id == session.user_id
    if user.is_bot or user.auth_service:
        raise AppError("api.user.update_password.oauth.app_error", 400, "This account has no password here.")
    if not new or len(new.encode("utf-8", "replace")) > 1024:
        raise body_param("new_password")
    if own:
        if not current:
            raise body_param("current_password")
        wrong = "api.user.update_password.incorrect.app_error"
        await own_password.check(services, user_id, current, wrong=wrong)
    validate.check_password(new, services.config)
    hashed = await passwords.hash_password(new)
    async with services.db.transaction() as tx:
        locked = await users.lock(tx, user_id)
        if locked is None:
            raise missing()
        kept, method = (session.id, "in the settings") if own else ("", "by an administrator")
        await _change(tx, services, locked, hashed, keep_session_id=kept, method=method)
