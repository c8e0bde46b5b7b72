"""Custom emojis. Rules are in tidewire.actions.emojis. Source: Mattermost API v4, emojis."""

from contextlib import AsyncExitStack

import msgspec

from api.call import Call
from api.downloads import CACHE, POLICY
from api.file_bodies import Cut, TooLarge, is_form, receive_fields
from api.routing import OK, Raw, route
from tidewire.actions import emojis, post_rules
from tidewire.wire.errors import AppError, body_param, url_param
from tidewire.wire.models import Emoji

NAMES_MAX = 200
_SORTS = ("", "name")


class NewEmoji(msgspec.Struct):
    """What the form's `emoji` says; other members are ignored."""

    name: str = ""
    creator_id: str = ""


class EmojiSearch(msgspec.Struct):
    """What is searched for."""

    term: str = ""
    prefix_only: bool = False


_new = msgspec.json.Decoder(NewEmoji)


@route("POST", "/emoji")
async def create_emoji(call: Call) -> Emoji:
    """Make an emoji: a form with its picture as `image`, and as `emoji` JSON with `name` and `creator_id`."""
    await emojis.access_creation(call.services, call.login)
    if not is_form(call):
        raise AppError("api.emoji.create.parse.app_error", 400, "Could not parse the multipart form.")
    async with AsyncExitStack() as stack:
        file = await stack.enter_async_context(call.services.files.new_incoming())
        try:
            fields = await receive_fields(call, "image", file, emojis.IMAGE_BYTES)
            new = _new.decode(fields.get("emoji", ""))
        except TooLarge as error:
            raise AppError("api.emoji.create.too_large.app_error", 413, "The image is too large.") from error
        except Cut as error:
            raise AppError("api.emoji.create.parse.app_error", 400, "Could not parse the form.") from error
        except msgspec.DecodeError as error:
            raise body_param("emoji") from error
        if not file.size:
            raise body_param("image")
        await file.finish()
        return await emojis.do_create(call.services, call.login, new.name, new.creator_id, str(file.path))


@route("GET", "/emoji")
async def list_emojis(call: Call) -> list[Emoji]:
    """List all custom emojis by page."""
    sort = call.query("sort")
    if sort not in _SORTS:
        raise url_param("sort")
    return await emojis.list_page(call.services, *call.paging(), by_name=sort == "name")


@route("GET", "/emoji/autocomplete")
async def complete_emoji(call: Call) -> list[Emoji]:
    """List custom emojis whose names begin so."""
    name = call.query("name")
    if not name:
        raise url_param("name")
    return await emojis.search(call.services, name, prefix_only=True, limit=emojis.COMPLETED_MAX)


@route("POST", "/emoji/search")
async def search_emojis(call: Call) -> list[Emoji]:
    """Search custom emojis by name."""
    wanted: EmojiSearch = await call.body(EmojiSearch, "term")
    if not wanted.term:
        raise body_param("term")
    return await emojis.search(call.services, wanted.term, prefix_only=wanted.prefix_only)


@route("POST", "/emoji/names")
async def emojis_by_names(call: Call) -> list[Emoji]:
    """Get custom emojis by name; unknown names are left out."""
    return await emojis.by_names(call.services, await call.id_list(NAMES_MAX))


@route("GET", "/emoji/name/{emoji_name}")
async def emoji_by_name(call: Call) -> Emoji:
    """Get a custom emoji by its name."""
    name = call.param("emoji_name")
    if not post_rules.is_emoji_name(name):
        raise url_param("emoji_name")
    return await emojis.get_by_name(call.services, name)


@route("GET", "/emoji/{emoji_id}")
async def get_emoji(call: Call) -> Emoji:
    """Get a custom emoji."""
    return await emojis.get(call.services, call.path_id("emoji_id"))


@route("GET", "/emoji/{emoji_id}/image", csrf=False)
async def emoji_image(call: Call) -> Raw:
    """Get the picture of a custom emoji."""
    media_type, data = await emojis.image(call.services, call.path_id("emoji_id"))
    call.set_header("Cache-Control", CACHE)
    call.set_header("Content-Security-Policy", POLICY)
    return Raw(data, media_type)


@route("DELETE", "/emoji/{emoji_id}")
async def delete_emoji(call: Call) -> bytes:
    """Delete a custom emoji."""
    await emojis.do_delete(call.services, call.login, call.path_id("emoji_id"))
    return OK
