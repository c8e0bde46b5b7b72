"""Reactions. Source: Mattermost API v4, reactions."""

import msgspec

from api.call import Call
from api.routing import OK, route
from tidewire.actions import reactions
from tidewire.wire.errors import body_param, forbidden
from tidewire.wire.ids import is_id
from tidewire.wire.models import Reaction


class ReactionBody(msgspec.Struct):
    """Who reacts to what by which emoji."""

    user_id: str = ""
    post_id: str = ""
    emoji_name: str = ""


@route("POST", "/reactions")
async def add_reaction(call: Call) -> Reaction:
    """Add a reaction of the caller."""
    body: ReactionBody = await call.body(ReactionBody, "reaction")
    for name in ("user_id", "post_id"):
        if not is_id(getattr(body, name)):
            raise body_param(name)
    if body.user_id != call.user_id:
        raise forbidden()
    return await reactions.do_add_reaction(call.services, call.login, body.post_id, body.emoji_name)


@route("GET", "/posts/{post_id}/reactions")
async def get_reactions(call: Call) -> list[Reaction]:
    """List a post's reactions."""
    return await reactions.get_reactions(call.services, call.login, call.path_id("post_id"))


@route("DELETE", "/users/{user_id}/posts/{post_id}/reactions/{emoji_name}")
async def remove_reaction(call: Call) -> bytes:
    """Remove a reaction."""
    user_id, post_id = call.path_id("user_id"), call.path_id("post_id")
    await reactions.do_remove_reaction(call.services, call.login, user_id, post_id, call.param("emoji_name"))
    return OK


@route("POST", "/posts/ids/reactions")
async def get_reactions_of_posts(call: Call) -> dict[str, list[Reaction]]:
    """List the reactions of many posts."""
    return await reactions.get_reactions_of_posts(call.services, call.login, await call.id_list())
