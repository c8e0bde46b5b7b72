"""What other compiled modules may know of the entries of an answer."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef struct EntryAt:             # where an entry stands in the answer's bytes
    size_t key
    size_t data
    int64_t n
    uint64_t ms                  # its id
    uint64_t seq
    uint32_t key_size
    uint32_t data_size

cdef class Entries:
    cdef bytes raw
    cdef EntryAt* at
    cdef Py_ssize_t size
    cdef Py_ssize_t cap
    cdef readonly size_t size_bytes
    cdef int _reserve(self, Py_ssize_t cap) except -1
    cdef int _append(self, const EntryAt* one) except -1
    cdef tuple _get(self, Py_ssize_t index)
