"""When sessions end: their sockets close in time, and live on if the session was used meanwhile.

Knows sessions' ends; what closing means is app's. Everything runs in the event loop; `tick` costs what is due.
"""

import heapq
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.connection import Connection, Seats, State
from gateway.context import Context
from tidewire.actions import sessions
from tidewire.store.connections import load_session_ends
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms

WATCHED_MS = 120_000
LOOK_AGAIN_MS = 2_000  # before a session's known end: use over HTTP may have pushed it forward


class Expiry:
    """The sessions of a gateway's connections. end(connection): its session is over; spawn: runs a task."""

    def __init__(
        self,
        context: Context,
        connections: Seats,
        end: Callable[[Connection], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._context = context
        self._connections = connections
        self._end = end
        self._spawn = spawn
        # Heap of the sessions that end before `_watched_ms`: end in ms, tie-break, whose.
        self._soon: list[tuple[int, int, Connection]] = []
        self._last: list[tuple[int, int, Connection]] = []  # the same, of those that were looked at again
        self._watched_ms = now_ms() + WATCHED_MS
        self._pushed = 0
        self._extending: set[str] = set()  # sessions whose end is being pushed forward

    def watch(self, connection: Connection) -> None:
        """Close the connection when its session ends; those that end late are left to a later `tick`."""
        if 0 < connection.expires_at < self._watched_ms:
            self._pushed += 1
            heapq.heappush(self._soon, (connection.expires_at, self._pushed, connection))

    def tick(self, at_ms: int) -> None:
        """Look at the clock. Call it every 50 to 100 ms."""
        if at_ms > self._watched_ms - WATCHED_MS // 2:
            self._watch_more(at_ms + WATCHED_MS)
        near = []
        while self._soon and self._soon[0][0] <= at_ms + LOOK_AGAIN_MS:
            entry = heapq.heappop(self._soon)
            if entry[2].expires_at == entry[0]:
                near.append(entry[2])
                heapq.heappush(self._last, entry)
        if near:
            self._spawn(self._look_again(near))
        while self._last and self._last[0][0] <= at_ms:
            expired, _, connection = heapq.heappop(self._last)
            if connection.expires_at == expired:
                self._end(connection)

    def _watch_more(self, until_ms: int) -> None:
        """Begin to watch the sessions that end before that time: most end long after their sockets."""
        self._watched_ms = until_ms
        self._soon = []
        for connection in self._connections.values():
            if connection.user_id:
                self.watch(connection)

    async def _look_again(self, connections: list[Connection]) -> None:
        """Let sessions that were used over HTTP meanwhile live on. What cannot be read now ends at its known time."""
        try:
            ids = list({connection.session_id for connection in connections})
            ends = await load_session_ends(self._context.db, ids)
        except Unavailable:
            return
        for connection in connections:
            self._extend(connection, ends.get(connection.session_id, 0))

    def _extend(self, connection: Connection, expires_at: int) -> None:
        if connection.state is not State.GONE and expires_at > connection.expires_at > 0:
            connection.expires_at = expires_at
            self.watch(connection)

    def used(self, connection: Connection) -> None:
        """Take note that a user does something: his session may live longer for that."""
        if not connection.expires_at or connection.session_id in self._extending:
            return
        if sessions.may_extend(self._context.config, connection.expires_at, now_ms()):
            self._extending.add(connection.session_id)
            self._spawn(self._use(connection))

    async def _use(self, connection: Connection) -> None:
        context, session_id = self._context, connection.session_id
        try:
            self._extend(connection, await sessions.do_extend_by_id(context.db, context.config, session_id))
        except Unavailable:
            return  # the next use will do it
        finally:
            self._extending.discard(session_id)
