"""Webhooks: their management, and the address that takes what programs send. Source: Mattermost API v4, webhooks."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar
from urllib.parse import parse_qs

import falcon
import msgspec
from falcon.media import MultipartFormHandler

from api.call import Call
from api.routing import OK, Created, Raw, outside, route
from tidewire.actions import incoming_hooks, outgoing_hooks
from tidewire.actions.incoming_hooks import Payload
from tidewire.wire.errors import AppError, url_param
from tidewire.wire.ids import is_id
from tidewire.wire.integrations import IncomingWebhook, OutgoingWebhook
from tidewire.wire.nul import has_nul

T = TypeVar("T")
FIELDS_MAX = 20
UNREADABLE = "web.incoming_webhook.parse.app_error"
_forms = MultipartFormHandler()
_forms.parse_options.max_body_part_count = FIELDS_MAX


class IncomingPage(msgspec.Struct):
    """A page with the number of all."""

    incoming_webhooks: list[IncomingWebhook]
    total_count: int


@route("POST", "/hooks/incoming")
async def create_incoming(call: Call) -> Created:
    """Create an incoming webhook."""
    new: IncomingWebhook = await call.body(IncomingWebhook, "incoming_webhook")
    return Created(await incoming_hooks.do_create(call.services, call.login, new))


@route("GET", "/hooks/incoming")
async def list_incoming(call: Call) -> list[IncomingWebhook] | IncomingPage:
    """List incoming webhooks, of a team where named; all of them for who may manage others', else one's own."""
    page, per_page = call.paging()
    team_id = _team(call)
    found, count = await incoming_hooks.page(call.services, call.login, team_id, page=page, per_page=per_page)
    return IncomingPage(found, count) if call.flag("include_total_count") else found


@route("GET", "/hooks/incoming/{hook_id}")
async def get_incoming(call: Call) -> IncomingWebhook:
    """Get an incoming webhook."""
    return await incoming_hooks.access(call.services, call.login, call.path_id("hook_id"))


@route("PUT", "/hooks/incoming/{hook_id}")
async def update_incoming(call: Call) -> Created:
    """Update an incoming webhook; the answer is a 201."""
    hook_id = call.path_id("hook_id")
    new: IncomingWebhook = await call.body(IncomingWebhook, "incoming_webhook")
    return Created(await incoming_hooks.do_update(call.services, call.login, hook_id, new))


@route("DELETE", "/hooks/incoming/{hook_id}")
async def delete_incoming(call: Call) -> bytes:
    """Delete an incoming webhook."""
    await incoming_hooks.do_delete(call.services, call.login, call.path_id("hook_id"))
    return OK


@route("POST", "/hooks/outgoing")
async def create_outgoing(call: Call) -> Created:
    """Create an outgoing webhook."""
    new: OutgoingWebhook = await call.body(OutgoingWebhook, "outgoing_webhook")
    return Created(await outgoing_hooks.do_create(call.services, call.login, new))


@route("GET", "/hooks/outgoing")
async def list_outgoing(call: Call) -> list[OutgoingWebhook]:
    """List outgoing webhooks, of a team or a channel where named."""
    page, per_page = call.paging()
    channel_id = call.query("channel_id")
    if channel_id and not is_id(channel_id):
        raise url_param("channel_id")
    return await outgoing_hooks.page(
        call.services, call.login, team_id=_team(call), channel_id=channel_id, page=page, per_page=per_page
    )


@route("GET", "/hooks/outgoing/{hook_id}")
async def get_outgoing(call: Call) -> OutgoingWebhook:
    """Get an outgoing webhook."""
    return await outgoing_hooks.access(call.services, call.login, call.path_id("hook_id"))


@route("PUT", "/hooks/outgoing/{hook_id}")
async def update_outgoing(call: Call) -> OutgoingWebhook:
    """Update an outgoing webhook."""
    hook_id = call.path_id("hook_id")
    new: OutgoingWebhook = await call.body(OutgoingWebhook, "outgoing_webhook")
    return await outgoing_hooks.do_update(call.services, call.login, hook_id, new)


@route("DELETE", "/hooks/outgoing/{hook_id}")
async def delete_outgoing(call: Call) -> bytes:
    """Delete an outgoing webhook."""
    await outgoing_hooks.do_delete(call.services, call.login, call.path_id("hook_id"))
    return OK


@route("POST", "/hooks/outgoing/{hook_id}/regen_token")
async def renew_outgoing_token(call: Call) -> OutgoingWebhook:
    """Give an outgoing webhook a new token."""
    return await outgoing_hooks.do_renew_token(call.services, call.login, call.path_id("hook_id"))


@outside("POST", "/hooks/{hook_id}")
async def receive(call: Call) -> Raw:
    """Post what a program sends to an incoming webhook: JSON, or a form whose `payload` is JSON."""
    hook_id = call.params["hook_id"]
    if not is_id(hook_id):
        raise AppError("web.incoming_webhook.invalid.app_error", 400, "Invalid webhook.")
    payload = decode_program(await _payload(call), Payload, UNREADABLE)
    await incoming_hooks.do_receive(call.services, hook_id, payload)
    return Raw(b"ok", "text/plain")


async def _payload(call: Call) -> bytes:
    kind = call.header("Content-Type").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        try:
            form = parse_qs((await call.read()).decode(), max_num_fields=FIELDS_MAX)
        except ValueError:
            raise _unreadable() from None
        return form.get("payload", [""])[0].encode()
    if kind == "multipart/form-data":
        data = await call.read()
        chunks: Any = _once(data)  # Falcon takes any source of chunks, whatever the type of the argument says
        try:
            parts = await _forms.deserialize_async(chunks, call.header("Content-Type"), len(data))
            async for part in parts:
                if part.name == "payload":
                    return bytes(await part.get_data())
        except (falcon.HTTPError, ValueError):
            raise _unreadable() from None
        return b""
    return await call.read()


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def decode_program(data: bytes, shape: type[T], error_id: str) -> T:
    """Return a program's JSON as `shape`, members that are null left out. Raises: 400."""
    try:
        if has_nul(data):  # of a form, where reading the body does not see it
            raise ValueError
        raw = msgspec.json.decode(data)
        if isinstance(raw, dict):
            raw = {name: value for name, value in raw.items() if value is not None}
        return msgspec.convert(raw, shape)
    except (ValueError, RecursionError):
        raise AppError(error_id, 400, "Unable to parse the incoming data.") from None


def _unreadable() -> AppError:
    return AppError(UNREADABLE, 400, "Unable to parse the incoming data.")


def _team(call: Call) -> str:
    team_id = call.query("team_id")
    if team_id and not is_id(team_id):
        raise url_param("team_id")
    return team_id
