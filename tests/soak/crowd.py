"""Well-behaved people who come, listen, lose their connection, resume or begin anew, and note everything that is wrong.

Nothing but their own wish may end a connection, and `seq` is dense from 0 or from where they resumed
(Mattermost API v4, reliable WebSockets).
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from tests.chaos.wire import Socket

# How long a connection is used, in seconds: from … to.
PATIENT, HASTY = (0.2, 3.0), (0.0, 0.1)


class Hello(msgspec.Struct):
    connection_id: str


class Event(msgspec.Struct):
    event: str = ""
    seq: int = -1
    data: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(Event).decode
_hello = msgspec.json.Decoder(Hello).decode


@dataclass
class Notes:
    """What the crowd saw. counts: connects, resumes, hellos, posted; faults: what must not happen, at most some."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        if len(self.faults) < 20:
            self.faults.append(text)


class Listener:
    """One person with one connection at a time."""

    def __init__(self, port: int, token: str, notes: Notes, stay_s: tuple[float, float]) -> None:
        self._port, self._notes, self._stay_s = port, notes, stay_s
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection_id, self._next_seq = "", 0
        self._heard = asyncio.Event()

    async def come_and_go(self, end: asyncio.Future[None]) -> None:
        """Connect and cut until `end` is done: half of the time with a resume."""
        while not end.done():
            target = "/api/v4/websocket"
            resuming = bool(self._connection_id) and random.random() < 0.5
            if resuming:
                target += f"?connection_id={self._connection_id}&sequence_number={self._next_seq}"
            else:
                self._next_seq = 0
            self._heard.clear()
            try:
                socket = await Socket.connect("127.0.0.1", self._port, target, self._headers, self._on_text)
            except OSError as error:
                self._notes.fault(f"refused: {error}")
                await asyncio.sleep(0.2)
                continue
            self._notes.counts["resumes" if resuming else "connects"] += 1
            try:
                await self._stay(socket, resuming, end)
            finally:
                socket.abort()

    async def _stay(self, socket: Socket, resuming: bool, end: asyncio.Future[None]) -> None:
        if not resuming:
            async with asyncio.timeout(30):
                await self._heard.wait()
        stay_s = random.uniform(*self._stay_s)
        await asyncio.wait([socket.closed, end], timeout=stay_s, return_when=asyncio.FIRST_COMPLETED)
        if socket.closed.done():
            self._notes.fault(f"the server ended a connection with {socket.close_code or 1006}")

    def _on_text(self, text: bytes) -> None:
        event = _event(text)
        if not event.event:
            return
        if event.event == "hello":
            self._notes.counts["hellos"] += 1
            self._connection_id, self._next_seq = _hello(event.data).connection_id, 0
            self._heard.set()
        if event.seq != self._next_seq:
            self._notes.fault(f"seq {event.seq} instead of {self._next_seq}: {text[:100]!r}")
        self._next_seq = event.seq + 1
        self._notes.counts["posted"] += event.event == "posted"
