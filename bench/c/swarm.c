/* Many WebSocket clients in one process that polls without sleeping, so that a sender never pays for waking it.
 *
 * swarm PORT TOKENS_FILE COUNT
 *
 * Connects to 127.0.0.1:PORT from many addresses of 127.0.0.0/8, logs in by the tokens (first word of each line), waits
 * for every `hello` and prints "ready COUNT". Then reads commands:
 *
 *   expect K       poll until K more `posted` events have come to every connection, then print
 *                  "done NANOSECONDS GAPS": CLOCK_MONOTONIC of the last one, and breaks in `seq` since the start
 *   stamp K FILE   the same, and write to FILE when each of them was read: K times COUNT int64, by event
 *   totals         print "totals SUM LEAST MOST GAPS": `posted` events in all, least and most of one connection
 *
 * Without a command it sleeps until something comes.
 * Answers pings at all times. A connection that ends, or 60 s without the expected events, ends the process with 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CLIENTS = 60000, BUFFER = 1 << 18, WINDOW = 128, PER_ADDRESS = 200, STDIN = MAX_CLIENTS };
enum { PATIENCE_S = 60, FEW = 100, NAP_NS = 20000 };

typedef enum { CONNECTING, UPGRADING, GREETED, OPEN } State;
typedef struct {
    int fd;
    State state;
    uint64_t next_seq, posted;
    unsigned char *partial;  /* the start of a frame whose end has not come */
    size_t partial_length;
} Client;

static Client clients[MAX_CLIENTS];
static char tokens[MAX_CLIENTS][64];
static int count, started, ready, poll_fd;
static uint64_t posted, target, gaps;
static int64_t *stamps;  /* of the events from `stamped` on, `stamp_count` of them; NULL: none are taken */
static uint64_t stamped, stamp_count;
static uint16_t port;
static unsigned char buffer[BUFFER];

static void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("swarm: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void watch(int fd, uint32_t number, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.u32 = number};
    if (epoll_ctl(poll_fd, operation, fd, &event)) die("epoll: %s", strerror(errno));
}

static void start_one(void) {
    int number = started++, one = 1;
    Client *client = &clients[number];
    uint32_t host = (127u << 24) + (1u << 16) + (uint32_t)(number / PER_ADDRESS) * 256 + 1;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) die("socket: %s", strerror(errno));
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(client->fd, (struct sockaddr *)&from, sizeof from)) die("bind: %s", strerror(errno));
    if (connect(client->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) die("connect: %s", strerror(errno));
    watch(client->fd, (uint32_t)number, EPOLLOUT, EPOLL_CTL_ADD);
}

static void ask_upgrade(int number) {
    char request[512];
    Client *client = &clients[number];
    int size = snprintf(request, sizeof request,
                        "GET /api/v4/websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\nAuthorization: Bearer %s\r\n\r\n", port, tokens[number]);
    if (send(client->fd, request, (size_t)size, MSG_NOSIGNAL) != size) die("client %d: %s", number, strerror(errno));
    client->state = UPGRADING;
    watch(client->fd, (uint32_t)number, EPOLLIN, EPOLL_CTL_MOD);
}

/* An event's text ends with "seq":N}; the number is read from behind. */
static void on_text(Client *client, const unsigned char *text, size_t length) {
    if (length < 24 || memcmp(text, "{\"event\":\"", 10)) return; /* a reply */
    if (!memcmp(text + 10, "hello\"", 6)) {
        client->next_seq = 0;
        if (client->state == GREETED) {
            client->state = OPEN;
            ready++;
            if (started < count) start_one();
        }
    }
    uint64_t seq = 0, scale = 1;
    const unsigned char *at = text + length - 2;
    for (; at > text && *at >= '0' && *at <= '9'; at--, scale *= 10) seq += (uint64_t)(*at - '0') * scale;
    if (seq != client->next_seq) gaps++;
    client->next_seq = seq + 1;
    if (memcmp(text + 10, "posted\"", 7)) return;
    if (stamps && client->posted - stamped < stamp_count)
        stamps[(client->posted - stamped) * (uint64_t)count + (uint64_t)(client - clients)] = now_ns();
    client->posted++;
    posted++;
}

static void on_frame(int number, unsigned char first, const unsigned char *payload, size_t length) {
    Client *client = &clients[number];
    int opcode = first & 15;
    if (opcode == 1) on_text(client, payload, length);
    else if (opcode == 9) {
        /* RFC 6455 5.3: clients mask; with a key of zeros the masked payload is the payload. */
        unsigned char pong[6 + 125] = {0x8a, (unsigned char)(0x80 | length)};
        memcpy(pong + 6, payload, length);
        if (send(client->fd, pong, 6 + length, MSG_NOSIGNAL) < 0) die("client %d: %s", number, strerror(errno));
    } else if (opcode == 8)
        die("client %d was closed: %d", number, length > 1 ? payload[0] << 8 | payload[1] : 1005);
}

/* Return how many bytes of whole frames were used. */
static size_t parse(int number, const unsigned char *data, size_t size) {
    size_t used = 0;
    while (size - used >= 2) {
        const unsigned char *at = data + used;
        size_t header = 2, length = at[1] & 127;
        if (length == 126) header = 4;
        if (length == 127) header = 10;
        if (size - used < header) break;
        if (header > 2) {
            length = 0;
            for (size_t i = 2; i < header; i++) length = length << 8 | at[i];
        }
        if (length > BUFFER / 2) die("client %d: a frame of %zu bytes", number, length);
        if (size - used < header + length) break;
        on_frame(number, at[0], at + header, length);
        used += header + length;
    }
    return used;
}

static void on_readable(int number) {
    Client *client = &clients[number];
    size_t held = client->partial_length;
    if (held) memcpy(buffer, client->partial, held);
    ssize_t got = recv(client->fd, buffer + held, sizeof buffer - held, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) die("client %d: connection ended in state %d: %s", number, client->state, got ? strerror(errno) : "closed");
    size_t size = held + (size_t)got, used = 0;
    if (client->state == UPGRADING) {
        unsigned char *end = memmem(buffer, size, "\r\n\r\n", 4);
        if (end) {
            if (memcmp(buffer, "HTTP/1.1 101", 12)) die("client %d: %.60s", number, buffer);
            client->state = GREETED;
            used = (size_t)(end + 4 - buffer);
        }
    }
    if (client->state != UPGRADING) used += parse(number, buffer + used, size - used);
    client->partial_length = size - used;
    if (client->partial_length) {
        client->partial = realloc(client->partial, client->partial_length);
        if (!client->partial) die("out of memory");
        memcpy(client->partial, buffer + used, client->partial_length);
    }
}

/* Redis and the driver share this core. After a yield they may have to wait for a slice of 3 ms, which many clients are busy
 * for anyway; few would see some 300 events a second, and the server's own timers would weigh as much as the events. */
static void give_way(void) {
    if (count > FEW) sched_yield();
    else nanosleep(&(struct timespec){0, NAP_NS}, NULL);
}

static int poll_once(int timeout_ms) {
    struct epoll_event events[256];
    int found = epoll_wait(poll_fd, events, 256, timeout_ms), command = 0;
    for (int i = 0; i < found; i++) {
        uint32_t number = events[i].data.u32;
        if (number == STDIN) command = 1;
        else if (clients[number].state == CONNECTING) ask_upgrade((int)number);
        else on_readable((int)number);
    }
    if (found <= 0 && !timeout_ms) give_way();
    return command;
}

static void read_tokens(const char *name) {
    FILE *file = fopen(name, "r");
    if (!file) die("%s: %s", name, strerror(errno));
    char line[512];
    int lines = 0;
    while (lines < count && fgets(line, sizeof line, file))
        if (sscanf(line, "%63s", tokens[lines]) == 1) lines++;
    fclose(file);
    if (lines < count) die("%s has %d tokens, %d are needed", name, lines, count);
}

static void write_stamps(const char *name) {
    FILE *file = fopen(name, "wb");
    size_t size = (size_t)stamp_count * (size_t)count;
    if (!file || fwrite(stamps, sizeof *stamps, size, file) != size || fclose(file)) die("%s: %s", name, strerror(errno));
    free(stamps);
    stamps = NULL;
}

static void print_totals(void) {
    uint64_t least = clients[0].posted, most = least;
    for (int i = 1; i < count; i++) {
        if (clients[i].posted < least) least = clients[i].posted;
        if (clients[i].posted > most) most = clients[i].posted;
    }
    printf("totals %llu %llu %llu %llu\n", (unsigned long long)posted, (unsigned long long)least,
           (unsigned long long)most, (unsigned long long)gaps);
    fflush(stdout);
}

int main(int words, char **args) {
    if (words != 4) die("usage: swarm PORT TOKENS_FILE COUNT");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1000); /* naps of 20 µs, not of 70 */
    port = (uint16_t)atoi(args[1]);
    count = atoi(args[3]);
    if (count < 1 || count > MAX_CLIENTS) die("COUNT must be 1 to %d", MAX_CLIENTS);
    read_tokens(args[2]);
    poll_fd = epoll_create1(0);
    int64_t deadline = now_ns() + PATIENCE_S * 1000000000LL;
    while (started < count && started < WINDOW) start_one();
    while (ready < count) {
        poll_once(100);
        if (now_ns() > deadline) die("%d of %d connections are ready after %d s", ready, count, PATIENCE_S);
    }
    printf("ready %d\n", ready);
    fflush(stdout);
    watch(0, STDIN, EPOLLIN, EPOLL_CTL_ADD);
    char line[512];
    for (;;) {
        if (!poll_once(-1)) continue;
        long events;
        if (!fgets(line, sizeof line, stdin)) return 0;
        if (!strcmp(line, "totals\n")) {
            print_totals();
            continue;
        }
        char name[256] = "";
        if (sscanf(line, "expect %ld", &events) != 1 && sscanf(line, "stamp %ld %255s", &events, name) != 2)
            die("unknown command %s", line);
        if (*name) {
            stamped = clients[0].posted; /* all that came before has come to everyone */
            stamp_count = (uint64_t)events;
            stamps = calloc((size_t)events * (size_t)count, sizeof *stamps);
            if (!stamps) die("out of memory");
        }
        target += (uint64_t)events * (uint64_t)count;
        deadline = now_ns() + PATIENCE_S * 1000000000LL;
        while (posted < target) {
            poll_once(0);
            if (now_ns() > deadline) die("%llu of %llu events came", (unsigned long long)posted, (unsigned long long)target);
        }
        int64_t done_at = now_ns();
        if (*name) write_stamps(name);
        printf("done %lld %llu\n", (long long)done_at, (unsigned long long)gaps);
        fflush(stdout);
    }
}
