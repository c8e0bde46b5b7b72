"""Bots. Rules are in tidewire.actions.bots."""

from hashlib import sha256

import msgspec

from api.call import Call
from api.routing import Created, Raw, route
from tidewire.actions import bots
from tidewire.actions.bots import BotPatch
from tidewire.wire.models import Bot


@route("POST", "/bots", audit=True)
async def create_bot(call: Call) -> Created:
    """Make a bot that the caller owns."""
    return Created(await bots.do_create_bot(call.services, call.login, await call.body(BotPatch, "bot")))


@route("GET", "/bots")
async def list_bots(call: Call) -> list[Bot] | Raw:
    """A page of bots: all, or the caller's own."""
    window = call.window()
    found = await bots.list_bots(
        call.services,
        call.login,
        deleted=call.flag("include_deleted"),
        orphaned=call.flag("only_orphaned"),
        **window,
    )
    return _unless_known(call, found)


def _unless_known(call: Call, found: list[Bot]) -> list[Bot] | Raw:
    etag = f"{call.services.version_id}.{sha256(msgspec.json.encode(found)).hexdigest()}"
    return Raw(b"", "application/json", 304) if call.not_modified(etag) else found


@route("GET", "/bots/{bot_user_id}")
async def get_bot(call: Call) -> Bot:
    """One bot."""
    return await bots.get_bot(
        call.services, call.login, call.path_id("bot_user_id"), deleted=call.flag("include_deleted")
    )


@route("PUT", "/bots/{bot_user_id}", audit=True)
async def patch_bot(call: Call) -> Bot:
    """Change a bot's names and description."""
    bot_user_id, patch = call.path_id("bot_user_id"), await call.body(BotPatch, "bot")
    return await bots.do_patch_bot(call.services, call.login, bot_user_id, patch)


@route("POST", "/bots/{bot_user_id}/disable", audit=True)
async def disable_bot(call: Call) -> Bot:
    """Deactivate a bot: its tokens and sockets are dead at once."""
    return await bots.do_set_bot_active(call.services, call.login, call.path_id("bot_user_id"), active=False)


@route("POST", "/bots/{bot_user_id}/enable", audit=True)
async def enable_bot(call: Call) -> Bot:
    """Activate a bot again."""
    return await bots.do_set_bot_active(call.services, call.login, call.path_id("bot_user_id"), active=True)


@route("POST", "/bots/{bot_user_id}/assign/{user_id}", audit=True)
async def assign_bot(call: Call) -> Bot:
    """Give a bot to another owner."""
    bot_user_id, owner_id = call.path_id("bot_user_id"), call.path_id("user_id")
    return await bots.do_assign_bot(call.services, call.login, bot_user_id, owner_id)
