/* Does it pay to hand the kernel a batch of sends by io_uring instead of one send() each?
 *
 *   gcc -O2 -D_GNU_SOURCE -o ring_or_send bench/c/ring_or_send.c && ./ring_or_send [SOCKETS] [ROUNDS]
 *
 * One event of 700 bytes to SOCKETS connected TCP sockets, by turns with send(), with io_uring over plain descriptors and
 * over registered ones, in batches; a child reads on another core without sleeping. Each batch is submitted and reaped
 * by one system call, each frame has memory of its own. Prints CPU microseconds of this process per delivery, median of
 * 15 turns, and the ratio to send() turn by turn.
 */
#include <linux/io_uring.h>
#include <sys/syscall.h>

#include "pairs.h"

enum { TURNS = 15, SIZE = 700, ENTRIES = 256, WAYS = 6 };
static const struct { const char *name; int fixed, batch; } WAY[WAYS] = {
    {"send()", 0, 0}, {"ring, 32", 0, 32}, {"ring, 128", 0, 128}, {"ring, fixed, 16", 1, 16},
    {"ring, fixed, 32", 1, 32}, {"ring, fixed, 128", 1, 128}};

static unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static int ring;

static int open_ring(const int *sockets, int count)
{
    struct io_uring_params p = {.flags = 0};
    ring = syscall(SYS_io_uring_setup, ENTRIES, &p);
    if (ring < 0)
        return -1;
    size_t sq = p.sq_off.array + p.sq_entries * sizeof(unsigned), cq = p.cq_off.cqes + p.cq_entries * sizeof *cqes;
    char *at = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    sqes = mmap(NULL, p.sq_entries * sizeof *sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    sq_tail = (unsigned *)(at + p.sq_off.tail);
    sq_mask = *(unsigned *)(at + p.sq_off.ring_mask);
    cq_head = (unsigned *)(at + p.cq_off.head);
    cq_tail = (unsigned *)(at + p.cq_off.tail);
    cq_mask = *(unsigned *)(at + p.cq_off.ring_mask);
    cqes = (struct io_uring_cqe *)(at + p.cq_off.cqes);
    for (unsigned i = 0; i < p.sq_entries; i++)
        ((unsigned *)(at + p.sq_off.array))[i] = i;
    struct io_uring_rsrc_register files = {.nr = count, .flags = IORING_RSRC_REGISTER_SPARSE};
    if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES2, &files, sizeof files))
        return -1;
    struct io_uring_files_update update = {.fds = (uintptr_t)sockets};
    return syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES_UPDATE, &update, count) == count ? 0 : -1;
}

static void write_frame(char *out, const char *shared, int i)
{
    memcpy(out, shared, SIZE);
    out[SIZE - 8] = '0' + i % 10;
}

static int by_ring(const int *sockets, int count, int fixed, int batch, const char *shared, char *scratch)
{
    for (int first = 0; first < count; first += batch) {
        int n = count - first < batch ? count - first : batch;
        unsigned tail = *sq_tail, head = *cq_head;
        for (int i = 0; i < n; i++) {
            struct io_uring_sqe *sqe = &sqes[tail++ & sq_mask];
            write_frame(scratch + i * 1024, shared, first + i);
            memset(sqe, 0, sizeof *sqe);
            sqe->opcode = IORING_OP_SEND;
            sqe->fd = fixed ? first + i : sockets[first + i];
            sqe->flags = fixed ? IOSQE_FIXED_FILE : 0;
            sqe->addr = (uintptr_t)(scratch + i * 1024);
            sqe->len = SIZE;
            sqe->msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT;
        }
        __atomic_store_n(sq_tail, tail, __ATOMIC_RELEASE);
        if (syscall(SYS_io_uring_enter, ring, n, n, IORING_ENTER_GETEVENTS, NULL, 0) != n)
            return perror("io_uring_enter"), -1;
        for (; head != __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE); head++)
            if (cqes[head & cq_mask].res != SIZE)
                return fprintf(stderr, "short write: %d\n", cqes[head & cq_mask].res), -1;
        __atomic_store_n(cq_head, head, __ATOMIC_RELEASE);
    }
    return 0;
}

static int by_send(const int *sockets, int count, const char *shared, char *scratch)
{
    for (int i = 0; i < count; i++) {
        write_frame(scratch, shared, i);
        if (send(sockets[i], scratch, SIZE, MSG_NOSIGNAL | MSG_DONTWAIT) != SIZE)
            return perror("send"), -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1000, rounds = argc > 2 ? atoi(argv[2]) : 10;
    int *ours = calloc(count, sizeof *ours), *theirs = calloc(count, sizeof *theirs);
    volatile uint64_t *total;
    uint64_t sent = 0;
    if (connect_pairs(count, ours, theirs, 0))
        return 1;
    pid_t reader = start_reader(theirs, count, &total);
    if (open_ring(ours, count))
        return perror("io_uring"), kill(reader, SIGKILL), 1;
    char *shared = malloc(1 << 17), *scratch = malloc(1 << 18);
    memset(shared, 'x', 1 << 17);
    double cost[WAYS][TURNS];
    for (int turn = -1; turn < TURNS; turn++)
        for (int k = 0; k < WAYS; k++) {
            int way = turn & 1 ? k : WAYS - 1 - k;
            double spent = 0;
            for (int round = 0; round < rounds; round++) {
                double start = cpu_us();
                int failed = WAY[way].batch ? by_ring(ours, count, WAY[way].fixed, WAY[way].batch, shared, scratch)
                                            : by_send(ours, count, shared, scratch);
                if (failed)
                    return kill(reader, SIGKILL), 1;
                sent += (uint64_t)count * SIZE;
                spent += cpu_us() - start;
                while (*total < sent)
                    ;
            }
            if (turn >= 0)
                cost[way][turn] = spent / rounds / count;
        }
    printf("%d sockets, %d bytes, CPU us per delivery\n", count, SIZE);
    double first[TURNS], ratio[TURNS];
    memcpy(first, cost[0], sizeof first);
    for (int way = 0; way < WAYS; way++) {
        for (int turn = 0; turn < TURNS; turn++)
            ratio[turn] = cost[way][turn] / first[turn];
        qsort(cost[way], TURNS, sizeof(double), by_value);
        qsort(ratio, TURNS, sizeof(double), by_value);
        printf("%-18s %6.2f (%.2f-%.2f)  ratio %.2f (%.2f-%.2f)\n", WAY[way].name, cost[way][TURNS / 2], cost[way][0],
               cost[way][TURNS - 1], ratio[TURNS / 2], ratio[0], ratio[TURNS - 1]);
    }
    kill(reader, SIGKILL);
    waitpid(reader, NULL, 0);
    return 0;
}
