/* What the trials of sending share: pairs of connected TCP sockets, a reader on another core, this process's CPU time. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void bind_to(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void read_all(const int *sockets, int count, volatile uint64_t *total)
{
    struct epoll_event events[256];
    static char buffer[1 << 18];
    int epoll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = sockets[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i], &event);
    }
    for (;;)
        for (int n = epoll_wait(epoll, events, 256, 0); n > 0; n--) {
            ssize_t got = recv(events[n - 1].data.fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (got > 0)
                *total += got;
        }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Connect `count` pairs of sockets over loopback. room: bytes of our send buffers, 0 for the kernel's choice. */
static int connect_pairs(int count, int *ours, int *theirs, int room)
{
    int one = 1;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 128);
    getsockname(listener, (struct sockaddr *)&address, &length);
    for (int i = 0; i < count; i++) {
        theirs[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(theirs[i], (struct sockaddr *)&address, length) || (ours[i] = accept(listener, NULL, NULL)) < 0)
            return perror("connect"), -1;
        setsockopt(ours[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (room)
            setsockopt(ours[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
    return 0;
}

/* Let a child read on the last core without sleeping, and stay on the first. *total: bytes it has read. */
static pid_t start_reader(const int *sockets, int count, volatile uint64_t **total)
{
    *total = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t reader = fork();
    if (!reader) {
        bind_to(sysconf(_SC_NPROCESSORS_ONLN) - 1);
        read_all(sockets, count, *total);
    }
    bind_to(0);
    return reader;
}
