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
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        /* Not TCP (a test's socket pair): nothing to switch off. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
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
