/* Where does it begin to pay to hand the kernel three pieces (head, shared bytes, tail) instead of one copy of them?
 *
 *   gcc -O2 -o copy_or_iovec bench/c/copy_or_iovec.c && ./copy_or_iovec [SOCKETS] [ROUNDS]
 *
 * One event to SOCKETS connected TCP sockets, by turns with send() of a copy and with sendmsg() of three iovecs; a child
 * reads on another core without sleeping. Prints CPU microseconds of this process per delivery, median of 9 turns.
 */
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
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TURNS = 9, HEAD = 4, TAIL = 24 };
static const int SIZES[] = {700, 1400, 2800, 4096, 8192, 16384, 32768, 65536};

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

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 500, rounds = argc > 2 ? atoi(argv[2]) : 10, one = 1, room = 4 << 20;
    int *ours = calloc(count, sizeof *ours), *theirs = calloc(count, sizeof *theirs);
    volatile uint64_t *total = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t sent = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 128);
    getsockname(listener, (struct sockaddr *)&address, &length);
    for (int i = 0; i < count; i++) {
        theirs[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(theirs[i], (struct sockaddr *)&address, length) || (ours[i] = accept(listener, NULL, NULL)) < 0)
            return perror("connect"), 1;
        setsockopt(ours[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(ours[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
    pid_t reader = fork();
    if (!reader) {
        bind_to(sysconf(_SC_NPROCESSORS_ONLN) - 1);
        read_all(theirs, count, total);
    }
    bind_to(0);
    char *shared = malloc(1 << 17), *scratch = malloc(1 << 17), head[HEAD] = "head", tail[TAIL] = "},\"seq\":1234567890123}";
    memset(shared, 'x', 1 << 17);
    printf("%d sockets, CPU us per delivery\n%10s %8s %8s %8s\n", count, "bytes", "copy", "iovec", "ratio");
    for (unsigned s = 0; s < sizeof SIZES / sizeof *SIZES; s++) {
        double cost[2][TURNS], ratio[TURNS];
        int size = SIZES[s];
        for (int turn = -1; turn < TURNS; turn++)
            for (int k = 0; k < 2; k++) {
                int vectors = k ^ (turn & 1);
                double spent = 0;
                for (int round = 0; round < rounds; round++) {
                    double start = cpu_us();
                    for (int i = 0; i < count; i++) {
                        ssize_t out;
                        tail[8] = '0' + i % 10;
                        if (vectors) {
                            struct iovec parts[] = {{head, HEAD}, {shared, size}, {tail, TAIL}};
                            struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
                            out = sendmsg(ours[i], &message, MSG_NOSIGNAL | MSG_DONTWAIT);
                        } else {
                            memcpy(scratch, head, HEAD);
                            memcpy(scratch + HEAD, shared, size);
                            memcpy(scratch + HEAD + size, tail, TAIL);
                            out = send(ours[i], scratch, HEAD + size + TAIL, MSG_NOSIGNAL | MSG_DONTWAIT);
                        }
                        if (out != HEAD + size + TAIL)
                            return fprintf(stderr, "short write: %zd\n", out), kill(reader, SIGKILL), 1;
                        sent += out;
                    }
                    spent += cpu_us() - start;
                    while (*total < sent)
                        usleep(200);
                }
                if (turn >= 0)
                    cost[vectors][turn] = spent / rounds / count;
            }
        for (int turn = 0; turn < TURNS; turn++)
            ratio[turn] = cost[1][turn] / cost[0][turn];
        qsort(cost[0], TURNS, sizeof(double), by_value);
        qsort(cost[1], TURNS, sizeof(double), by_value);
        qsort(ratio, TURNS, sizeof(double), by_value);
        printf("%10d %8.2f %8.2f %8.2f (%.2f-%.2f)\n", size, cost[0][TURNS / 2], cost[1][TURNS / 2], ratio[TURNS / 2],
               ratio[0], ratio[TURNS - 1]);
    }
    kill(reader, SIGKILL);
    waitpid(reader, NULL, 0);
    return 0;
}
