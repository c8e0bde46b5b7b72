/* Stands in for libFuzzer where there is none: runs the inputs of a folder and changes of them, without knowing what
 * they reach. The same seed makes the same inputs.
 *
 *     program -max_total_time=SECONDS -seed=N FOLDER      keeps each input in FOLDER/../current until the next
 *     program FILE                                        runs one input
 *
 * Prints "Done N runs", as libFuzzer does.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 70000
#define INPUTS 4096

static uint8_t *inputs[INPUTS];
static size_t sizes[INPUTS], count;
static uint64_t state;

static uint64_t any(uint64_t below)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return below ? (state >> 11) % below : 0;
}

static void load(const char *path)
{
    FILE *file = count < INPUTS ? fopen(path, "rb") : NULL;
    if (!file)
        return;
    inputs[count] = malloc(LIMIT);
    sizes[count] = fread(inputs[count], 1, LIMIT, file);
    count++;
    fclose(file);
}

static void load_all(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort); /* sorted: the same seed, the same inputs */
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            load(path);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

static const uint8_t EDGES[] = {0, 1, 2, 3, 8, 9, 10, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xFD, 0xFE, 0xFF};

static size_t change(uint8_t *to, size_t size)
{
    for (int changes = 1 + (int)any(5); changes--;) {
        size_t at = any(size), other = any(count), length;
        switch (any(6)) {
        case 0: to[at] ^= 1u << any(8); break;
        case 1: to[at] = EDGES[any(sizeof EDGES)]; break;
        case 2: to[at] = (uint8_t)any(256); break;
        case 3: /* cut out */
            length = any(size - at < 64 ? size - at : 64);
            memmove(to + at, to + at + length, size - at - length);
            size -= length;
            break;
        case 4: /* double a stretch */
            length = any(size - at < 64 ? size - at : 64);
            if (size + length > LIMIT)
                break;
            memmove(to + at + length, to + at, size - at);
            size += length;
            break;
        default: /* another's frames behind ours */
            length = sizes[other] > 6 ? sizes[other] - 6 : 0;
            if (size + length > LIMIT)
                break;
            memcpy(to + size, inputs[other] + 6, length);
            size += length;
        }
        if (!size)
            return 0;
    }
    return size;
}

int main(int argc, char **argv)
{
    double seconds = 20;
    state = 88172645463325252ull;
    const char *given = "";
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "-max_total_time=", 16))
            seconds = atof(argv[i] + 16);
        else if (!strncmp(argv[i], "-seed=", 6))
            state ^= strtoull(argv[i] + 6, NULL, 10) * 0x9E3779B97F4A7C15ull;
        else if (argv[i][0] != '-')
            given = argv[i];
    }
    struct stat what;
    if (stat(given, &what)) {
        perror(given);
        return 2;
    }
    LLVMFuzzerInitialize(&argc, &argv);
    if (!S_ISDIR(what.st_mode)) {
        load(given);
        LLVMFuzzerTestOneInput(inputs[0], sizes[0]);
        return 0;
    }
    load_all(given);
    if (!count) {
        fprintf(stderr, "no inputs\n");
        return 2;
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/../current", given);
    int kept = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (kept < 0 || ftruncate(kept, LIMIT + 8)) {
        perror(path);
        return 2;
    }
    uint64_t *current = mmap(NULL, LIMIT + 8, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0); /* size, then bytes */
    uint64_t runs = 0;
    uint8_t *work = (uint8_t *)(current + 1);
    for (time_t end = time(NULL) + (time_t)seconds; runs < count || (runs & 255) || time(NULL) < end; runs++) {
        size_t which = runs < count ? runs : any(count), size = sizes[which];
        memcpy(work, inputs[which], size);
        if (runs >= count && size)
            size = change(work, size);
        *current = size;
        uint8_t *exact = malloc(size + !size);
        memcpy(exact, work, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    fprintf(stderr, "Done %llu runs\n", (unsigned long long)runs);
    return 0;
}
