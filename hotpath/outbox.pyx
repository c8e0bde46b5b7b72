# cython: boundscheck=False, wraparound=False, cdivision=True
"""What waits to be sent to one connection, and what was sent and is kept for a resume.

An Outbox is a ring of references to shared event bytes, dense in seq, with a chain of notes (replies and control
frames) between them. Knows bytes and seqs; knows no sockets. The shelf counts all retained bytes of a process.
Rings have one entry, then 4, double, and shrink again: an idle connection holds a few dozen bytes.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from hotpath.frames cimport encode_head

cdef extern from *:
    """
    #define tw_add_fetch(p, n) __atomic_add_fetch((p), (n), __ATOMIC_ACQ_REL)
    """
    int32_t tw_add_fetch(int32_t* p, int32_t n) nogil

cdef enum:
    OP_TEXT = 1
    RSV1 = 64                # RFC 7692: this message is compressed
    RING_START = 4
    NAMED_FROM = 4096        # copying costs less below some 3 KiB: bench/c/copy_or_iovec.c
    # Longest tail: 2 x (14 + 2 x quotes + id) + should_ack + seq; 256 leaves room over 26-byte ids.
    TAIL_MAX = 256


cdef inline Shared* _shared(uintptr_t entry) noexcept nogil:
    return <Shared*>(entry & ~<uintptr_t>ENTRY_BITS)


cdef inline uint8_t _bits(const Outbox* box, uintptr_t entry) noexcept nogil:
    """Return how an entry is written to this connection: the same for as long as its socket lives."""
    return <uint8_t>(entry & (ENTRY_BITS if box.deflate else TAIL_BITS))


cdef inline uint64_t _cost(const Shared* shared) noexcept nogil:
    return sizeof(Shared) + shared.size + shared.packed_size


cdef Shared* shared_new(const uint8_t* data, size_t size, bint droppable) noexcept nogil:
    """Copy an event's shared bytes; held once by the caller. NULL if memory is out."""
    cdef Shared* shared = <Shared*>malloc(sizeof(Shared) + size)
    if shared == NULL:
        return NULL
    memset(shared, 0, sizeof(Shared))
    memcpy(shared_data(shared), data, size)
    shared.size = <uint32_t>size
    shared.holds = 1
    shared.droppable = droppable
    return shared


cdef size_t personal_fill(uint8_t* out, const Shared* shared, const uint8_t* user, uint8_t user_size) noexcept nogil:
    """Write the bytes of a personal event as this user gets them; return their number, at most PERSONAL_ROOM."""
    cdef const uint8_t* data = shared_data(<Shared*>shared)
    cdef uint8_t* at = out
    cdef uint32_t i
    for i in range(shared.size):
        if data[i]:
            at[0] = data[i]
            at += 1
        else:
            memcpy(at, user, user_size)
            at += user_size
    return at - out


cdef void shared_pack(Shelf* shelf, Shared* shared, const uint8_t* data, size_t size) noexcept nogil:
    """Keep the compressed form of the shared bytes beside them. Without memory for it there is none."""
    shared.packed = <uint8_t*>malloc(size)
    if shared.packed == NULL:
        return
    memcpy(shared.packed, data, size)
    shared.packed_size = <uint32_t>size
    if shared.rings:
        shelf.bytes += size              # it stands on the shelf already


cdef void shared_let_go(Shared* shared) noexcept nogil:
    """Give one hold back. Atomic, because an Event object may be collected by another thread."""
    if tw_add_fetch(&shared.holds, -1) == 0:
        free(shared.packed)
        free(shared)


cdef void _shelve(Shelf* shelf, Shared* shared) noexcept nogil:
    tw_add_fetch(&shared.holds, 1)
    shared.shelf = shelf
    shared.order = shelf.order
    shelf.order += 1
    shared.newer = NULL
    shared.older = shelf.newest
    if shelf.newest != NULL:
        shelf.newest.newer = shared
    else:
        shelf.oldest = shared
    shelf.newest = shared
    shelf.bytes += _cost(shared)


cdef void _unref(Shelf* shelf, Shared* shared) noexcept nogil:
    """One ring less refers to these bytes; the last one takes them off the shelf."""
    shared.rings -= 1
    if shared.rings:
        return
    if shared.older != NULL:
        shared.older.newer = shared.newer
    else:
        shelf.oldest = shared.newer
    if shared.newer != NULL:
        shared.newer.older = shared.older
    else:
        shelf.newest = shared.older
    shelf.bytes -= _cost(shared)
    shared_let_go(shared)


cdef bint _resize(Shelf* shelf, Outbox* box, uint32_t cap) noexcept nogil:
    """Move the ring to one of `cap` entries (a power of two that holds all, or 0). 0 if memory is out.

    1 only for an empty ring: it needs no memory of its own, and many connections never get more than one event.
    """
    cdef uintptr_t* ring = NULL
    cdef uint64_t seq
    if cap > 1:
        ring = <uintptr_t*>malloc(cap * sizeof(uintptr_t))
        if ring == NULL:
            return 0
        seq = outbox_base(box)
        while seq < box.next:
            ring[seq & (cap - 1)] = outbox_ring(box)[seq & (box.cap - 1)]
            seq += 1
    if box.cap > 1:
        free(box.ring)
    shelf.bytes += <uint64_t>cap * sizeof(uintptr_t)
    shelf.bytes -= <uint64_t>box.cap * sizeof(uintptr_t)
    shelf.ring_bytes += <uint64_t>cap * sizeof(uintptr_t)
    shelf.ring_bytes -= <uint64_t>box.cap * sizeof(uintptr_t)
    box.ring = ring
    box.cap = cap
    return 1


cdef inline void _drop_oldest(Shelf* shelf, Outbox* box) noexcept nogil:
    _unref(shelf, _shared(outbox_ring(box)[outbox_base(box) & (box.cap - 1)]))
    box.kept -= 1


cdef bint outbox_push(Shelf* shelf, Outbox* box, Shared* shared, uint8_t bits, uint32_t retain) noexcept nogil:
    """Append an event; it gets the seq box.next. Of the sent ones the last `retain` - 1 stay. 0 if memory is out."""
    while box.kept > box.waits and box.kept >= retain:
        _drop_oldest(shelf, box)
    if box.kept == box.cap:
        if not _resize(shelf, box, box.cap * 2 if box.cap > 1 else RING_START if box.cap else 1):
            return 0
    if shared.rings == 0:
        _shelve(shelf, shared)
    shared.rings += 1
    outbox_ring(box)[box.next & (box.cap - 1)] = <uintptr_t>shared | bits
    box.next += 1
    box.kept += 1
    box.waits += 1
    return 1


cdef void outbox_trim(Shelf* shelf, Outbox* box, uint32_t retain) noexcept nogil:
    """Drop what a burst left behind: sent events beyond `retain`, and ring entries far beyond need."""
    cdef uint32_t cap = box.cap
    while box.kept > box.waits and box.kept > retain:
        _drop_oldest(shelf, box)
    if box.kept == 0:
        cap = 0
    else:
        while cap > RING_START and <uint64_t>box.kept * 4 <= cap:
            cap >>= 1
    if cap != box.cap:
        _resize(shelf, box, cap)         # if memory is out the larger ring simply stays


cdef Note* _append_note(Outbox* box, uint32_t size) noexcept nogil:
    """Append a note of this size after the events pushed so far. NULL if memory is out."""
    cdef Note* note = <Note*>malloc(sizeof(Note) + size)
    if note == NULL:
        return NULL
    note.size = size
    note.at = box.next
    note.next = NULL
    if box.last != NULL:
        box.last.next = note
    else:
        box.first = note
    box.last = note
    box.notes += 1
    return note


cdef bint outbox_note(Outbox* box, uint8_t opcode, const uint8_t* data, uint32_t size) noexcept nogil:
    """Append a frame without seq. 0 if memory is out."""
    cdef uint8_t head[10]
    cdef uint32_t n = encode_head(head, opcode, size)
    cdef Note* note = _append_note(box, n + size)
    if note == NULL:
        return 0
    memcpy(<uint8_t*>(note + 1), head, n)
    if size:
        memcpy(<uint8_t*>(note + 1) + n, data, size)
    return 1


cdef bint outbox_raw(Outbox* box, const uint8_t* data, uint32_t size) noexcept nogil:
    """Append bytes that are no frame (the answer to the handshake). 0 if memory is out."""
    cdef Note* note = _append_note(box, size)
    if note == NULL:
        return 0
    memcpy(<uint8_t*>(note + 1), data, size)
    return 1


cdef void _pop_note(Outbox* box) noexcept nogil:
    cdef Note* note = box.first
    box.first = note.next
    if box.first == NULL:
        box.last = NULL
    box.notes -= 1
    free(note)


cdef inline uint8_t* _put(uint8_t* out, const char* text, size_t size) noexcept nogil:
    memcpy(out, text, size)
    return out + size


cdef inline uint8_t* _put_id_list(uint8_t* out, const uint8_t* user, uint8_t size) noexcept nogil:
    # a string that holds JSON: "[\"<id>\"]"
    out = _put(out, b'"[\\"', 4)
    memcpy(out, user, size)
    return _put(out + size, b'\\"]"', 4)


cdef size_t _encode_tail(uint8_t* out, uint8_t tails, const uint8_t* user, uint8_t user_size,
                         uint64_t seq) noexcept nogil:
    """Write the end of an event, from the last member of `data` on. At most TAIL_MAX bytes."""
    cdef uint8_t digits[20]
    cdef uint8_t* at = out
    cdef int n = 0
    if tails & TAIL_MENTION:
        at = _put_id_list(_put(at, b',"mentions":', 12), user, user_size)
    if tails & TAIL_FOLLOW:
        at = _put_id_list(_put(at, b',"followers":', 13), user, user_size)
    if tails & TAIL_ACK:
        at = _put(at, b',"should_ack":true', 18)
    at = _put(at, b'},"seq":', 8)
    while True:
        digits[n] = <uint8_t>(48 + seq % 10)
        n += 1
        seq = seq // 10
        if seq == 0:
            break
    while n:
        n -= 1
        at[0] = digits[n]
        at += 1
    at[0] = 125                          # }
    return at + 1 - out


cdef size_t encode_event(uint8_t* out, const Shared* shared, uint8_t bits, const uint8_t* user,
                         uint8_t user_size, uint64_t seq, uint32_t* head_size) noexcept nogil:
    """Write head and tail of an event's frame side by side (at most 10 + TAIL_MAX bytes); the shared bytes, or with
    PACKED their compressed form, belong between them. Return the size of the tail."""
    cdef uint8_t tail[TAIL_MAX]
    cdef uint8_t* at = tail
    cdef size_t size
    if not bits & PACKED:
        size = _encode_tail(tail, bits, user, user_size, seq)
        head_size[0] = encode_head(out, OP_TEXT, shared.size + <size_t>shared.blanks * user_size - shared.blanks + size)
    else:
        # The compressed form ends with the header of a stored block (RFC 1951 3.2.4): LEN, NLEN and the tail follow,
        # then the header of the empty block whose other bytes are left out (RFC 7692 7.2.1).
        size = _encode_tail(tail + 4, bits, user, user_size, seq)
        at[0] = <uint8_t>size
        at[1] = <uint8_t>(size >> 8)
        at[2] = ~at[0]
        at[3] = ~at[1]
        at[4 + size] = 0
        size += 5
        head_size[0] = encode_head(out, RSV1 | OP_TEXT, shared.packed_size + size)
    memcpy(out + head_size[0], tail, size)
    return size


cdef inline const uint8_t* _body(Shared* shared, uint8_t bits, const uint8_t* user, uint8_t user_size, uint8_t* own,
                                 size_t* size) noexcept nogil:
    """Return what belongs between head and tail. own: PERSONAL_ROOM bytes, where it stands if it is personal."""
    if shared.blanks:
        size[0] = personal_fill(own, shared, user, user_size)
        return own
    if bits & PACKED:
        size[0] = shared.packed_size
        return shared.packed
    size[0] = shared.size
    return shared_data(shared)


cdef inline void _add_piece(Marks* marks, const uint8_t* data, size_t size) noexcept nogil:
    if size:
        marks.piece[marks.pieces].data = data
        marks.piece[marks.pieces].size = size
        marks.pieces += 1


cdef inline size_t _copy_part(const uint8_t* data, size_t size, size_t* skip, uint8_t** out,
                              size_t* room) noexcept nogil:
    """Copy data but its first `skip` bytes, as far as there is room. Return how many of its bytes are covered."""
    cdef size_t n
    if skip[0] >= size:
        skip[0] -= size
        return size
    n = size - skip[0]
    if n > room[0]:
        n = room[0]
    memcpy(out[0], data + skip[0], n)
    out[0] += n
    room[0] -= n
    n += skip[0]
    skip[0] = 0
    return n


cdef size_t outbox_fill(Outbox* box, const uint8_t* user, uint8_t user_size, bint notes_only, bint joined,
                        uint8_t* out, size_t room, Marks* marks) noexcept nogil:
    """Gather the waiting frames in marks.piece, starting where the last send ended. Changes nothing.

    Small parts are copied side by side into `out`; large shared bytes are named where they are: valid until the ring
    changes. notes_only: leave the events waiting; joined: copy all, so that there is one piece. Return the number of
    bytes; the last frame may be cut by `room`.
    """
    cdef uint8_t ends[10 + TAIL_MAX]
    cdef uint8_t own[PERSONAL_ROOM]
    cdef const uint8_t* body
    cdef uint8_t bits
    cdef uint8_t* copied = out           # from here on no piece names what is in the buffer
    cdef size_t most = room
    cdef Note* note = box.first
    cdef uint64_t seq = outbox_cursor(box)
    cdef uintptr_t entry
    cdef Shared* shared
    cdef size_t skip = box.sent, tail, size
    cdef uint32_t head
    marks.count = marks.pieces = 0
    while room and marks.count < MARKS:
        if note != NULL and (notes_only or note.at <= seq):
            marks.size[marks.count] = note.size
            marks.is_note[marks.count] = 1
            _copy_part(<uint8_t*>(note + 1), note.size, &skip, &out, &room)
            note = note.next
        elif seq < box.next and not notes_only:
            entry = outbox_ring(box)[seq & (box.cap - 1)]
            shared = _shared(entry)
            bits = _bits(box, entry)
            body = _body(shared, bits, user, user_size, own, &size)
            tail = encode_event(ends, shared, bits, user, user_size, seq, &head)
            marks.size[marks.count] = <uint32_t>(head + size + tail)
            marks.is_note[marks.count] = 0
            _copy_part(ends, head, &skip, &out, &room)
            if size >= NAMED_FROM and not joined and skip < size and room and marks.pieces + 3 <= PIECES:
                _add_piece(marks, copied, out - copied)
                copied = out
                _add_piece(marks, body + skip, size - skip if size - skip < room else room)
                room -= marks.piece[marks.pieces - 1].size
                skip = 0
            else:
                _copy_part(body, size, &skip, &out, &room)
            _copy_part(ends + head, tail, &skip, &out, &room)
            seq += 1
        else:
            break
        marks.count += 1
    _add_piece(marks, copied, out - copied)
    return most - room


cdef void outbox_advance(Outbox* box, size_t sent, const Marks* marks) noexcept nogil:
    """Take note that `sent` bytes of the last outbox_fill() are out."""
    cdef uint32_t i = 0
    sent += box.sent
    while i < marks.count and sent >= marks.size[i]:
        sent -= marks.size[i]
        if marks.is_note[i]:
            _pop_note(box)
        else:
            box.waits -= 1
        i += 1
    box.sent = <uint32_t>sent


cdef bint outbox_stash(Outbox* box, const uint8_t* user, uint8_t user_size) noexcept nogil:
    """If an event is partly out, turn its frame into a note at the front, and count it as sent.

    A frame once begun must be ended, whatever becomes of the ring behind it. 0 if memory is out.
    """
    cdef uint8_t ends[10 + TAIL_MAX]
    cdef uint8_t own[PERSONAL_ROOM]
    cdef const uint8_t* body
    cdef uint8_t bits
    cdef uintptr_t entry
    cdef Shared* shared
    cdef Note* note
    cdef uint8_t* out
    cdef size_t skip = 0, tail, room, size
    cdef uint32_t head
    cdef uint64_t seq = outbox_cursor(box)
    if box.sent == 0 or (box.first != NULL and box.first.at <= seq):
        return 1                         # nothing, or a note, is partly out
    entry = outbox_ring(box)[seq & (box.cap - 1)]
    shared = _shared(entry)
    bits = _bits(box, entry)
    body = _body(shared, bits, user, user_size, own, &size)
    tail = encode_event(ends, shared, bits, user, user_size, seq, &head)
    room = head + size + tail
    note = <Note*>malloc(sizeof(Note) + room)
    if note == NULL:
        return 0
    note.size = <uint32_t>room
    note.at = seq
    out = <uint8_t*>(note + 1)
    _copy_part(ends, head, &skip, &out, &room)
    _copy_part(body, size, &skip, &out, &room)
    _copy_part(ends + head, tail, &skip, &out, &room)
    note.next = box.first
    box.first = note
    if box.last == NULL:
        box.last = note
    box.notes += 1
    box.waits -= 1
    return 1


cdef void outbox_drop_notes(Outbox* box, bint keep_started) noexcept nogil:
    """Drop the waiting notes; keep_started: but the first one if a part of it is out (call outbox_stash first)."""
    cdef Note* kept = NULL
    if keep_started and box.sent and box.first != NULL:
        kept = box.first
        box.first = kept.next
        if box.first == NULL:
            box.last = NULL
        box.notes -= 1
    while box.first != NULL:
        _pop_note(box)
    if kept != NULL:
        kept.next = NULL
        box.first = box.last = kept
        box.notes = 1
    else:
        box.sent = 0


cdef void outbox_restart(Shelf* shelf, Outbox* box) noexcept nogil:
    """Drop all events and begin again at seq 0; notes stay, before the next event (call outbox_stash first)."""
    cdef Note* note = box.first
    while box.kept:
        _drop_oldest(shelf, box)
    _resize(shelf, box, 0)
    box.next = box.waits = 0
    while note != NULL:
        note.at = 0
        note = note.next


cdef uint64_t shelf_floor(const Shelf* shelf, uint64_t goal) noexcept nogil:
    """Return the order below which everything must go for `bytes` to come down to the goal."""
    cdef Shared* shared = shelf.oldest
    cdef uint64_t left = shelf.bytes
    while shared != NULL and left > goal:
        # Entries of rings come free with it; without them a crowd of long rings would cost everybody everything.
        left -= min(left, _cost(shared) + shared.rings * sizeof(uintptr_t))
        shared = shared.newer
    return shared.order if shared != NULL else shelf.order


cdef bint outbox_evict(Shelf* shelf, Outbox* box, uint64_t floor) noexcept nogil:
    """Drop the events older than the floor. Return 1 if one of them was still waiting: it is lost.

    Call outbox_stash() first: an event that is partly out must not go.
    """
    cdef bint lost = 0
    while box.kept and _shared(outbox_ring(box)[outbox_base(box) & (box.cap - 1)]).order < floor:
        if box.kept == box.waits:
            lost = 1
            box.waits -= 1
        shelf.evicted += 1
        _drop_oldest(shelf, box)
    return lost
