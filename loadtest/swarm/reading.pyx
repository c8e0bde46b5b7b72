# cython: boundscheck=False, wraparound=False, cdivision=True
"""What a server's frames say, read without decoding their JSON; what a client's frames look like.

Plain C on bytes; knows no sockets. An event's name is read from its beginning and its seq from its end, so the cost
does not grow with what is in between: some 20 ns. The Python functions below are for tests, beside the twin.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp

cdef extern from "string.h" nogil:
    void* memmem(const void* haystack, size_t haystack_size, const void* needle, size_t needle_size)

cdef extern from *:
    int __builtin_clzll(unsigned long long value) nogil

cdef tuple NAMES = ("unreadable", "reply", "event", "hello", "posted")


cdef inline const uint8_t* _skip(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Return the first byte that is no white space of JSON."""
    while at < end and (at[0] == 32 or 9 <= at[0] <= 13):
        at += 1
    return at


cdef inline const uint8_t* _skip_back(const uint8_t* at, const uint8_t* begin) noexcept nogil:
    """Return one behind the last byte before `at` that is no white space."""
    while at > begin and ((at - 1)[0] == 32 or 9 <= (at - 1)[0] <= 13):
        at -= 1
    return at


cdef const uint8_t* _value(const uint8_t* data, const uint8_t* end, const char* name, size_t size) noexcept nogil:
    """Return where the value begins of the first member with this name (quotes included); NULL if there is none."""
    cdef const uint8_t* at = <const uint8_t*>memmem(data, end - data, name, size)
    if at == NULL:
        return NULL
    at = _skip(at + size, end)
    if at == end or at[0] != 58:                # ":"
        return NULL
    at = _skip(at + 1, end)
    return at if at < end else NULL


cdef void _read_reply(const uint8_t* data, const uint8_t* end, Text* out) noexcept nogil:
    cdef const uint8_t* at = _value(data, end, b'"seq_reply"', 11)
    if at == NULL or not 48 <= at[0] <= 57:
        return
    while at < end and 48 <= at[0] <= 57:
        out.number = out.number * 10 + at[0] - 48
        at += 1
    at = _value(data, end, b'"status"', 8)
    out.ok = at != NULL and end - at >= 4 and memcmp(at, b'"OK"', 4) == 0
    out.kind = REPLY


cdef void read_text(const uint8_t* data, size_t size, Text* out) noexcept nogil:
    """Read a text message of the server. An event begins with its name and ends with its seq, as both Tidewire and
    Mattermost write them; white space may be anywhere."""
    cdef const uint8_t* end = data + size
    cdef const uint8_t* at
    cdef const uint8_t* name
    cdef uint64_t scale = 1
    out.kind = UNREADABLE
    out.ok = False
    out.number = 0
    at = _skip(data, end)
    if at == end or at[0] != 123:               # "{"
        return
    at = _skip(at + 1, end)
    if end - at < 8 or memcmp(at, b'"event"', 7) != 0:
        _read_reply(data, end, out)
        return
    at = _skip(at + 7, end)
    if at == end or at[0] != 58:
        return
    name = _skip(at + 1, end)
    # From behind: } digits : "seq"
    at = _skip_back(end, name)
    if at <= name or (at - 1)[0] != 125:
        return
    at = _skip_back(at - 1, name)
    if at <= name or not 48 <= (at - 1)[0] <= 57:
        return
    while at > name and 48 <= (at - 1)[0] <= 57:
        at -= 1
        out.number += (at[0] - 48) * scale
        scale *= 10
    at = _skip_back(at, name)
    if at <= name or (at - 1)[0] != 58:
        return
    at = _skip_back(at - 1, name)
    if at - name < 5 or memcmp(at - 5, b'"seq"', 5) != 0:
        return
    if end - name >= 8 and memcmp(name, b'"posted"', 8) == 0:
        out.kind = POSTED
    elif end - name >= 7 and memcmp(name, b'"hello"', 7) == 0:
        out.kind = HELLO
    else:
        out.kind = EVENT


cdef const uint8_t* find_id(const uint8_t* data, size_t size) noexcept nogil:
    """Return the 26 bytes of the connection id in a `hello`; NULL if there is none. An empty one, as in `broadcast`,
    does not count."""
    cdef const uint8_t* end = data + size
    cdef const uint8_t* at = data
    while True:
        at = _value(at, end, b'"connection_id"', 15)
        if at == NULL:
            return NULL
        if end - at > ID_SIZE + 1 and at[0] == 34 and at[ID_SIZE + 1] == 34:
            return at + 1


cdef int64_t find_mark(const uint8_t* data, size_t size) noexcept nogil:
    """Return the µs since 1970 that follow the first "tw-sent:" as 16 digits; -1 if there is none."""
    cdef const uint8_t* end = data + size
    cdef const uint8_t* at = <const uint8_t*>memmem(data, size, b"tw-sent:", 8)
    cdef int64_t us = 0
    cdef int i
    if at == NULL or end - at < 24:
        return -1
    for i in range(8, 24):
        if not 48 <= at[i] <= 57:
            return -1
        us = us * 10 + at[i] - 48
    return us


cdef void read_head(const uint8_t* data, size_t size, Head* out) noexcept nogil:
    """Read the head of a frame (RFC 6455 5.2); size 0: more bytes are needed."""
    cdef size_t need = 2
    cdef size_t i
    out.size = 0
    if size < 2:
        return
    out.first = data[0]
    out.masked = data[1] & 0x80 != 0
    out.payload = data[1] & 127
    if out.payload == 126:
        need = 4
    elif out.payload == 127:
        need = 10
    if size < need:
        return
    if need > 2:
        out.payload = 0
        for i in range(2, need):
            out.payload = out.payload << 8 | data[i]
    out.size = need


cdef size_t write_frame(uint8_t* out, uint8_t opcode, uint32_t mask, const uint8_t* payload,
                        size_t size) noexcept nogil:
    """Write one unfragmented, masked frame (RFC 6455 5.3) and return its size: at most FRAME_ROOM more than the
    payload's. mask: its bytes as they lie in memory, lowest first."""
    cdef size_t at = 2
    cdef size_t i
    out[0] = 0x80 | opcode
    if size <= 125:
        out[1] = <uint8_t>(0x80 | size)
    elif size <= 65535:
        out[1] = 0x80 | 126
        out[2], out[3] = <uint8_t>(size >> 8), <uint8_t>size
        at = 4
    else:
        out[1] = 0x80 | 127
        for i in range(8):
            out[2 + i] = <uint8_t>(size >> (56 - 8 * i))
        at = 10
    for i in range(4):
        out[at + i] = <uint8_t>(mask >> (8 * i))
    at += 4
    for i in range(size):
        out[at + i] = payload[i] ^ <uint8_t>(mask >> (8 * (i & 3)))
    return at + size


cdef uint32_t bucket_of(uint64_t us) noexcept nogil:
    """Return the bucket of a duration: exact below 64 µs, then 32 for each doubling; the last takes the rest."""
    cdef uint32_t shift, index
    if us < 64:
        return <uint32_t>us
    shift = 58 - __builtin_clzll(us)
    index = (shift << 5) + <uint32_t>(us >> shift)
    return index if index < BUCKETS else BUCKETS - 1


# For tests: the same, on bytes.

def text(bytes data):
    cdef Text out
    read_text(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &out)
    return NAMES[out.kind], out.number, bool(out.ok)


def connection_id(bytes data):
    cdef const uint8_t* found = find_id(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    return b"" if found == NULL else PyBytes_FromStringAndSize(<const char*>found, ID_SIZE)


def mark(bytes data):
    return find_mark(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


def head(bytes data):
    cdef Head out
    read_head(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &out)
    return (out.size, out.first, bool(out.masked), out.payload) if out.size else None


def frame(uint8_t opcode, uint32_t mask, bytes payload):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(payload)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size + FRAME_ROOM)
    size = write_frame(<uint8_t*>PyBytes_AS_STRING(out), opcode, mask,
                       <const uint8_t*>PyBytes_AS_STRING(payload), size)
    return out[:size]


def bucket(uint64_t us):
    return bucket_of(us)
