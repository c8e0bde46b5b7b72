# cython: boundscheck=False, wraparound=False, cdivision=True
"""The fan-out: one event into many outboxes, and one system call for each connection that has something waiting.

Its loops run without the GIL over plain C; they never raise, close or call back, they mark. Knows slots and bytes;
knows nothing of users, channels or the event loop. All calls must come from the event loop's thread.
"""

from libc.stdlib cimport calloc, free, realloc
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from hotpath.deflate import PACK_FROM_BYTES, pack
from hotpath.outbox cimport (BLANKS_MAX, PACKED, PERSONAL_MAX, Shelf, TAIL_ACK, USER_ID_MAX,
                             encode_event as _encode_event, outbox_advance, outbox_cursor, outbox_fill, outbox_push,
                             outbox_waiting, shared_data, shared_let_go, shared_new, shared_pack)
from hotpath.ring cimport RING_SENDS, ring_add, ring_submit
from hotpath.slots cimport (BLOCKED, CLOSING, DIRTY, DRAINED, ENCRYPTED, FAILED, FREE, LOST, MARKED, OPEN, RELEASED,
                            SILENT, SLOW, Flight, Slot)
from hotpath.tls cimport tls_send

cdef extern from *:
    """
    #include <errno.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <time.h>
    static inline unsigned long long tw_now_ns(void) {
        struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
        return (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec;
    }
    /* data and size of each piece lie as in struct iovec */
    static inline ssize_t tw_send(int fd, void *pieces, size_t count) {
        struct msghdr message = {0};
        const struct iovec *first = (const struct iovec *)pieces;
        ssize_t sent;
        message.msg_iov = (struct iovec *)pieces;
        message.msg_iovlen = count;
        sent = count == 1 ? send(fd, first->iov_base, first->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                          : sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent < 0 ? -errno : sent;
    }
    /* log2, rounded up */
    static inline int tw_magnitude(unsigned int n) { return n < 2 ? 0 : 32 - __builtin_clz(n - 1); }
    #define tw_prefetch(p) __builtin_prefetch((p), 1)
    """
    int EAGAIN, EWOULDBLOCK, EINTR
    Py_ssize_t tw_send(int fd, void* pieces, size_t count) nogil    # bytes or minus errno
    uint64_t tw_now_ns() nogil
    int EPOLLIN, EPOLLOUT, EPOLL_CTL_ADD, EPOLL_CTL_MOD
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_ctl(int epoll, int op, int fd, epoll_event* event) nogil
    void tw_prefetch(const void* p) nogil
    int tw_magnitude(unsigned int n) nogil

cdef enum:
    POSTED_ACK = 8           # slot bit
    SMALL_SET = 128          # up to here a set is searched through: 512 bytes; its table would take twice as much
    CLOCK_EVERY = 8          # sends between two looks at the clock: at 5 us each, 40 us
    BATCH_FROM = 4           # a batch of fewer saves nothing (bench/c/ring_or_send.c)
    BATCH_BYTES = 65536      # of a batch, so that it stays in the processor's cache


cdef class Event:
    """The bytes of one event up to the per-receiver tail: `{"event":…,"broadcast":{…},"data":{…`.

    droppable: refused by connections whose outbox is half full (typing, status and the like). personal: a NUL stands
    for the receiver's own id.
    """

    def __cinit__(self, bytes prefix not None, bint droppable=False, bint personal=False):
        cdef Py_ssize_t blanks = prefix.count(b"\0") if personal else 0
        if PyBytes_GET_SIZE(prefix) > (PERSONAL_MAX if blanks else 0x7FFFFFF0) or blanks > BLANKS_MAX:
            raise ValueError("event too large")
        self.shared = shared_new(<const uint8_t*>PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix), droppable)
        if self.shared == NULL:
            raise MemoryError
        if blanks:
            self.shared.blanks = <uint8_t>blanks
            self.shared.pack_tried = 1       # each has other bytes

    def __dealloc__(self):
        if self.shared != NULL:
            shared_let_go(self.shared)

    @property
    def prefix(self):
        return PyBytes_FromStringAndSize(<char*>shared_data(self.shared), self.shared.size)

    @property
    def droppable(self):
        return bool(self.shared.droppable)


def encode_event(bytes prefix not None, int tails, bytes user_id not None, uint64_t seq, *, bint deflate=False):
    """Return the whole frame of an event, as the receiver with this id gets it under this seq."""
    cdef uint8_t ends[512]
    cdef uint32_t head
    cdef size_t tail
    cdef Event event = Event(prefix)
    cdef uint8_t bits = <uint8_t>(tails & 7)
    cdef bytes body = prefix
    if len(user_id) > USER_ID_MAX:
        raise ValueError("user id too long")
    if deflate and _pack(NULL, event.shared):
        bits |= PACKED
        body = PyBytes_FromStringAndSize(<char*>event.shared.packed, event.shared.packed_size)
    tail = _encode_event(ends, event.shared, bits, <const uint8_t*>PyBytes_AS_STRING(user_id),
                         <uint8_t>len(user_id), seq, &head)
    return (PyBytes_FromStringAndSize(<char*>ends, head) + body
            + PyBytes_FromStringAndSize(<char*>ends + head, tail))


cdef uint32_t PACK_FROM = PACK_FROM_BYTES


cdef bint _pack(Shelf* shelf, Shared* shared) noexcept with gil:
    """Compress the shared bytes, once for ever; return whether there is a compressed form.

    zlib gives the GIL up meanwhile; slots and rings stay this thread's. No memory for it: sys.unraisablehook, and
    the event goes out as it is.
    """
    cdef bytes packed
    if not shared.pack_tried:
        shared.pack_tried = 1
        if shared.size >= PACK_FROM:
            packed = pack(PyBytes_FromStringAndSize(<char*>shared_data(shared), shared.size))
            if packed is not None:
                shared_pack(shelf, shared, <const uint8_t*>PyBytes_AS_STRING(packed), PyBytes_GET_SIZE(packed))
    return shared.packed != NULL


cdef inline uint32_t _hash(uint32_t slot) noexcept nogil:
    return slot * <uint32_t>2654435769


cdef class SlotSet:
    """A set of slot numbers as a compact array: 4 bytes a member, about 12 once it has more than 128.

    add, discard and `in` are O(1). Iteration gives a snapshot; discard moves the last member into the gap.
    """

    def __cinit__(self, slots=()):
        self.items = NULL
        self.table = NULL
        for slot in slots:
            self.add(slot)

    def __dealloc__(self):
        free(self.items)
        free(self.table)

    cdef uint32_t _find(self, uint32_t slot) noexcept:
        """Return the position of a slot in items, or size if it isn't there."""
        cdef uint32_t i, at
        if self.table == NULL:
            for i in range(self.size):
                if self.items[i] == slot:
                    return i
            return self.size
        i = _hash(slot) & (self.table_size - 1)
        while self.table[i]:
            at = self.table[i] - 1
            if self.items[at] == slot:
                return at
            i = (i + 1) & (self.table_size - 1)
        return self.size

    cdef int _rebuild(self, uint32_t size) except -1:
        cdef uint32_t i, k
        cdef uint32_t* table = NULL
        if size:
            table = <uint32_t*>calloc(size, sizeof(uint32_t))
            if table == NULL:
                raise MemoryError
            for i in range(self.size):
                k = _hash(self.items[i]) & (size - 1)
                while table[k]:
                    k = (k + 1) & (size - 1)
                table[k] = i + 1
        free(self.table)
        self.table = table
        self.table_size = size
        return 0

    cdef int _insert(self, uint32_t slot) except -1:
        cdef uint32_t cap, k
        cdef uint32_t* items
        if self.size == self.cap:
            # By 16 while it is small: most sets are, and there are as many of them as channels.
            if self.cap < 16:
                cap = self.cap * 2 if self.cap else 4
            else:
                cap = self.cap + (16 if self.cap < SMALL_SET else self.cap // 2)
            items = <uint32_t*>realloc(self.items, <size_t>cap * sizeof(uint32_t))
            if items == NULL:
                raise MemoryError
            self.items = items
            self.cap = cap
        self.items[self.size] = slot
        self.size += 1
        if self.table == NULL:
            if self.size > SMALL_SET:
                self._rebuild(SMALL_SET * 4)
        elif self.size * 2 > self.table_size:
            self._rebuild(self.table_size * 2)
        else:
            k = _hash(slot) & (self.table_size - 1)
            while self.table[k]:
                k = (k + 1) & (self.table_size - 1)
            self.table[k] = self.size
        return 0

    cdef int _remove(self, uint32_t slot) noexcept:
        cdef uint32_t at = self._find(slot), last, k, gap, home, mask
        cdef uint32_t* items
        if at == self.size:
            return 0
        last = self.size - 1
        if self.table != NULL:
            mask = self.table_size - 1
            if at != last:                       # the last member moves to `at`
                k = _hash(self.items[last]) & mask
                while self.table[k] != last + 1:
                    k = (k + 1) & mask
                gap = _hash(slot) & mask
                while self.table[gap] != at + 1:
                    gap = (gap + 1) & mask
                self.table[k] = at + 1
            else:
                gap = _hash(slot) & mask
                while self.table[gap] != at + 1:
                    gap = (gap + 1) & mask
            self.items[at] = self.items[last]
            # Close the gap: move back every later entry of the run that may stand there.
            self.table[gap] = 0
            k = (gap + 1) & mask
            while self.table[k]:
                home = _hash(self.items[self.table[k] - 1]) & mask
                if ((k - home) & mask) >= ((k - gap) & mask):
                    self.table[gap] = self.table[k]
                    self.table[k] = 0
                    gap = k
                k = (k + 1) & mask
        else:
            self.items[at] = self.items[last]
        self.size = last
        if self.table != NULL and last <= SMALL_SET // 2:
            free(self.table)
            self.table = NULL
            self.table_size = 0
        if self.cap > 4 and last * 4 <= self.cap:
            items = <uint32_t*>realloc(self.items, <size_t>(self.cap // 2) * sizeof(uint32_t))
            if items != NULL:
                self.items = items
                self.cap //= 2
        return 1

    def add(self, uint32_t slot):
        """Add a slot; nothing happens if it is there."""
        if self._find(slot) == self.size:
            self._insert(slot)

    def discard(self, uint32_t slot):
        """Remove a slot; nothing happens if it isn't there."""
        self._remove(slot)

    def __contains__(self, uint32_t slot):
        return self._find(slot) != self.size

    def __len__(self):
        return self.size

    def __iter__(self):
        cdef uint32_t i
        return iter([self.items[i] for i in range(self.size)])


cdef void mark_dirty(Crowd* crowd, uint32_t slot) noexcept nogil:
    """Queue a slot for the next flush, unless it stands there or waits for EPOLLOUT."""
    cdef Slot* s = &crowd.slots[slot]
    cdef uint32_t at
    if s.flags & (DIRTY | BLOCKED) or s.fd < 0:
        return
    s.flags |= DIRTY
    if crowd.dirty_count == 0:
        crowd.dirty_head = 0             # else every page of the ring comes into use, and stays
    at = crowd.dirty_head + crowd.dirty_count
    if at >= crowd.capacity:
        at -= crowd.capacity
    crowd.dirty[at] = slot
    crowd.dirty_count += 1


cdef void mark(Crowd* crowd, uint32_t slot, uint16_t flag) noexcept nogil:
    """Note that the gate must look at this slot after the loop."""
    cdef Slot* s = &crowd.slots[slot]
    if not s.flags & MARKED:
        crowd.marked[crowd.marked_count] = slot
        crowd.marked_count += 1
    s.flags |= MARKED | flag


cdef void watch(Crowd* crowd, uint32_t slot, bint add) noexcept nogil:
    """Tell epoll what to report of this slot's socket: input, and room to write while BLOCKED."""
    cdef Slot* s = &crowd.slots[slot]
    cdef epoll_event event
    event.events = EPOLLIN | (EPOLLOUT if s.flags & BLOCKED else 0)
    event.data.u64 = (<uint64_t>s.generation << 32) | slot
    if epoll_ctl(crowd.epoll, EPOLL_CTL_ADD if add else EPOLL_CTL_MOD, s.fd, &event) != 0:
        mark(crowd, slot, FAILED)


cdef int fan_out(Crowd* crowd, Shared* shared, const uint32_t* slots, uint32_t count, uint8_t require,
                 uint8_t forbid, bint hinted) noexcept nogil:
    """Give the event the next seq of every slot named that may have it. Return how many took it.

    hinted: crowd.hints holds tail bits and omissions. Nothing here can be freed meanwhile: the Event object is held
    by the caller, slots and rings belong to this thread.
    """
    cdef uint32_t i, slot, taken = 0
    cdef uint8_t tails = 0, packed
    cdef uint64_t waiting
    cdef Slot* s
    for i in range(count):
        slot = slots[i]
        if i + 8 < count and slots[i + 8] < crowd.high:
            tw_prefetch(&crowd.slots[slots[i + 8]])
        if i + 4 < count and slots[i + 4] < crowd.high:
            s = &crowd.slots[slots[i + 4]]
            if s.box.cap:
                tw_prefetch(&s.box.ring[s.box.next & (s.box.cap - 1)])
        if slot >= crowd.high:
            continue
        s = &crowd.slots[slot]
        if s.state == FREE or s.flags & (SILENT | LOST | RELEASED):
            continue
        if (s.bits & require) != require or s.bits & forbid:
            continue
        if hinted:
            tails = crowd.hints[slot]
            if tails & HINT_OMIT:
                continue
            if not (s.bits & POSTED_ACK):
                tails &= ~<uint8_t>TAIL_ACK
        waiting = outbox_waiting(&s.box)
        # Refused before it gets a seq, so that no gap appears. The dead have no use for what is soon stale.
        if shared.droppable and (s.state != OPEN or waiting >= crowd.close_at // 2):
            crowd.refused += 1
            continue
        packed = 0
        if s.box.deflate:
            if not shared.pack_tried:
                _pack(&crowd.shelf, shared)      # the one place where this loop takes the GIL: once per event
            if shared.packed != NULL:
                packed = PACKED
        if not outbox_push(&crowd.shelf, &s.box, shared, tails | packed, crowd.retain):
            mark(crowd, slot, LOST | FAILED)        # memory is out: a gap must not look like none
            continue
        taken += 1
        if s.state == OPEN:
            if not s.flags & BLOCKED:
                mark_dirty(crowd, slot)
            elif waiting + 1 >= crowd.close_at:
                mark(crowd, slot, SLOW)
    crowd.delivered += taken
    return <int>taken


cdef inline void _prefetch_slot(const Crowd* crowd, uint32_t ahead) noexcept nogil:
    """Fetch what the flush will touch of the slot that is dirty `ahead` places on: it costs nothing during a send."""
    cdef uint32_t at = crowd.dirty_head + ahead
    if ahead < crowd.dirty_count:
        tw_prefetch(&crowd.slots[crowd.dirty[at if at < crowd.capacity else at - crowd.capacity]])


cdef inline void _prefetch_ring(const Crowd* crowd, uint32_t ahead) noexcept nogil:
    cdef uint32_t at = crowd.dirty_head + ahead
    cdef const Slot* s
    if ahead < crowd.dirty_count:
        s = &crowd.slots[crowd.dirty[at if at < crowd.capacity else at - crowd.capacity]]
        if s.box.ring != NULL:
            tw_prefetch(&s.box.ring[outbox_cursor(&s.box) & (s.box.cap - 1)])


cdef void _take(Crowd* crowd, uint32_t slot, bint batch) noexcept nogil:
    """Send every frame that waits for this connection, up to SCRATCH bytes, or let it fly with the batch."""
    cdef Slot* s = &crowd.slots[slot]
    cdef Flight* flight = &crowd.flights[crowd.ring.added]
    cdef bint tls = (s.flags & ENCRYPTED) != 0, full = 0
    cdef Py_ssize_t sent
    flight.slot = slot
    flight.notes_only = s.state != OPEN
    flight.size = outbox_fill(&s.box, s.user, s.user_size, flight.notes_only, tls,
                              crowd.scratch + crowd.scratched, SCRATCH - crowd.scratched, &flight.marks)
    if tls and (flight.size or s.tls.pending != NULL):
        sent = tls_send(s.tls, flight.marks.piece[0].data, flight.size, &full)
        _landed(crowd, flight, sent, full)
    elif flight.size == 0:
        _go_on(crowd, slot, flight.notes_only)
    elif batch and flight.marks.pieces == 1:
        ring_add(&crowd.ring, s.fd, flight.marks.piece[0].data, flight.size)
        crowd.scratched += (flight.size + 63) & ~<size_t>63
        if crowd.ring.added == RING_SENDS or crowd.scratched >= BATCH_BYTES:
            _submit(crowd)
    else:
        _landed(crowd, flight, tw_send(s.fd, flight.marks.piece, flight.marks.pieces), 0)


cdef void _submit(Crowd* crowd) noexcept nogil:
    """Send the batch."""
    cdef uint32_t n = crowd.ring.added, i
    if n:
        ring_submit(&crowd.ring)
        crowd.batches += 1
        crowd.scratched = 0
        for i in range(n):
            _landed(crowd, &crowd.flights[i], crowd.ring.sent[i], 0)


cdef void _landed(Crowd* crowd, Flight* flight, Py_ssize_t sent, bint full) noexcept nogil:
    """Take note of what was taken: bytes, or minus errno. full: no more is taken, though all of this was."""
    cdef Slot* s = &crowd.slots[flight.slot]
    crowd.sends += 1
    crowd.frames += flight.marks.count
    crowd.carried[tw_magnitude(flight.marks.count)] += 1
    if sent < 0:
        if sent != -EAGAIN and sent != -EWOULDBLOCK and sent != -EINTR:
            mark(crowd, flight.slot, FAILED)
            return
        sent = 0
    crowd.sent_bytes += sent
    outbox_advance(&s.box, sent, &flight.marks)
    if full or <size_t>sent < flight.size:
        # The kernel's buffer is full: the rest stays in the outbox until it has room again.
        s.flags |= BLOCKED
        crowd.blocked += 1
        watch(crowd, flight.slot, 0)
        if not flight.notes_only and outbox_waiting(&s.box) >= crowd.close_at:
            mark(crowd, flight.slot, SLOW)
        return
    _go_on(crowd, flight.slot, flight.notes_only)


cdef inline void _go_on(Crowd* crowd, uint32_t slot, bint notes_only) noexcept nogil:
    cdef Slot* s = &crowd.slots[slot]
    if s.box.notes or (s.box.waits and not notes_only):
        mark_dirty(crowd, slot)
    elif s.state == CLOSING:
        mark(crowd, slot, DRAINED)


cdef void flush_slot(Crowd* crowd, uint32_t slot) noexcept nogil:
    """One system call with every frame that waits for this connection, up to SCRATCH bytes."""
    _take(crowd, slot, 0)


cdef bint flush_dirty(Crowd* crowd, uint64_t budget_ns) noexcept nogil:
    """Flush the slots that are dirty now, each once, until budget_ns is used up (0: no limit).

    Return whether some are dirty still. Nothing can be freed meanwhile: only this thread touches slots and rings.
    """
    cdef uint32_t left = crowd.dirty_count, slot, i = 0
    cdef uint64_t until = tw_now_ns() + budget_ns if budget_ns else 0
    cdef bint batch = crowd.ring.fd >= 0 and left >= BATCH_FROM
    while left:
        left -= 1
        slot = crowd.dirty[crowd.dirty_head]
        crowd.dirty_head += 1
        if crowd.dirty_head == crowd.capacity:
            crowd.dirty_head = 0
        crowd.dirty_count -= 1
        _prefetch_slot(crowd, 3)
        _prefetch_ring(crowd, 1)
        crowd.slots[slot].flags &= ~<uint16_t>DIRTY
        if crowd.slots[slot].fd < 0 or crowd.slots[slot].flags & BLOCKED:
            continue
        _take(crowd, slot, batch)
        if batch and crowd.ring.fd < 0:
            batch = 0                    # the ring failed just now
        i += 1
        if until and i % CLOCK_EVERY == 0 and tw_now_ns() >= until:
            break
    _submit(crowd)
    return crowd.dirty_count > 0
