"""Connections that move between processes: asked for, given away, taken over with nothing lost or doubled.

Who owns a connection needs no key: its id begins with the tag of the process that made it, and who took it over
listens to the id itself. The state that moves says how far its owner was in every stream. The taker waits until it is
as far, and applies what it has read beyond that to this connection alone, by a hub of its own with this one user in
it; then the numbers of all his keys must be those of its own lines, else the client begins anew.
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
import structlog

from gateway.connection import NO_FRAME, Connection, State
from gateway.history import History
from gateway.hub import Hub, Member
from gateway.login import Resume
from gateway.variants import keys_before
from hotpath import Event
from tidewire.bus.contract import Entry, Place
from tidewire.bus.envelope import Resync, decode
from tidewire.bus.exchange import Exchange
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import new_token

if TYPE_CHECKING:
    from gateway.app import Gateway

log = structlog.get_logger()

TAG = (
    5  # of 26 characters; 105 random bits stay secret, and two processes with one tag only answer "not mine"
)
ASKED_AT_ONCE = 32  # so that in a storm the time limit counts from a question that can be answered
LOOK_S = 0.005
SWEEP_S = 10.0
SHARED_BYTES = 8 << 20


class _Ask(msgspec.Struct, array_like=True):
    """May I have it? next_seq: of the event that the client expects."""

    connection_id: str
    user_id: str
    next_seq: int


class _Moved(msgspec.Struct, array_like=True):
    """A connection on its way. events: from next_seq on, (prefix, tail bits); keys: what its user hears → number."""

    events: list[tuple[bytes, int]]
    keys: dict[str, int]
    roles: str
    looks_at: dict[str, str]
    positions: list[Place]


_encode = msgspec.msgpack.Encoder().encode
_ask = msgspec.msgpack.Decoder(_Ask)
_moved = msgspec.msgpack.Decoder(_Moved)


class Handover:
    """One process's part. `given`, `taken`, `missed`: connections that went, came, and could not come."""

    def __init__(
        self, gateway: "Gateway", redis_url: str, *, limit_ms: int, limit_bytes: int, shards: int
    ) -> None:
        self.tag = new_token()[:TAG]
        self.history = History(shards)
        self.exchange = Exchange(redis_url, _process(self.tag), self._answer)
        self._gateway = gateway
        self._limit_s = limit_ms / 1000
        self._limit_bytes = limit_bytes
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Semaphore(ASKED_AT_ONCE)
        self._guests: set[str] = set()  # ids of others' making that live here
        self._swept_at = 0.0
        self._shared: dict[bytes, Event] = {}  # one crowd's events come many times, and are kept once
        self._shared_bytes = 0
        self.given = self.taken = self.missed = 0

    async def run(self) -> None:
        """Listen to the others until cancelled."""
        await self.exchange.run()

    async def others(self) -> int:
        """Return how many other gateways there are; 0 if that cannot be known."""
        try:
            return await self.exchange.others()
        except Unavailable:
            return 0

    def tick(self, now: float) -> None:
        """Forget guests that have left. Call it now and then."""
        if now - self._swept_at < SWEEP_S:
            return
        self._swept_at = now
        left = {one for one in self._guests if one not in self._gateway.hub.by_connection_id}
        self._guests -= left
        self.exchange.unlisten([_connection(one) for one in left])
        self._shared.clear()
        self._shared_bytes = 0

    # Giving

    async def _answer(self, question: bytes) -> bytes:
        """Give a connection away, or return b"": not here, not his, not complete, too large."""
        try:
            ask = _ask.decode(question)
        except msgspec.DecodeError:
            log.error("unreadable question", size=len(question))
            return b""
        gateway, until = self._gateway, self._loop.time() + self._limit_s
        while True:
            connection = gateway.hub.by_connection_id.get(ask.connection_id)
            if connection is None or connection.user_id != ask.user_id:
                return b""
            member = gateway.hub.members[ask.user_id]
            if not gateway.relay.holds_for(ask.user_id, gateway.hub.keys_of(member)):
                break
            if self._loop.time() > until:
                return b""
            await asyncio.sleep(LOOK_S)
        events = gateway.room.copy_events(connection.slot, ask.next_seq, self._limit_bytes)
        data = b"" if events is None else self._state(connection, member, events)
        if not data or len(data) > self._limit_bytes:
            if connection.state is State.AWAY:
                gateway.close(connection, NO_FRAME)
            return b""
        gateway.close(connection, NO_FRAME)
        self.given += 1
        return data

    def _state(self, connection: Connection, member: Member, events: list[tuple[bytes, int]]) -> bytes:
        relay = self._gateway.relay
        keys = {key: relay.number(key) for key in self._gateway.hub.keys_of(member)}
        looks_at = connection.looks_at or {}
        return _encode(_Moved(events, keys, member.roles, looks_at, self.history.positions()))

    # Taking

    async def take(self, connection: Connection, resume: Resume) -> bool:
        """Fetch the connection that a socket names from another process; False: it has to begin anew."""
        if not self._limit_s:
            return False
        tag = resume.connection_id[:TAG]
        addresses = [_connection(resume.connection_id)]
        if tag != self.tag:
            addresses.append(_process(tag))
        ask = _encode(_Ask(resume.connection_id, connection.user_id, resume.next_seq))
        async with self._turn:
            if connection.state is not State.CHECKING:
                return False
            answer = await self.exchange.ask(addresses, ask, self._limit_s)
        if answer is None:
            return False
        moved = _moved.decode(answer)
        entered = await self._caught_up(connection, moved) and self._enter(connection, resume, moved)
        self.taken += entered
        self.missed += not entered
        return entered

    async def _caught_up(self, connection: Connection, moved: _Moved) -> bool:
        """Wait until this process is as far as the last owner was, and nothing is half done."""
        gateway, until = self._gateway, self._loop.time() + self._limit_s
        while (
            not self.history.reached(moved.positions)
            or connection.user_id in gateway.joiner.waiting
            or gateway.relay.holds_for(connection.user_id, moved.keys)
        ):
            if self._loop.time() > until:
                return False
            await asyncio.sleep(LOOK_S)
        return connection.state is State.CHECKING

    # No await in here: nothing may be read from the bus between the look at the lines and the entry.
    def _enter(self, connection: Connection, resume: Resume, moved: _Moved) -> bool:
        gateway = self._gateway
        entries = self.history.since(moved.positions)
        if entries is None or not gateway.room.begin_at(connection.slot, resume.next_seq):
            return False
        connection.connection_id = resume.connection_id
        connection.looks_at = moved.looks_at or None
        own = self._relive(connection, moved, entries)
        if own is None or not self._agrees(own, connection.user_id, moved.keys):
            gateway.room.restart(connection.slot)
            connection.connection_id, connection.looks_at = "", None
            return False
        if connection.user_id not in gateway.hub.members:
            member = own.members[connection.user_id]
            keys = own.keys_of(member)
            gateway.relay.track((key, moved.keys[key]) for key in keys)
            gateway.hub.enter(connection.user_id, member.roles, keys)
        gateway.arrive(connection)
        if not resume.connection_id.startswith(self.tag):
            self._guests.add(resume.connection_id)
            self.exchange.listen([_connection(resume.connection_id)])
        return True

    def _relive(self, connection: Connection, moved: _Moved, entries: list[Entry]) -> Hub | None:
        """Bring the connection to where this process is, alone in a hub; None if something is missing.

        Counts on in `moved.keys`.
        """
        room = self._gateway.room
        own = Hub(room, lambda key: None, lambda user_id, session_ids: None)
        member = own.enter(connection.user_id, moved.roles, moved.keys)
        own.add(member, connection)
        for prefix, tails in moved.events:
            if not room.deliver(self._event(prefix), [connection.slot], tails={connection.slot: tails}):
                return None
        for key, n, data in _in_order(entries):
            known = moved.keys.get(key)
            if known is not None and n <= known:
                continue
            if known is not None and n > known + 1:
                return None
            envelope = decode(data)
            if any(moved.keys.get(other, before) < before for other, before in keys_before(envelope)):
                return None  # who gets which variant was not known yet; he begins anew
            if known is None and (not own.concerns(envelope) or self.history.had(key, n, moved.positions)):
                continue
            if any(isinstance(effect, Resync) for effect in envelope.effects):
                return None
            for effect in envelope.effects:
                own.apply(effect)
            if known is not None or own.hears(connection.user_id, key):
                moved.keys[key] = n
            for copy in envelope.copies:
                own.deliver(copy)
        return own

    def _agrees(self, own: Hub, user_id: str, numbers: dict[str, int]) -> bool:
        """Tell whether the moved user stands in every key where this process does."""
        gateway = self._gateway
        member = own.members[user_id]
        keys = own.keys_of(member)
        for key in keys:
            line = gateway.relay.line(key)
            if key not in numbers or (line is not None and (not line.settled or line.n != numbers[key])):
                return False
        known = gateway.hub.members.get(user_id)
        return known is None or (gateway.hub.keys_of(known) == keys and known.roles == member.roles)

    def _event(self, prefix: bytes) -> Event:
        event = self._shared.get(prefix)
        if event is None:
            self._shared_bytes += len(prefix)
            if self._shared_bytes > SHARED_BYTES:
                self._shared.clear()
                self._shared_bytes = len(prefix)
            event = self._shared[prefix] = Event(prefix, False)
        return event


def _in_order(entries: list[Entry]) -> Iterator[Entry]:
    """Yield entries as a line applies them: each key by its numbers, whatever their order in the stream."""
    by_key: dict[str, list[Entry]] = {}
    for entry in entries:
        by_key.setdefault(entry[0], []).append(entry)
    for own in by_key.values():
        own.sort(key=lambda entry: entry[1], reverse=True)
    for key, _, _ in entries:
        yield by_key[key].pop()


def _process(tag: str) -> str:
    return "gateway:" + tag


def _connection(connection_id: str) -> str:
    return "connection:" + connection_id
