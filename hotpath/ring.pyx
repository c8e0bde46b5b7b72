# cython: boundscheck=False, wraparound=False, cdivision=True
"""A batch of sends by one system call, through io_uring.

Every send carries MSG_DONTWAIT, so it ends while it is submitted: when ring_submit() returns, the kernel is through
with the memory, and nothing is under way. So there is no state between two batches, and giving the ring up at any time
is safe. Called by one thread only, the one that opened it: the kernel insists (IORING_SETUP_SINGLE_ISSUER).
"""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <errno.h>
    #include <linux/io_uring.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    /* Headers may be older than the kernel. */
    #ifndef IORING_SETUP_SUBMIT_ALL
    #define IORING_SETUP_SUBMIT_ALL (1U << 7)
    #endif
    #ifndef IORING_SETUP_SINGLE_ISSUER
    #define IORING_SETUP_SINGLE_ISSUER (1U << 12)
    #endif
    #ifndef IORING_SETUP_DEFER_TASKRUN
    #define IORING_SETUP_DEFER_TASKRUN (1U << 13)
    #endif
    #define tw_setup(entries, p) ((int)syscall(SYS_io_uring_setup, (entries), (p)))
    #define tw_enter(fd, submit, wait) \
        ((int)syscall(SYS_io_uring_enter, (fd), (submit), (wait), IORING_ENTER_GETEVENTS, NULL, 0))
    #define tw_map(size, fd, at) \
        mmap(NULL, (size), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, (fd), (at))
    #define tw_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define tw_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    static inline void tw_send_entry(struct io_uring_sqe *sqe, int fd, const void *data, size_t size, unsigned n) {
        memset(sqe, 0, sizeof *sqe);
        sqe->opcode = IORING_OP_SEND;
        sqe->fd = fd;
        sqe->addr = (uintptr_t)data;
        sqe->len = (unsigned)size;
        sqe->msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
        sqe->user_data = n;
    }
    /* The send that an entry describes, as a call of its own: bytes or minus errno. */
    static inline int tw_send_now(const struct io_uring_sqe *sqe) {
        ssize_t sent = send(sqe->fd, (const void *)(uintptr_t)sqe->addr, sqe->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent < 0 ? -errno : (int)sent;
    }
    """
    enum: IORING_SETUP_SUBMIT_ALL, IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_DEFER_TASKRUN
    enum: IORING_OFF_SQ_RING, IORING_OFF_SQES, IORING_FEAT_SINGLE_MMAP
    struct io_sqring_offsets:
        uint32_t head, tail, ring_mask, array
    struct io_cqring_offsets:
        uint32_t head, tail, ring_mask, cqes
    struct io_uring_params:
        uint32_t sq_entries, cq_entries, flags, features
        io_sqring_offsets sq_off
        io_cqring_offsets cq_off
    int errno, EINTR, EIO
    void* MAP_FAILED
    void* memset(void* to, int byte, size_t size) nogil
    int munmap(void* at, size_t size) nogil
    int close(int fd) nogil
    int tw_setup(unsigned int entries, io_uring_params* p) nogil
    int tw_enter(int fd, unsigned int submit, unsigned int wait) nogil
    void* tw_map(size_t size, int fd, uint64_t at) nogil
    uint32_t tw_load(uint32_t* p) nogil
    void tw_store(uint32_t* p, uint32_t value) nogil
    void tw_send_entry(io_uring_sqe* sqe, int fd, const void* data, size_t size, unsigned int n) nogil
    int tw_send_now(const io_uring_sqe* sqe) nogil
    ctypedef struct _Completion "struct io_uring_cqe":
        uint64_t user_data
        int32_t res


cdef void ring_open(Ring* ring) noexcept nogil:
    """Make a ring; fd is -1 where the kernel has none, is older than 6.1, or does not permit it."""
    cdef io_uring_params p
    cdef uint32_t i
    cdef uint32_t* array
    cdef size_t sq, cq
    cdef void* mapped
    memset(ring, 0, sizeof(Ring))
    memset(&p, 0, sizeof(p))
    p.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
    ring.fd = tw_setup(RING_SENDS, &p)
    if ring.fd < 0:
        ring.fd = -1
        return
    if not p.features & IORING_FEAT_SINGLE_MMAP:
        ring_close(ring)
        return
    sq = p.sq_off.array + p.sq_entries * sizeof(uint32_t)
    cq = p.cq_off.cqes + p.cq_entries * sizeof(_Completion)
    ring.queues_size = sq if sq > cq else cq
    mapped = tw_map(ring.queues_size, ring.fd, IORING_OFF_SQ_RING)
    if mapped == MAP_FAILED:
        ring_close(ring)
        return
    ring.queues = <uint8_t*>mapped
    ring.sqes_size = p.sq_entries * 64       # io_uring_setup(2): an entry has 64 bytes
    mapped = tw_map(ring.sqes_size, ring.fd, IORING_OFF_SQES)
    if mapped == MAP_FAILED:
        ring_close(ring)
        return
    ring.sqes = <io_uring_sqe*>mapped
    ring.sq_head = <uint32_t*>(ring.queues + p.sq_off.head)
    ring.sq_tail = <uint32_t*>(ring.queues + p.sq_off.tail)
    ring.sq_mask = (<uint32_t*>(ring.queues + p.sq_off.ring_mask))[0]
    ring.cq_head = <uint32_t*>(ring.queues + p.cq_off.head)
    ring.cq_tail = <uint32_t*>(ring.queues + p.cq_off.tail)
    ring.cq_mask = (<uint32_t*>(ring.queues + p.cq_off.ring_mask))[0]
    ring.cqes = <io_uring_cqe*>(ring.queues + p.cq_off.cqes)
    array = <uint32_t*>(ring.queues + p.sq_off.array)
    for i in range(p.sq_entries):
        array[i] = i


cdef void ring_close(Ring* ring) noexcept nogil:
    """Give the ring up; nothing happens if there is none."""
    if ring.fd < 0:
        return
    if ring.sqes != NULL:
        munmap(ring.sqes, ring.sqes_size)
    if ring.queues != NULL:
        munmap(ring.queues, ring.queues_size)
    close(ring.fd)
    ring.fd = -1


cdef void ring_add(Ring* ring, int fd, const uint8_t* data, size_t size) noexcept nogil:
    """Add a send to the batch, which holds RING_SENDS at most. The data must stay until ring_submit() returns."""
    tw_send_entry(&ring.sqes[(ring.sq_tail[0] + ring.added) & ring.sq_mask], fd, data, size, ring.added)
    ring.added += 1


cdef void ring_submit(Ring* ring) noexcept nogil:
    """Do the batch; ring.sent has an outcome for each send. A ring that fails is closed, and send() does the rest."""
    cdef uint32_t n = ring.added, taken, done = 0, head, tail = ring.sq_tail[0], i
    cdef _Completion* completion
    cdef int got
    for i in range(n):
        ring.sent[i] = -EIO                      # never stays so, unless the kernel loses one: then that socket ends
    tw_store(ring.sq_tail, tail + n)
    got = tw_enter(ring.fd, n, n)
    taken = tw_load(ring.sq_head) - tail
    while True:
        head = ring.cq_head[0]
        while head != tw_load(ring.cq_tail):
            completion = <_Completion*>&ring.cqes[head & ring.cq_mask]
            if completion.user_data < n:
                ring.sent[completion.user_data] = completion.res
            done += 1
            head += 1
        tw_store(ring.cq_head, head)
        if done >= taken or (got < 0 and errno != EINTR):
            break
        got = tw_enter(ring.fd, 0, taken - done)     # a signal came between
    ring.added = 0
    if taken < n:
        for i in range(taken, n):
            ring.sent[i] = tw_send_now(&ring.sqes[(tail + i) & ring.sq_mask])
        ring_close(ring)
