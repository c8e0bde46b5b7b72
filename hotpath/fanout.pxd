"""What other compiled modules may call of hotpath.fanout."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from hotpath.outbox cimport Shared
from hotpath.slots cimport Crowd

cdef enum:
    HINT_OMIT = 128
    SCRATCH = 262144         # bytes carried by one system call at most

cdef class Event:
    cdef Shared* shared

cdef class SlotSet:
    cdef uint32_t* items
    cdef uint32_t* table     # open addressing: position in items + 1; NULL while the set is small
    cdef uint32_t size
    cdef uint32_t cap
    cdef uint32_t table_size
    cdef uint32_t _find(self, uint32_t slot) noexcept
    cdef int _insert(self, uint32_t slot) except -1
    cdef int _remove(self, uint32_t slot) noexcept
    cdef int _rebuild(self, uint32_t size) except -1

cdef void mark_dirty(Crowd* crowd, uint32_t slot) noexcept nogil
cdef void mark(Crowd* crowd, uint32_t slot, uint16_t flag) noexcept nogil
cdef void watch(Crowd* crowd, uint32_t slot, bint add) noexcept nogil
cdef int fan_out(Crowd* crowd, Shared* shared, const uint32_t* slots, uint32_t count, uint8_t require,
                 uint8_t forbid, bint hinted) noexcept nogil
cdef bint flush_dirty(Crowd* crowd, uint64_t budget_ns) noexcept nogil
cdef void flush_slot(Crowd* crowd, uint32_t slot) noexcept nogil
