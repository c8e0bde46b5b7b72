# cython: boundscheck=False, wraparound=False, cdivision=True
"""The life of a connection: from a socket to its end, and what is kept after it. See the states in slots.pxd.

Plain C over the crowd's flat array: no Python, no parsing. Nothing here calls back; what Python must hear of is queued
(on_close is due) and the event loop is woken.
"""

from libc.stdlib cimport calloc, free

from hotpath.fanout cimport flush_slot, mark, mark_dirty
from hotpath.frames cimport reader_at_rest, reader_clear
from hotpath.linux cimport (EPOLL_CTL_DEL, SHUT_WR, close, epoll_ctl, epoll_event, shutdown, write)
from hotpath.outbox cimport (outbox_drop_notes, outbox_evict, outbox_note, outbox_restart, outbox_stash, outbox_trim,
                             outbox_waiting, shelf_floor)
from hotpath.tls cimport tls_close, tls_shut

cdef enum:
    OP_CLOSE = 8
    OP_PING = 9
    SWEEP = 4096             # slots that the budget looks at in one slice


cdef uint32_t pop_free(Crowd* crowd) noexcept nogil:
    cdef uint32_t slot = crowd.free_first
    crowd.free_first = crowd.slots[slot].next_free
    if crowd.free_first == NONE:
        crowd.free_last = NONE
    return slot


cdef Reader* slot_reader(Slot* s) noexcept nogil:
    """Return the slot's reader, a new one if it had nothing to remember; NULL if memory is out."""
    if s.reader == NULL:
        s.reader = <Reader*>calloc(1, sizeof(Reader))
        if s.reader != NULL:
            s.reader.deflate = s.box.deflate
    return s.reader


cdef void settle_reader(Slot* s) noexcept nogil:
    """Give the reader's memory back if it has nothing to remember: most sockets are idle most of the time."""
    if s.reader != NULL and reader_at_rest(s.reader):
        forget_reader(s)


cdef void forget_reader(Slot* s) noexcept nogil:
    if s.reader != NULL:
        reader_clear(s.reader)
        free(s.reader)
        s.reader = NULL


cdef void wake(Crowd* crowd) noexcept nogil:
    """Make fileno() readable: something waits for the next poll()."""
    cdef uint64_t one = 1
    if not crowd.woken and not crowd.polling:
        crowd.woken = write(crowd.wake_fd, &one, 8) == 8


cdef void start_clock(Crowd* crowd, int64_t now_ms) noexcept nogil:
    """The first tick gives the connections adopted before it their start."""
    cdef uint32_t i
    crowd.ticked_ms = now_ms
    for i in range(crowd.high):
        crowd.slots[i].pong_ms += <uint32_t>now_ms
        crowd.slots[i].ping_ms += <uint32_t>now_ms


cdef void add_note(Crowd* crowd, uint32_t slot, uint8_t opcode, const uint8_t* data, size_t size) noexcept nogil:
    """Queue a frame without seq; the slow are marked, as by an event."""
    cdef Slot* s = &crowd.slots[slot]
    if not outbox_note(&s.box, opcode, data, <uint32_t>size):
        mark(crowd, slot, FAILED)
    elif not s.flags & BLOCKED:
        mark_dirty(crowd, slot)
    elif s.state == OPEN and outbox_waiting(&s.box) >= crowd.close_at:
        mark(crowd, slot, SLOW)
    if crowd.marked_count:
        wake(crowd)


cdef void begin_close(Crowd* crowd, uint32_t slot, uint16_t code, Why why) noexcept nogil:
    """OPEN -> CLOSING: end the frame that is partly out, then the close frame, then nothing. on_close is due.

    0 and 1006 end TCP without a close frame, behind what the kernel takes of the queue; 1005 is a close frame
    without a code.
    """
    cdef Slot* s = &crowd.slots[slot]
    cdef uint8_t[2] payload
    end_socket(crowd, slot, 1006 if code == 0 else code, why)
    if (code == 0 or code == 1006) and not s.flags & BLOCKED:
        flush_slot(crowd, slot)
    if code == 0 or code == 1006 or not outbox_stash(&s.box, s.user, s.user_size):
        drop_socket(crowd, slot)
        return
    outbox_drop_notes(&s.box, 1)
    s.state = CLOSING
    s.ping_ms = <uint32_t>(crowd.now_ms + crowd.linger_ms)
    payload[0] = <uint8_t>(code >> 8)
    payload[1] = <uint8_t>code
    add_note(crowd, slot, OP_CLOSE, payload, 0 if code == 1005 else 2)


cdef void end_socket(Crowd* crowd, uint32_t slot, uint16_t code, Why why) noexcept nogil:
    """on_close is due, once for each socket."""
    cdef Slot* s = &crowd.slots[slot]
    cdef uint64_t at
    if s.flags & ENDED:
        return
    crowd.live -= 1
    crowd.ends[<int>why] += 1
    s.end_code = code
    s.end_why = why
    if not s.flags & ENDING:
        at = <uint64_t>crowd.ending_head + crowd.ending_count
        crowd.ending[at - crowd.capacity if at >= crowd.capacity else at] = slot
        crowd.ending_count += 1
    s.flags |= ENDED | ENDING
    wake(crowd)


cdef void drop_socket(Crowd* crowd, uint32_t slot) noexcept nogil:
    """Close the socket: out of epoll first, so that no event of it can come later. Events stay for a resume."""
    cdef Slot* s = &crowd.slots[slot]
    cdef epoll_event event
    if s.fd < 0:
        return
    if not s.flags & ENDED:
        crowd.live -= 1                           # the caller knows: no on_close
        s.flags |= ENDED
    epoll_ctl(crowd.epoll, EPOLL_CTL_DEL, s.fd, &event)
    if s.flags & ENCRYPTED:
        tls_close(s.tls)
        s.tls = NULL
        crowd.tls_sockets -= 1
    else:
        close(s.fd)
    s.fd = -1
    crowd.sockets -= 1
    s.generation += 1
    s.state = DEAD
    s.flags &= ~<uint16_t>(BLOCKED | SHUT | PEER_CLOSED | SLOW | FAILED | DRAINED | ENCRYPTED)
    forget_reader(s)
    outbox_drop_notes(&s.box, 0)
    if crowd.current == <int64_t>slot:
        crowd.current = -1
    free_if_done(crowd, slot)


cdef void free_if_done(Crowd* crowd, uint32_t slot) noexcept nogil:
    """A released slot is free once its socket is gone and its end is told."""
    cdef Slot* s = &crowd.slots[slot]
    if not s.flags & RELEASED or s.fd >= 0 or s.flags & ENDING or s.state == FREE:
        return
    outbox_drop_notes(&s.box, 0)
    outbox_restart(&crowd.shelf, &s.box)
    s.state = FREE
    s.flags &= DIRTY | MARKED                    # it still stands in these queues
    s.generation += 1
    s.user_size = 0
    s.bits = 0
    s.next_free = NONE
    if crowd.free_last == NONE:
        crowd.free_first = slot
    else:
        crowd.slots[crowd.free_last].next_free = slot
    crowd.free_last = slot
    crowd.used -= 1


cdef void tick_slot(Crowd* crowd, uint32_t slot) noexcept nogil:
    cdef Slot* s = &crowd.slots[slot]
    if s.state == FREE:
        return
    if s.state == OPEN:
        if age_ms(crowd, s.pong_ms) >= crowd.timeout_ms:
            end_socket(crowd, slot, 1006, WHY_TIMEOUT)
            drop_socket(crowd, slot)
        elif age_ms(crowd, s.ping_ms) >= crowd.ping_ms:
            s.ping_ms = <uint32_t>crowd.now_ms
            add_note(crowd, slot, OP_PING, NULL, 0)
    elif s.state == CLOSING and <int32_t>age_ms(crowd, s.ping_ms) >= 0:
        drop_socket(crowd, slot)
    outbox_trim(&crowd.shelf, &s.box, crowd.retain)


cdef void settle_slot(Crowd* crowd, uint32_t slot) noexcept nogil:
    cdef Slot* s = &crowd.slots[slot]
    if s.flags & FAILED:
        end_socket(crowd, slot, 1006, WHY_PEER)
        drop_socket(crowd, slot)
    elif s.flags & SLOW and s.state == OPEN:
        begin_close(crowd, slot, 1013, WHY_SLOW)
    elif (s.flags & DRAINED and s.state == CLOSING
            and (s.flags & PEER_CLOSED or (s.reader != NULL and s.reader.ended))):
        # Our close frame is out: end our side, then wait for the peer's end, so that a reset can't overtake it.
        if not s.flags & SHUT:
            s.flags |= SHUT
            if s.flags & ENCRYPTED:
                tls_shut(s.tls)
            shutdown(s.fd, SHUT_WR)


cdef void evict(Crowd* crowd) noexcept nogil:
    """Drop the oldest events until 7/8 of the budget are left; in slices, unless it is far exceeded."""
    cdef uint32_t left = SWEEP
    cdef Slot* s
    if not crowd.sweeping:
        crowd.sweeping = True
        crowd.sweep_at = 0
        crowd.floor = shelf_floor(&crowd.shelf, crowd.budget - crowd.budget // 8)
    if crowd.shelf.bytes > crowd.budget + crowd.budget // 8:
        left = crowd.high
    while left and crowd.sweep_at < crowd.high:
        left -= 1
        s = &crowd.slots[crowd.sweep_at]
        if s.box.cap:
            if s.state == OPEN and not outbox_stash(&s.box, s.user, s.user_size):
                mark(crowd, crowd.sweep_at, FAILED)
            elif outbox_evict(&crowd.shelf, &s.box, crowd.floor):
                s.flags |= LOST
                outbox_restart(&crowd.shelf, &s.box)
                if s.state == OPEN:
                    begin_close(crowd, crowd.sweep_at, 1013, WHY_SLOW)
            outbox_trim(&crowd.shelf, &s.box, crowd.retain)
        crowd.sweep_at += 1
    if crowd.sweep_at >= crowd.high:
        crowd.sweeping = False
