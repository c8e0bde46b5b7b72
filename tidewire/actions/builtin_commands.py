"""The slash commands that every team has. Each does what a request of its user would do, with his rights.

Source: Mattermost API v4, built-in commands. What they refuse is said to the user alone, as all that they answer.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tidewire.actions import (
    channel_changes,
    channel_member_settings,
    channel_members,
    channels,
    choose_status,
    custom_status,
    posts,
    preferences,
    sessions,
    team_invites,
)
from tidewire.actions.channel_changes import ChannelPatch
from tidewire.actions.choose_status import NewStatus
from tidewire.actions.custom_status import CustomStatus
from tidewire.actions.post_rules import NewPostBody
from tidewire.actions.services import Services
from tidewire.store import members, users
from tidewire.wire.errors import AppError
from tidewire.wire.integrations import Command, CommandResponse
from tidewire.wire.models import Channel, Session, Team, User


@dataclass(slots=True)
class Typed:
    """A command as it was typed: the words after its trigger, and where. team is None outside of teams."""

    services: Services
    session: Session
    user: User
    channel: Channel
    team: Team | None
    words: str
    root_id: str = ""

    async def post(self, message: str, channel_id: str = "", kind: str = "") -> None:
        """Write a post of the user here, or in another channel."""
        here = channel_id in ("", self.channel.id)
        body = NewPostBody(channel_id or self.channel.id, message, self.root_id if here else "", kind)
        await posts.do_create_post(self.services, self.session, body)

    def link(self, channel: Channel) -> CommandResponse:
        """Return what leads the client to a channel."""
        return CommandResponse(goto_location=f"/{self.home}/channels/{channel.name}")

    @property
    def home(self) -> str:
        """What stands for the team in the client's addresses."""
        return self.team.name if self.team else "_redirect"


Run = Callable[[Typed], Awaitable[CommandResponse]]


@dataclass(frozen=True, slots=True)
class Builtin:
    """A command that is always there."""

    run: Run
    hint: str
    description: str


def answer(text: str) -> CommandResponse:
    """Return what only the user sees."""
    return CommandResponse("ephemeral", text)


async def _status(typed: Typed, status: str, text: str) -> CommandResponse:
    wanted = NewStatus(typed.user.id, status)
    await choose_status.do_choose_status(typed.services, typed.session, typed.user.id, wanted)
    return answer(text)


async def _online(typed: Typed) -> CommandResponse:
    return await _status(typed, "online", "You are now online")


async def _away(typed: Typed) -> CommandResponse:
    return await _status(typed, "away", "You are now away")


async def _offline(typed: Typed) -> CommandResponse:
    return await _status(typed, "offline", "You are now offline")


async def _dnd(typed: Typed) -> CommandResponse:
    return await _status(
        typed, "dnd", "Do Not Disturb is enabled. You will get no notifications until you switch it off."
    )


async def _custom(typed: Typed) -> CommandResponse:
    """`:emoji: words`, or words alone."""
    words, emoji = typed.words, ""
    if words.startswith(":") and (end := words.find(":", 1)) > 1:
        emoji, words = words[1:end], words[end + 1 :].strip()
    if words in ("", "clear") and not emoji:
        return await _clear(typed)
    await custom_status.do_set_custom_status(
        typed.services, typed.session, typed.user.id, CustomStatus(emoji, words)
    )
    return answer("Your status is set.")


async def _clear(typed: Typed) -> CommandResponse:
    await custom_status.do_clear_custom_status(typed.services, typed.session, typed.user.id)
    return answer("Your status is cleared.")


async def _me(typed: Typed) -> CommandResponse:
    await typed.post(f"*{typed.words}*" if typed.words else "", kind="me")
    return CommandResponse("in_channel")


async def _shrug(typed: Typed) -> CommandResponse:
    await typed.post(f"{typed.words} ¯\\\\\\_(ツ)\\_/¯".strip())
    return CommandResponse("in_channel")


async def _code(typed: Typed) -> CommandResponse:
    if not typed.words:
        return answer("A message must be provided with the /code command.")
    await typed.post("    " + typed.words.replace("\n", "\n    "))
    return CommandResponse("in_channel")


async def _echo(typed: Typed) -> CommandResponse:
    if not typed.words:
        return answer("A message must be provided with the /echo command.")
    await typed.post(typed.words)
    return CommandResponse("in_channel")


async def _msg(typed: Typed) -> CommandResponse:
    name, _, message = typed.words.partition(" ")
    found = await _user(typed, name)
    if isinstance(found, CommandResponse):
        return found
    direct = await channels.do_create_direct(typed.services, typed.session, [typed.user.id, found.id])
    if message.strip():
        await typed.post(message.strip(), direct.id)
    return CommandResponse(goto_location=f"/{typed.home}/messages/@{found.username}")


async def _groupmsg(typed: Typed) -> CommandResponse:
    """`@one,@two message`."""
    names, _, message = typed.words.replace(", ", ",").partition(" ")
    wanted = [name.strip().removeprefix("@").lower() for name in names.split(",") if name.strip()]
    found = await users.by_usernames(typed.services.db, wanted[: channels.GROUP_MAX])
    if len(found) != len(set(wanted)) or not found:
        return answer("Unable to find all of the users.")
    group = await channels.do_create_group(typed.services, typed.session, [user.id for user in found])
    if message.strip():
        await typed.post(message.strip(), group.id)
    return typed.link(group)


async def _join(typed: Typed) -> CommandResponse:
    channel = await _channel(typed, typed.words)
    if channel is None or channel.type != "O":
        return answer("Could not find the channel.")
    await channel_members.do_add_members(typed.services, typed.session, channel.id, [typed.user.id])
    return typed.link(channel)


async def _leave(typed: Typed) -> CommandResponse:
    await channel_members.do_remove_member(typed.services, typed.session, typed.channel.id, typed.user.id)
    return CommandResponse(goto_location=f"/{typed.team.name}/channels/town-square" if typed.team else "/")


async def _invite(typed: Typed) -> CommandResponse:
    """`@user [~channel]`."""
    name, _, place = typed.words.partition(" ")
    found = await _user(typed, name)
    if isinstance(found, CommandResponse):
        return found
    channel = await _channel(typed, place) if place.strip() else typed.channel
    if channel is None:
        return answer("Could not find the channel.")
    if await members.get(typed.services.db, channel.id, [found.id]):
        return answer(f"{found.username} is already in the channel.")
    await channel_members.do_add_members(typed.services, typed.session, channel.id, [found.id])
    return CommandResponse() if channel.id == typed.channel.id else answer(
        f"{found.username} added to {channel.display_name} channel."
    )


async def _remove(typed: Typed) -> CommandResponse:
    found = await _user(typed, typed.words)
    if isinstance(found, CommandResponse):
        return found
    await channel_members.do_remove_member(typed.services, typed.session, typed.channel.id, found.id)
    return CommandResponse()


async def _mute(typed: Typed) -> CommandResponse:
    """Mute or unmute this channel, or `~channel`."""
    channel = await _channel(typed, typed.words) if typed.words else typed.channel
    found = await members.get(typed.services.db, channel.id, [typed.user.id]) if channel else []
    if channel is None or not found:
        return answer("Could not find the channel.")
    muted = found[0].notify_props.get("mark_unread") == "mention"
    await channel_member_settings.do_set_notify_props(
        typed.services, typed.session, channel.id, typed.user.id, {"mark_unread": "all" if muted else "mention"}
    )
    name = channel.display_name or "this channel"
    return answer(f"{name} is no longer muted." if muted else f"You will get no notifications for {name}.")


async def _header(typed: Typed) -> CommandResponse:
    return await _patch(typed, ChannelPatch(header=typed.words))


async def _purpose(typed: Typed) -> CommandResponse:
    return await _patch(typed, ChannelPatch(purpose=typed.words))


async def _rename(typed: Typed) -> CommandResponse:
    return await _patch(typed, ChannelPatch(display_name=typed.words))


async def _patch(typed: Typed, patch: ChannelPatch) -> CommandResponse:
    if not typed.words:
        return answer("A text must be provided with this command.")
    await channel_changes.do_patch_channel(typed.services, typed.session, typed.channel.id, patch)
    return CommandResponse()


async def _show_previews(typed: Typed, *, collapsed: bool) -> CommandResponse:
    await preferences.do_collapse_previews(typed.services, typed.user.id, collapsed=collapsed)
    return answer(f"Image links now {'collapse' if collapsed else 'expand'} by default")


async def _invite_people(typed: Typed) -> CommandResponse:
    """Addresses, by blanks."""
    emails = [word for word in typed.words.split() if "@" in word]
    if not emails or typed.team is None:
        return answer("Please specify one or more valid email addresses")
    await team_invites.do_invite(
        typed.services, typed.session, typed.team.id, emails, [], "", graceful=False
    )
    return answer("Email invite(s) sent")


async def _in_client(typed: Typed, *, name: str) -> CommandResponse:
    """What clients do themselves; those that cannot ask the server."""
    return answer(f"The {name} command is not supported on your device")


async def _logout(typed: Typed) -> CommandResponse:
    await sessions.do_logout(typed.services, typed.session)
    return CommandResponse(goto_location="/login")


async def _help(typed: Typed) -> CommandResponse:
    lines = [f"- `/{name} {one.hint}`".rstrip("` ") + f"`: {one.description}" for name, one in COMMANDS.items()]
    return answer("\n".join(lines))


async def _user(typed: Typed, name: str) -> User | CommandResponse:
    found = await users.by_usernames(typed.services.db, [name.strip().removeprefix("@").lower()])
    if not found or found[0].delete_at:
        return answer("Unable to find the user.")
    return found[0]


async def _channel(typed: Typed, name: str) -> Channel | None:
    """Return a channel of the team by its name (~name, #name), for who may know of it."""
    if typed.team is None:
        return None
    word = name.strip().lstrip("~#").lower()
    try:
        return await channels.get_channel_by_name(typed.services, typed.session, typed.team.id, word, archived=False)
    except AppError as error:
        if error.status not in (403, 404):
            raise
        return None


COMMANDS: dict[str, Builtin] = {
    "away": Builtin(_away, "", "Set your status away"),
    "clear": Builtin(_clear, "", "Clear the current status"),
    "collapse": Builtin(partial(_show_previews, collapsed=True), "", "Turn on auto-collapsing of image previews"),
    "code": Builtin(_code, "[text]", "Display text as a code block"),
    "dnd": Builtin(_dnd, "", "Do not disturb disables notifications"),
    "echo": Builtin(_echo, "[message]", "Echo back text from your account"),
    "expand": Builtin(partial(_show_previews, collapsed=False), "", "Turn off auto-collapsing of image previews"),
    "groupmsg": Builtin(_groupmsg, "@[username1],@[username2] 'message'", "Send a group message to users"),
    "header": Builtin(_header, "[text]", "Edit the channel header"),
    "help": Builtin(_help, "", "Show what commands there are"),
    "invite": Builtin(_invite, "@[username] ~[channel]", "Invite a user to a channel"),
    "invite_people": Builtin(_invite_people, "[name@domain.com ...]", "Send an email invite to your team"),
    "join": Builtin(_join, "~[channel]", "Join the open channel"),
    "kick": Builtin(_remove, "@[username]", "Remove a member from the channel"),
    "leave": Builtin(_leave, "", "Leave the current channel"),
    "logout": Builtin(_logout, "", "Log out"),
    "me": Builtin(_me, "[message]", "Do an action"),
    "msg": Builtin(_msg, "@[username] 'message'", "Send Direct Message to a user"),
    "mute": Builtin(_mute, "~[channel]", "Turn notifications of a channel off or on"),
    "offline": Builtin(_offline, "", "Set your status offline"),
    "online": Builtin(_online, "", "Set your status online"),
    "open": Builtin(_join, "~[channel]", "Join the open channel"),
    "purpose": Builtin(_purpose, "[text]", "Edit the channel purpose"),
    "remove": Builtin(_remove, "@[username]", "Remove a member from the channel"),
    "rename": Builtin(_rename, "[text]", "Rename the channel"),
    "search": Builtin(partial(_in_client, name="search"), "[text]", "Search text in messages"),
    "settings": Builtin(partial(_in_client, name="settings"), "", "Open the Settings dialog"),
    "shortcuts": Builtin(partial(_in_client, name="shortcuts"), "", "Displays a list of keyboard shortcuts"),
    "shrug": Builtin(_shrug, "[message]", "Adds ¯\\_(ツ)_/¯ to your message"),
    "status": Builtin(_custom, "[:emoji_name:] [status_message]", "Set a custom status"),
}


def listed() -> list[Command]:
    """Return these commands as clients list and complete them."""
    return [
        Command(
            trigger=name, auto_complete=True, auto_complete_desc=one.description, auto_complete_hint=one.hint,
            display_name=name,
        )
        for name, one in COMMANDS.items()
    ]  # fmt: skip
