"""A batch of sends by one system call: io_uring, where the kernel has it. Plain C: no GIL, no exceptions."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t

cdef extern from "linux/io_uring.h":
    struct io_uring_sqe:
        pass
    struct io_uring_cqe:
        int32_t res

cdef enum:
    RING_SENDS = 32          # in one system call: from here on nothing is saved any more (bench/c/ring_or_send.c)

cdef struct Ring:
    int fd                   # -1: there is none
    uint32_t added
    int32_t sent[RING_SENDS]  # of each send of the last batch, in order: bytes, or minus errno
    uint32_t* sq_head
    uint32_t* sq_tail
    uint32_t sq_mask
    uint32_t* cq_head
    uint32_t* cq_tail
    uint32_t cq_mask
    io_uring_sqe* sqes
    io_uring_cqe* cqes
    uint8_t* queues          # mapped
    size_t queues_size
    size_t sqes_size

cdef void ring_open(Ring* ring) noexcept nogil
cdef void ring_close(Ring* ring) noexcept nogil
cdef void ring_add(Ring* ring, int fd, const uint8_t* data, size_t size) noexcept nogil
cdef void ring_submit(Ring* ring) noexcept nogil
