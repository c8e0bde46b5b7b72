"""What other compiled modules may call of hotpath.outbox. Plain C: no GIL, no exceptions."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

cdef enum:
    TAIL_MENTION = 1
    TAIL_FOLLOW = 2
    TAIL_ACK = 4
    TAIL_BITS = 7
    PACKED = 8               # goes out compressed where the connection agreed on it
    ENTRY_BITS = 15          # kept in the low bits of a ring entry: malloc aligns to 16
    USER_ID_MAX = 26
    MARKS = 512              # frames carried by one system call at most
    PIECES = 64              # pieces of memory handed to one system call at most
    PERSONAL_MAX = 512       # shared bytes of a personal event
    BLANKS_MAX = 8           # ids to be filled in to them
    PERSONAL_ROOM = PERSONAL_MAX + BLANKS_MAX * USER_ID_MAX

# The bytes of one event that all its receivers share. They follow the struct in the same allocation.
cdef struct Shared:
    Shared* older            # the shelf's list, while rings refer to it
    Shared* newer
    uint64_t order           # position in that list, rising
    uint32_t rings           # references from rings
    int32_t holds            # atomic: 1 for the Event object, 1 for the shelf; freed at 0
    uint32_t size
    uint32_t packed_size
    uint8_t* packed          # compressed once, when the first connection wants it so; see hotpath.deflate
    uint8_t pack_tried
    uint8_t droppable
    uint8_t blanks           # NULs that stand for the receiver's own id: one event for many, each named in his copy
    void* shelf              # the only shelf it may stand on; NULL before its first delivery

# All shared bytes that rings refer to, oldest first, and the budget for them and the rings.
cdef struct Shelf:
    Shared* oldest
    Shared* newest
    uint64_t order           # of the next Shared
    uint64_t bytes           # shared bytes and rings
    uint64_t ring_bytes      # of these, the rings
    uint64_t evicted         # events that a connection lost to the budget

# A frame of one connection that is no event: reply, pong, ping, close, or the rest of a frame partly sent.
cdef struct Note:
    Note* next
    uint64_t at              # goes out before the event of this seq
    uint32_t size

# Send queue and resume ring of one connection. All zero is the valid start. 56 bytes: with what a fan-out asks of a
# slot it fills one line of the processor's cache.
#   base = next - kept, cursor = next - waits;  [base, cursor) is sent and kept for resume;  [cursor, next) waits
cdef struct Outbox:
    uintptr_t* ring          # Shared* | ENTRY_BITS, at seq & (cap - 1); with cap 1 the entry itself: outbox_ring()
    uint64_t next            # seq of the next event
    Note* first
    Note* last
    uint32_t kept            # events in the ring
    uint32_t waits           # of these, not sent yet
    uint32_t notes
    uint32_t sent            # bytes of the first waiting frame that are already out
    uint32_t cap             # a power of two, or 0
    uint8_t deflate          # the connection takes compressed messages; as long as its socket lives

# What outbox_fill() gathered: the memory to send, and the sizes of the frames in it.
cdef struct Piece:           # as the kernel's struct iovec
    const uint8_t* data
    size_t size

cdef struct Marks:
    Piece piece[PIECES]
    uint32_t pieces
    uint32_t count
    uint32_t size[MARKS]
    uint8_t is_note[MARKS]

cdef Shared* shared_new(const uint8_t* data, size_t size, bint droppable) noexcept nogil
cdef size_t personal_fill(uint8_t* out, const Shared* shared, const uint8_t* user, uint8_t user_size) noexcept nogil
cdef void shared_pack(Shelf* shelf, Shared* shared, const uint8_t* data, size_t size) noexcept nogil
cdef void shared_let_go(Shared* shared) noexcept nogil
cdef inline uint8_t* shared_data(Shared* shared) noexcept nogil:
    return <uint8_t*>(shared + 1)

cdef inline uintptr_t* outbox_ring(Outbox* box) noexcept nogil:
    return box.ring if box.cap > 1 else <uintptr_t*>&box.ring

cdef inline uint64_t outbox_base(const Outbox* box) noexcept nogil:
    return box.next - box.kept

cdef inline uint64_t outbox_cursor(const Outbox* box) noexcept nogil:
    return box.next - box.waits

cdef inline uint64_t outbox_waiting(const Outbox* box) noexcept nogil:
    return <uint64_t>box.waits + box.notes

cdef bint outbox_push(Shelf* shelf, Outbox* box, Shared* shared, uint8_t bits, uint32_t retain) noexcept nogil
cdef bint outbox_note(Outbox* box, uint8_t opcode, const uint8_t* data, uint32_t size) noexcept nogil
cdef bint outbox_raw(Outbox* box, const uint8_t* data, uint32_t size) noexcept nogil
cdef size_t outbox_fill(Outbox* box, const uint8_t* user, uint8_t user_size, bint notes_only, bint joined,
                        uint8_t* out, size_t room, Marks* marks) noexcept nogil
cdef void outbox_advance(Outbox* box, size_t sent, const Marks* marks) noexcept nogil
cdef bint outbox_stash(Outbox* box, const uint8_t* user, uint8_t user_size) noexcept nogil
cdef void outbox_drop_notes(Outbox* box, bint keep_started) noexcept nogil
cdef void outbox_restart(Shelf* shelf, Outbox* box) noexcept nogil
cdef void outbox_trim(Shelf* shelf, Outbox* box, uint32_t retain) noexcept nogil
cdef uint64_t shelf_floor(const Shelf* shelf, uint64_t goal) noexcept nogil
cdef bint outbox_evict(Shelf* shelf, Outbox* box, uint64_t floor) noexcept nogil
cdef size_t encode_event(uint8_t* out, const Shared* shared, uint8_t bits, const uint8_t* user,
                         uint8_t user_size, uint64_t seq, uint32_t* head_size) noexcept nogil
