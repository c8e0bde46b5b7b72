"""A hub, a relay and a joiner over a pretended room and pretended rows, for tests of order and audience."""

import asyncio
from collections.abc import Iterable, Sequence

from gateway.connection import Connection, State, adopted, rename
from gateway.hub import Hub
from gateway.join import Joiner
from gateway.relay import Relay
from hotpath import ADMIN, Event
from tidewire.bus.envelope import Copy, Effect, Envelope, encode
from tidewire.store.connections import Memberships


class Room:
    """Notes what each slot gets. Slots in `full` refuse what is droppable."""

    def __init__(self) -> None:
        self.got: dict[int, list[bytes]] = {}
        self.tails: dict[int, int] = {}
        self.bits: dict[int, int] = {}
        self.full: set[int] = set()
        self.refused = 0

    def set_user(self, slot: int, user_id: bytes, bits: int) -> None:
        self.bits[slot] = bits

    def deliver(
        self,
        event: Event,
        slots: Iterable[int],
        *,
        require: int = 0,
        forbid: int = 0,
        omit: Iterable[int] = (),
        tails: dict[int, int] | None = None,
    ) -> int:
        taken = 0
        for slot in slots:
            bits = self.bits[slot]
            if slot not in list(omit) and bits & require == require and not bits & forbid:
                if event.droppable and slot in self.full:
                    self.refused += 1
                    continue
                self.got.setdefault(slot, []).append(event.prefix)
                taken += 1
        self.tails = tails or {}
        return taken


class Crowd:
    """`rows` is the database; `connect` logs a socket in; `say` puts an announcement on the bus."""

    def __init__(self, hold_ms: int = 1000) -> None:
        self.room = Room()
        self.dropped: list[str] = []
        self.ended: list[tuple[str, list[str]]] = []
        self.gaps: list[set[str]] = []
        self.hub = Hub(self.room, self._drop, lambda user, ids: self.ended.append((user, ids)))
        self.relay = Relay(self.hub, self._gap, hold_ms=hold_ms)
        self.rows: dict[str, Memberships] = {}
        self.loading = asyncio.Event()  # set while a query runs
        self.answer = asyncio.Event()  # set to let it end
        self.answer.set()
        self.broken: Exception | None = None  # what the query ends with, once
        self.queries: list[int] = []  # users asked for by each
        self.joined: list[int] = []
        self.failed: list[int] = []
        self.joiner = Joiner(
            self.hub, self.relay, self._load, on_joined=self._joined, on_failed=self._failed, wait_s=1
        )
        self.now = 0.0

    def _drop(self, key: str) -> None:
        self.dropped.append(key)
        self.relay.dropped(key, self.now)

    def _gap(self, users: set[str]) -> None:
        self.gaps.append(users)

    async def _load(self, user_ids: Sequence[str]) -> dict[str, Memberships]:
        self.queries.append(len(user_ids))
        found = {user_id: self.rows[user_id] for user_id in user_ids if user_id in self.rows}
        self.loading.set()
        await self.answer.wait()
        self.loading.clear()
        if self.broken is not None:
            error, self.broken = self.broken, None
            raise error
        return found

    def _joined(self, connection: Connection) -> None:
        connection.state = State.LIVE
        self.joined.append(connection.slot)

    def _failed(self, connection: Connection, retry: bool) -> None:
        connection.state = State.GONE
        self.joiner.leave(connection)
        self.failed.append(connection.slot)

    def connection(self, slot: int, user_id: str) -> Connection:
        made = adopted(slot, "127.0.0.1", 0, 0.0, 100.0)
        made.user_id = user_id
        return made

    def enter(self, slot: int, user_id: str, roles: str = "system_user", **keys: int) -> Connection:
        """Put a connection in at once; keys: c_x=3 is ("c:x", 3)."""
        numbers = {"u:" + user_id: 0} | {key.replace("_", ":", 1): n for key, n in keys.items()}
        member = self.hub.members.get(user_id)
        if member is None:
            self.relay.track(numbers.items())
            member = self.hub.enter(user_id, roles, numbers)
        made = self.connection(slot, user_id)
        rename(made)
        made.state = State.LIVE
        self.hub.add(member, made)
        return made

    def say(
        self, key: str, n: int, *copies: Copy, effects: Sequence[Effect] = (), invalidates: Sequence[str] = ()
    ) -> None:
        envelope = Envelope(key, list(effects), list(copies), invalidates=list(invalidates))
        self.relay.offer(key, n, encode(envelope), self.now)

    def got(self, slot: int) -> list[str]:
        return [body.decode() for body in self.room.got.get(slot, [])]


__all__ = ["ADMIN", "Crowd", "Room"]
