# cython: boundscheck=False, wraparound=False
"""What the event loop remembers of a connection and of a user, in one small object each: ids are kept inside it.

Ids and numbers only; what they mean is gateway/connection.py's and gateway/hub.py's. A connection with its ids takes
128 bytes, a Python object with __slots__ 400. Neither can be part of a cycle, so the collector need not look at
thousands of them; a Python subclass would bring it back, with 16 bytes for each.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef extern from "string.h":
    size_t strnlen(const char* text, size_t most) noexcept nogil

cdef enum:
    ID_MAX = 26
    TABLE_START = 8
    # The places of `rare`.
    WAITING = 0
    LOOKS_AT = 1
    WELCOME = 2


cdef int _put(char* place, str value) except -1:
    """Write an id, ASCII, behind which zeros stand."""
    cdef bytes text = value.encode("ascii")
    if PyBytes_GET_SIZE(text) > ID_MAX or b"\0" in text:
        raise ValueError("not an id")
    memset(place, 0, ID_MAX)
    memcpy(place, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return 0


cdef inline str _get(const char* place):
    return PyUnicode_DecodeASCII(place, strnlen(place, ID_MAX), NULL)


cdef tuple STATES = tuple(range(256))


def name_states(states):
    global STATES
    STATES = tuple(states)


@cython.no_gc
cdef class Seat:
    """See seat.pyi."""

    cdef public str user_id
    cdef public str remote
    cdef list rare                 # None until one of the three is set
    cdef public int64_t expires_at
    cdef public double seen_at
    cdef public double allowance_at
    cdef public float allowance
    cdef public uint32_t slot
    cdef public uint8_t bits
    cdef uint8_t state_number
    cdef uint8_t hello
    cdef char session[ID_MAX]
    cdef char connection[ID_MAX]

    def __init__(self, uint32_t slot, str remote not None, int bits, double now, double allowance):
        self.slot = slot
        self.remote = remote
        self.bits = <uint8_t>bits
        self.seen_at = self.allowance_at = now
        self.allowance = allowance
        self.user_id = ""

    @property
    def state(self):
        return STATES[self.state_number]

    @state.setter
    def state(self, uint8_t value):
        self.state_number = value

    @property
    def greeted(self):
        return self.hello != 0

    @greeted.setter
    def greeted(self, bint value):
        self.hello = value

    @property
    def session_id(self):
        return _get(self.session)

    @session_id.setter
    def session_id(self, str value not None):
        _put(self.session, value)

    @property
    def connection_id(self):
        return _get(self.connection)

    @connection_id.setter
    def connection_id(self, str value not None):
        _put(self.connection, value)

    @property
    def waiting(self):
        return _rare(self, WAITING)

    @waiting.setter
    def waiting(self, value):
        _set_rare(self, WAITING, value)

    @property
    def looks_at(self):
        return _rare(self, LOOKS_AT)

    @looks_at.setter
    def looks_at(self, value):
        _set_rare(self, LOOKS_AT, value)

    @property
    def welcome(self):
        return _rare(self, WELCOME)

    @welcome.setter
    def welcome(self, value):
        _set_rare(self, WELCOME, value)


cdef object _rare(Seat seat, int place):
    return None if seat.rare is None else seat.rare[place]


cdef int _set_rare(Seat seat, int place, value) except -1:
    if seat.rare is None:
        if value is None:
            return 0
        seat.rare = [None, None, None]
    seat.rare[place] = value
    if seat.rare == [None, None, None]:
        seat.rare = None
    return 0


@cython.no_gc
cdef class Owner:
    """See seat.pyi."""

    cdef readonly str user_id
    cdef object held               # the only seat, or a tuple of them
    cdef char* block               # of keys
    cdef uint32_t size
    cdef public str roles
    cdef public int64_t n

    def __cinit__(self, str user_id not None, str roles not None, bytes keys not None, int64_t n):
        self.user_id = user_id
        self.roles = roles
        self.keys = keys
        self.n = n
        self.held = ()

    def __dealloc__(self):
        PyMem_Free(self.block)

    @property
    def keys(self):
        return PyBytes_FromStringAndSize(self.block, self.size)

    @keys.setter
    def keys(self, bytes value not None):
        cdef char* block = <char*>PyMem_Malloc(PyBytes_GET_SIZE(value))
        if block == NULL:
            raise MemoryError
        PyMem_Free(self.block)
        self.block = block
        self.size = <uint32_t>PyBytes_GET_SIZE(value)
        memcpy(block, PyBytes_AS_STRING(value), self.size)

    @property
    def connections(self):
        return self.held if isinstance(self.held, tuple) else (self.held,)

    @connections.setter
    def connections(self, tuple seats not None):
        self.held = seats[0] if len(seats) == 1 else seats


cdef class SeatTable:
    """See seat.pyi. Open addressing over borrowed ids: 8 bytes an entry, at most two thirds of them in use."""

    cdef PyObject** table
    cdef uint32_t size             # a power of two
    cdef uint32_t used

    def __cinit__(self):
        self.table = <PyObject**>PyMem_Calloc(TABLE_START, sizeof(PyObject*))
        if self.table == NULL:
            raise MemoryError
        self.size = TABLE_START

    def __dealloc__(self):
        cdef uint32_t i
        if self.table != NULL:
            for i in range(self.size):
                if self.table[i] != NULL:
                    Py_DECREF(<Seat>self.table[i])
            PyMem_Free(self.table)

    cdef uint32_t _home(self, const char* name) noexcept:
        """Return where a name belongs. Ids are random but for their beginning, so their end is as good as a hash."""
        cdef uint64_t end
        memcpy(&end, name + ID_MAX - 8, 8)
        if end == 0:
            memcpy(&end, name, 8)      # a short one
        return <uint32_t>((end * <uint64_t>0x9E3779B97F4A7C15) >> 32) & (self.size - 1)

    cdef uint32_t _find(self, const char* name) noexcept:
        """Return the place of a name, or the free one where it would go."""
        cdef uint32_t i = self._home(name)
        while self.table[i] != NULL and memcmp((<Seat>self.table[i]).connection, name, ID_MAX) != 0:
            i = (i + 1) & (self.size - 1)
        return i

    cdef int _resize(self, uint32_t size) except -1:
        cdef PyObject** old = self.table
        cdef uint32_t i, count = self.size
        self.table = <PyObject**>PyMem_Calloc(size, sizeof(PyObject*))
        if self.table == NULL:
            self.table = old
            raise MemoryError
        self.size = size
        for i in range(count):
            if old[i] != NULL:
                self.table[self._find((<Seat>old[i]).connection)] = old[i]
        PyMem_Free(old)
        return 0

    def add(self, Seat seat not None):
        cdef uint32_t i
        if (self.used + 1) * 3 > self.size * 2:
            self._resize(self.size * 2)
        i = self._find(seat.connection)
        Py_INCREF(seat)
        if self.table[i] != NULL:
            Py_DECREF(<Seat>self.table[i])
        else:
            self.used += 1
        self.table[i] = <PyObject*>seat

    def discard(self, Seat seat not None):
        cdef uint32_t i = self._find(seat.connection), gap, home, mask = self.size - 1
        if self.table[i] != <PyObject*>seat:
            return
        self.table[i] = NULL
        self.used -= 1
        # Close the gap: move back every later entry of the run that may stand there.
        gap = i
        i = (i + 1) & mask
        while self.table[i] != NULL:
            home = self._home((<Seat>self.table[i]).connection)
            if ((i - home) & mask) >= ((i - gap) & mask):
                self.table[gap] = self.table[i]
                self.table[i] = NULL
                gap = i
            i = (i + 1) & mask
        Py_DECREF(seat)
        if self.size > TABLE_START and self.used * 6 < self.size:
            self._resize(self.size // 2)

    def get(self, str connection_id not None):
        cdef char[ID_MAX] name
        cdef uint32_t i
        try:
            _put(name, connection_id)
        except ValueError:
            return None
        i = self._find(name)
        return None if self.table[i] == NULL else <Seat>self.table[i]

    def __getitem__(self, str connection_id not None):
        seat = self.get(connection_id)
        if seat is None:
            raise KeyError(connection_id)
        return seat

    def __contains__(self, str connection_id not None):
        return self.get(connection_id) is not None

    def __len__(self):
        return self.used
