"""The room: the gate's sockets in the event loop. When to read, to flush and to look at the clock.

Owns the Gate and its descriptor. Knows nothing of users or events; the hub says who gets what.
"""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from hotpath import Event, Gate, SlotSet
from tidewire.settings import Settings

if TYPE_CHECKING:
    from gateway.door import Handler
    from gateway.handshake import Upgrade

# One slice of sending before the loop gets its turn: some 250 sends. With a slice
# of deliveries before it (gateway/feed.py) and the event that overran that, the loop's turn stays below 5 ms.
FLUSH_BUDGET_US = 1500
TICK_S = 0.25
# How long the sockets may take to answer a close when the process stops.
STOP_TIMEOUT_S = 3.0


class Room:
    """A gate in the event loop. Every method that queues something also sees to its being sent."""

    def __init__(
        self,
        *,
        capacity: int,
        max_message: int = 8192,
        max_fragments: int = 64,
        outbox_close_at: int = 256,
        retain_events: int = 128,
        budget_bytes: int = 256 << 20,
        ping_interval_ms: int = 60_000,
        read_timeout_ms: int = 100_000,
        batch_sends: bool = True,
    ) -> None:
        """Arguments as in hotpath.gate.Gate. capacity: open sockets and those kept for a resume together."""
        self.gate = Gate(
            self._on_message,
            self._on_close,
            capacity=capacity,
            max_message=max_message,
            max_fragments=max_fragments,
            outbox_close_at=outbox_close_at,
            retain_events=retain_events,
            budget_bytes=budget_bytes,
            ping_interval_ms=ping_interval_ms,
            read_timeout_ms=read_timeout_ms,
            batch_sends=batch_sends,
        )
        self._handler: Handler | None = None
        self._loop = asyncio.get_running_loop()
        self._flushing = False
        self._ticker: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None  # while it stops
        self.on_flushed: Callable[[], None] | None = None  # nothing waits any more but for who does not read

    @classmethod
    def of(cls, settings: Settings) -> "Room":
        """Return a room as the settings describe it."""
        gateway = settings.gateway
        # Slots beyond the sockets hold what is kept for resumes; unused ones cost address space only.
        sockets = gateway.max_connections or resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return cls(
            capacity=2 * min(sockets, 1_000_000) + 1024,
            max_message=gateway.max_message_bytes,
            max_fragments=gateway.max_fragments,
            outbox_close_at=settings.outbox.close_at,
            retain_events=settings.resume.events,
            budget_bytes=settings.resume.bytes,
            ping_interval_ms=int(gateway.ping_interval_s * 1000),
            read_timeout_ms=int(gateway.read_timeout_s * 1000),
            batch_sends=gateway.io_uring,
        )

    @property
    def sockets(self) -> int:
        """Number of open sockets."""
        return self.gate.live

    @property
    def refused(self) -> int:
        """Number of droppable events that found no room."""
        return self.gate.refused

    def start(self, handler: "Handler") -> None:
        """Begin to watch the sockets. handler: who is told about them."""
        if self._ticker is None:
            self._handler = handler
            self._loop.add_reader(self.gate.fileno(), self._on_readable)
            self._tick()

    async def stop(self, code: int = 1001) -> None:
        """Close every socket, wait until they are gone (3 s at most), and watch no more."""
        for slot in self.gate.open_slots():
            self.gate.close(slot, code)
        self.gate.flush()
        if self.gate.stats()["sockets"]:
            self._emptied = asyncio.Event()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._emptied.wait()
            except TimeoutError:
                pass  # who does not answer by now is cut off with the process
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
            self._loop.remove_reader(self.gate.fileno())

    def adopt(self, sock: socket.socket, upgrade: "Upgrade", answer: bytes, leftover: bytes) -> None:
        """Take a connected socket, which is ours from now on; see hotpath.gate.Gate.adopt."""
        assert self._handler is not None
        tls = sock if isinstance(sock, ssl.SSLSocket) else None
        try:
            slot = self.gate.adopt(sock.fileno(), leftover, answer, deflate=upgrade.deflate, tls=tls)
        except OverflowError:
            sock.close()
            return
        if tls is None:
            sock.detach()  # the gate needs no more than the descriptor
        # The handler knows the slot before anything can be told about it: only then the 101 leaves.
        self._handler.on_adopted(slot, upgrade)
        self.flush()

    # What the hub asks for. See hotpath.gate.Gate.

    def deliver(
        self,
        event: Event,
        slots: SlotSet | Iterable[int],
        *,
        require: int = 0,
        forbid: int = 0,
        omit: Iterable[int] = (),
        tails: dict[int, int] | None = None,
    ) -> int:
        """Queue the event for the slots, return how many took it."""
        taken = self.gate.deliver(event, slots, require=require, forbid=forbid, omit=omit, tails=tails)
        self.flush_soon()
        return taken

    def reply(self, slot: int, payload: bytes) -> None:
        """Queue a text frame without seq."""
        self.gate.reply(slot, payload)
        self.flush_soon()

    def set_user(self, slot: int, user_id: bytes, bits: int) -> None:
        """Tell the gate whose slot it is."""
        self.gate.set_user(slot, user_id, bits)

    def take_over(self, old: int, new: int, next_seq: int) -> bool:
        """Resume `old` on the socket of `new`; False, with nothing changed, if that is not possible."""
        taken = self.gate.take_over(old, new, next_seq)
        if taken:
            self.flush_soon()
        return taken

    def copy_events(self, slot: int, first: int, limit_bytes: int) -> list[tuple[bytes, int]] | None:
        """Return (prefix, tail bits) of the events from seq `first` on, None if that is not possible."""
        return self.gate.copy_events(slot, first, limit_bytes)

    def begin_at(self, slot: int, seq: int) -> bool:
        """Give the first event of a new connection this seq."""
        return self.gate.begin_at(slot, seq)

    def restart(self, slot: int) -> None:
        """Begin again at seq 0 on the same socket."""
        self.gate.restart(slot)

    def silence(self, slot: int) -> None:
        """Let nothing reach this connection any more, nor come from it."""
        self.gate.silence(slot)

    def close(self, slot: int, code: int, *, keep: bool = False) -> None:
        """Start the closing handshake, or end TCP (code 0)."""
        self.gate.close(slot, code, keep=keep)
        self.flush_soon()

    def release(self, slot: int) -> None:
        """Forget a slot."""
        self.gate.release(slot)

    # The loop

    def flush_soon(self) -> None:
        """Send what waits as soon as the loop is through with what it does: what is queued until then goes along."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def flush(self) -> None:
        """Send what waits now, at most one slice of it; the rest follows."""
        if self.gate.flush(FLUSH_BUDGET_US):
            self.flush_soon()
        elif self.on_flushed is not None:
            self.on_flushed()

    def _flush(self) -> None:
        self._flushing = False
        self.flush()

    def _on_readable(self) -> None:
        self.gate.poll()
        if not self._flushing:
            self.flush()
        if self._emptied is not None and not self.gate.stats()["sockets"]:
            self._emptied.set()

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(TICK_S, self._tick)
        self.gate.tick(int(self._loop.time() * 1000))
        self.flush()
        if self._emptied is not None and not self.gate.stats()["sockets"]:
            self._emptied.set()

    def _on_message(self, slot: int, data: bytes, text: bool) -> None:
        assert self._handler is not None
        self._handler.on_message(slot, data, text)

    def _on_close(self, slot: int, code: int, why: str) -> None:
        assert self._handler is not None
        self._handler.on_closed(slot, code, why)
