"""Runs slash commands: built-in ones here, custom ones at their address, and posts what comes back, now or later.

Source: Mattermost API v4, "Execute a command"; Slack's commands, whose requests and answers these are.
"""

import re
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from tidewire.actions import (
    action_rows,
    builtin_commands,
    commands,
    ephemeral,
    integration_posts,
    integration_text,
    outgoing_call,
    permissions,
    post_rules,
    triggers,
)
from tidewire.actions.builtin_commands import Typed
from tidewire.actions.program_owners import in_force
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.store import commands as store
from tidewire.store.commands import Reply
from tidewire.store.sessions import token_hash
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.ids import is_id, new_id, now_ms
from tidewire.wire.integrations import Command, CommandResponse
from tidewire.wire.models import Channel, Session, User

REPLY_MS, REPLIES = 30 * 60 * 1000, 5
EXTRA_MAX = 10  # further answers in one
ERROR = "api.command.execute_command.failed.app_error"
_BLANK = re.compile(r"\s")  # between a command and its words


class CommandArgs(Struct):
    """What was typed and where."""

    command: str = ""
    channel_id: str = ""
    team_id: str = ""
    root_id: str = ""


async def do_execute(services: Services, session: Session, args: CommandArgs) -> CommandResponse:
    """Run a command; return what the client does next.

    Raises: 400 for what is no command, or where its address does not answer well; 403; 404 for an unknown one; 501.
    """
    if len(args.command) <= 1 or not args.command.startswith("/") or not is_id(args.channel_id):
        raise AppError("api.command.execute_command.start.app_error", 400, "A command begins with a slash.")
    post_rules.check_message(args.command)
    if args.root_id and not is_id(args.root_id):
        raise body_param("root_id")
    commands.check_on(services)
    channel = await permissions.access_channel(services, session, args.channel_id, "create_post")
    if channel.delete_at:
        text = "Commands do not work in archived channels."
        raise AppError("api.command.execute_command.deleted.error", 400, text)
    team_id = channel.team_id or args.team_id
    if team_id and not channel.team_id:  # a direct channel, used from a team
        await permissions.check_team(services, session, team_id, "view_team")
    team = await permissions.load_team(services, team_id) if team_id else None
    user = await get_user(services, session.user_id)
    trigger, *rest = _BLANK.split(args.command[1:], maxsplit=1)
    trigger, words = trigger.lower(), "".join(rest).strip()
    typed = Typed(services, session, user, channel, team, words, args.root_id)
    custom = await _by_trigger(services, team.id, trigger) if team else None
    builtin = builtin_commands.COMMANDS.get(trigger)
    trigger_id = await triggers.make(services, user.id)
    if custom is not None:
        response = await _call(typed, custom, trigger_id)
        await _say(services, user, channel, response, custom, root_id=args.root_id)
    elif builtin is not None:
        try:
            response = await builtin.run(typed)
        except AppError as error:  # the client asked for a command, which is there; what it refuses is its answer
            if error.status >= 500 and error.status != 501:
                raise
            response = builtin_commands.answer(error.message)
        await _say(services, user, channel, response, None, root_id=args.root_id)
    else:
        text = f"Command with a trigger of '/{trigger[:64]}' not found."
        raise AppError("api.command.execute_command.not_found.app_error", 404, text)
    response.trigger_id = trigger_id
    return response


async def do_answer_late(services: Services, reply_id: str, response: CommandResponse) -> None:
    """Post a late answer of a command. Raises: 404 once the place is used up or its half hour is over; 400."""
    reply = await store.take_reply(services.db, token_hash(reply_id), now_ms=now_ms())
    command = None if reply is None else await store.by_id(services.db, reply.command_id)
    channel = None if reply is None else await permissions.load_channel(services, reply.channel_id)
    if command is not None and not await in_force(services, command.team_id, [command.creator_id]):
        command = None
    if reply is None or command is None or channel is None or channel.delete_at:
        raise AppError("web.command_webhook.invalid.app_error", 404, "Invalid webhook.")
    user = await get_user(services, reply.user_id)
    session = permissions.acting_as(services, user)
    if user.delete_at or not await permissions.has_channel(services, session, channel.id, "create_post"):
        raise AppError("web.command_webhook.invalid.app_error", 404, "Invalid webhook.")
    await _say(services, user, channel, response, command, root_id=reply.root_id)


async def _by_trigger(services: Services, team_id: str, trigger: str) -> Command | None:
    """Return a team's command, unless its creator has left."""
    command = await store.by_trigger(services.db, team_id, trigger)
    if command is None or not await in_force(services, team_id, [command.creator_id]):
        return None
    return command


async def _call(typed: Typed, command: Command, trigger_id: str) -> CommandResponse:
    """Ask a custom command's address; return its answer. Raises: 400."""
    services, reply_id, now = typed.services, new_id(), now_ms()
    reply = Reply(command.id, typed.user.id, typed.channel.id, typed.root_id)
    await store.insert_reply(
        services.db, token_hash(reply_id), reply, now_ms=now, expires_at=now + REPLY_MS, uses=REPLIES
    )
    site = services.config.text("ServiceSettings.SiteURL").rstrip("/")
    form = urlencode(
        {
            "token": command.token,
            "team_id": typed.team.id if typed.team else "",
            "team_domain": typed.team.name if typed.team else "",
            "channel_id": typed.channel.id,
            "channel_name": typed.channel.name,
            "user_id": typed.user.id,
            "user_name": typed.user.username,
            "command": "/" + command.trigger,
            "text": typed.words,
            "root_id": typed.root_id,
            "trigger_id": trigger_id,
            "response_url": f"{site}/hooks/commands/{reply_id}",
        }
    )
    url, body = command.url, form.encode()
    if command.method == "G":
        parts = urlsplit(url)
        query = f"{parts.query}&{form}" if parts.query else form
        url, body = urlunsplit((parts.scheme, parts.netloc, parts.path, query, "")), b""
    answer = await outgoing_call.call(
        services,
        url,
        body,
        CommandResponse,
        ERROR,
        method="GET" if command.method == "G" else "POST",
        content_type="application/x-www-form-urlencoded",
        token=command.token,
        text=True,
        of=typed.user.id,
    )
    return answer if isinstance(answer, CommandResponse) else CommandResponse("ephemeral", answer)


async def _say(
    services: Services,
    user: User,
    channel: Channel,
    response: CommandResponse,
    command: Command | None,
    *,
    root_id: str,
    further: bool = False,
) -> None:
    """Post what a command answers, to the channel or for the user alone. command: None for a built-in one.

    The response's attachments become what was posted: what their buttons call is for nobody else.
    """
    extra = [] if further else _extra(response)
    response.extra_responses = extra or None
    names = await integration_posts.usernames_in(services, response.text, response.attachments)
    attachments = integration_text.clean_attachments(response.attachments, names)
    text = response.text if response.skip_slack_parsing else integration_text.to_markdown(response.text, names)
    props: dict[str, Any] = {}
    if command is not None:
        who = integration_posts.speaker(
            services, command.username or response.username, command.icon_url or response.icon_url
        )
        props = {"from_webhook": "true", **who}
    place = channel
    if response.channel_id and response.channel_id != channel.id:
        session = permissions.acting_as(services, user)
        place = await permissions.access_channel(services, session, response.channel_id, "create_post")
        root_id = ""
    if text.strip() or attachments:
        if response.response_type == "in_channel":
            await integration_posts.do_post(
                services, user, place, text, attachments=attachments, given=response.props, props=props,
                type=response.type, root_id=root_id,
            )  # fmt: skip
        else:
            given = {**post_rules.client_props(response.props), **props}
            integrations = action_rows.take_integrations(attachments)
            if attachments:
                given["attachments"] = attachments
            post_rules.check_props(given)
            shown = await ephemeral.show(
                services, user.id, place.id, text[: post_rules.MESSAGE_RUNES], root_id=root_id, props=given
            )
            await action_rows.keep(services, shown, integrations, seen_by=user.id)
    response.attachments = attachments or None
    for one in extra:
        await _say(services, user, channel, one, command, root_id=root_id, further=True)


def _extra(response: CommandResponse) -> list[CommandResponse]:
    """Return further answers in an answer. Raises: 400."""
    given = response.extra_responses or []
    if len(given) > EXTRA_MAX:
        raise AppError(ERROR, 400, "Too many extra responses.")
    try:
        return [msgspec.convert(one, CommandResponse) for one in given if one is not None]
    except msgspec.ValidationError:
        raise AppError(ERROR, 400, "The extra responses cannot be read.") from None
