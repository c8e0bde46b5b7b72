/* The yardstick: the least that a server can do which sends every event to every connection by one send() each.
 *
 * send_loop REDIS_SOCKET STREAM PREFIX_FILE
 *
 * Listens on a free port of 127.0.0.1 and prints "port N". Answers any request with 101 and a `hello` frame. For each
 * entry of the Redis stream, whatever is in it, sends one text frame to every connection: the prefix, then `},"seq":N}`
 * with the connection's own number. No log-in, no audience, no queue: a socket that does not take a frame ends the run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_FDS = 1 << 16, REPLY_MAX = 1 << 20, PREFIX_MAX = 60000 };

typedef struct { uint64_t seq; int open; } Connection;

static Connection connections[MAX_FDS];
static int order[MAX_FDS], opened;            /* descriptors in the order in which they came */
static unsigned char frame[PREFIX_MAX + 64];  /* header, prefix, tail; only the tail and the length change */
static size_t prefix_length;
static char reply[REPLY_MAX];
static size_t replied;
static char last_id[64] = "$";

static void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("send_loop: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

/* Return what follows one RESP value, or NULL if it is not complete. Depth 3 holds entries; each begins with its id. */
static const char *walk(const char *at, const char *end, int depth, int *entries) {
    const char *line = memchr(at, '\n', (size_t)(end - at));
    if (!line) return NULL;
    long size = strtol(at + 1, NULL, 10);
    const char *next = line + 1;
    if (*at == '$' && size >= 0) {
        if (end - next < size + 2) return NULL;
        if (depth == 4 && entries) snprintf(last_id, sizeof last_id, "%.*s", (int)size, next);
        return next + size + 2;
    }
    if (*at == '*')
        for (long i = 0; i < size; i++) {
            /* the id is the first member of an entry; the second is its array of fields */
            next = walk(next, end, depth + 1, depth == 3 && i ? NULL : entries);
            if (!next) return NULL;
            if (depth == 2 && entries) ++*entries;
        }
    return next;
}

static void ask(int redis, const char *stream) {
    char request[512];
    int size = snprintf(request, sizeof request,
                        "*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
                        strlen(stream), stream, strlen(last_id), last_id);
    if (send(redis, request, (size_t)size, MSG_NOSIGNAL) != size) die("redis: %s", strerror(errno));
}

static void send_event(void) {
    unsigned char *tail = frame + 4 + prefix_length;
    for (int i = 0; i < opened; i++) {
        Connection *connection = &connections[order[i]];
        if (!connection->open) continue;
        size_t length = prefix_length + (size_t)sprintf((char *)tail, "},\"seq\":%llu}", (unsigned long long)connection->seq++);
        frame[2] = (unsigned char)(length >> 8);
        frame[3] = (unsigned char)length;
        if (send(order[i], frame, length + 4, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length + 4)
            die("a socket did not take its frame: %s", strerror(errno));
    }
}

static void on_redis(int redis, const char *stream) {
    ssize_t got = recv(redis, reply + replied, sizeof reply - replied, 0);
    if (got <= 0) die("redis is gone");
    replied += (size_t)got;
    int entries = 0;
    if (!walk(reply, reply + replied, 0, &entries)) return;
    if (*reply == '-') die("redis: %.*s", (int)replied, reply);
    replied = 0;
    while (entries--) send_event();
    ask(redis, stream);
}

static void on_client(int fd) {
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: -\r\n\r\n"
        "\x81\x32{\"event\":\"hello\",\"broadcast\":{},\"data\":{},\"seq\":0}";
    char request[16384];
    ssize_t got = recv(fd, request, sizeof request, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        connections[fd].open = 0;
        close(fd);
        return;
    }
    if (connections[fd].open || got < 4 || memcmp(request + got - 4, "\r\n\r\n", 4)) return;
    if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) return;
    connections[fd] = (Connection){.seq = 1, .open = 1};
    order[opened++] = fd;
}

static void watch(int poll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event)) die("epoll: %s", strerror(errno));
}

int main(int count, char **args) {
    if (count != 4) die("usage: send_loop REDIS_SOCKET STREAM PREFIX_FILE");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    FILE *file = fopen(args[3], "rb");
    if (!file) die("%s: %s", args[3], strerror(errno));
    prefix_length = fread(frame + 4, 1, PREFIX_MAX, file);
    frame[0] = 0x81;
    frame[1] = 126; /* RFC 6455 5.2: a 16-bit length follows; the prefix is never below 126 bytes */

    struct sockaddr_un path = {.sun_family = AF_UNIX};
    snprintf(path.sun_path, sizeof path.sun_path, "%s", args[1]);
    int redis = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(redis, (struct sockaddr *)&path, sizeof path)) die("%s: %s", args[1], strerror(errno));

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) die("listen: %s", strerror(errno));
    getsockname(listener, (struct sockaddr *)&address, &size);

    int poll = epoll_create1(0);
    watch(poll, redis);
    watch(poll, listener);
    ask(redis, args[2]);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd, one = 1;
            if (fd == redis) on_redis(redis, args[2]);
            else if (fd != listener) on_client(fd);
            else
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    if (fd >= MAX_FDS) die("too many connections");
                    connections[fd].open = 0;
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    watch(poll, fd);
                }
        }
    }
}
