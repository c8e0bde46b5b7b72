/* The authors of bench.posts, each on a keep-alive connection of his own.
 *
 * poster PORT TOKENS_FILE CHANNEL_ID CONNECTIONS REPLIES_PERCENT MENTIONS
 *
 * A post has 3 to 27 words and names so many members; a reply answers the author's last root. Lines on stdin:
 * `go SECONDS [RATE]`; then it answers `done POSTS FAILED P50_MS P99_MS`. Anything but 201 has failed. Without a RATE
 * each author sends the next post when the last is answered. With one, so many posts a second fall due at random times
 * (Poisson), each goes out by an author who is free, and waiting for one counts.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
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
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { ID = 26, USERS_MAX = 20000, ANSWER_MAX = 1 << 18, REQUEST_MAX = 8192, AT_ONCE = 64 };

typedef struct { char token[ID + 1], id[ID + 1], name[65]; } User;
typedef struct {
    int fd;
    const User *user;
    char root[ID + 1], *answer;
    size_t got;
    double due_at;
} Author;

/* Words of ordinary length; what they mean costs nobody anything. */
static const char *const words[] = {"tide", "wire", "a",   "harbour", "of",         "the", "seagull",
                                    "and",  "on",   "morning", "lighthouse", "we", "sail", "to"};
static User users[USERS_MAX];
static int user_count;
static const char *channel_id;
static int replies_percent, mentions;
static double *times;
static size_t time_count, time_room;
static long number;

static void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("poster: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void read_users(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) die("%s: %s", path, strerror(errno));
    char line[512];
    while (user_count < USERS_MAX && fgets(line, sizeof line, file)) {
        User *user = &users[user_count];
        user_count += sscanf(line, "%26s %26s %64s", user->token, user->id, user->name) == 3;
    }
    fclose(file);
    if (!user_count) die("%s names no user", path);
}

static void connect_author(Author *author, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    author->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (author->fd < 0 || connect(author->fd, (struct sockaddr *)&address, sizeof address)) die("port %d: %s", port, strerror(errno));
    setsockopt(author->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    author->answer = malloc(ANSWER_MAX + 1);
    if (!author->answer) die("no memory");
}

/* due_at: when its time counts from. */
static void send_post(Author *author, double due_at) {
    char body[REQUEST_MAX / 2], request[REQUEST_MAX];
    const char *root = rand() % 100 < replies_percent ? author->root : "";
    size_t n = (size_t)sprintf(body, "{\"channel_id\":\"%s\",\"message\":\"", channel_id);
    for (int left = 3 + rand() % 25; left; left--)
        n += (size_t)sprintf(body + n, "%s%s", words[(size_t)rand() % (sizeof words / sizeof *words)], left > 1 ? " " : "");
    for (int i = 0, first = rand(); i < mentions; i++)
        n += (size_t)sprintf(body + n, " @%s", users[(first + i) % user_count].name);
    n += (size_t)sprintf(body + n,
                         "\",\"root_id\":\"%s\",\"file_ids\":[],\"props\":{},\"metadata\":{},\"create_at\":0,"
                         "\"pending_post_id\":\"%s:%d-%ld\"}", root, author->user->id, (int)getpid(), ++number);
    int size = sprintf(request,
                       "POST /api/v4/posts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                       "Content-Length: %zu\r\n\r\n%s", author->user->token, n, body);
    author->due_at = due_at;
    author->got = 0;
    if (send(author->fd, request, (size_t)size, MSG_NOSIGNAL) != size) die("send: %s", strerror(errno));
}

/* Read; return the status once the answer is whole, else 0. */
static int receive(Author *author) {
    ssize_t more = recv(author->fd, author->answer + author->got, ANSWER_MAX - author->got, 0);
    if (more <= 0) die("the server has closed a connection");
    author->got += (size_t)more;
    author->answer[author->got] = 0;
    const char *body = strstr(author->answer, "\r\n\r\n"), *length = strcasestr(author->answer, "content-length:");
    if (!body || !length || length > body) return 0;
    body += 4;
    if (author->got - (size_t)(body - author->answer) < strtoul(length + 15, NULL, 10)) return 0;
    const char *id = strstr(body, "\"id\":\"");
    if (id && strlen(id) > 6 + ID && strstr(body, "\"root_id\":\"\"")) memcpy(author->root, id + 6, ID);
    return atoi(author->answer + 9);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void note_time(double seconds) {
    if (time_count == time_room) {
        time_room = time_room ? 2 * time_room : 1 << 16;
        times = realloc(times, time_room * sizeof *times);
        if (!times) die("no memory");
    }
    times[time_count++] = seconds;
}

static double until_next(double rate) { return -log((rand() + 1.0) / (RAND_MAX + 2.0)) / rate; }

static void wake_at(int timer, double at) {
    double whole = floor(at);
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)whole, .tv_nsec = (long)((at - whole) * 1e9) + 1}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL)) die("timer: %s", strerror(errno));
}

static void run(Author *authors, int count, int epoll, int timer, double seconds, double rate) {
    Author **idle = malloc((size_t)count * sizeof *idle);
    if (!idle) die("no memory");
    int idle_count = 0;
    long failed = 0;
    double start = now(), end = start + seconds, due_at = start;
    time_count = 0;
    while (idle_count < count) idle[idle_count] = &authors[idle_count], idle_count++;
    for (;;) {
        double at = now();
        while (idle_count && due_at < end && due_at <= at) {
            send_post(idle[--idle_count], rate > 0 ? due_at : at);
            if (rate > 0) due_at += until_next(rate);
        }
        if (rate <= 0 && at >= end) due_at = end;
        if (due_at >= end && idle_count == count) break;
        if (idle_count && due_at < end) wake_at(timer, due_at);
        struct epoll_event events[AT_ONCE];
        int ready = epoll_wait(epoll, events, AT_ONCE, -1);
        for (int i = 0; i < ready; i++) {
            Author *author = events[i].data.ptr;
            uint64_t times_up;
            if (!author) {
                if (read(timer, &times_up, sizeof times_up) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
                continue;
            }
            int status = receive(author);
            if (!status) continue;
            note_time(now() - author->due_at);
            failed += status != 201;
            idle[idle_count++] = author;
        }
    }
    free(idle);
    qsort(times, time_count, sizeof *times, compare);
    printf("done %zu %ld %.2f %.2f\n", time_count, failed, times[time_count / 2] * 1e3, times[time_count * 99 / 100] * 1e3);
    fflush(stdout);
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 7) die("PORT TOKENS_FILE CHANNEL_ID CONNECTIONS REPLIES_PERCENT MENTIONS");
    int count = atoi(argv[4]), epoll = epoll_create1(EPOLL_CLOEXEC);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    read_users(argv[2]);
    channel_id = argv[3], replies_percent = atoi(argv[5]), mentions = atoi(argv[6]);
    if (mentions < 0 || mentions > 40 || mentions > user_count) die("%d mentions", mentions);
    Author *authors = calloc((size_t)count, sizeof *authors);
    if (epoll < 0 || timer < 0 || !authors) die("no memory");
    struct epoll_event due = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &due)) die("epoll: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        authors[i].user = &users[i % user_count];
        connect_author(&authors[i], atoi(argv[1]));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &authors[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, authors[i].fd, &event)) die("epoll: %s", strerror(errno));
    }
    char line[64];
    double seconds, rate = 0;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "go %lf %lf", &seconds, &rate) > 0) run(authors, count, epoll, timer, seconds, rate);
        rate = 0;
    }
    return 0;
}
