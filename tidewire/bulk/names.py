"""Names and what they stand for, looked up in bulk and kept. Knows no lines.

A name that is not found is asked for again: a later line may bring it. In a dry run, what lines would bring is added by
hand.
"""

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha1
from typing import Generic, NamedTuple, TypeVar

from tidewire.store import imports as store
from tidewire.store.db import Database
from tidewire.wire.roles import is_guest

K = TypeVar("K")
V = TypeVar("V")
KEPT = 100_000  # of each kind, some 20 MB


class Person(NamedTuple):
    """An account."""

    id: str
    username: str
    roles: str

    @property
    def guest(self) -> bool:
        """Whether it is a guest's."""
        return is_guest(self.roles)


class _Kept(Generic[K, V]):
    def __init__(self) -> None:
        self._rows: OrderedDict[K, V] = OrderedDict()
        self.limit = KEPT

    def get(self, key: K) -> V | None:
        if key in self._rows:
            self._rows.move_to_end(key)
        return self._rows.get(key)

    def put(self, key: K, value: V) -> None:
        self._rows[key] = value
        self._rows.move_to_end(key)
        while self.limit and len(self._rows) > self.limit:
            self._rows.popitem(last=False)

    def forget(self) -> None:
        self._rows.clear()


class Names:
    """Teams by name, channels by (team id, name), people by username."""

    def __init__(self, db: Database, *, dry: bool = False) -> None:
        """dry: nothing is ever forgotten, since the database will not know it."""
        self._db = db
        self._teams: _Kept[str, str] = _Kept()
        self._channels: _Kept[tuple[str, str], str] = _Kept()
        self._people: _Kept[str, Person] = _Kept()
        self._dry = dry
        if dry:
            self._teams.limit = self._channels.limit = self._people.limit = 0

    async def teams(self, names: Iterable[str]) -> dict[str, str]:
        """Return name → id of those that exist."""
        found: dict[str, str] = {}
        missing = _known(self._teams, names, found)
        if missing:
            for row in await store.teams_by_names(self._db, missing):
                self._teams.put(row["name"], row["id"])
                found[row["name"]] = row["id"]
        return found

    async def channels(self, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return (team id, name) → id of those that exist; the team id of direct and group channels is ""."""
        found: dict[tuple[str, str], str] = {}
        missing = _known(self._channels, names, found)
        if missing:
            for row in await store.channels_by_names(self._db, missing):
                key = row["team_id"], row["name"]
                self._channels.put(key, row["id"])
                found[key] = row["id"]
        return found

    async def people(self, names: Iterable[str]) -> dict[str, Person]:
        """Return username → account of those that exist. Names are lower case."""
        found: dict[str, Person] = {}
        missing = _known(self._people, names, found)
        if missing:
            for row in await store.people_by_names(self._db, missing):
                person = Person(row["id"], row["username"], row["roles"])
                self._people.put(person.username, person)
                found[person.username] = person
        return found

    def will_be_team(self, name: str, team_id: str) -> None:
        """Know a team that a dry run would make."""
        if self._dry:
            self._teams.put(name, team_id)

    def will_be_channel(self, team_id: str, name: str, channel_id: str) -> None:
        """Know a channel that a dry run would make."""
        if self._dry:
            self._channels.put((team_id, name), channel_id)

    def will_be_person(self, person: Person) -> None:
        """Know an account that a dry run would make."""
        if self._dry:
            self._people.put(person.username, person)

    def forget(self) -> None:
        """Ask for everything again: what was known may have been undone or changed."""
        if not self._dry:
            for kept in (self._teams, self._channels, self._people):
                kept.forget()


def _known(kept: _Kept[K, V], names: Iterable[K], found: dict[K, V]) -> list[K]:
    """Fill in what is known, return what is not."""
    missing = []
    for name in dict.fromkeys(names):
        value = kept.get(name)
        if value is None:
            missing.append(name)
        else:
            found[name] = value
    return missing


def direct_name(ids: list[str]) -> tuple[str, str]:
    """Return (type, name) of the channel of 1 to 8 people. Source: Mattermost API v4, direct and group channels."""
    ordered = sorted(ids)
    if len(ordered) <= 2:
        return "D", "__".join(ordered if len(ordered) == 2 else ordered * 2)
    return "G", sha1("".join(ordered).encode(), usedforsecurity=False).hexdigest()
