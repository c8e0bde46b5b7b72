/* Where does it begin to pay to hand the kernel three pieces (head, shared bytes, tail) instead of one copy of them?
 *
 *   gcc -O2 -D_GNU_SOURCE -o copy_or_iovec bench/c/copy_or_iovec.c && ./copy_or_iovec [SOCKETS] [ROUNDS]
 *
 * One event to SOCKETS connected TCP sockets, by turns with send() of a copy and with sendmsg() of three iovecs; a child
 * reads on another core without sleeping. Prints CPU microseconds of this process per delivery, median of 9 turns.
 */
#include <sys/uio.h>

#include "pairs.h"

enum { TURNS = 9, HEAD = 4, TAIL = 24 };
static const int SIZES[] = {700, 1400, 2800, 4096, 8192, 16384, 32768, 65536};

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 500, rounds = argc > 2 ? atoi(argv[2]) : 10;
    int *ours = calloc(count, sizeof *ours), *theirs = calloc(count, sizeof *theirs);
    volatile uint64_t *total;
    uint64_t sent = 0;
    if (connect_pairs(count, ours, theirs, 4 << 20))
        return 1;
    pid_t reader = start_reader(theirs, count, &total);
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
