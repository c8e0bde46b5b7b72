"""Passwords, addresses and second factors. Rules are in tidewire.actions.recovery and tidewire.actions.mfa."""

from msgspec import Struct

from api.call import Call
from api.routing import OK, Raw, route
from tidewire.actions import mfa, recovery
from tidewire.actions.mfa import MfaSecret
from tidewire.actions.users import view_for
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.views import UserView


class Email(Struct):
    """An address."""

    email: str = ""


class Token(Struct):
    """A token from an e-mail."""

    token: str = ""


class NewPassword(Struct):
    """A token from an e-mail, and the password to have from now on."""

    token: str = ""
    new_password: str = ""


class PasswordChange(Struct):
    """One's password and the one to have from now on."""

    new_password: str = ""
    current_password: str = ""


class MfaChange(Struct):
    """Whether to have a second factor, and a code to show that it is set up."""

    activate: bool
    code: str = ""


class LoginId(Struct):
    """A username or an address."""

    login_id: str = ""


class Switch(Struct):
    """From which kind of login to which."""

    current_service: str = ""
    new_service: str = ""
    email: str = ""
    password: str = ""
    new_password: str = ""
    mfa_code: str = ""
    ldap_id: str = ""


@route("POST", "/users/login/type", session=False)
async def login_type(call: Call) -> Raw:
    """How an account logs in: answered only where guests get magic links, which are not offered here."""
    await call.body(LoginId, "login_id")
    return Raw(b"", "application/json", 404)


@route("POST", "/users/login/switch", session=False)
async def switch_login(call: Call) -> None:
    """Change an account's kind of login: there is only one kind here."""
    body = await call.body(Switch, "switch_request")
    if not body.current_service or not body.new_service:
        raise body_param("switch_request")
    raise AppError(
        "api.user.authorize_oauth_user.unsupported.app_error", 501, "Unsupported OAuth service provider."
    )


@route("POST", "/users/email/verify", session=False, audit=True)
async def verify_email(call: Call) -> bytes:
    """Show that an address is one's own, by the token that was sent there."""
    body = await call.body(Token, "token")
    await recovery.do_verify_email(call.services, body.token)
    return OK


@route("POST", "/users/email/verify/send", session=False)
async def send_verification(call: Call) -> bytes:
    """Send that token again."""
    await recovery.do_send_verification(call.services, (await call.body(Email, "email")).email)
    return OK


@route("POST", "/users/{user_id}/email/verify/member", audit=True)
async def verify_for_member(call: Call) -> UserView:
    """Say for a user that an address is his."""
    user = await recovery.do_verify_for_member(call.services, call.login, call.path_id("user_id"))
    return view_for(call.services, call.login, user)


@route("POST", "/users/{user_id}/reset_failed_attempts", audit=True)
async def reset_failed_attempts(call: Call) -> bytes:
    """Let a locked account try again."""
    await recovery.do_reset_attempts(call.services, call.login, call.path_id("user_id"))
    return OK


@route("POST", "/users/password/reset/send", session=False, audit=True)
async def send_reset(call: Call) -> bytes:
    """Send a token for a new password."""
    await recovery.do_send_reset(call.services, (await call.body(Email, "email")).email)
    return OK


@route("POST", "/users/password/reset", session=False, audit=True)
async def reset_password(call: Call) -> bytes:
    """Set a new password by that token."""
    body = await call.body(NewPassword)
    await recovery.do_reset_password(call.services, body.token, body.new_password)
    return OK


@route("PUT", "/users/{user_id}/password", audit=True)
async def change_password(call: Call) -> bytes:
    """Change a password."""
    user_id, body = call.path_id("user_id"), await call.body(PasswordChange)
    await recovery.do_change_password(
        call.services, call.login, user_id, body.current_password, body.new_password
    )
    return OK


@route("POST", "/users/{user_id}/mfa/generate", mfa=False, audit=True)
async def generate_mfa_secret(call: Call) -> MfaSecret:
    """Make the secret of a second factor."""
    return await mfa.do_generate_secret(call.services, call.login, call.path_id("user_id"))


@route("PUT", "/users/{user_id}/mfa", mfa=False, audit=True)
async def set_mfa(call: Call) -> bytes:
    """Put a second factor in force, or remove it."""
    user_id, body = call.path_id("user_id"), await call.body(MfaChange, "activate")
    if body.activate and not body.code:
        raise body_param("code")
    await mfa.do_set_active(call.services, call.login, user_id, active=body.activate, code=body.code)
    return OK
