"""The flat array of connections, and what may be done to one of them. Plain C: no GIL, no exceptions."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from hotpath.frames cimport Reader
from hotpath.outbox cimport USER_ID_MAX, Marks, Outbox, Shelf
from hotpath.ring cimport Ring
from hotpath.tls cimport Tls

# FREE -> OPEN (adopt) -> CLOSING (our close frame leaves, then we linger) -> DEAD (collects for a resume) -> FREE
#                 OPEN -> DEAD (socket failed)      CLOSING, DEAD -> OPEN (take_over)
cdef enum State:
    FREE = 0
    OPEN = 1
    CLOSING = 2
    DEAD = 3

cdef enum Flag:
    DIRTY = 1          # stands in the queue of the next flush
    BLOCKED = 2        # the kernel's buffer is full: EPOLLOUT is armed, flush leaves it alone
    SILENT = 4         # nothing may reach it any more
    LOST = 8           # a waiting event was dropped: it can never be resumed
    RELEASED = 16      # nobody asks for it any more: FREE as soon as the socket is gone
    ENDING = 32        # on_close is due
    SLOW = 64          # to be closed after the loop
    FAILED = 128       # its socket failed: to be dropped after the loop
    SHUT = 256         # our side is shut down: waiting for the peer's end
    PEER_CLOSED = 512  # the peer's close frame is here
    DRAINED = 1024     # CLOSING and nothing left to send
    MARKED = 2048      # SLOW, FAILED or DRAINED, and in the list of marked slots
    ENDED = 8192       # on_close of this socket is due or told
    KEEP = 4096        # stays after its end until release() or take_over()
    ENCRYPTED = 16384  # with a socket: all of fd's bytes go through tls

cdef enum Why:         # of an end, for on_close
    WHY_NONE = 0
    WHY_PEER = 1
    WHY_TIMEOUT = 2
    WHY_SLOW = 3
    WHY_PROTOCOL = 4
    WHY_ERROR = 5
    WHY_LOCAL = 6

cdef enum:
    NONE = 0xFFFFFFFF      # no slot

# Two lines of the processor's cache: what a fan-out and a flush ask of a slot is in the first. Times are the last 32
# bits of the loop's milliseconds: differences count, see age_ms().
cdef struct Slot:
    Outbox box
    int fd                   # -1: no socket
    uint16_t flags
    uint8_t state
    uint8_t bits             # ADMIN, GUEST, MFA_OK, POSTED_ACK

    Reader* reader           # NULL: it stands between two messages, and has not ended; see slot_reader()
    Tls* tls                 # while ENCRYPTED
    uint32_t generation      # rises with every socket that comes or goes; epoll events carry it
    uint32_t next_free
    uint32_t pong_ms         # last pong, or the start
    uint32_t ping_ms         # OPEN: last ping sent, or the start; CLOSING: when the socket is dropped at the latest
    uint16_t end_code        # for on_close
    uint8_t end_why
    uint8_t user_size
    uint8_t user[USER_ID_MAX]

# What one connection has under way in a flush.
cdef struct Flight:
    uint32_t slot
    bint notes_only
    size_t size
    Marks marks

# Everything the nogil loops need; owned by Gate.
cdef struct Crowd:
    Slot* slots
    uint32_t capacity
    uint32_t high            # slots ever used: [0, high)
    uint32_t* dirty          # queue of slots to flush: a ring of `capacity`
    uint32_t dirty_head
    uint32_t dirty_count
    uint32_t* marked         # slots with SLOW or FAILED, handled after the loop
    uint32_t marked_count
    uint8_t* hints           # per slot, only during deliver: tail bits, 128 = omit
    uint8_t* scratch
    size_t scratched         # of it, in use by the batch
    Flight* flights          # RING_SENDS of them
    Ring ring
    Shelf shelf
    uint32_t retain
    uint32_t close_at
    int epoll
    uint64_t delivered
    uint64_t refused
    uint64_t sends
    uint64_t batches         # of these sends, made by one system call each
    uint64_t sent_bytes
    uint64_t blocked
    uint64_t frames          # handed to the kernel
    uint64_t carried[10]     # sends by the frames they carried: 1, 2, 3-4, 5-8, … 257-512
    uint64_t received_bytes
    # Frames that waited at the timers' last round over all slots, and of one connection at most; the round going on.
    uint64_t waiting
    uint64_t waiting_most
    uint64_t round_waiting
    uint64_t round_most
    # Numbers that are free: first in, first out, so that one rests as long as possible.
    uint32_t free_first
    uint32_t free_last
    uint32_t used            # not free
    uint32_t live            # open
    uint32_t sockets         # open or closing
    uint32_t tls_sockets     # of these, encrypted
    # Slots whose on_close is due: a ring of `capacity`.
    uint32_t* ending
    uint32_t ending_head
    uint32_t ending_count
    uint64_t ends[7]         # by Why
    # The loop.
    int wake_fd
    bint woken
    bint polling
    int64_t current          # the slot whose input is being parsed; -1 once its socket is gone
    # Timers.
    int64_t now_ms
    int64_t ticked_ms
    int64_t ping_ms
    int64_t timeout_ms
    int64_t linger_ms
    # The budget.
    uint64_t budget
    uint64_t floor           # of the sweep going on: everything older goes
    bint sweeping
    uint32_t sweep_at

cdef inline uint32_t age_ms(const Crowd* crowd, uint32_t since_ms) noexcept nogil:
    return <uint32_t>crowd.now_ms - since_ms

cdef uint32_t pop_free(Crowd* crowd) noexcept nogil
cdef Reader* slot_reader(Slot* s) noexcept nogil
cdef void settle_reader(Slot* s) noexcept nogil
cdef void forget_reader(Slot* s) noexcept nogil
cdef void wake(Crowd* crowd) noexcept nogil
cdef void start_clock(Crowd* crowd, int64_t now_ms) noexcept nogil
cdef void add_note(Crowd* crowd, uint32_t slot, uint8_t opcode, const uint8_t* data, size_t size) noexcept nogil
cdef void begin_close(Crowd* crowd, uint32_t slot, uint16_t code, Why why) noexcept nogil
cdef void end_socket(Crowd* crowd, uint32_t slot, uint16_t code, Why why) noexcept nogil
cdef void drop_socket(Crowd* crowd, uint32_t slot) noexcept nogil
cdef void free_if_done(Crowd* crowd, uint32_t slot) noexcept nogil
cdef void tick_slot(Crowd* crowd, uint32_t slot) noexcept nogil
cdef void settle_slot(Crowd* crowd, uint32_t slot) noexcept nogil
cdef void evict(Crowd* crowd) noexcept nogil
