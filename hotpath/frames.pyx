# cython: boundscheck=False, wraparound=False, cdivision=True
"""WebSocket frames (RFC 6455): a streaming parser for what clients send, and the heads of what we send.

Knows bytes only: no sockets, no events, no memory beyond one partial message per Reader. The parser is a nogil
function over the plain struct Reader, so that a fuzzer can drive it. Every limit is checked as soon as the head
of a frame is known, before anything is allocated for its payload. Compressed messages are marked, not inflated.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset
from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE

cdef enum:
    OP_CONTINUATION = 0
    OP_TEXT = 1
    OP_BINARY = 2
    OP_CLOSE = 8
    OP_PING = 9
    OP_PONG = 10
    UTF8_REJECT = 12

# Byte classes and transitions of Björn Höhrmann's decoder (states are multiples of 12; 0 accepts, 12 rejects).
# https://bjoern.hoehrmann.de/utf-8/decoder/dfa/
cdef const uint8_t* UTF8_CLASS = (
    b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    b"\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t"
    b"\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7"
    b"\x08\x08\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2\2"
    b"\n\3\3\3\3\3\3\3\3\3\3\3\3\4\3\3\x0b\6\6\6\5\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08"
)
cdef const uint8_t* UTF8_NEXT = (
    b"\x00\x0c\x18\x24\x3c\x60\x54\x0c\x0c\x0c\x30\x48"
    b"\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c"
    b"\x0c\x00\x0c\x0c\x0c\x0c\x0c\x00\x0c\x00\x0c\x0c"
    b"\x0c\x18\x0c\x0c\x0c\x0c\x0c\x18\x0c\x18\x0c\x0c"
    b"\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x18\x0c\x0c\x0c\x0c"
    b"\x0c\x18\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x18\x0c\x0c"
    b"\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x24\x0c\x24\x0c\x0c"
    b"\x0c\x24\x0c\x0c\x0c\x0c\x0c\x24\x0c\x24\x0c\x0c"
    b"\x0c\x24\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c"
)


cdef uint8_t utf8_check(uint8_t state, const uint8_t* data, size_t size) noexcept nogil:
    """Return the decoder's state after these bytes: 0 between characters, 12 for ever once invalid."""
    cdef size_t i = 0
    cdef uint64_t word
    while i < size:
        if state == 0 and i + 8 <= size:
            memcpy(&word, data + i, 8)
            if not (word & <uint64_t>0x8080808080808080):
                i += 8
                continue
        state = UTF8_NEXT[state + UTF8_CLASS[data[i]]]
        if state == UTF8_REJECT:
            return state
        i += 1
    return state


cdef inline uint8_t _unmask(uint8_t* out, const uint8_t* data, size_t size, const uint8_t* mask,
                            uint8_t at) noexcept nogil:
    """Copy data to out (may be the same place) and remove the mask from position `at` on. Return the next one."""
    cdef uint8_t turned[8]
    cdef uint64_t wide, word
    cdef size_t i = 0
    cdef int k
    for k in range(8):
        turned[k] = mask[(at + k) & 3]
    memcpy(&wide, turned, 8)
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        word ^= wide
        memcpy(out + i, &word, 8)
        i += 8
    while i < size:
        out[i] = data[i] ^ turned[i & 7]
        i += 1
    return <uint8_t>((at + size) & 3)


cdef inline Found _broken(Reader* r, Frame* out, uint16_t code, const char* why) noexcept nogil:
    reader_fail(r)
    out.data = NULL
    out.size = 0
    out.code = code
    out.why = why
    return BROKEN


cdef inline int _is_control(uint8_t opcode) noexcept nogil:
    return opcode & 8


cdef inline uint64_t _limit(const Reader* r, const Limits* limits) noexcept nogil:
    """Return how many bytes of the open message may come; deflate makes what it can't shorten a little longer."""
    return limits.max_message + (limits.max_message // 8 + 64 if r.packed else 0)


cdef const char* _check_start(Reader* r) noexcept nogil:
    """Check the first two bytes of a head (RFC 6455 5.2, 5.4, 5.5); NULL if they are in order."""
    cdef uint8_t opcode = r.head[0] & 0x0F
    cdef uint8_t size = r.head[1] & 0x7F
    if r.head[0] & 0x70:
        # RFC 7692 6: RSV1 marks a compressed message, on its first frame only.
        if r.head[0] & 0x30 or not r.deflate or (opcode != OP_TEXT and opcode != OP_BINARY):
            return "reserved bit"
    if (opcode > OP_BINARY and opcode < OP_CLOSE) or opcode > OP_PONG:
        return "reserved opcode"
    if not (r.head[1] & 0x80):
        return "unmasked"                     # 5.1: a client must mask
    if _is_control(opcode):
        if not (r.head[0] & 0x80):
            return "fragmented control frame"
        if size > 125:
            return "long control frame"
    elif opcode == OP_CONTINUATION:
        if r.message == 0:
            return "nothing to continue"
    elif r.message != 0:
        return "message inside a message"
    return NULL


cdef int _close_code_allowed(uint16_t code) noexcept nogil:
    # RFC 6455 7.4.1, 7.4.2 and the IANA registry (1012-1014); 1004-1006 and 1015 never appear on the wire.
    return (1000 <= code <= 1003) or (1007 <= code <= 1014) or (3000 <= code <= 4999)


cdef int _reserve(Reader* r, uint64_t need, uint64_t limit) noexcept nogil:
    """Make room for `need` bytes of message: doubling, never beyond the limit. 0 if memory is out."""
    cdef uint64_t cap = r.body_cap
    cdef uint8_t* body
    if need <= cap:
        return 1
    cap = cap * 2 if cap * 2 > need else need
    if cap > limit:
        cap = limit
    body = <uint8_t*>realloc(r.body, cap)
    if body == NULL:
        return 0
    r.body = body
    r.body_cap = cap
    return 1


cdef Found _finish_control(Reader* r, uint8_t* data, size_t size, Frame* out) noexcept nogil:
    cdef uint16_t code = 1005
    out.data = data
    out.size = size
    if r.opcode == OP_PING:
        return PING
    if r.opcode == OP_PONG:
        return PONG
    if size == 1:
        return _broken(r, out, 1002, "close code of one byte")
    if size >= 2:
        code = <uint16_t>((data[0] << 8) | data[1])
        if not _close_code_allowed(code):
            return _broken(r, out, 1002, "close code not allowed")
        if utf8_check(0, data + 2, size - 2) != 0:
            return _broken(r, out, 1007, "close reason not UTF-8")
        out.data = data + 2
        out.size = size - 2
    out.code = code
    r.ended = 1
    return CLOSE


cdef Found reader_parse(Reader* r, const Limits* limits, uint8_t* data, size_t size, size_t* used,
                        Frame* out) noexcept nogil:
    """Take bytes until one whole message or control frame is there, or the bytes are used up.

    data is written to (the mask is removed in place). used: how many bytes were taken.
    out.data is borrowed, from `data` or from the reader: it is gone after reader_done(), which the caller must
    call after every TEXT, BINARY, PING, PONG or CLOSE, before the next reader_parse().
    """
    cdef size_t at = 0, take, need
    cdef uint64_t total
    cdef uint8_t size7
    cdef uint8_t* mask
    cdef uint8_t* start
    cdef const char* wrong
    cdef int i
    used[0] = size
    if r.ended:
        return NEED_MORE
    while True:
        if not r.in_payload:
            # The head: 2 bytes, then 0, 2 or 8 bytes of length, then 4 bytes of mask.
            while True:
                need = 2
                if r.head_len >= 2:
                    size7 = r.head[1] & 0x7F
                    need = 2 + (8 if size7 == 127 else 2 if size7 == 126 else 0)
                    if r.head_len >= need:
                        if r.head_len == need:
                            # The length is known now: refuse before the mask, before any allocation.
                            total = size7
                            if size7 >= 126:
                                total = 0
                                for i in range(2, <int>need):
                                    total = (total << 8) | r.head[i]
                                if (total >> 63) or total < (65536 if size7 == 127 else 126):
                                    return _broken(r, out, 1002, "length not minimal")  # 5.2
                            if not _is_control(r.head[0]) and total > _limit(r, limits) - r.body_len:
                                return _broken(r, out, 1009, "message too big")
                            r.left = total
                        need += 4
                        if r.head_len == need:
                            break
                if at == size:
                    return NEED_MORE
                r.head[r.head_len] = data[at]
                r.head_len += 1
                at += 1
                if r.head_len == 2:
                    wrong = _check_start(r)
                    if wrong != NULL:
                        return _broken(r, out, 1002, wrong)
                    if not _is_control(r.head[0]):
                        if (r.head[0] & 0x0F) != OP_CONTINUATION:
                            r.message = r.head[0] & 0x0F
                            r.packed = (r.head[0] >> 6) & 1
                            r.fragments = 0
                            r.utf8 = 0
                        r.fragments += 1
                        if r.fragments > limits.max_fragments:
                            return _broken(r, out, 1008, "too many fragments")
            r.fin = r.head[0] >> 7
            r.opcode = r.head[0] & 0x0F
            r.mask_at = 0
            r.in_payload = 1
        mask = r.head + r.head_len - 4
        take = size - at
        if take > r.left:
            take = r.left
        start = data + at

        if _is_control(r.opcode):
            if take == r.left and r.control_len == 0:
                _unmask(start, start, take, mask, 0)
            else:
                if r.control == NULL:
                    r.control = <uint8_t*>malloc(125)
                    if r.control == NULL:
                        return _broken(r, out, 1011, "out of memory")
                r.mask_at = _unmask(r.control + r.control_len, start, take, mask, r.mask_at)
                r.control_len += <uint8_t>take
                start = r.control
            r.left -= take
            at += take
            if r.left:
                return NEED_MORE
            take = r.control_len if start == r.control else take
            r.head_len = 0
            r.in_payload = 0
            used[0] = at
            return _finish_control(r, start, take, out)

        if not (take == r.left and r.fin and r.body_len == 0):
            # Only a part of the message is here: keep it aside.
            if take:
                if not _reserve(r, r.body_len + take, _limit(r, limits)):
                    return _broken(r, out, 1011, "out of memory")
                memcpy(r.body + r.body_len, start, take)
                start = r.body + r.body_len
                r.body_len += take
        if take:
            r.mask_at = _unmask(start, start, take, mask, r.mask_at)
            if r.message == OP_TEXT and not r.packed:
                r.utf8 = utf8_check(r.utf8, start, take)
                if r.utf8 == UTF8_REJECT:
                    return _broken(r, out, 1007, "not UTF-8")
        r.left -= take
        at += take
        if r.left:
            return NEED_MORE
        r.head_len = 0
        r.in_payload = 0
        if not r.fin:
            continue
        if r.message == OP_TEXT and r.utf8 != 0:
            return _broken(r, out, 1007, "not UTF-8")
        out.data = start
        out.size = take
        out.packed = r.packed
        if r.body_len:
            out.data = r.body
            out.size = r.body_len
        used[0] = at
        size7 = r.message
        r.message = 0
        return TEXT if size7 == OP_TEXT else BINARY


cdef void reader_done(Reader* r) noexcept nogil:
    """Give back the memory of the message or control frame that was just returned; an open message stays."""
    if r.control != NULL:
        free(r.control)
        r.control = NULL
    r.control_len = 0
    if r.message == 0 and r.body != NULL:
        free(r.body)
        r.body = NULL
        r.body_len = 0
        r.body_cap = 0


cdef void reader_fail(Reader* r) noexcept nogil:
    """Give back all memory and ignore what comes from now on."""
    reader_clear(r)
    r.ended = 1


cdef void reader_clear(Reader* r) noexcept nogil:
    """Give back all memory and return to the start."""
    free(r.body)
    free(r.control)
    memset(r, 0, sizeof(Reader))


cdef bint reader_at_rest(const Reader* r) noexcept nogil:
    """Tell whether a new reader would do as well: no message is open, no frame begun, and the end has not come."""
    return not (r.ended or r.head_len or r.in_payload or r.message)


cdef uint32_t encode_head(uint8_t* out, uint8_t opcode, uint64_t size) noexcept nogil:
    """Write the head of an unfragmented server frame (RFC 6455 5.2): 2, 4 or 10 bytes. Return how many."""
    cdef int i
    out[0] = 0x80 | opcode
    if size <= 125:
        out[1] = <uint8_t>size
        return 2
    if size <= 65535:
        out[1] = 126
        out[2] = <uint8_t>(size >> 8)
        out[3] = <uint8_t>size
        return 4
    out[1] = 127
    for i in range(8):
        out[2 + i] = <uint8_t>(size >> (56 - 8 * i))
    return 10


def encode_frame(int opcode, bytes payload not None):
    """Return one unfragmented, unmasked frame."""
    cdef uint8_t head[10]
    cdef uint32_t n = encode_head(head, <uint8_t>opcode, PyBytes_GET_SIZE(payload))
    return PyBytes_FromStringAndSize(<char*>head, n) + payload


cdef class Parser:
    """The parser as an object, for tests and fuzzing; the gate uses the struct directly."""

    cdef Reader reader
    cdef Limits limits

    def __cinit__(self, uint64_t max_message, uint32_t max_fragments, bint deflate=False):
        memset(&self.reader, 0, sizeof(Reader))
        self.reader.deflate = deflate
        self.limits.max_message = max_message
        self.limits.max_fragments = max_fragments

    def __dealloc__(self):
        reader_clear(&self.reader)

    def feed(self, bytes data not None):
        """Return what became complete: ("text"|"binary"|"ping"|"pong", payload), ("close", code, reason) or
        ("error", code, why). After the last two nothing follows. "packed text" and "packed binary" are compressed."""
        cdef bytearray copy = bytearray(data)
        cdef uint8_t* at = copy
        cdef size_t left = len(copy), used = 0
        cdef Frame frame
        cdef Found found
        cdef bytes payload
        result = []
        while True:
            found = reader_parse(&self.reader, &self.limits, at, left, &used, &frame)
            at += used
            left -= used
            if found == NEED_MORE:
                return result
            if found == BROKEN:
                result.append(("error", frame.code, (<bytes>frame.why).decode("ascii")))
                return result
            payload = PyBytes_FromStringAndSize(<char*>frame.data, frame.size)
            reader_done(&self.reader)
            if found == CLOSE:
                result.append(("close", frame.code, payload))
            else:
                name = ("", "text", "binary", "ping", "pong")[<int>found]
                result.append(("packed " + name if found <= BINARY and frame.packed else name, payload))

    @property
    def held_bytes(self):
        """Bytes kept aside for a partial message."""
        return self.reader.body_cap
