"""What other compiled modules may call of hotpath.frames. Everything here is plain C: no GIL, no exceptions."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum Found:
    NEED_MORE = 0
    TEXT = 1
    BINARY = 2
    PING = 3
    PONG = 4
    CLOSE = 5
    BROKEN = 6

cdef struct Limits:
    uint64_t max_message     # bytes of one message, all fragments together
    uint32_t max_fragments   # frames of one message

# What a connection remembers between two reads. All zero is the valid start.
cdef struct Reader:
    uint8_t* body            # the message so far; NULL unless a message is only partly here
    uint8_t* control         # the payload so far of a control frame that is only partly here
    uint64_t body_len
    uint64_t body_cap
    uint64_t left            # payload bytes of the current frame still to come
    uint32_t fragments
    uint8_t head[14]
    uint8_t head_len
    uint8_t control_len
    uint8_t in_payload
    uint8_t fin
    uint8_t opcode           # of the current frame
    uint8_t message          # opcode of the open message, 0 if none is open
    uint8_t utf8             # decoder state, 0 at a character boundary
    uint8_t mask_at          # position in the mask, 0..3
    uint8_t ended            # 1 after CLOSE or BROKEN: everything later is ignored
    uint8_t deflate          # permessage-deflate was agreed on: a message may be compressed (RFC 7692)
    uint8_t packed           # the open message is compressed

cdef struct Frame:
    uint8_t* data            # borrowed: from the caller's buffer or from Reader.body; see reader_parse
    size_t size
    uint16_t code            # CLOSE: the peer's code (1005 if none); BROKEN: the code to answer with
    const char* why          # BROKEN: a word for the log
    uint8_t packed           # TEXT, BINARY: compressed; the caller inflates it and checks the UTF-8 of a text

cdef Found reader_parse(Reader* r, const Limits* limits, uint8_t* data, size_t size, size_t* used,
                        Frame* out) noexcept nogil
cdef void reader_done(Reader* r) noexcept nogil
cdef void reader_fail(Reader* r) noexcept nogil
cdef void reader_clear(Reader* r) noexcept nogil
cdef bint reader_at_rest(const Reader* r) noexcept nogil
cdef uint32_t encode_head(uint8_t* out, uint8_t opcode, uint64_t size) noexcept nogil
cdef uint8_t utf8_check(uint8_t state, const uint8_t* data, size_t size) noexcept nogil
