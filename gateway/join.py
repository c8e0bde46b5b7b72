"""From a known session to a listener: memberships are loaded, what was announced meanwhile is applied, `hello` follows.

The rule that makes snapshot + events complete: what is read from the bus is recorded before the rows are asked for;
after that a key's announcement is either in the rows (n ≤ the row's number) or in the recording or still to come.
One query for all who wait, one query at a time. Its users come in by slices, between which the event loop has its turn:
for those who come later the query has only taken longer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice

import structlog

from gateway.connection import Connection, State, rename
from gateway.hub import Hub, Member
from gateway.relay import Recording, Relay
from tidewire.bus.envelope import decode, user_key
from tidewire.store.connections import Memberships
from tidewire.wire.errors import Unavailable

log = structlog.get_logger()

USERS_AT_ONCE = 64  # some 5 KB each while their rows are taken apart; the query alone costs 300 µs
USERS_IN_A_SLICE = 20  # some 50 µs each
# 5,000 events/s of 1.5 KB for 4 s; beyond that the rows are asked for once more.
RECORDING_BYTES = 32 << 20
RETRY_S = 0.5


class Joiner:
    """Lets users in. load(user ids) reads their memberships; on_joined(connection) comes when it may get `hello`.

    on_failed(connection): the user is gone, or the database did not answer in time.
    tag: what connection ids begin with.
    """

    def __init__(
        self,
        hub: Hub,
        relay: Relay,
        load: Callable[[Sequence[str]], Awaitable[dict[str, Memberships]]],
        *,
        on_joined: Callable[[Connection], None],
        on_failed: Callable[[Connection, bool], None],
        wait_s: float,
        tag: str = "",
    ) -> None:
        self._hub = hub
        self._relay = relay
        self._load = load
        self._on_joined = on_joined
        self._on_failed = on_failed
        self._wait_s = wait_s
        self._tag = tag
        self.waiting: dict[str, list[Connection]] = {}  # user id → connections that are JOINING
        self._fresh: dict[str, float] = {}  # those of them that no running query covers → since when
        self._task: asyncio.Task[None] | None = None

    def join(self, connection: Connection) -> None:
        """Let a connection with a session in; its user may be here already."""
        connection.state = State.JOINING
        member = self._hub.members.get(connection.user_id)
        if member is not None:
            # What the user hears is known, in the order of the bus; a row may be ahead of it, never behind.
            self._enter(member, connection)
            return
        self.waiting.setdefault(connection.user_id, []).append(connection)
        self._ask(connection.user_id)

    def _enter(self, member: Member, connection: Connection) -> None:
        rename(connection, self._tag)
        self._hub.add(member, connection)
        self._on_joined(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is still on its way in."""
        waiting = self.waiting.get(connection.user_id, [])
        if connection in waiting:
            waiting.remove(connection)
        if not waiting:
            self.waiting.pop(connection.user_id, None)
            self._fresh.pop(connection.user_id, None)

    def rejoin(self, user_id: str) -> list[Connection]:
        """Take a user out of the hub and load all of him anew; return his connections that cannot take part.

        Those have no socket at present: their history has a hole now, so they are not resumable.
        """
        member = self._hub.members.get(user_id)
        if member is None:
            return []
        connections = list(member.connections)
        for connection in connections:
            self._hub.remove(connection)
        live = [connection for connection in connections if connection.state is State.LIVE]
        for connection in live:
            connection.state = State.JOINING
        if live:
            self.waiting.setdefault(user_id, []).extend(live)
            self._ask(user_id)
        return [connection for connection in connections if connection.state is not State.JOINING]

    def _ask(self, user_id: str) -> None:
        self._fresh.setdefault(user_id, asyncio.get_running_loop().time())
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await asyncio.sleep(0)  # let this turn's other sockets join
        while self._fresh:
            users = {user: self._fresh.pop(user) for user in list(self._fresh)[:USERS_AT_ONCE]}
            recording = self._relay.record(RECORDING_BYTES)
            try:
                found = await self._load(list(users))
                while users:
                    if recording.overflow:
                        log.warning("joining again: too much happened meanwhile", users=len(users))
                        self._again(users)
                        break
                    some = list(islice(users, USERS_IN_A_SLICE))
                    self._try_to_let_in(some, found, recording)
                    for user_id in some:
                        del users[user_id]
                    await asyncio.sleep(0)
            except Unavailable:
                self._again(users)
                await asyncio.sleep(RETRY_S)
            except Exception:  # a bug of ours: who waits would wait for ever
                log.exception("memberships cannot be loaded", users=len(users))
                self._turn_away([connection for user_id in users for connection in self.waiting.pop(user_id, [])])
            finally:
                self._relay.stop(recording)

    def _again(self, users: dict[str, float]) -> None:
        """Ask for these once more, but let go of new sockets that waited too long; live ones wait for ever."""
        now = asyncio.get_running_loop().time()
        for user_id, since in users.items():
            if now - since >= self._wait_s:
                for connection in [c for c in self.waiting.get(user_id, []) if not c.connection_id]:
                    self._on_failed(connection, True)
            if self.waiting.get(user_id):
                self._fresh.setdefault(user_id, since)

    def _try_to_let_in(self, users: Sequence[str], found: dict[str, Memberships], recording: Recording) -> None:
        waiting = [connection for user_id in users for connection in self.waiting.get(user_id, [])]
        try:
            self._let_in(users, found, recording)
        except Exception:  # a bug of ours: how far they came is not known, and those behind them wait
            log.exception("sockets cannot be let in", users=len(users))
            self._turn_away(waiting)

    def _turn_away(self, connections: Sequence[Connection]) -> None:
        for connection in connections:
            self._on_failed(connection, True)

    # No await in here: between the end of the recording and the hello nothing may be read from the bus.
    def _let_in(self, users: Sequence[str], found: dict[str, Memberships], recording: Recording) -> None:
        new_keys: set[str] = set()
        rows: dict[str, Memberships] = {}
        for user_id in users:
            waiting = self.waiting.pop(user_id, [])
            row = found.get(user_id)
            if row is None:
                for connection in waiting:
                    self._on_failed(connection, False)
            elif waiting:
                rows[user_id] = row
                own = user_key(user_id)
                new_keys |= self._relay.track(row.keys.items(), own=own)
                # A line that the key has already knows better than the row.
                n = row.keys.get(own, 0) if own not in self._relay.lines else -1
                member = self._hub.enter(user_id, row.roles, row.keys, n)
                self._hub.knows(row.keys, row.archived)
                for connection in waiting:
                    self._enter(member, connection)
        now = asyncio.get_running_loop().time()
        for key, n, data in recording.entries:
            line = self._relay.line(key)
            if key in new_keys or line is None or not line.settled or n > line.n:
                self._relay.offer(key, n, data, now, record=False)
            else:
                self._catch_up(rows, key, n, data)

    def _catch_up(self, rows: dict[str, Memberships], key: str, n: int, data: bytes) -> None:
        """Apply effects on those who came in, of an announcement that the others have had already."""
        envelope = decode(data)
        if any(n > row.keys.get(key, n) for row in rows.values()):
            self._hub.note(envelope)  # the rows, which are older, were noted just now
        for effect in envelope.effects:
            row = rows.get(effect.user_id)
            if row is not None and n > row.keys.get(key, 0):
                self._hub.apply(effect)
