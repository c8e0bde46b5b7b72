"""Buttons and menus of posts: what they call stays here, a click is passed on, the answer changes the post.

Source: Mattermost API v4, interactive messages.
"""

from typing import Any

import msgspec
from msgspec import Struct

from tidewire.actions import (
    action_rows,
    ephemeral,
    integration_text,
    outgoing_call,
    permissions,
    post_refs,
    post_rules,
    posts,
    triggers,
)
from tidewire.actions.permissions import access_channel_for_read
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.store import post_actions as store
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Channel, Post, Session

ERROR = "api.post.do_action.action_integration.app_error"


class Click(Struct):
    """What was chosen, where there was a choice."""

    selected_option: str = ""
    query: str = ""
    cookie: str = ""


class ActionRequest(Struct):
    """What an integration is told of a click."""

    user_id: str
    user_name: str
    channel_id: str
    channel_name: str
    team_id: str
    team_domain: str
    post_id: str
    trigger_id: str
    type: str = "button"
    data_source: str = ""
    context: dict[str, Any] = {}


class _Update(Struct):
    message: str = ""
    props: dict[str, Any] | None = None


class _Answer(Struct):
    update: _Update | None = None
    ephemeral_text: str = ""
    skip_slack_parsing: bool = False
    error: Any = None


async def do_click(services: Services, session: Session, post_id: str, action_id: str, click: Click) -> str:
    """Tell an integration that one of its actions was used, and do what it answers. Returns a trigger id for a dialog.

    Raises: 400 where it does not answer well; 403; 404.
    """
    action = await store.get(services.db, post_id, action_id, now_ms=now_ms())
    if action is None or action.user_id not in ("", session.user_id):
        raise _no_action()
    post = None if action.user_id else (await posts.access_post(services, session, post_id))[0]
    if post is not None and not action_rows.has(post, action_id):
        raise _no_action()
    channel = await access_channel_for_read(services, session, action.channel_id)
    team = await permissions.load_team(services, channel.team_id) if channel.team_id else None
    user = await get_user(services, session.user_id)
    trigger_id = await triggers.make(services, user.id)
    context = dict(action.integration.get("context") or {})
    # What was stored before types were is a menu if it is used as one.
    kind = action.integration.get(action_rows.TYPE) or (action_rows.MENU if click.selected_option else "button")
    chosen = click.selected_option if kind == action_rows.MENU else ""
    if chosen:
        context["selected_option"] = chosen
    request = ActionRequest(
        user.id,
        user.username,
        channel.id,
        channel.name,
        team.id if team else "",
        team.name if team else "",
        post_id,
        trigger_id,
        kind,
        action.integration.get(action_rows.DATA_SOURCE, "") if chosen else "",
        context,
    )
    url = action.integration.get("url", "")
    answer = await outgoing_call.call(services, url, msgspec.json.encode(request), _Answer, ERROR, of=user.id)
    assert isinstance(answer, _Answer)
    if answer.update is not None and post is not None:
        await _update(services, channel, post, answer.update, skip=answer.skip_slack_parsing)
    if answer.ephemeral_text:
        text = answer.ephemeral_text
        text = text if answer.skip_slack_parsing else integration_text.to_markdown(text, {})
        root_id = post.root_id or post.id if post is not None else ""
        await ephemeral.show(services, user.id, channel.id, text[: post_rules.MESSAGE_RUNES], root_id=root_id)
    return trigger_id


def _no_action() -> AppError:
    return AppError("api.post.do_action.action_id.app_error", 404, "Invalid action id.")


async def _update(services: Services, channel: Channel, post: Post, update: _Update, *, skip: bool) -> None:
    """Change a post as its integration says; who speaks in it stays. An update without props keeps them.

    It names the channels that its author can read, whoever clicked.
    """
    message = update.message if skip else integration_text.to_markdown(update.message, {})
    post_rules.check_message(message)
    given = None if update.props is None else post_rules.client_props(update.props)
    if given is not None:
        await action_rows.keep(services, post, action_rows.take(given))
        post_rules.check_props(given)
    author = permissions.acting_as(services, await get_user(services, post.user_id))

    async def change(tx: Transaction, row: Post, now: int) -> bool:
        row.message, row.hashtags = message, posts.hashtags_of(services, message)
        if given is not None:
            row.props = post_rules.client_props(given, row.props)
        await post_refs.refer(services, tx, author, channel, row)
        return False

    await posts.do_change(services, post.id, change)
