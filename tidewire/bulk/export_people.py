"""Lines of users with memberships and preferences, of bots, and of direct channels, whose members have the same."""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha1
from typing import Any

import msgspec

from tidewire.bulk import lines
from tidewire.bulk.export_job import NOTHING_GONE, Job
from tidewire.bulk.export_posts import pair
from tidewire.bulk.lines import (
    BotLine,
    ChannelNotifyProps,
    CustomStatusPart,
    DirectChannelLine,
    Participant,
    UserChannel,
    UserLine,
    UserNotifyProps,
    UserTeam,
)
from tidewire.store.db import Record

# Whom a bot belongs to that belongs to nobody. Mattermost's servers refuse "", and take no username for a plugin.
NOBODY = "tidewire"
MEMBERS_GONE = "direct channels with members who are gone"
NEVER = "0001-01-01T00:00:00Z"  # as an end of a custom status
_WORDS = {seconds: word for word, seconds in lines.EMAIL_INTERVALS.items()}
_MEMBERS = {place: member for member, place in lines.PREFERENCES.items()}
_CATEGORIES = [category for category, _ in lines.PREFERENCES.values()]
_NAMES = [name for _, name in lines.PREFERENCES.values()]
_decode = msgspec.json.Decoder(dict[str, Any]).decode


async def write_users(job: Job) -> None:
    """Write people, by username."""
    async for rows in job.rows.pieces("users", *job.scope, weight="channels"):
        ids = [row["id"] for row in rows]
        teams = await _memberships(job, ids)
        preferences = await _preferences(job, ids)
        job.put("user", [_user(job, row, teams.get(row["id"]), preferences[row["id"]]) for row in rows])


async def write_bots(job: Job) -> None:
    """Write bots, by username."""
    async for rows in job.rows.pieces("bots", *job.scope, weight="channels"):
        teams = await _memberships(job, [row["id"] for row in rows])
        job.put("bot", [_bot(job, row, teams.get(row["id"])) for row in rows])


async def write_direct_channels(job: Job) -> list[str]:
    """Write direct and group channels, by their members' names. Return the ids of those that lack members."""
    broken: list[str] = []
    async for rows in job.rows.pieces("direct_channels"):
        whole = [row for row in rows if _is_whole(row)]
        broken += [row["id"] for row in rows if not _is_whole(row)]
        members = await job.rows.by("channel_id", "direct_members", [row["id"] for row in whole])
        job.put("direct_channel", [_direct(job, row, members[row["id"]]) for row in whole])
    if broken:
        job.report.left_out[MEMBERS_GONE] += len(broken)
    return broken


def picture_path(username: str) -> str:
    """Return where a profile picture is in the data folder."""
    return f"profile_pictures/{username}.png"


def _is_whole(row: Record) -> bool:
    """Tell whether all members of a direct or group channel have an account still: its name is made of their ids."""
    ids = row["ids"]
    if row["type"] == "D":
        return bool(row["name"] == "__".join(sorted(pair(ids))))
    return bool(row["name"] == sha1("".join(ids).encode(), usedforsecurity=False).hexdigest())


async def _memberships(job: Job, ids: Sequence[str]) -> dict[str, list[UserTeam]]:
    """Return user id → teams with their channels."""
    channels: dict[tuple[str, str], list[UserChannel]] = defaultdict(list)
    args = job.team_id, ids
    for row in await job.rows.all("channel_members", *args, job.options.archived_channels):
        favorite = row["favorite"] or None
        one = UserChannel(row["name"], _roles("channel", row), favorite=favorite, **_read_state(job, row))
        channels[row["user_id"], row["team_id"]].append(one)
    teams: dict[str, list[UserTeam]] = defaultdict(list)
    for row in await job.rows.all("team_members", *args):
        inside = channels.get((row["user_id"], row["team_id"]))
        teams[row["user_id"]].append(UserTeam(row["name"], _roles("team", row), row["theme"] or None, inside))
    return teams


async def _preferences(job: Job, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return user id → member of UserLine → value."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for user_id, category, name, value in await job.rows.all("preferences", ids, _CATEGORIES, _NAMES):
        member = lines.TUTORIAL if category == lines.TUTORIAL else _MEMBERS[category, name]
        found[user_id][member] = _WORDS.get(value, value) if member == "email_interval" else value
    return found


def _user(job: Job, row: Record, teams: list[UserTeam] | None, preferences: dict[str, str]) -> UserLine:
    timezone = {key: value for key, value in row["timezone"].items() if isinstance(value, str)}
    return UserLine(
        row["username"],
        row["email"],
        profile_image=picture_path(row["username"]) if row["has_picture"] and job.pictures else None,
        auth_service=row["auth_service"] or None,
        auth_data=row["auth_data"] or None,
        nickname=row["nickname"] or None,
        first_name=row["first_name"] or None,
        last_name=row["last_name"] or None,
        position=row["position"] or None,
        roles=row["roles"],
        locale=row["locale"],
        delete_at=row["delete_at"] or None,
        teams=teams,
        notify_props=UserNotifyProps(**_picked(UserNotifyProps, lines.USER_NOTIFY, row["notify_props"])),
        custom_status=_custom_status(row["custom_status"]),
        password_hash=row["password_hash"] or None if job.options.passwords else None,
        email_verified=row["email_verified"],
        timezone=timezone or None,
        **preferences,
    )


def _bot(job: Job, row: Record, teams: list[UserTeam] | None) -> BotLine:
    return BotLine(
        row["username"],
        row["owner"] or NOBODY,
        row["first_name"] or None,
        row["bot_description"] or None,
        row["delete_at"] or None,
        picture_path(row["username"]) if row["has_picture"] and job.pictures else None,
        teams,
    )


def _direct(job: Job, row: Record, members: list[Record]) -> DirectChannelLine:
    participants = [
        Participant(
            one["username"],
            scheme_user=one["scheme_user"] or None,
            scheme_admin=one["scheme_admin"] or None,
            scheme_guest=one["scheme_guest"] or None,
            **_read_state(job, one),
        )
        for one in members
    ]
    return DirectChannelLine(
        participants=participants * 2 if len(participants) == 1 else participants,
        favorited_by=[one["username"] for one in members if one["favorite"]] or None,
        shown_by=[one["username"] for one in members if one["shown"]] or None,
        header=row["header"] or None,
    )


def _roles(kind: str, row: Record) -> str:
    """Return the roles of a membership as members have them in Mattermost API v4."""
    flags = [f"{kind}_{name}" for name in ("guest", "user", "admin") if row[f"scheme_{name}"]]
    return " ".join([row["explicit_roles"], *flags] if row["explicit_roles"] else flags)


def _read_state(job: Job, row: Record) -> dict[str, Any]:
    """Return how far a member has read. Deleted posts are not exported, so they are taken from what he has read."""
    seen = row["last_viewed_at"]
    posts, roots = job.gone.get(row["channel_id"], (NOTHING_GONE, NOTHING_GONE))
    return {
        "notify_props": ChannelNotifyProps(**_picked(ChannelNotifyProps, lines.CHANNEL_NOTIFY, row["notify_props"])),
        "mention_count": row["mention_count"] or None,
        "mention_count_root": row["mention_count_root"] or None,
        "urgend_mention_count": row["urgent_mention_count"] or None,
        "msg_count": max(0, row["msg_count"] - posts.until(seen)),
        "msg_count_root": max(0, row["msg_count_root"] - roots.until(seen)),
        "last_viewed_at": seen,
    }


def _picked(kind: type[lines.Shape], keys: dict[str, str], props: dict[str, Any]) -> dict[str, str]:
    """Return what a row's notify_props say of the members of a shape."""
    found = {name: props.get(keys.get(name, name)) for name in kind.__struct_fields__}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _custom_status(text: str | None) -> CustomStatusPart | None:
    """Return what a user says he is doing; clients may have written anything there."""
    try:
        said = _decode(text) if text else {}
    except (msgspec.DecodeError, RecursionError):
        return None
    found = {name: said.get(name) for name in CustomStatusPart.__struct_fields__}
    given = {name: value for name, value in found.items() if isinstance(value, str) and value not in ("", NEVER)}
    return CustomStatusPart(**given) if given else None
