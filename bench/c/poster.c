/* The authors of bench.posts: each sends the next post when the last is answered, on a keep-alive connection of his own.
 *
 * poster PORT TOKENS_FILE CHANNEL_ID CONNECTIONS REPLIES_PERCENT MENTIONS
 *
 * A post has 3 to 27 words and names so many members; a reply answers the author's last root. Lines on stdin:
 * `go SECONDS`; then it answers `done POSTS FAILED P50_MS P99_MS`. Anything but 201 has failed.
 */
#include <arpa/inet.h>
#include <errno.h>
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
#include <time.h>
#include <unistd.h>

enum { ID = 26, USERS_MAX = 20000, ANSWER_MAX = 1 << 18, REQUEST_MAX = 8192, AT_ONCE = 64 };

typedef struct { char token[ID + 1], id[ID + 1], name[65]; } User;
typedef struct {
    int fd;
    const User *user;
    char root[ID + 1], *answer;
    size_t got;
    double sent_at;
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

static void send_post(Author *author) {
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
    author->sent_at = now();
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

static void run(Author *authors, int count, int epoll, double seconds) {
    long failed = 0;
    double end = now() + seconds;
    time_count = 0;
    for (int i = 0; i < count; i++) send_post(&authors[i]);
    for (int waiting = count; waiting;) {
        struct epoll_event events[AT_ONCE];
        int ready = epoll_wait(epoll, events, AT_ONCE, -1);
        for (int i = 0; i < ready; i++) {
            Author *author = events[i].data.ptr;
            int status = receive(author);
            if (!status) continue;
            if (time_count == time_room) {
                time_room = time_room ? 2 * time_room : 1 << 16;
                times = realloc(times, time_room * sizeof *times);
                if (!times) die("no memory");
            }
            double at = now();
            times[time_count++] = at - author->sent_at;
            failed += status != 201;
            if (at < end) send_post(author);
            else waiting--;
        }
    }
    qsort(times, time_count, sizeof *times, compare);
    printf("done %zu %ld %.2f %.2f\n", time_count, failed, times[time_count / 2] * 1e3, times[time_count * 99 / 100] * 1e3);
    fflush(stdout);
}

int main(int argc, char **argv) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc != 7) die("PORT TOKENS_FILE CHANNEL_ID CONNECTIONS REPLIES_PERCENT MENTIONS");
    int count = atoi(argv[4]), epoll = epoll_create1(EPOLL_CLOEXEC);
    read_users(argv[2]);
    channel_id = argv[3], replies_percent = atoi(argv[5]), mentions = atoi(argv[6]);
    if (mentions < 0 || mentions > 40 || mentions > user_count) die("%d mentions", mentions);
    Author *authors = calloc((size_t)count, sizeof *authors);
    if (epoll < 0 || !authors) die("no memory");
    for (int i = 0; i < count; i++) {
        authors[i].user = &users[i % user_count];
        connect_author(&authors[i], atoi(argv[1]));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &authors[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, authors[i].fd, &event)) die("epoll: %s", strerror(errno));
    }
    char line[64];
    double seconds;
    while (fgets(line, sizeof line, stdin))
        if (sscanf(line, "go %lf", &seconds) == 1) run(authors, count, epoll, seconds);
    return 0;
}
