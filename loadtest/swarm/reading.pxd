"""What crowd may call of reading. Everything here is plain C: no GIL, no exceptions."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum Kind:
    UNREADABLE = 0
    REPLY = 1
    EVENT = 2
    HELLO = 3
    POSTED = 4

cdef enum:
    BUCKETS = 1024
    ID_SIZE = 26
    FRAME_ROOM = 14          # bytes that write_frame() may put before a payload

cdef struct Text:
    Kind kind
    bint ok                  # REPLY: its status is OK
    uint64_t number          # seq of an event, seq_reply of a reply

cdef struct Head:
    size_t size              # of the head itself; 0: it is not complete
    uint64_t payload
    uint8_t first            # FIN, reserved bits and opcode
    bint masked

cdef void read_text(const uint8_t* data, size_t size, Text* out) noexcept nogil
cdef const uint8_t* find_id(const uint8_t* data, size_t size) noexcept nogil
cdef int64_t find_mark(const uint8_t* data, size_t size) noexcept nogil
cdef void read_head(const uint8_t* data, size_t size, Head* out) noexcept nogil
cdef size_t write_frame(uint8_t* out, uint8_t opcode, uint32_t mask, const uint8_t* payload,
                        size_t size) noexcept nogil
cdef uint32_t bucket_of(uint64_t us) noexcept nogil
