"""Teams and channels out of lines: made where they are new, brought up to date where they are known by their names."""

from typing import Any

from tidewire.actions import validate
from tidewire.bulk.kit import Item, Kit
from tidewire.bulk.lines import ChannelLine, TeamLine
from tidewire.store import imports as store
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id, new_token, now_ms
from tidewire.wire.models import Channel, Team


class Teams:
    """Lines of teams; each name once."""

    def __init__(self, kit: Kit, items: list[Item[TeamLine]]) -> None:
        self._kit, self._items = kit, items
        self._new: list[Team] = []
        self._changed: list[Team] = []

    async def prepare(self) -> None:
        """Tell new teams from known ones."""
        rows = await store.fetch(self._kit.db, "team_rows", [item.value.name.lower() for item in self._items])
        known = {row["name"]: Team(**row) for row in rows}
        for line, value in self._items:
            before = known.get(value.name.lower())
            team = Team(
                id=before.id if before else new_id(),
                name=value.name.lower(),
                display_name=value.display_name,
                type=value.type,
                description=_or(value.description, before.description if before else ""),
                allow_open_invite=_flag(value.allow_open_invite, before),
            )
            report = self._kit.report
            try:
                validate.check_team(team)
            except AppError as error:
                report.skip(line, "team", error.message, value.name)
                continue
            if value.scheme:
                report.part(line, "team", "there are no permission schemes here", value.scheme)
            if before is None:
                self._new.append(team)
                self._kit.names.will_be_team(team.name, team.id)
                for name in defaults.DEFAULT_CHANNELS:
                    self._kit.names.will_be_channel(team.id, name, new_id())
            elif team != before:
                self._changed.append(team)
            else:
                report.count("same", "team")
        self._kit.report.count("made", "team", len(self._new))
        self._kit.report.count("changed", "team", len(self._changed))

    async def write(self, tx: Transaction) -> set[str]:
        """Write teams; new ones with their default channels."""
        now = self._kit.at
        for team in self._new:
            texts = (team.name, team.display_name, team.type, team.description)
            await store.put(tx, "put_team", team.id, now, *texts, team.allow_open_invite, new_token())
            rows = [
                (new_id(), 0, team.id, "O", name, shown, "", "")
                for name, shown in defaults.DEFAULT_CHANNELS.items()
            ]
            await _put_channels(tx, rows, now)
        for team in self._changed:
            more = (team.display_name, team.type, team.description, team.allow_open_invite)
            await store.put(tx, "change_team", team.id, *more, now_ms())
        return set()

    async def close(self) -> None:
        """Nothing is held."""


class Channels:
    """Lines of public and private channels; each (team, name) once."""

    def __init__(self, kit: Kit, items: list[Item[ChannelLine]]) -> None:
        self._kit, self._items = kit, items
        self._new: list[tuple[Any, ...]] = []
        self._changed: list[tuple[Any, ...]] = []

    async def prepare(self) -> None:
        """Tell new channels from known ones."""
        kit, report = self._kit, self._kit.report
        teams = await kit.names.teams(item.value.team.lower() for item in self._items)
        keys = [(teams.get(value.team.lower(), ""), value.name) for _, value in self._items]
        rows = await store.fetch(kit.db, "channel_rows", [key[0] for key in keys], [key[1] for key in keys])
        known = {(row["team_id"], row["name"]): row for row in rows}
        for (line, value), key in zip(self._items, keys, strict=True):
            if not key[0]:
                report.skip(line, "channel", "there is no such team", value.team)
                continue
            before = known.get(key)
            channel = Channel(
                id=before["id"] if before else new_id(),
                team_id=key[0],
                type=value.type,
                name=value.name,
                display_name=value.display_name or value.name,
                header=_or(value.header, before["header"] if before else ""),
                purpose=_or(value.purpose, before["purpose"] if before else ""),
            )
            if value.deleted_at is not None and value.deleted_at and not kit.good_time(value.deleted_at):
                report.skip(line, "channel", "deleted_at is no time of the past", str(value.deleted_at))
                continue
            channel.delete_at = value.deleted_at or 0
            if value.deleted_at is None and before:
                channel.delete_at = before["delete_at"]
            try:
                validate.check_channel(channel)
            except AppError as error:
                report.skip(line, "channel", error.message, value.name)
                continue
            if value.name == defaults.DEFAULT_CHANNEL and channel.delete_at:
                report.part(line, "channel", "the default channel cannot be archived", value.name)
                channel.delete_at = 0
            if value.scheme:
                report.part(line, "channel", "there are no permission schemes here", value.scheme)
            texts = (channel.display_name, channel.header, channel.purpose, channel.delete_at)
            if before is None:
                self._new.append((channel.id, channel.delete_at, key[0], value.type, value.name, *texts[:3]))
                kit.names.will_be_channel(*key, channel.id)
                continue
            if before["type"] != value.type:
                report.part(line, "channel", "it stays as public or private as it is here", value.name)
            if texts != (before["display_name"], before["header"], before["purpose"], before["delete_at"]):
                self._changed.append((channel.id, *texts))
            else:
                report.count("same", "channel")
        report.count("made", "channel", len(self._new))
        report.count("changed", "channel", len(self._changed))

    async def write(self, tx: Transaction) -> set[str]:
        """Write channels."""
        await _put_channels(tx, self._new, self._kit.at)
        await store.put_rows(tx, "change_channels", self._changed, last=(now_ms(),))
        return set()

    async def close(self) -> None:
        """Nothing is held."""


async def _put_channels(tx: Transaction, rows: list[tuple[Any, ...]], at: int) -> None:
    """Write channels: (id, delete_at, team_id, type, name, display_name, header, purpose)."""
    if rows:
        ids, *columns = (list(column) for column in zip(*rows, strict=True))
        await store.put(tx, "put_channels", ids, at, *columns)


def _or(given: str | None, before: str) -> str:
    return given if given is not None else before


def _flag(given: bool | None, before: Team | None) -> bool:
    if given is not None:
        return given
    return before.allow_open_invite if before else False
