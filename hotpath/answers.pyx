# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Answers of Redis on the connection that reads the bus (RESP 2): where one ends, and the entries of an XREAD's.

An entry is a line in a table of C until somebody asks for it: most are for nobody here. A general parser makes twelve
Python objects of each; what has another shape is left to it. Knows where the fields of an entry stand, not what they
mean.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcpy, memmove
from cpython.buffer cimport PyBUF_WRITE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.unicode cimport PyUnicode_DecodeASCII

cdef enum:
    ROOM = 1 << 16           # offered to each read at least
    KEPT_MAX = 1 << 21       # a larger buffer is given back once it is empty
    ENTRY_BYTES = 24         # of the smallest entry, on the wire
    BULK_MAX = 1 << 29       # 512 MiB: Redis' own limit of a value
    ARRAY_MAX = 1 << 24
    NUMBER_MAX = 18          # digits: all that surely fit 64 bits
    EVENT_FIELDS = 6         # k, n, e and their values
    COPY_FIELDS = 2          # an ephemeral copy and its name

ctypedef const uint8_t* Bytes

cdef struct Shape:               # of an entry: its id, and where the array of its fields begins
    Bytes place
    int64_t place_size
    Bytes fields


cdef Bytes _number(Bytes at, Bytes end, int64_t* value) noexcept nogil:
    """Read a decimal number and what ends a line; return what follows, NULL if that is not there."""
    cdef bint minus = 0
    cdef int64_t n = 0
    cdef int digits = 0
    if at < end and at[0] == 45:
        minus = 1
        at += 1
    while at < end and 48 <= at[0] <= 57 and digits < NUMBER_MAX:
        n = n * 10 + (at[0] - 48)
        digits += 1
        at += 1
    if digits == 0 or end - at < 2 or at[0] != 13 or at[1] != 10:
        return NULL
    value[0] = -n if minus else n
    return at + 2


cdef Bytes _array(Bytes at, Bytes end, int64_t* count) noexcept nogil:
    return _number(at + 1, end, count) if at != NULL and at < end and at[0] == 42 else NULL


cdef Bytes _bulk(Bytes at, Bytes end, Bytes* data, int64_t* size) noexcept nogil:
    """Read a bulk string; return what follows it, NULL if here is none."""
    if at == NULL or at >= end or at[0] != 36:
        return NULL
    at = _number(at + 1, end, size)
    if at == NULL or size[0] < 0 or end - at < size[0] + 2:
        return NULL
    data[0] = at
    return at + size[0] + 2


cdef class Answers:
    """See answers.pyi. One buffer for all that comes, so that it stays in the cache; an answer is copied out of it.

    To hand the buffer over and take a new one costs more: the kernel clears its pages as they are touched.
    """

    cdef uint8_t* data
    cdef size_t cap
    cdef size_t start            # of the answer that is coming
    cdef size_t at               # values before here are whole
    cdef size_t end
    cdef uint64_t pending        # values that this answer still lacks; 0: between two answers

    def __dealloc__(self):
        free(self.data)

    cdef int _make_room(self, size_t size) except -1:
        """See to it that so many bytes fit behind `end`."""
        cdef size_t cap
        cdef uint8_t* data
        if self.start == self.end:
            self.start = self.at = self.end = 0
            if self.cap > KEPT_MAX:
                free(self.data)
                self.data = NULL
                self.cap = 0
        if self.cap - self.end >= size:
            return 0
        if self.start:
            memmove(self.data, self.data + self.start, self.end - self.start)
            self.at -= self.start
            self.end -= self.start
            self.start = 0
            if self.cap - self.end >= size:
                return 0
        cap = max(self.cap * 2, self.end + size)
        data = <uint8_t*>realloc(self.data, cap)
        if data == NULL:
            raise MemoryError
        self.data = data
        self.cap = cap
        return 0

    def get_buffer(self, Py_ssize_t hint):
        self._make_room(ROOM)
        return PyMemoryView_FromMemory(<char*>self.data + self.end, self.cap - self.end, PyBUF_WRITE)

    def buffer_updated(self, size_t size):
        if size > self.cap - self.end:
            raise ValueError("more than the buffer holds")
        self.end += size

    def feed(self, bytes data not None):
        cdef size_t size = PyBytes_GET_SIZE(data)
        self._make_room(size)
        if size:                         # else there may be no buffer yet
            memcpy(self.data + self.end, PyBytes_AS_STRING(data), size)
        self.end += size

    cdef object _take(self):
        """Return the answer that ends at `at`."""
        taken = PyBytes_FromStringAndSize(<char*>self.data + self.start, self.at - self.start)
        self.start = self.at
        return taken

    def next(self):
        cdef Bytes buffer
        cdef Bytes line
        cdef Bytes end
        cdef int64_t n = 0
        cdef uint8_t kind
        if self.at == self.end:
            return None
        buffer = self.data
        end = buffer + self.end
        if self.pending == 0:
            self.pending = 1
        while self.at < self.end:
            kind = buffer[self.at]
            line = _number(buffer + self.at + 1, end, &n) if kind == 36 or kind == 42 else NULL    # $ and *
            if line == NULL:
                line = <Bytes>memchr(buffer + self.at, 10, self.end - self.at)
                if line == NULL:
                    return None
                if kind != 43 and kind != 45 and kind != 58:   # + - :
                    raise ValueError("not an answer of Redis")
                line += 1
            elif n > (BULK_MAX if kind == 36 else ARRAY_MAX):
                raise ValueError("not an answer of Redis")
            elif kind == 42:
                self.pending += <uint64_t>(n if n > 0 else 0)
            elif n >= 0:
                if end - line < n + 2:
                    return None
                line += n + 2
            self.at = line - buffer
            self.pending -= 1
            if self.pending == 0:
                return self._take()
        return None


cdef class Entries:
    """See answers.pyi."""

    def __dealloc__(self):
        free(self.at)

    cdef int _reserve(self, Py_ssize_t cap) except -1:
        cdef EntryAt* at = <EntryAt*>realloc(self.at, cap * sizeof(EntryAt))
        if at == NULL:
            raise MemoryError
        self.at = at
        self.cap = cap
        return 0

    cdef int _append(self, const EntryAt* one) except -1:
        if self.size == self.cap:
            self._reserve(self.cap * 2)
        self.at[self.size] = one[0]
        self.size += 1
        self.size_bytes += one.data_size
        return 0

    cdef tuple _get(self, Py_ssize_t index):
        cdef EntryAt* one = &self.at[index]
        cdef char* raw = PyBytes_AS_STRING(self.raw)
        return (PyUnicode_DecodeASCII(raw + one.key, one.key_size, NULL), one.n,
                PyBytes_FromStringAndSize(raw + one.data, one.data_size))

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self._get(i) for i in range(*index.indices(self.size))]
        if not -self.size <= index < self.size:
            raise IndexError("no such entry")
        return self._get(index + self.size if index < 0 else index)

    def __iter__(self):
        cdef Py_ssize_t i
        for i in range(self.size):
            yield self._get(i)

    def __eq__(self, other):
        return list(self) == list(other) if isinstance(other, (list, Entries)) else NotImplemented

    def take_copies(self, Py_ssize_t count):
        cdef Py_ssize_t i, first = self.size - count
        cdef char* raw = PyBytes_AS_STRING(self.raw)
        if not 0 <= count <= self.size:
            raise IndexError("not so many entries")
        copies = [PyBytes_FromStringAndSize(raw + self.at[i].data, self.at[i].data_size)
                  for i in range(first, self.size)]
        for i in range(first, self.size):
            self.size_bytes -= self.at[i].data_size
        self.size = first
        return copies

    def place(self, Py_ssize_t index):
        if not 0 <= index < self.size:
            raise IndexError("no such entry")
        return self.at[index].ms, self.at[index].seq


cdef bint _is_ascii(Bytes at, int64_t size) noexcept nogil:
    cdef int64_t i
    for i in range(size):
        if at[i] > 127:
            return 0
    return 1


cdef Bytes _digits(Bytes at, Bytes end, uint64_t* value) noexcept nogil:
    """Read a decimal number; return what follows, NULL if none is there or it may not fit."""
    cdef Bytes start = at
    value[0] = 0
    while at < end and 48 <= at[0] <= 57 and at - start < NUMBER_MAX + 1:
        value[0] = value[0] * 10 + (at[0] - 48)
        at += 1
    return at if 0 < at - start <= NUMBER_MAX else NULL


cdef bint _place(Bytes at, int64_t size, EntryAt* one) noexcept nogil:
    cdef Bytes end = at + size
    at = _digits(at, end, &one.ms)
    if at == NULL or at == end or at[0] != 45:
        return 0
    return _digits(at + 1, end, &one.seq) == end


cdef Bytes _entry(Bytes at, Bytes end, Bytes raw, Entries entries, Shape* shape) except? NULL:
    """Read one entry, say where its id and its fields are; return what follows, NULL if it is none of the bus's."""
    cdef int64_t two = 0, count = 0, size = 0, i
    cdef Bytes data = NULL
    cdef EntryAt one
    one.key = one.key_size = one.n = 0
    at = _array(at, end, &two)
    if at == NULL or two != 2:
        return NULL
    at = _bulk(at, end, &data, &size)
    if at == NULL or not _place(data, size, &one):
        return NULL
    shape.place, shape.place_size, shape.fields = data, size, at
    at = _array(at, end, &count)
    if at == NULL or (count != EVENT_FIELDS and count != COPY_FIELDS):
        return NULL
    for i in range(count):
        at = _bulk(at, end, &data, &size)
        if at == NULL:
            return NULL
        if i == count - 1:
            one.data = data - raw
            one.data_size = <uint32_t>size
        elif i == 1:
            if not _is_ascii(data, size):
                return NULL
            one.key = data - raw
            one.key_size = <uint32_t>size
        elif i == 3:
            if _number(data, end, &one.n) != data + size + 2:
                return NULL
    entries._append(&one)
    return at


def shape_streams(bytes raw not None):
    cdef Bytes start = <Bytes>PyBytes_AS_STRING(raw)
    cdef Bytes at = start
    cdef Bytes end = at + PyBytes_GET_SIZE(raw)
    cdef Bytes name = NULL
    cdef int64_t streams = 0, two = 0, size = 0, count = 0, _i, _k
    cdef list found = []
    cdef Entries entries = Entries()
    cdef Shape last
    entries.raw = raw
    at = _array(at, end, &streams)
    if at == NULL or streams < 1:
        return None
    for _i in range(streams):
        at = _array(at, end, &two)
        if at == NULL or two != 2:
            return None
        at = _bulk(at, end, &name, &size)
        at = _array(at, end, &count)
        if at == NULL or count < 1:
            return None
        entries._reserve(entries.size + min(count, (end - at) // ENTRY_BYTES + 1))
        for _k in range(count):
            at = _entry(at, end, start, entries, &last)
            if at == NULL:
                return None
        found.append((PyBytes_FromStringAndSize(<char*>name, size), count,
                      PyBytes_FromStringAndSize(<char*>last.place, last.place_size),
                      PyBytes_FromStringAndSize(<char*>last.fields, at - last.fields)))
    return (entries, found) if at == end else None
