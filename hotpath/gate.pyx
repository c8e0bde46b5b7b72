# cython: boundscheck=False, wraparound=False, cdivision=True
"""The room's sockets: an epoll set of adopted WebSocket connections, each a slot in a flat C array.

Reads and answers the protocol (RFC 6455), keeps timers, closes; hands complete messages and ends up to Python, and
events down through hotpath.outbox. Knows nothing of users beyond an id and four bits. An idle connection has no
Python object. All calls must come from one thread, the event loop's. poll(), flush() and tick() never raise; what
they find out is told by on_message and on_close, never from inside another method.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno

from hotpath.deflate import BadMessage, inflate
from hotpath.fanout cimport HINT_OMIT, SCRATCH, Event, SlotSet, fan_out, flush_dirty, mark, mark_dirty, watch
from hotpath.frames cimport (BROKEN, CLOSE, NEED_MORE, PING, PONG, TEXT, Found, Frame, Limits, reader_done,
                             reader_fail, reader_parse)
from hotpath.linux cimport (EAGAIN, EFD_CLOEXEC, EFD_NONBLOCK, EINTR, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLLERR,
                            EPOLLHUP, EPOLLIN, EPOLLOUT, EWOULDBLOCK, MSG_DONTWAIT, close, epoll_create1, epoll_ctl,
                            epoll_event, epoll_wait, errno, eventfd, read, recv, tw_prepare_socket)
from hotpath.outbox cimport (ENTRY_BITS, PERSONAL_ROOM, TAIL_BITS, USER_ID_MAX, Note, Outbox, Shared,
                             outbox_base, outbox_cursor, outbox_drop_notes, outbox_raw, outbox_restart, outbox_ring,
                             outbox_stash, outbox_waiting, personal_fill, shared_data)
from hotpath.ring cimport RING_SENDS, ring_close, ring_open
from hotpath.slots cimport (BLOCKED, CLOSING, DEAD, DIRTY, DRAINED, ENCRYPTED, ENDED, ENDING, FAILED, FREE, KEEP, LOST,
                            MARKED, NONE, OPEN, PEER_CLOSED, RELEASED, SHUT, SILENT, SLOW, WHY_ERROR, WHY_LOCAL,
                            WHY_NONE, WHY_PEER, WHY_PROTOCOL, Crowd, Flight, Slot, add_note, begin_close, drop_socket,
                            end_socket, evict, forget_reader, free_if_done, pop_free, settle_reader, settle_slot,
                            slot_reader, start_clock, tick_slot, wake)
from hotpath.tls cimport Tls, tls_close, tls_hold, tls_recv

cdef enum:
    OP_TEXT = 1
    OP_BINARY = 2
    OP_PONG = 10
    INPUT = 65536            # the shared read buffer
    # Bytes taken from one socket before the next has its turn: a client's message has some 100-200 bytes, and 2 KiB
    # of the smallest ones cost about 1 ms of Python. Larger messages are read on as they need.
    QUANTUM = 2048
    BATCH = 128              # sockets read in one poll, before the event loop has its turn
    SWEEP = 4096             # slots looked at in one slice, by timers and by the budget
    CACHE_LINE = 64
    LINGER_MAX_MS = 1 << 30  # 12 days: slots know times by their last 32 bits

cdef tuple WHY_NAMES = ("none", "peer", "timeout", "slow", "protocol", "error", "local")
cdef uint64_t WAKE = 0xFFFFFFFFFFFFFFFF


cdef bint _call(callback, tuple arguments) noexcept:
    """Call into Python. A bug there must not stop the others: it goes to sys.unraisablehook, and 0 comes back."""
    callback(*arguments)
    return 1


cdef class Gate:
    """See the module and gate.pyi for what each method promises."""

    cdef Crowd crowd
    cdef void* slab              # the memory of crowd.slots, which begin on a line of the cache
    cdef Limits limits
    cdef object on_message
    cdef object on_close
    cdef list leftovers          # (slot, generation, bytes): read with the handshake, to be parsed by the next poll
    cdef uint8_t* input
    cdef uint32_t tick_at
    cdef uint64_t messages

    def __cinit__(self, on_message, on_close, *, uint32_t capacity, uint64_t max_message=8192,
                  uint32_t max_fragments=64, uint32_t outbox_close_at=256, uint32_t retain_events=128,
                  uint64_t budget_bytes=256 << 20, int64_t ping_interval_ms=60000, int64_t read_timeout_ms=100000,
                  int64_t linger_ms=2000, bint batch_sends=True):
        cdef epoll_event event
        self.crowd.epoll = self.crowd.wake_fd = self.crowd.ring.fd = -1
        if not 0 < capacity < NONE or outbox_close_at < 2 or retain_events < 1:
            raise ValueError("capacity, outbox_close_at or retain_events out of range")
        self.on_message = on_message
        self.on_close = on_close
        self.leftovers = []
        self.limits.max_message = max_message
        self.limits.max_fragments = max_fragments
        self.crowd.capacity = capacity
        self.crowd.retain = retain_events
        self.crowd.close_at = outbox_close_at
        self.crowd.budget = budget_bytes
        self.crowd.ping_ms = ping_interval_ms
        self.crowd.timeout_ms = read_timeout_ms
        self.crowd.linger_ms = min(linger_ms, LINGER_MAX_MS)
        self.crowd.free_first = self.crowd.free_last = NONE
        self.crowd.current = -1
        # calloc of untouched pages costs address space only: the array never moves, and grows by being used.
        self.slab = calloc(<size_t>capacity * sizeof(Slot) + CACHE_LINE, 1)
        self.crowd.slots = <Slot*>((<uintptr_t>self.slab + CACHE_LINE - 1) & ~<uintptr_t>(CACHE_LINE - 1))
        self.crowd.dirty = <uint32_t*>calloc(capacity, sizeof(uint32_t))
        self.crowd.marked = <uint32_t*>calloc(capacity, sizeof(uint32_t))
        self.crowd.hints = <uint8_t*>calloc(capacity, 1)
        self.crowd.ending = <uint32_t*>calloc(capacity, sizeof(uint32_t))
        self.crowd.scratch = <uint8_t*>malloc(SCRATCH)
        self.crowd.flights = <Flight*>malloc(RING_SENDS * sizeof(Flight))
        self.input = <uint8_t*>malloc(INPUT)
        if (self.slab == NULL or self.crowd.dirty == NULL or self.crowd.marked == NULL
                or self.crowd.ending == NULL
                or self.crowd.hints == NULL or self.crowd.scratch == NULL or self.crowd.flights == NULL
                or self.input == NULL):
            raise MemoryError
        self.crowd.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.crowd.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        event.events = EPOLLIN
        event.data.u64 = WAKE
        if (self.crowd.epoll < 0 or self.crowd.wake_fd < 0
                or epoll_ctl(self.crowd.epoll, EPOLL_CTL_ADD, self.crowd.wake_fd, &event) != 0):
            PyErr_SetFromErrno(OSError)
        if batch_sends:
            ring_open(&self.crowd.ring)

    def __dealloc__(self):
        cdef uint32_t i
        if self.crowd.slots != NULL:
            for i in range(self.crowd.high):
                if self.crowd.slots[i].state != FREE:
                    if self.crowd.slots[i].flags & ENCRYPTED:
                        tls_close(self.crowd.slots[i].tls)
                    elif self.crowd.slots[i].fd >= 0:
                        close(self.crowd.slots[i].fd)
                    forget_reader(&self.crowd.slots[i])
                    outbox_drop_notes(&self.crowd.slots[i].box, 0)
                    outbox_restart(&self.crowd.shelf, &self.crowd.slots[i].box)
        if self.crowd.epoll >= 0:
            close(self.crowd.epoll)
        if self.crowd.wake_fd >= 0:
            close(self.crowd.wake_fd)
        free(self.slab)
        free(self.crowd.dirty)
        free(self.crowd.marked)
        free(self.crowd.hints)
        free(self.crowd.scratch)
        free(self.crowd.flights)
        ring_close(&self.crowd.ring)
        free(self.crowd.ending)
        free(self.input)

    # -- what the event loop calls ------------------------------------------------------------------------------

    def fileno(self):
        return self.crowd.epoll

    def poll(self):
        cdef epoll_event[BATCH] events
        cdef int n, i
        cdef uint32_t slot
        cdef uint64_t seen
        cdef Slot* s
        if self.crowd.polling:
            return
        self.crowd.polling = True
        try:
            if self.leftovers:
                self._parse_leftovers()
            n = epoll_wait(self.crowd.epoll, events, BATCH, 0)
            for i in range(n):
                if events[i].data.u64 == WAKE:
                    self.crowd.woken = False
                    read(self.crowd.wake_fd, &seen, 8)
                    continue
                slot = <uint32_t>events[i].data.u64
                s = &self.crowd.slots[slot]
                # A callback of this batch may have closed or moved the socket: then the event is stale.
                if s.fd < 0 or s.generation != <uint32_t>(events[i].data.u64 >> 32):
                    continue
                if s.flags & BLOCKED and events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
                    s.flags &= ~<uint16_t>BLOCKED
                    watch(&self.crowd, slot, 0)
                    mark_dirty(&self.crowd, slot)
                if events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP):
                    self._read(slot)
            self._settle()
        finally:
            self.crowd.polling = False
            self.crowd.current = -1
            if self.leftovers or self.crowd.marked_count or self.crowd.ending_count:
                wake(&self.crowd)                    # a callback left something for the next poll

    def flush(self, uint64_t budget_us=0):
        cdef bint more
        with nogil:
            more = flush_dirty(&self.crowd, budget_us * 1000)
        self._settle()
        return more or self.crowd.dirty_count > 0

    def tick(self, int64_t now_ms):
        cdef uint32_t left = self.crowd.high
        cdef int64_t passed = now_ms - self.crowd.ticked_ms
        cdef uint64_t waiting
        if self.crowd.now_ms == 0:
            start_clock(&self.crowd, now_ms)
        self.crowd.now_ms = now_ms
        self.crowd.ticked_ms = now_ms
        if left > SWEEP and passed < 1000:
            # A large crowd is looked at in slices, each slot about once a second.
            left = <uint32_t>(<uint64_t>left * <uint64_t>(passed if passed > 1 else 1) // 1000) + 1
        else:
            self.tick_at = 0
            self.crowd.round_waiting = self.crowd.round_most = 0
        while left:
            left -= 1
            if self.tick_at >= self.crowd.high:
                self.tick_at = 0
            tick_slot(&self.crowd, self.tick_at)
            if self.crowd.slots[self.tick_at].state == OPEN:
                waiting = outbox_waiting(&self.crowd.slots[self.tick_at].box)
                self.crowd.round_waiting += waiting
                if waiting > self.crowd.round_most:
                    self.crowd.round_most = waiting
            self.tick_at += 1
            if self.tick_at >= self.crowd.high:
                self.crowd.waiting = self.crowd.round_waiting
                self.crowd.waiting_most = self.crowd.round_most
                self.crowd.round_waiting = self.crowd.round_most = 0
        self._settle()

    # -- connections --------------------------------------------------------------------------------------------

    def adopt(self, int fd, bytes leftover=b"", bytes answer=b"", *, bint deflate=False, tls=None):
        cdef uint32_t slot
        cdef Slot* s
        cdef Tls* held
        if self.crowd.free_first == NONE and self.crowd.high == self.crowd.capacity:
            raise OverflowError("every slot is taken")
        held = tls_hold(tls) if tls is not None else NULL
        # Half of the numbers rest while there are others, so that one is not used again at once.
        if self.crowd.free_first != NONE and self.crowd.used * 2 < self.crowd.high:
            slot = pop_free(&self.crowd)
        elif self.crowd.high < self.crowd.capacity:
            slot = self.crowd.high
            self.crowd.high += 1
            self.crowd.slots[slot].fd = -1
        else:
            slot = pop_free(&self.crowd)
        s = &self.crowd.slots[slot]
        tw_prepare_socket(fd)
        s.fd = fd
        s.generation += 1
        s.state = OPEN
        s.flags = (s.flags & (DIRTY | MARKED)) | KEEP
        if held != NULL:
            s.tls = held
            s.flags |= ENCRYPTED
            self.crowd.tls_sockets += 1
        s.box.deflate = deflate
        s.pong_ms = s.ping_ms = <uint32_t>self.crowd.now_ms
        watch(&self.crowd, slot, 1)
        self.crowd.live += 1
        self.crowd.used += 1
        self.crowd.sockets += 1
        if answer:
            if outbox_raw(&s.box, <const uint8_t*>PyBytes_AS_STRING(answer), <uint32_t>PyBytes_GET_SIZE(answer)):
                mark_dirty(&self.crowd, slot)
            else:
                mark(&self.crowd, slot, FAILED)
        if leftover:
            self.leftovers.append((slot, s.generation, leftover))
            wake(&self.crowd)
        return slot

    def take_over(self, uint32_t old, uint32_t new, uint64_t next_seq):
        cdef Slot* o = self._slot(old)
        cdef Slot* n = self._slot(new)
        cdef Note* note
        cdef bint same_user
        if old == new or n.state != OPEN or n.flags & (SILENT | ENDED) or n.box.next != 0:
            return False
        if o.flags & (SILENT | LOST | RELEASED) or not o.flags & KEEP:
            return False
        if next_seq < outbox_base(&o.box) or next_seq > outbox_cursor(&o.box):
            return False
        same_user = n.user_size == o.user_size and memcmp(n.user, o.user, n.user_size) == 0
        if n.user_size and not same_user:
            return False
        if o.fd >= 0:
            drop_socket(&self.crowd, old)
        outbox_drop_notes(&o.box, 0)                 # replies are never replayed
        # The socket, what it has read, and the replies that wait for it move; the new slot is empty then.
        o.fd = n.fd
        o.tls = n.tls
        n.tls = NULL
        o.generation += 1
        o.state = OPEN
        o.flags = (o.flags & (DIRTY | MARKED | ENDING)) | KEEP | (n.flags & (BLOCKED | ENCRYPTED))
        o.end_why = WHY_NONE                         # an end not told yet is void
        o.reader = n.reader
        n.reader = NULL
        o.pong_ms = n.pong_ms
        o.ping_ms = n.ping_ms
        o.box.waits = <uint32_t>(o.box.next - next_seq)
        o.box.first = n.box.first
        o.box.last = n.box.last
        o.box.notes = n.box.notes
        o.box.sent = n.box.sent
        o.box.deflate = n.box.deflate
        note = o.box.first
        while note != NULL:
            note.at = next_seq
            note = note.next
        memset(&n.box, 0, sizeof(Outbox))
        n.fd = -1
        n.generation += 1
        n.state = DEAD
        n.flags = (n.flags & (DIRTY | MARKED | ENDING)) | RELEASED
        free_if_done(&self.crowd, new)
        watch(&self.crowd, old, 0)
        if self.crowd.current == <int64_t>new:
            self.crowd.current = old
        for i, (slot, generation, leftover) in enumerate(self.leftovers):
            if slot == new:
                self.leftovers[i] = (old, o.generation, leftover)
        if outbox_waiting(&o.box):
            mark_dirty(&self.crowd, old)
        return True

    def copy_events(self, uint32_t slot, uint64_t first, uint64_t limit_bytes):
        cdef Slot* s = self._slot(slot)
        cdef uint64_t seq = first, size = 0
        cdef uint8_t own[PERSONAL_ROOM]
        cdef uintptr_t entry
        cdef Shared* shared
        if s.flags & (SILENT | LOST | RELEASED) or not s.flags & KEEP:
            return None
        if first < outbox_base(&s.box) or first > outbox_cursor(&s.box):
            return None
        events = []
        while seq < s.box.next:
            entry = outbox_ring(&s.box)[seq & (s.box.cap - 1)]
            shared = <Shared*>(entry & ~<uintptr_t>ENTRY_BITS)
            size += shared.size + <size_t>shared.blanks * s.user_size - shared.blanks
            if size > limit_bytes:
                return None
            if shared.blanks:
                prefix = PyBytes_FromStringAndSize(<char*>own, personal_fill(own, shared, s.user, s.user_size))
            else:
                prefix = PyBytes_FromStringAndSize(<char*>shared_data(shared), shared.size)
            events.append((prefix, <int>(entry & TAIL_BITS)))
            seq += 1
        return events

    def begin_at(self, uint32_t slot, uint64_t seq):
        cdef Slot* s = self._slot(slot)
        if s.state != OPEN or s.flags & (SILENT | ENDED) or s.box.next != 0:
            return False
        s.box.next = seq     # replies that wait stand before every event still
        return True

    def set_user(self, uint32_t slot, bytes user_id not None, int bits):
        cdef Slot* s = self._slot(slot)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(user_id)
        if size > USER_ID_MAX:
            raise ValueError("user id too long")
        if s.box.kept and (size != s.user_size or memcmp(PyBytes_AS_STRING(user_id), s.user, size)):
            raise ValueError("a connection with events can't change its user")
        memcpy(s.user, PyBytes_AS_STRING(user_id), size)
        s.user_size = <uint8_t>size
        s.bits = <uint8_t>bits

    def reply(self, uint32_t slot, bytes payload not None, *, bint binary=False):
        cdef Slot* s = self._slot(slot)
        if s.state == OPEN and not s.flags & SILENT:
            add_note(&self.crowd, slot, OP_BINARY if binary else OP_TEXT,
                     <const uint8_t*>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))

    def deliver(self, Event event not None, slots, *, int require=0, int forbid=0, omit=(), dict tails=None):
        cdef uint32_t* numbers
        cdef uint32_t* own = NULL
        cdef uint32_t count, i
        cdef int taken
        cdef bint hinted = False
        cdef uint8_t need = <uint8_t>require, not_with = <uint8_t>forbid
        cdef tuple left_out = tuple(omit)
        if event.shared.shelf != NULL and event.shared.shelf != <void*>&self.crowd.shelf:
            raise ValueError("an event belongs to the gate that delivered it first")
        if isinstance(slots, SlotSet):
            numbers = (<SlotSet>slots).items
            count = (<SlotSet>slots).size
        else:
            listed = list(slots)
            count = <uint32_t>len(listed)
            own = numbers = <uint32_t*>malloc((count + 1) * sizeof(uint32_t))
            if own == NULL:
                raise MemoryError
        try:
            if own != NULL:
                for i in range(count):
                    own[i] = listed[i]
            hinted = self._hint(left_out, tails)
            with nogil:
                taken = fan_out(&self.crowd, event.shared, numbers, count, need, not_with, hinted)
        finally:
            if hinted:
                self._unhint(left_out, tails)
            free(own)
        if self.crowd.shelf.bytes > self.crowd.budget:
            evict(&self.crowd)
        if self.crowd.marked_count:
            wake(&self.crowd)
        return taken

    def restart(self, uint32_t slot):
        cdef Slot* s = self._slot(slot)
        if s.flags & SILENT:
            return
        if s.state == OPEN and not outbox_stash(&s.box, s.user, s.user_size):
            mark(&self.crowd, slot, FAILED)
        outbox_restart(&self.crowd.shelf, &s.box)
        s.flags &= ~<uint16_t>LOST

    def silence(self, uint32_t slot):
        cdef Slot* s = self._slot(slot)
        if s.state == OPEN:
            if not outbox_stash(&s.box, s.user, s.user_size):
                mark(&self.crowd, slot, FAILED)
            outbox_drop_notes(&s.box, 1)
        outbox_restart(&self.crowd.shelf, &s.box)
        s.flags |= SILENT

    def close(self, uint32_t slot, uint16_t code, *, bint keep=False):
        cdef Slot* s = self._slot(slot)
        if not keep:
            s.flags &= ~<uint16_t>KEEP
        if s.state == OPEN:
            begin_close(&self.crowd, slot, code, WHY_LOCAL)
        elif not keep and not s.flags & ENDING:
            s.flags |= RELEASED
            free_if_done(&self.crowd, slot)

    def release(self, uint32_t slot):
        cdef Slot* s = self._slot(slot)
        s.flags = (s.flags & ~<uint16_t>KEEP) | RELEASED
        s.end_why = WHY_NONE
        if s.state == OPEN:
            drop_socket(&self.crowd, slot)
        else:
            outbox_restart(&self.crowd.shelf, &s.box)
            free_if_done(&self.crowd, slot)

    # -- questions ----------------------------------------------------------------------------------------------

    @property
    def live(self):
        return self.crowd.live

    @property
    def refused(self):
        return self.crowd.refused

    def seq(self, uint32_t slot):
        return self._slot(slot).box.next

    def alive(self, uint32_t slot):
        return slot < self.crowd.high and self.crowd.slots[slot].state == OPEN

    def open_slots(self):
        return [i for i in range(self.crowd.high) if self.crowd.slots[i].state == OPEN]

    def stats(self):
        return {
            "live": self.crowd.live, "sockets": self.crowd.sockets, "tls": self.crowd.tls_sockets,
            "slots": self.crowd.used,
            "capacity": self.crowd.capacity, "messages": self.messages,
            "delivered": self.crowd.delivered, "refused": self.crowd.refused, "sends": self.crowd.sends,
            "batches": self.crowd.batches,
            "frames": self.crowd.frames, "carried": [self.crowd.carried[i] for i in range(10)],
            "sent_bytes": self.crowd.sent_bytes, "received_bytes": self.crowd.received_bytes,
            "blocked": self.crowd.blocked,
            "waiting": self.crowd.waiting, "waiting_most": self.crowd.waiting_most,
            "retained_bytes": self.crowd.shelf.bytes, "ring_bytes": self.crowd.shelf.ring_bytes,
            "evicted": self.crowd.shelf.evicted, "dirty": self.crowd.dirty_count,
            "ends": {WHY_NAMES[i]: self.crowd.ends[i] for i in range(1, 7)},
        }

    # -- inside -------------------------------------------------------------------------------------------------

    cdef Slot* _slot(self, uint32_t slot) except NULL:
        if slot >= self.crowd.high or self.crowd.slots[slot].state == FREE:
            raise LookupError(f"slot {slot} is free")
        return &self.crowd.slots[slot]

    cdef bint _hint(self, tuple omit, dict tails) except? -1:
        """Write omissions and tail bits beside the slots, for the fan-out to read without the GIL."""
        cdef uint32_t slot
        cdef bint any_hint = False
        if tails:
            for slot, bits in tails.items():
                if slot < self.crowd.high:
                    self.crowd.hints[slot] = <uint8_t>(<int>bits & TAIL_BITS)
            any_hint = True
        for slot in omit:
            if slot < self.crowd.high:
                self.crowd.hints[slot] = HINT_OMIT
            any_hint = True
        return any_hint

    cdef int _unhint(self, tuple omit, dict tails) except -1:
        cdef uint32_t slot
        if tails:
            for slot in tails:
                if slot < self.crowd.high:
                    self.crowd.hints[slot] = 0
        for slot in omit:
            if slot < self.crowd.high:
                self.crowd.hints[slot] = 0
        return 0

    cdef int _parse_leftovers(self) except -1:
        cdef bytearray data
        cdef uint8_t* at
        cdef Py_ssize_t size
        while self.leftovers:
            slot, generation, leftover = self.leftovers.pop(0)
            if self.crowd.slots[<uint32_t>slot].fd >= 0 and self.crowd.slots[<uint32_t>slot].generation == generation:
                data = bytearray(leftover)
                at = data
                size = len(data)
                self._feed(slot, at, size)
        return 0

    cdef int _read(self, uint32_t slot) except -1:
        cdef Slot* s = &self.crowd.slots[slot]
        cdef size_t want = QUANTUM
        cdef Py_ssize_t n
        if s.reader != NULL and s.reader.in_payload:
            want = s.reader.left + QUANTUM
            if want > INPUT:
                want = INPUT
        if s.flags & ENCRYPTED and not s.flags & SHUT:    # later only the end is waited for
            n = tls_recv(s.tls, self.input, INPUT)
            if n < 0:
                return 0
        else:
            n = recv(s.fd, self.input, want, MSG_DONTWAIT)
            if n < 0 and (errno == EAGAIN or errno == EWOULDBLOCK or errno == EINTR):
                return 0
        if n > 0:
            self.crowd.received_bytes += <uint64_t>n
            return self._feed(slot, self.input, n)
        end_socket(&self.crowd, slot, 1006, WHY_PEER)
        drop_socket(&self.crowd, slot)
        return 0

    cdef int _feed(self, uint32_t slot, uint8_t* data, size_t size) except -1:
        """Parse what one socket sent. A callback may close the slot or hand its socket to another: see current."""
        cdef Slot* s
        cdef Frame frame
        cdef Found found
        cdef size_t used
        self.crowd.current = slot
        while self.crowd.current >= 0:
            slot = <uint32_t>self.crowd.current
            s = &self.crowd.slots[slot]
            if slot_reader(s) == NULL:
                end_socket(&self.crowd, slot, 1006, WHY_ERROR)
                drop_socket(&self.crowd, slot)
                break
            found = reader_parse(s.reader, &self.limits, data, size, &used, &frame)
            data += used
            size -= used
            if found == NEED_MORE:
                settle_reader(s)
                break
            if found == PING:
                if s.state == OPEN:
                    add_note(&self.crowd, slot, OP_PONG, frame.data, frame.size)
                reader_done(s.reader)
            elif found == PONG:
                s.pong_ms = <uint32_t>self.crowd.now_ms
                reader_done(s.reader)
            elif found == CLOSE:
                reader_done(s.reader)
                self._on_peer_close(slot, frame.code)
            elif found == BROKEN:
                if s.state == OPEN:
                    begin_close(&self.crowd, slot, frame.code, WHY_PROTOCOL)
                elif s.state == CLOSING and s.box.notes == 0:
                    drop_socket(&self.crowd, slot)
            else:
                payload = PyBytes_FromStringAndSize(<char*>frame.data, frame.size)
                reader_done(s.reader)
                if s.state == OPEN and not s.flags & SILENT:
                    if frame.packed:
                        payload = self._inflate(slot, payload, found == TEXT)
                        if payload is None:
                            continue
                    self.messages += 1
                    if (not _call(self.on_message, (slot, payload, found == TEXT)) and self.crowd.current >= 0
                            and self.crowd.slots[self.crowd.current].state == OPEN):
                        begin_close(&self.crowd, <uint32_t>self.crowd.current, 1011, WHY_ERROR)
        self.crowd.current = -1
        return 0

    cdef _inflate(self, uint32_t slot, bytes data, bint text):
        """Return the message, or None after closing the connection that sent nonsense or a bomb."""
        try:
            return inflate(data, self.limits.max_message, text)
        except BadMessage as bad:
            reader_fail(self.crowd.slots[slot].reader)
            begin_close(&self.crowd, slot, bad.code, WHY_PROTOCOL)
        return None

    cdef void _on_peer_close(self, uint32_t slot, uint16_t code) noexcept:
        """RFC 6455 5.5.1: answer with the same code, unless ours was first; 7.1.1: the server ends TCP."""
        cdef Slot* s = &self.crowd.slots[slot]
        cdef bint ours_out = s.state == CLOSING and s.box.notes == 0
        s.flags |= PEER_CLOSED
        if ours_out:
            drop_socket(&self.crowd, slot)
        elif s.state == OPEN:
            begin_close(&self.crowd, slot, code, WHY_PEER)

    cdef void _settle(self) noexcept:
        """After a loop: close what it marked, keep the budget, tell Python about the ends."""
        cdef uint32_t slot
        cdef Slot* s
        while self.crowd.marked_count:
            self.crowd.marked_count -= 1
            slot = self.crowd.marked[self.crowd.marked_count]
            s = &self.crowd.slots[slot]
            s.flags &= ~<uint16_t>MARKED
            if s.fd >= 0:
                settle_slot(&self.crowd, slot)
            s.flags &= ~<uint16_t>(SLOW | FAILED | DRAINED)
        if self.crowd.sweeping or self.crowd.shelf.bytes > self.crowd.budget:
            evict(&self.crowd)
        if self.crowd.ending_count:
            self._tell_ends()

    cdef void _tell_ends(self) noexcept:
        cdef uint32_t slot
        cdef Slot* s
        cdef int why
        while self.crowd.ending_count:               # a callback may end others: they come behind
            slot = self.crowd.ending[self.crowd.ending_head]
            self.crowd.ending_head += 1
            if self.crowd.ending_head == self.crowd.capacity:
                self.crowd.ending_head = 0
            self.crowd.ending_count -= 1
            s = &self.crowd.slots[slot]
            s.flags &= ~<uint16_t>ENDING
            why = s.end_why
            s.end_why = WHY_NONE
            if why != WHY_NONE:
                _call(self.on_close, (slot, s.end_code, WHY_NAMES[why]))
            if s.state == FREE:
                continue                             # the callback released it
            if not s.flags & KEEP:
                s.flags |= RELEASED
            free_if_done(&self.crowd, slot)
