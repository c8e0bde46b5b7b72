"""Logging in and out, and the list of one's logins. Rules are in tidewire.actions.logins and .sessions."""

import re

from msgspec import UNSET, Struct, UnsetType

from api.auth import COOKIE_TOKEN
from api.call import Call
from api.routing import OK, route
from tidewire.actions import logins, sessions
from tidewire.actions.logins import Client, Login
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.models import Session
from tidewire.wire.views import UserView, own_view

_VERSION = re.compile(r"\d{1,9}\.\d{1,9}\.\d{1,9}([-+][0-9A-Za-z.+-]{1,64})?\Z")  # semver.org


class SessionId(Struct):
    """Which session to end."""

    session_id: str = ""


class Device(Struct):
    """What a phone says about itself. device_id: "" takes the device away from the session."""

    device_id: str | UnsetType = UNSET
    device_notification_disabled: str = ""
    mobile_version: str = ""


@route("POST", "/users/login", session=False, csrf=False, audit=True)
async def login(call: Call) -> UserView:
    """Log in. Cookies only for the web app, which says so by X-Requested-With; the token always, in a header."""
    client = Client(call.address, call.header("User-Agent"))
    call.session = None  # whoever was logged in before: the audit log is about the one who comes
    try:
        user, session = await logins.do_login(call.services, await call.body(Login), client)
    finally:
        call.audit_user_id = client.user_id
    call.set_header("Token", session.token)
    if call.header("X-Requested-With") == "XMLHttpRequest":
        call.set_session_cookies(session, session.token)
    return own_view(user)


@route("POST", "/users/logout", session=False, csrf=False, audit=True)
async def logout(call: Call) -> bytes:
    """End the caller's session, if there is one."""
    if call.session is not None:
        await sessions.do_logout(call.services, call.session)
    call.clear_cookie(COOKIE_TOKEN)
    return OK


@route("GET", "/users/{user_id}/sessions")
async def list_sessions(call: Call) -> list[Session]:
    """A user's logins."""
    return await sessions.list_sessions(call.services, call.login, call.path_id("user_id"))


@route("POST", "/users/{user_id}/sessions/revoke", audit=True)
async def revoke_session(call: Call) -> bytes:
    """End one login."""
    user_id, body = call.path_id("user_id"), await call.body(SessionId, "session_id")
    await sessions.do_revoke_session(call.services, call.login, user_id, body.session_id)
    return OK


@route("POST", "/users/{user_id}/sessions/revoke/all", audit=True)
async def revoke_all_sessions(call: Call) -> bytes:
    """End all logins of a user."""
    await sessions.do_revoke_all_sessions(call.services, call.login, call.path_id("user_id"))
    return OK


@route("POST", "/users/sessions/revoke/all", audit=True)
async def revoke_everybodys_sessions(call: Call) -> bytes:
    """End all logins of the installation."""
    await sessions.do_revoke_everybodys_sessions(call.services, call.login)
    return OK


@route("PUT", "/users/sessions/device", audit=True)
async def set_device(call: Call) -> bytes:
    """Say which phone the session is on, whether it wants notifications, and its app's version."""
    body: Device = await call.body(Device, "device_id")
    device_id = None if body.device_id is UNSET else body.device_id
    if device_id is not None and len(device_id) > sessions.DEVICE_MAX:
        raise body_param("device_id")
    by_program = call.login.is_oauth or call.login.props.get("type") == sessions.BY_ACCESS_TOKEN
    if by_program and device_id:
        raise AppError("api.context.invalid_body_param.app_error", 400, name="device_id")
    props = {}
    if body.device_notification_disabled:
        if body.device_notification_disabled not in ("true", "false"):
            raise body_param("device_notification_disabled")
        props["device_notification_disabled"] = body.device_notification_disabled
    if body.mobile_version:
        if not _VERSION.match(body.mobile_version):
            raise body_param("mobile_version")
        props["mobile_version"] = body.mobile_version
    if await sessions.do_set_device(call.services, call.login, device_id=device_id, props=props):
        call.renew_cookies()
    return OK
