"""The system calls of the crowd, and two small functions around them. Declarations only."""

from libc.stdint cimport int64_t, uint16_t, uint32_t

cdef extern from *:
    """
    #include <arpa/inet.h>
    #include <netinet/tcp.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <time.h>
    #include <unistd.h>
    static inline int64_t swarm_clock_us(clockid_t clock) {
        struct timespec time;
        clock_gettime(clock, &time);
        return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
    }
    /* Return a socket that is being connected, or -1 with errno. from: source address, 0: the kernel's choice. */
    static int swarm_connect(uint32_t from, uint32_t to, uint16_t port) {
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(to)};
        struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
        if (fd < 0) return -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        /* The port is chosen by connect(), so that each address has them all for each target. */
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if ((from && bind(fd, (struct sockaddr *)&source, sizeof source))
            || (connect(fd, (struct sockaddr *)&target, sizeof target) && errno != EINPROGRESS)) {
            int why = errno;
            close(fd);
            errno = why;
            return -1;
        }
        return fd;
    }
    static int swarm_socket_error(int fd) {
        int error = 0;
        socklen_t size = sizeof error;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
    }
    """
    ctypedef int clockid_t
    clockid_t CLOCK_MONOTONIC, CLOCK_REALTIME
    int64_t swarm_clock_us(clockid_t clock) nogil
    int swarm_connect(uint32_t source, uint32_t target, uint16_t port) nogil
    int swarm_socket_error(int fd) nogil
    int EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CLOEXEC
    int MSG_DONTWAIT, MSG_NOSIGNAL
    ctypedef union epoll_data_t:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags) nogil
    int epoll_ctl(int epoll, int op, int fd, epoll_event* event) nogil
    int epoll_wait(int epoll, epoll_event* events, int size, int timeout) nogil
    int close(int fd) nogil
    Py_ssize_t recv(int fd, void* data, size_t size, int flags) nogil
    Py_ssize_t send(int fd, const void* data, size_t size, int flags) nogil

cdef extern from "string.h" nogil:
    void* memmem(const void* haystack, size_t haystack_size, const void* needle, size_t needle_size)
