"""The second factor: time-based one-time passwords (RFC 6238), each accepted once. Its secret goes nowhere else."""

import base64
import hmac
import io
import time

import pyotp
import segno
from msgspec import Struct, structs

from tidewire.actions import mail, permissions
from tidewire.actions.copies import announce
from tidewire.actions.services import Services
from tidewire.actions.sessions import announce_end
from tidewire.actions.users import announce_updated, get_user, missing
from tidewire.bus.envelope import EndSessions, user_key
from tidewire.store import sessions, users
from tidewire.store.db import Database, Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session, User
from tidewire.wire.roles import is_guest

STEP_S = 30
WINDOW = 1  # steps that a clock may be ahead or behind; RFC 6238, 5.2 recommends one
SECRET_CHARACTERS = 32  # base32: the 160 bits that RFC 4226 recommends


class MfaSecret(Struct):
    """What an authenticator app is set up with. qr_code: a PNG, base64."""

    secret: str
    qr_code: str


def is_enabled(services: Services) -> bool:
    """Tell whether second factors are used at all."""
    return services.config.flag("ServiceSettings.EnableMultifactorAuthentication")


def _check_enabled(services: Services) -> None:
    if not is_enabled(services):
        raise AppError(
            "mfa.mfa_disabled.app_error", 501, "Multi-factor authentication has been disabled on this server."
        )


def matching_step(secret: str, code: str, at_s: float) -> int:
    """Return the step that a code is for, 0 if for none around that time."""
    if not secret or not (code.isascii() and code.isdigit() and len(code) == 6):
        return 0
    now = int(at_s) // STEP_S
    otp = pyotp.HOTP(secret)
    for step in range(now - WINDOW, now + WINDOW + 1):
        if hmac.compare_digest(otp.at(step), code):
            return step
    return 0


async def use_code(services: Services, source: Database | Transaction, user_id: str, code: str) -> bool:
    """Use a code up. False for a wrong one, or one whose step was used before: nobody can repeat what he saw."""
    known = await users.mfa_of(source, user_id)
    if known is None:
        return False
    secret = services.vault.unseal_text("mfa:" + user_id, known.secret)
    step = matching_step(secret, code.strip().replace(" ", ""), time.time())
    return step > known.last_step and await users.take_mfa_step(source, user_id, step)


def _must_be_password_account(user: User) -> None:
    if user.is_bot or (user.auth_service and user.auth_service != "ldap"):
        raise AppError(
            "api.user.activate_mfa.email_and_ldap_only.app_error", 400, "MFA is for accounts with a password."
        )


async def do_generate_secret(services: Services, session: Session, user_id: str) -> MfaSecret:
    """Return a new secret, in force once a code of it is shown. Raises: 403, 404, 501, 400 where there is one."""
    permissions.check_not_oauth(session)
    permissions.check_self(session, user_id)
    _check_enabled(services)
    user = await get_user(services, user_id)
    _must_be_password_account(user)
    secret = pyotp.random_base32(SECRET_CHARACTERS)
    async with services.db.transaction() as tx:
        locked = await users.lock(tx, user_id)
        if locked is None:
            raise missing()
        if locked.mfa_active:
            # A stolen session must not replace a second factor without a code.
            raise AppError("mfa.generate_qr_code.create_code.app_error", 400, "Remove the present one first.")
        sealed = services.vault.seal_text("mfa:" + user_id, secret)
        await users.set_mfa(tx, user_id, sealed, active=False, at=locked.update_at)
    issuer = services.config.text("TeamSettings.SiteName") or "Tidewire"
    address = pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=issuer)
    png = io.BytesIO()
    segno.make(address, error="m").save(png, kind="png", scale=5, border=4)
    return MfaSecret(secret, base64.b64encode(png.getvalue()).decode())


async def do_set_active(
    services: Services, session: Session, user_id: str, *, active: bool, code: str
) -> None:
    """Put a user's second factor in force, or remove it; his other sessions end, wherever they are.

    Raises: 403, 404; 401 for a wrong code; 501 where there are no second factors.
    """
    permissions.check_not_oauth(session)
    permissions.check_self(session, user_id)
    if active:
        _check_enabled(services)
    user = await get_user(services, user_id)
    _must_be_password_account(user)
    async with services.db.transaction() as tx:
        locked = await users.lock(tx, user_id)
        if locked is None:
            raise missing()
        if active and not await use_code(services, tx, user_id, code):
            raise AppError("mfa.activate.bad_token.app_error", 401, "Invalid MFA token.")
        known = await users.mfa_of(tx, user_id)
        changed = structs.replace(locked, mfa_active=active, update_at=max(now_ms(), locked.update_at + 1))
        secret = known.secret if known is not None and active else ""
        await users.set_mfa(tx, user_id, secret, active=active, at=changed.update_at)
        await announce_updated(services, tx, changed)
        if active != locked.mfa_active:
            own = session.id if user_id == session.user_id else ""
            announce_end(tx, user_id, await sessions.delete_all(tx, user_id, but=own))
            if own:  # its sockets come back as those of one who has a second factor, or has none
                announce(tx, user_key(user_id), effects=[EndSessions(user_id, [own])])
            await mail.send(services, tx, "mfa_changed", user.email, username=user.username, active=active)


def is_enforced(services: Services) -> bool:
    """Tell whether there are accounts that must have a second factor."""
    return is_enabled(services) and services.config.flag("ServiceSettings.EnforceMultifactorAuthentication")


async def check_enforced(services: Services, session: Session) -> None:
    """Raise 403 for one who must have a second factor and has none.

    Source: Mattermost API v4: bots, OAuth sessions and accounts of other services are free, guests by a key of theirs.
    """
    config = services.config
    if not is_enforced(services):
        return
    if session.is_oauth or session.props.get("is_bot") == "true":
        return
    user = await get_user(services, session.user_id)
    if user.mfa_active or user.is_bot or (user.auth_service and user.auth_service != "ldap"):
        return
    if is_guest(session.roles) and not config.flag(
        "GuestAccountsSettings.EnforceMultifactorAuthentication"
    ):
        return
    raise AppError("api.context.mfa_required.app_error", 403, "Multi-factor authentication is required.")
