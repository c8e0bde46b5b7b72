"""Who is in which team and channel, out of the lines of users. All but guests are in their teams' default channels."""

from typing import Any

import msgspec

from tidewire.actions.preferences import FAVORITE, check_items
from tidewire.bulk.kit import Kit
from tidewire.bulk.lines import (
    CHANNEL_NOTIFY,
    BotLine,
    ChannelNotifyProps,
    Participant,
    UserChannel,
    UserLine,
    UserTeam,
)
from tidewire.bulk.names import Person
from tidewire.store import imports as store
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError
from tidewire.wire.ids import now_ms
from tidewire.wire.member_roles import MemberRoles, parse_roles
from tidewire.wire.models import Preference

COUNT_MAX = 1 << 31
PROP_CHARS = 64  # of a notify prop's value; the longest that clients know has 9
TEAMS_MAX, CHANNELS_MAX = 10_000, 100_000  # of one user; their lines have a limit besides


class Memberships:
    """Rows of team_members and channel_members to be."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._teams: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._channels: dict[tuple[str, str], tuple[Any, ...]] = {}

    async def prepare(
        self, people: list[tuple[int, Person, UserLine | BotLine]]
    ) -> list[tuple[str, str, str, str]]:
        """Find teams and channels; return the preferences that go with them: (user id, category, name, value)."""
        kit = self._kit
        teams = await kit.names.teams(
            team.name.lower() for _, _, value in people for team in value.teams or ()
        )
        wanted = [
            (team_id, name)
            for _, _, value in people
            for team in value.teams or ()
            if (team_id := teams.get(team.name.lower())) is not None
            for name in (defaults.DEFAULT_CHANNEL, *(channel.name for channel in team.channels or ()))
        ]
        channels = await kit.names.channels(wanted)
        choices: list[tuple[str, str, str, str]] = []
        for line, person, value in people:
            for team in value.teams or ():
                team_id = teams.get(team.name.lower())
                if team_id is None:
                    kit.report.part(line, "membership", "there is no such team", team.name)
                    continue
                choices += self._team(line, person, team, team_id, channels)
        return choices

    def _team(
        self, line: int, person: Person, team: UserTeam, team_id: str, channels: dict[tuple[str, str], str]
    ) -> list[tuple[str, str, str, str]]:
        kit = self._kit
        choices = []
        roles = self._roles(line, person, "team", team.roles)
        self._teams[team_id, person.id] = (
            team_id,
            person.id,
            roles.explicit,
            roles.guest,
            roles.user,
            roles.admin,
        )
        if team.theme is not None:
            try:
                check_items([Preference(person.id, "theme", team_id, team.theme)])
                choices.append((person.id, "theme", team_id, team.theme))
            except AppError as error:
                kit.report.part(line, "membership", error.message, team.name)
        named = {channel.name: channel for channel in team.channels or ()}
        if not person.guest:
            named.setdefault(defaults.DEFAULT_CHANNEL, UserChannel(defaults.DEFAULT_CHANNEL))
        for name, channel in named.items():
            channel_id = channels.get((team_id, name))
            if channel_id is None:
                kit.report.part(line, "membership", "there is no such channel", f"{team.name}/{name}")
                continue
            self._channel(line, person, channel, channel_id)
            if channel.favorite:
                choices.append((person.id, FAVORITE, channel_id, "true"))
        return choices

    def _channel(self, line: int, person: Person, channel: UserChannel, channel_id: str) -> None:
        roles = self._roles(line, person, "channel", channel.roles)
        self._channels[channel_id, person.id] = (
            channel_id, person.id, roles.explicit, *self.read_state(line, channel),
            channel_props(channel.notify_props), roles.guest, roles.user, roles.admin,
        )  # fmt: skip

    def participant(self, line: int, person: Person, member: Participant, channel_id: str) -> None:
        """Take a member of a direct or group channel."""
        self._channels[channel_id, person.id] = (
            channel_id, person.id, "", *self.read_state(line, member),
            channel_props(member.notify_props), person.guest, not person.guest, False,
        )  # fmt: skip

    def read_state(self, line: int, given: UserChannel | Participant) -> tuple[int | None, int, int, int]:
        """Return (when he looked last, or None: he has read all; mentions; of roots; urgent ones)."""
        viewed = given.last_viewed_at
        if viewed is not None and not (viewed == 0 or self._kit.good_time(viewed)):
            self._kit.report.part(
                line, "membership", "last_viewed_at is no time of the past", given_name(given)
            )
            viewed = None
        if viewed is None:
            return None, 0, 0, 0
        counts = (given.mention_count, given.mention_count_root, given.urgend_mention_count)
        mentions, of_roots, urgent = (min(max(one or 0, 0), COUNT_MAX) for one in counts)
        return viewed, mentions, of_roots, urgent

    def _roles(self, line: int, person: Person, kind: str, text: str | None) -> MemberRoles:
        own = f"{kind}_{'guest' if person.guest else 'user'}"
        names = (text or own).split()
        if not person.guest and own not in names:
            names.append(own)
        try:
            return parse_roles(kind, " ".join(names), was_guest=person.guest)
        except AppError as error:
            reason = error.message if "roles in request" not in error.message else "there is no such role"
            self._kit.report.part(line, "membership", reason, text or "")
            return parse_roles(kind, own, was_guest=person.guest)

    async def write(self, tx: Transaction) -> set[str]:
        """Write memberships, in the order in which their locks are taken; return the channels."""
        at = self._kit.at
        rows = sorted(self._channels.values())
        if rows:
            await store.put_rows(tx, "put_channel_members", rows, at)
        await store.put_rows(tx, "put_team_members", sorted(self._teams.values()), now_ms())
        return {row[0] for row in rows}


def given_name(given: UserChannel | Participant) -> str:
    """Return what a membership is of."""
    return given.name if isinstance(given, UserChannel) else given.username


def channel_props(given: ChannelNotifyProps | None) -> str:
    """Return notify_props of a channel's member as JSON: the defaults, and what a line says."""
    own: dict[str, str] = {}
    for field in ChannelNotifyProps.__struct_fields__:
        text = getattr(given, field, None)
        if text is not None and len(text) <= PROP_CHARS:
            own[CHANNEL_NOTIFY.get(field, field)] = text
    return msgspec.json.encode(defaults.CHANNEL_NOTIFY_PROPS | own).decode()
