"""The system calls that slots and gate use. Declarations only."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <sys/epoll.h>
    #include <sys/eventfd.h>
    #include <sys/socket.h>
    #include <unistd.h>
    static inline void tw_prepare_socket(int fd) {
        int one = 1;
        /* The kernel doubles it. Some 170 posts on their way: enough for 1 MB/s over 200 ms, and a client that read
           quickly and then stopped does not hold the 4 MiB to which the kernel's own tuning may have grown. */
        int send_buffer = 128 * 1024;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        /* A test's socket pair is no TCP and stays as it is. */
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0)
            setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    }
    """
    int errno
    int EAGAIN, EWOULDBLOCK, EINTR, MSG_DONTWAIT, SHUT_WR
    int EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
    int EFD_NONBLOCK, EFD_CLOEXEC
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags) nogil
    int epoll_ctl(int epoll, int op, int fd, epoll_event* event) nogil
    int epoll_wait(int epoll, epoll_event* events, int size, int timeout) nogil
    int eventfd(unsigned int value, int flags) nogil
    int close(int fd) nogil
    int shutdown(int fd, int how) nogil
    Py_ssize_t read(int fd, void* data, size_t size) nogil
    Py_ssize_t write(int fd, const void* data, size_t size) nogil
    Py_ssize_t recv(int fd, void* data, size_t size, int flags) nogil
    void tw_prepare_socket(int fd) nogil
