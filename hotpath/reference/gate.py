"""The room's sockets, in plain Python: the twin of hotpath/gate.pyx, which documents what this one does.

Same promises (see hotpath/gate.pyi), one object per connection, no slices: every tick looks at every slot.
"""

import os
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from hotpath.deflate import BadMessage, inflate
from hotpath.reference.fanout import ACK, FOLLOW, MENTION, Event, SlotSet
from hotpath.reference.frames import BINARY, CLOSE, PING, PONG, TEXT, Broken, Parser, encode_frame
from hotpath.reference.outbox import Outbox, Shelf
from hotpath.reference.tls import Tls, send

FREE, OPEN, CLOSING, DEAD = range(4)
POSTED_ACK = 8
QUANTUM, INPUT, BATCH, SEND_BUFFER = 2048, 65536, 128, 128 * 1024
WHYS = ("peer", "timeout", "slow", "protocol", "error", "local")


class _Report:
    """Raises its error when it is deleted: the way to sys.unraisablehook, which is where such bugs belong."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


class Slot:
    """One connection, or what is kept of it."""

    def __init__(self, shelf: Shelf, parser: Parser) -> None:
        self.box, self.parser = Outbox(shelf), parser
        self.sock: socket.socket | None = None
        self.tls: Tls | None = None               # through which all of its bytes go
        self.state = FREE
        self.user, self.bits = b"", 0
        self.end: tuple[int, str] | None = None   # on_close that is due
        self.ended = self.ending = self.blocked = self.silent = self.lost = False
        self.released = self.peer_closed = self.shut = False
        self.keep = True
        self.pong_ms = self.ping_ms = self.linger_ms = 0


class Gate:
    """See hotpath/gate.pyi."""

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
        budget_bytes: int = 256 << 20,
        ping_interval_ms: int = 60000,
        read_timeout_ms: int = 100000,
        linger_ms: int = 2000,
        batch_sends: bool = True,
    ) -> None:
        if capacity < 1 or outbox_close_at < 2 or retain_events < 1:
            raise ValueError("capacity, outbox_close_at or retain_events out of range")
        self._on_message, self._on_close = on_message, on_close
        self._capacity, self._retain, self._close_at = capacity, retain_events, outbox_close_at
        self._max_message, self._max_fragments = max_message, max_fragments
        self._budget, self._linger_ms = budget_bytes, linger_ms
        self._ping_ms, self._timeout_ms = ping_interval_ms, read_timeout_ms
        self._shelf = Shelf()
        self._slots: list[Slot] = []
        self._free: deque[int] = deque()
        self._dirty: dict[int, None] = {}
        self._slow: dict[int, None] = {}
        self._failed: dict[int, None] = {}
        self._ending: deque[int] = deque()
        self._leftovers: deque[tuple[int, socket.socket, bytes]] = deque()
        self._by_fd: dict[int, int] = {}
        self._current: int | None = None          # the slot whose input is being parsed
        self._polling = self._woken = self._started = False
        self._now_ms = 0
        counted = ("messages", "delivered", "refused", "sends", "frames", "sent_bytes", "received_bytes", "blocked")
        self._counts = dict.fromkeys(counted, 0)
        self._carried = [0] * 10
        self._waiting: list[int] = []             # frames, by connection, at the last tick
        self._ends = dict.fromkeys(WHYS, 0)
        self._epoll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)

    def __del__(self) -> None:
        for slot in getattr(self, "_slots", ()):
            if slot.sock is not None:
                (slot.tls or slot.sock).close()
        if hasattr(self, "_wake_fd"):
            os.close(self._wake_fd)
            self._epoll.close()

    # -- what the event loop calls

    def fileno(self) -> int:
        return self._epoll.fileno()

    def poll(self) -> None:
        if self._polling:
            return
        self._polling = True
        try:
            while self._leftovers:
                number, sock, data = self._leftovers.popleft()
                if self._slots[number].sock is sock:
                    self._feed(number, data)
            for fd, mask in self._epoll.poll(0, BATCH):
                if fd == self._wake_fd:
                    self._woken = False
                    os.eventfd_read(fd)
                    continue
                known = self._by_fd.get(fd)
                if known is None:
                    continue                      # a callback of this batch closed it
                if self._slots[known].blocked and mask & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP):
                    self._slots[known].blocked = False
                    self._watch(known)
                    self._mark_dirty(known)
                if mask & (select.EPOLLIN | select.EPOLLERR | select.EPOLLHUP):
                    self._read(known)
            self._settle()
        finally:
            self._polling = False
            self._current = None
            if self._leftovers or self._slow or self._failed or self._ending:
                self._wake()                      # a callback left something for the next poll

    def flush(self, budget_us: int = 0) -> bool:
        for number in list(self._dirty):
            del self._dirty[number]
            if self._slots[number].sock is not None and not self._slots[number].blocked:
                self._flush_slot(number)
        self._settle()
        return bool(self._dirty)

    def tick(self, now_ms: int) -> None:
        if not self._started:
            self._started = True
            for slot in self._slots:
                slot.pong_ms, slot.ping_ms = slot.pong_ms + now_ms, slot.ping_ms + now_ms
                slot.linger_ms += now_ms
        self._now_ms = now_ms
        for number, slot in enumerate(self._slots):
            if slot.state == OPEN and now_ms - slot.pong_ms >= self._timeout_ms:
                self._end(number, 1006, "timeout")
                self._drop(number)
            elif slot.state == OPEN and now_ms - slot.ping_ms >= self._ping_ms:
                slot.ping_ms = now_ms
                self._note(number, encode_frame(PING, b""))
            elif slot.state == CLOSING and now_ms >= slot.linger_ms:
                self._drop(number)
            slot.box.trim(self._retain)
        self._waiting = [slot.box.waiting for slot in self._slots if slot.state == OPEN]
        self._settle()

    # -- connections

    def adopt(
        self,
        fd: int,
        leftover: bytes = b"",
        answer: bytes = b"",
        *,
        deflate: bool = False,
        tls: ssl.SSLSocket | None = None,
    ) -> int:
        used = len(self._slots) - len(self._free)
        if self._free and (len(self._slots) == self._capacity or used * 2 < len(self._slots)):
            number = self._free.popleft()
        elif len(self._slots) < self._capacity:
            number = len(self._slots)
            self._slots.append(self._new_slot())
        else:
            raise OverflowError("every slot is taken")
        slot = self._slots[number] = self._new_slot()
        slot.sock = tls or socket.socket(fileno=fd)
        slot.tls = Tls(tls) if tls else None
        slot.sock.setblocking(False)
        if slot.sock.family in (socket.AF_INET, socket.AF_INET6):
            slot.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            slot.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        slot.state = OPEN
        slot.parser.deflate = slot.box.deflate = deflate
        slot.pong_ms = slot.ping_ms = self._now_ms
        self._by_fd[fd] = number
        self._epoll.register(fd, select.EPOLLIN)
        if answer:
            slot.box.note(answer)
            self._mark_dirty(number)
        if leftover:
            self._leftovers.append((number, slot.sock, leftover))
            self._wake()
        return number

    def take_over(self, old: int, new: int, next_seq: int) -> bool:
        o, n = self._slot(old), self._slot(new)
        if next_seq < 0:
            raise OverflowError("next_seq is negative")
        if old == new or n.state != OPEN or n.silent or n.ended or n.box.next:
            return False
        if o.silent or o.lost or o.released or not o.keep:
            return False
        if not o.box.base <= next_seq <= o.box.cursor or (n.user and n.user != o.user):
            return False
        assert n.sock is not None
        self._drop(old)
        o.sock, o.tls, o.parser, o.pong_ms, o.ping_ms = n.sock, n.tls, n.parser, n.pong_ms, n.ping_ms
        o.state, o.end, o.ended, o.blocked = OPEN, None, False, n.blocked
        o.box.cursor, o.box.sent, o.box.deflate = next_seq, n.box.sent, n.box.deflate
        o.box.notes = [(next_seq, data) for _, data in n.box.notes]
        self._by_fd[o.sock.fileno()] = old
        n.sock, n.tls, n.state, n.released = None, None, DEAD, True
        n.box.drop_notes(False)
        self._free_if_done(new)
        if self._current == new:
            self._current = old
        self._leftovers = deque((old if s == new else s, sock, data) for s, sock, data in self._leftovers)
        if o.box.waiting:
            self._mark_dirty(old)
        return True

    def copy_events(self, slot: int, first: int, limit_bytes: int) -> list[tuple[bytes, int]] | None:
        s = self._slot(slot)
        if first < 0:
            raise OverflowError("first is negative")
        if s.silent or s.lost or s.released or not s.keep or not s.box.base <= first <= s.box.cursor:
            return None
        events = [(event.body_for(s.user), tails) for event, tails, _ in s.box.ring[first - s.box.base :]]
        return events if sum(len(prefix) for prefix, _ in events) <= limit_bytes else None

    def begin_at(self, slot: int, seq: int) -> bool:
        s = self._slot(slot)
        if seq < 0:
            raise OverflowError("seq is negative")
        if s.state != OPEN or s.silent or s.ended or s.box.next:
            return False
        s.box.base = s.box.cursor = s.box.next = seq
        return True

    def set_user(self, slot: int, user_id: bytes, bits: int) -> None:
        s = self._slot(slot)
        if len(user_id) > 26:
            raise ValueError("user id too long")
        if s.box.ring and user_id != s.user:
            raise ValueError("a connection with events can't change its user")
        s.user, s.bits = user_id, bits

    def reply(self, slot: int, payload: bytes, *, binary: bool = False) -> None:
        s = self._slot(slot)
        if s.state == OPEN and not s.silent:
            self._note(slot, encode_frame(BINARY if binary else TEXT, payload))

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
        if event.shelf not in (None, self._shelf):
            raise ValueError("an event belongs to the gate that delivered it first")
        taken, left_out = 0, set(omit)
        for number in list(slots):
            if number >= len(self._slots) or number in left_out:
                continue
            s = self._slots[number]
            if s.state == FREE or s.silent or s.lost or s.released:
                continue
            if s.bits & require != require or s.bits & forbid:
                continue
            waiting = s.box.waiting
            if event.droppable and (s.state != OPEN or waiting >= self._close_at // 2):
                self._counts["refused"] += 1
                continue
            bits = (tails or {}).get(number, 0) & (MENTION | FOLLOW | ACK)
            s.box.push(event, bits if s.bits & POSTED_ACK else bits & ~ACK, self._retain)
            taken += 1
            if s.state == OPEN and s.blocked and waiting + 1 >= self._close_at:
                self._slow[number] = None
                self._wake()
            elif s.state == OPEN:
                self._mark_dirty(number)
        self._counts["delivered"] += taken
        self._evict()
        return taken

    def restart(self, slot: int) -> None:
        s = self._slot(slot)
        if s.silent:
            return
        if s.state == OPEN:
            s.box.stash(s.user)
        s.box.restart()
        s.lost = False

    def silence(self, slot: int) -> None:
        s = self._slot(slot)
        if s.state == OPEN:
            s.box.stash(s.user)
            s.box.drop_notes(True)
        s.box.restart()
        s.silent = True

    def close(self, slot: int, code: int, *, keep: bool = False) -> None:
        s = self._slot(slot)
        s.keep = s.keep and keep
        if s.state == OPEN:
            self._begin_close(slot, code, "local")
        elif not keep and not s.ending:
            s.released = True
            self._free_if_done(slot)

    def release(self, slot: int) -> None:
        s = self._slot(slot)
        s.keep, s.released, s.ended, s.end = False, True, True, None
        if s.state == OPEN:
            self._drop(slot)
        else:
            s.box.restart()
            self._free_if_done(slot)

    # -- questions

    @property
    def live(self) -> int:
        return sum(1 for slot in self._slots if slot.sock is not None and not slot.ended)

    @property
    def refused(self) -> int:
        return self._counts["refused"]

    def seq(self, slot: int) -> int:
        return self._slot(slot).box.next

    def alive(self, slot: int) -> bool:
        return slot < len(self._slots) and self._slots[slot].state == OPEN

    def open_slots(self) -> list[int]:
        return [number for number, slot in enumerate(self._slots) if slot.state == OPEN]

    def stats(self) -> dict[str, Any]:
        return {
            "live": self.live,
            "sockets": len(self._by_fd),
            "tls": sum(slot.tls is not None for slot in self._slots),
            "slots": len(self._slots) - len(self._free),
            "capacity": self._capacity,
            **self._counts,
            "carried": list(self._carried),
            "waiting": sum(self._waiting),
            "waiting_most": max(self._waiting, default=0),
            "batches": 0,
            "retained_bytes": self._shelf.bytes,
            "ring_bytes": self._shelf.ring_bytes,
            "evicted": self._shelf.evicted,
            "dirty": len(self._dirty),
            "ends": dict(self._ends),
        }

    # -- inside

    def _new_slot(self) -> Slot:
        return Slot(self._shelf, Parser(self._max_message, self._max_fragments))

    def _slot(self, number: int) -> Slot:
        if number >= len(self._slots) or self._slots[number].state == FREE:
            raise LookupError(f"slot {number} is free")
        return self._slots[number]

    def _wake(self) -> None:
        if not self._woken and not self._polling:
            os.eventfd_write(self._wake_fd, 1)
            self._woken = True

    def _watch(self, number: int) -> None:
        slot = self._slots[number]
        assert slot.sock is not None
        self._epoll.modify(slot.sock.fileno(), select.EPOLLIN | (select.EPOLLOUT if slot.blocked else 0))

    def _mark_dirty(self, number: int) -> None:
        if self._slots[number].sock is not None and not self._slots[number].blocked:
            self._dirty[number] = None

    def _note(self, number: int, frame: bytes) -> None:
        slot = self._slots[number]
        slot.box.note(frame)
        if slot.state == OPEN and slot.blocked and slot.box.waiting >= self._close_at:
            self._slow[number] = None
            self._wake()
        else:
            self._mark_dirty(number)

    def _flush_slot(self, number: int) -> None:
        slot = self._slots[number]
        assert slot.sock is not None
        notes_only = slot.state != OPEN
        data, frames = slot.box.fill(slot.user, notes_only)
        if data or (slot.tls and slot.tls.pending):
            self._counts["sends"] += 1
            self._counts["frames"] += frames
            self._carried[max(0, frames - 1).bit_length()] += 1
            try:
                sent, full = send(slot.tls or slot.sock, data)
            except (OSError, ValueError):
                self._failed[number] = None
                return
            self._counts["sent_bytes"] += sent
            slot.box.advance(sent, slot.user, notes_only)
            if full:
                slot.blocked = True
                self._counts["blocked"] += 1
                self._watch(number)
                if not notes_only and slot.box.waiting >= self._close_at:
                    self._slow[number] = None
                return
        if slot.box.notes or (slot.box.cursor < slot.box.next and not notes_only):
            self._mark_dirty(number)
        elif slot.state == CLOSING and (slot.peer_closed or slot.parser.ended) and not slot.shut:
            slot.shut = True
            if slot.tls:
                slot.tls.shut()
            try:
                socket.socket.shutdown(slot.sock, socket.SHUT_WR)
            except OSError:
                self._failed[number] = None       # the peer was quicker

    def _read(self, number: int) -> None:
        slot = self._slots[number]
        assert slot.sock is not None
        try:
            if slot.tls and not slot.shut:        # later only the end is waited for
                data = slot.tls.recv()
            else:
                data = socket.socket.recv(slot.sock, min(slot.parser.missing + QUANTUM, INPUT))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data is None:
            return
        if data:
            self._counts["received_bytes"] += len(data)
            self._feed(number, data)
        else:
            self._end(number, 1006, "peer")
            self._drop(number)

    def _feed(self, number: int, data: bytes) -> None:
        self._current, at = number, 0
        while self._current is not None:
            number = self._current
            slot = self._slots[number]
            if slot.parser.ended:
                break
            try:
                item, at = slot.parser.next(data, at)
            except Broken as broken:
                slot.parser.ended = True
                if slot.state == OPEN:
                    self._begin_close(number, broken.code, "protocol")
                elif not slot.box.notes:
                    self._drop(number)
                break
            if item is None:
                break
            self._on_item(number, slot, item)
        self._current = None

    def _on_item(self, number: int, slot: Slot, item: tuple[Any, ...]) -> None:
        kind, value = item[0], item[1]
        if kind == "ping":
            if slot.state == OPEN:
                self._note(number, encode_frame(PONG, value))
        elif kind == "pong":
            slot.pong_ms = self._now_ms
        elif kind == "close":
            slot.peer_closed = True
            if slot.state == OPEN:
                self._begin_close(number, value, "peer")
            elif not slot.box.notes:
                self._drop(number)
        elif slot.state == OPEN and not slot.silent:
            if kind.startswith("packed "):
                kind = kind.removeprefix("packed ")
                try:
                    value = inflate(value, self._max_message, kind == "text")
                except BadMessage as bad:
                    slot.parser.ended = True
                    self._begin_close(number, bad.code, "protocol")
                    return
            self._counts["messages"] += 1
            told = self._call(self._on_message, number, value, kind == "text")
            if not told and self._current is not None and self._slots[self._current].state == OPEN:
                self._begin_close(self._current, 1011, "error")

    def _call(self, callback: Callable[..., None], *arguments: object) -> bool:
        try:
            callback(*arguments)
        except Exception as error:  # a bug there must not stop the others: reported, and this connection ends
            _Report(error)
            return False
        return True

    def _begin_close(self, number: int, code: int, why: str) -> None:
        slot = self._slots[number]
        self._end(number, code or 1006, why)
        if code in (0, 1006):
            if not slot.blocked:
                self._flush_slot(number)
            self._drop(number)
            return
        slot.box.stash(slot.user)
        slot.box.drop_notes(True)
        slot.state = CLOSING
        slot.linger_ms = self._now_ms + self._linger_ms
        self._note(number, encode_frame(CLOSE, b"" if code == 1005 else code.to_bytes(2, "big")))

    def _end(self, number: int, code: int, why: str) -> None:
        slot = self._slots[number]
        if slot.ended:
            return
        self._ends[why] += 1
        slot.ended, slot.end = True, (code, why)
        if not slot.ending:
            slot.ending = True
            self._ending.append(number)
        self._wake()

    def _drop(self, number: int) -> None:
        slot = self._slots[number]
        if slot.sock is None:
            return
        slot.ended = True
        fd = slot.sock.fileno()
        self._epoll.unregister(fd)
        del self._by_fd[fd]
        (slot.tls or slot.sock).close()
        slot.sock, slot.tls, slot.state = None, None, DEAD
        slot.blocked = slot.shut = slot.peer_closed = False
        slot.parser = Parser(self._max_message, self._max_fragments)
        slot.box.drop_notes(False)
        for marked in (self._slow, self._failed):
            marked.pop(number, None)
        if self._current == number:
            self._current = None
        self._free_if_done(number)

    def _free_if_done(self, number: int) -> None:
        slot = self._slots[number]
        if slot.released and slot.sock is None and not slot.ending and slot.state != FREE:
            slot.box.drop_notes(False)
            slot.box.restart()
            slot.state = FREE
            self._free.append(number)

    def _settle(self) -> None:
        while self._failed:
            number, _ = self._failed.popitem()
            self._end(number, 1006, "peer")
            self._drop(number)
        while self._slow:
            number, _ = self._slow.popitem()
            if self._slots[number].state == OPEN:
                self._begin_close(number, 1013, "slow")
        self._evict()
        while self._ending:
            number = self._ending.popleft()
            slot = self._slots[number]
            slot.ending, end = False, slot.end
            slot.end = None
            if end is not None:
                self._call(self._on_close, number, *end)
            slot.released = slot.released or not slot.keep
            self._free_if_done(number)

    def _evict(self) -> None:
        if self._shelf.bytes <= self._budget:
            return
        floor = self._shelf.floor(self._budget - self._budget // 8)
        for number, slot in enumerate(self._slots):
            if slot.state == OPEN:
                slot.box.stash(slot.user)
            if slot.box.evict(floor):
                slot.lost = True
                slot.box.restart()
                if slot.state == OPEN:
                    self._begin_close(number, 1013, "slow")
