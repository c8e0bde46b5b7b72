"""The room's sockets: an epoll set of adopted WebSocket connections, each a numbered slot."""

from collections.abc import Callable, Iterable
from ssl import SSLSocket
from typing import Any

from hotpath.fanout import Event, SlotSet

class Gate:
    """Sockets, their protocol, timers and outboxes. All calls must come from one thread, the event loop's.

    on_message(slot, data, text) tells a complete message; on_close(slot, code, why) the end of a socket, once for
    each: why is "peer", "timeout", "slow", "protocol", "error" (a bug in on_message) or "local" (close()). Both are
    called from poll(), flush() and tick() only. After on_close the slot goes on collecting events for a resume until
    release() or take_over(); after close(keep=False) it is free.

    capacity: slots; max_message: bytes, once inflated; max_fragments: frames of one message; outbox_close_at: waiting
    frames at which a connection that does not read is closed with 1013; retain_events: kept for a resume after they
    are sent; budget_bytes: of all retained events and rings together; read_timeout_ms: without a pong; linger_ms: how
    long a closing handshake may take; batch_sends: hand sends to the kernel in batches (io_uring) where it permits.
    """

    def __init__(
        self,
        on_message: Callable[[int, bytes, bool], None],
        on_close: Callable[[int, int, str], None],
        *,
        capacity: int,
        max_message: int = 8192,
        max_fragments: int = 64,
        outbox_close_at: int = 256,
        retain_events: int = 128,
        budget_bytes: int = ...,
        ping_interval_ms: int = 60000,
        read_timeout_ms: int = 100000,
        linger_ms: int = 2000,
        batch_sends: bool = True,
    ) -> None: ...
    def fileno(self) -> int:
        """Return the descriptor that is readable when poll() has something to do."""
    def poll(self) -> None:
        """Read what sockets have sent; call back. What is answered waits for the next flush()."""
    def flush(self, budget_us: int = 0) -> bool:
        """Send what waits: one system call for each dirty connection. Return whether more waits (budget used up, or
        a queue longer than one call carries). 0: no budget."""
    def tick(self, now_ms: int) -> None:
        """Let time pass (any monotonic clock): pings, time-outs, lingering closes, shrinking rings. Call it about
        every 250 ms; crowds over 4,096 are looked at in slices, each slot about once a second."""
    def adopt(
        self,
        fd: int,
        leftover: bytes = b"",
        answer: bytes = b"",
        *,
        deflate: bool = False,
        tls: SSLSocket | None = None,
    ) -> int:
        """Take a connected socket; return its slot. leftover: bytes already read from it, parsed by the next poll().
        answer: bytes that go out as they are, before all frames (the 101). deflate: permessage-deflate without
        context takeover was agreed on: larger events go out compressed, and messages may come so. tls: the socket of
        this descriptor, if all goes through it; non-blocking, its handshake done. The descriptor belongs to the gate
        from now on.

        Raises: OverflowError if every slot is taken (the descriptor stays the caller's).
        """
    def take_over(self, old: int, new: int, next_seq: int) -> bool:
        """Resume: the slot `old`, live or dead, gets the socket and the read state of `new` and sends its events
        from next_seq on. Return False, with nothing changed, if that is not possible: one of them is gone from its
        ring, next_seq was never reached, the users differ, `old` was silenced, or `new` has events already.

        `new` is free afterwards, without on_close; so is the old socket of a live `old`. Replies that wait for `new`
        come first; those of `old` are gone. May be called from on_message(new).
        """
    def copy_events(self, slot: int, first: int, limit_bytes: int) -> list[tuple[bytes, int]] | None:
        """Return (prefix, tail bits) of the events from seq `first` on, for a resume in another process. None if one
        of them is gone, `first` was never reached, the slot was silenced, or they are larger than limit_bytes."""
    def begin_at(self, slot: int, seq: int) -> bool:
        """Give the first event of a new connection this seq instead of 0; False, with nothing changed, if it has
        events already or is closing. Replies that wait go out before it."""
    def set_user(self, slot: int, user_id: bytes, bits: int) -> None:
        """Say who it is: the id (at most 26 bytes) that tails name, and role bits ADMIN, GUEST, MFA_OK, POSTED_ACK.

        Raises: ValueError if the id is another than before and events are there already.
        """
    def reply(self, slot: int, payload: bytes, *, binary: bool = False) -> None:
        """Queue a text (or binary) frame without seq, in order with the events; nothing happens if the socket is
        gone."""
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
        """Append the event, under its next seq, to every slot that has all bits of `require` and none of `forbid`
        and isn't in `omit`. Return how many took it. slots must not name one twice.

        tails: slot -> MENTION | FOLLOW | ACK: what its copy ends with; ACK shows only on slots with POSTED_ACK.
        Cost: about 30 ns a slot; nothing is sent before flush().
        """
    def restart(self, slot: int) -> None:
        """Drop all events and begin again at seq 0, on the same socket; replies stay."""
    def silence(self, slot: int) -> None:
        """Drop what waits and what is kept; nothing reaches this connection or comes from it any more."""
    def close(self, slot: int, code: int, *, keep: bool = False) -> None:
        """Start the closing handshake; 0 or 1006 ends TCP without a close frame. on_close follows with "local".

        keep: the slot goes on collecting events for a resume; else it is free after on_close.
        """
    def release(self, slot: int) -> None:
        """Forget a slot: its number may be used again, so take it out of every SlotSet before. No on_close follows;
        a socket that is still open is dropped."""
    @property
    def live(self) -> int:
        """Number of open sockets, those that are closing not counted."""
    @property
    def refused(self) -> int:
        """Number of droppable events that found no room."""
    def seq(self, slot: int) -> int:
        """Return the seq that the next event will get."""
    def alive(self, slot: int) -> bool:
        """Return whether the slot has an open socket (not one that is closing)."""
    def open_slots(self) -> list[int]:
        """Return the slots with an open socket. Cost: linear in the slots ever used."""
    def stats(self) -> dict[str, Any]:
        """Return counters: live (open sockets), sockets (with closing ones), tls (of these), slots, capacity, messages,
        delivered, refused (droppable events, for want of room), sends (system calls, those of a batch one by one),
        frames (in these), carried (sends by their frames: 1, 2, up to 4, 8, … 512), batches, sent_bytes,
        received_bytes, blocked (sends that the kernel did not take all of), waiting (frames, at the timers' last
        round over all slots) and waiting_most (of one connection), retained_bytes, ring_bytes, evicted, dirty, and
        ends by reason."""
