"""Direct and group channels out of lines; who is named by a line of a post is enough to have one."""

from typing import Any

from tidewire.actions import validate
from tidewire.actions.channels import GROUP_MAX
from tidewire.actions.preferences import FAVORITE
from tidewire.bulk.kit import Item, Kit
from tidewire.bulk.lines import DirectChannelLine, Participant
from tidewire.bulk.memberships import Memberships
from tidewire.bulk.names import Person, direct_name
from tidewire.bulk.people import put_choices
from tidewire.store import imports as store
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id
from tidewire.wire.models import Channel

SHOWN = {
    "D": "direct_channel_show",
    "G": "group_channel_show",
}  # categories; by the other's id, or the channel's


class NewDirects:
    """Direct and group channels that are missing, with their members."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._rows: list[tuple[Any, ...]] = []
        self._members: list[tuple[str, str]] = []
        self._ids: dict[str, str] = {}

    async def find(self, groups: list[list[Person]]) -> list[tuple[str, str, bool]]:
        """Return (type, id, whether it is new) of the channel of each group of people; new ones are made by write()."""
        names = [direct_name([person.id for person in people]) for people in groups]
        known = await self._kit.names.channels(("", name) for _, name in names)
        found = []
        for (kind, name), people in zip(names, groups, strict=True):
            channel_id = known.get(("", name)) or self._ids.get(name)
            if channel_id is not None:
                found.append((kind, channel_id, False))
                continue
            channel_id = self._ids[name] = new_id()
            shown = ", ".join(sorted(person.username for person in people))[:64] if kind == "G" else ""
            self._rows.append((channel_id, 0, "", kind, name, shown, "", ""))
            self._members += [(channel_id, person.id) for person in people]
            self._kit.names.will_be_channel("", name, channel_id)
            found.append((kind, channel_id, True))
        return found

    @property
    def count(self) -> int:
        """Number of channels that are new."""
        return len(self._rows)

    async def write(self, tx: Transaction) -> None:
        """Make them. In the first transaction that sees them nobody else knows the rows: their order is free."""
        if self._rows:
            ids, *columns = (list(column) for column in zip(*self._rows, strict=True))
            await store.put(tx, "put_channels", ids, self._kit.at, *columns)

    async def write_members(self, tx: Transaction) -> None:
        """Put people in who are not there by a line of their own."""
        props = defaults.CHANNEL_NOTIFY_PROPS
        if self._members:
            members = sorted(set(self._members))
            ids, users = [one[0] for one in members], [one[1] for one in members]
            await store.put(tx, "put_direct_members", self._kit.at, ids, users, props)


def people_of(
    kit: Kit, line: int, type_: str, names: list[str], known: dict[str, Person]
) -> list[Person] | None:
    """Return who a direct or group channel is of; None, and a word in the report, if that cannot be."""
    people = {name.lower(): known.get(name.lower()) for name in names}
    missing = next((name for name, person in people.items() if person is None), None)
    if missing is not None:
        kit.report.skip(line, type_, "there is no such user", missing)
        return None
    if not 1 <= len(people) <= GROUP_MAX:
        kit.report.skip(line, type_, f"a channel is of 1 to {GROUP_MAX} people", str(len(people)))
        return None
    return [person for person in people.values() if person is not None]


class Directs:
    """Lines of direct and group channels; each set of people once."""

    def __init__(self, kit: Kit, items: list[Item[DirectChannelLine]]) -> None:
        self._kit, self._items = kit, items
        self._new = NewDirects(kit)
        self._memberships = Memberships(kit)
        self._choices: list[tuple[str, str, str, str]] = []
        self._headers: list[tuple[Any, ...]] = []

    async def prepare(self) -> None:
        """Find people and channels."""
        kit = self._kit
        named = [_members(value) for _, value in self._items]
        more = [
            name
            for _, value in self._items
            for name in (*(value.shown_by or ()), *(value.favorited_by or ()))
        ]
        known = await kit.names.people(
            name.lower() for name in (*(one.username for some in named for one in some), *more)
        )
        good: list[tuple[int, DirectChannelLine, list[Participant], list[Person]]] = []
        for (line, value), members in zip(self._items, named, strict=True):
            people = people_of(kit, line, "direct_channel", [one.username for one in members], known)
            if people is None:
                continue
            try:
                validate.check_channel_texts(Channel("", "", "D", "", header=value.header or ""))
            except AppError as error:
                kit.report.skip(line, "direct_channel", error.message)
                continue
            good.append((line, value, members, people))
        found = await self._new.find([people for _, _, _, people in good])
        kit.report.count("made", "direct_channel", self._new.count)
        kit.report.count("same", "direct_channel", len(good) - self._new.count)
        for (line, value, members, people), (kind, channel_id, _) in zip(good, found, strict=True):
            for member in members:
                self._memberships.participant(line, known[member.username.lower()], member, channel_id)
            if value.header is not None:
                self._headers.append((channel_id, value.header))
            self._choose(line, value, people, kind, channel_id, known)

    def _choose(
        self,
        line: int,
        value: DirectChannelLine,
        people: list[Person],
        kind: str,
        channel_id: str,
        known: dict[str, Person],
    ) -> None:
        for names, favorite in ((value.favorited_by, True), (value.shown_by, False)):
            for name in names or ():
                person = known.get(name.lower())
                if person not in people or person is None:
                    self._kit.report.part(line, "direct_channel", "it is no member's choice", name)
                    continue
                if favorite:
                    self._choices.append((person.id, FAVORITE, channel_id, "true"))
                    continue
                other = next((one.id for one in people if one != person), person.id)
                self._choices.append((person.id, SHOWN[kind], other if kind == "D" else channel_id, "true"))

    async def write(self, tx: Transaction) -> set[str]:
        """Write channels, members and preferences."""
        await self._new.write(tx)
        touched = await self._memberships.write(tx)
        await self._new.write_members(tx)
        await store.put_rows(tx, "set_headers", sorted(self._headers), self._kit.at)
        await put_choices(tx, self._choices)
        return touched

    async def close(self) -> None:
        """Nothing is held."""


def _members(value: DirectChannelLine) -> list[Participant]:
    return value.participants or [Participant(name) for name in value.members or ()]
