/* What libFuzzer (or mutate.c, where there is none) calls: the parser of hotpath/frames.pyx under any bytes.
 *
 * Input: 1 byte chooses max_message, 1 byte max_fragments (its highest bit: compression was agreed on), 4 bytes seed the
 * cuts; the rest is what the peer sends.
 * The bytes are parsed in one piece, in pieces cut anywhere, and (short inputs) byte by byte; all must find the same.
 * Each piece lies in a block of its own size, so that AddressSanitizer sees the first byte read beside it.
 *
 * FRAMES_C: the C source that Cython made of hotpath/frames.pyx. Its tables are set when the module is imported, so
 * Python starts once and is not touched afterwards.
 */

#include FRAMES_C

#include <sanitizer/lsan_interface.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct __pyx_t_7hotpath_6frames_Reader Reader;
typedef struct __pyx_t_7hotpath_6frames_Limits Limits;
typedef struct __pyx_t_7hotpath_6frames_Frame Frame;
typedef enum __pyx_t_7hotpath_6frames_Found Found;
#define parse __pyx_f_7hotpath_6frames_reader_parse
#define done __pyx_f_7hotpath_6frames_reader_done
#define clear __pyx_f_7hotpath_6frames_reader_clear
#define encode_head __pyx_f_7hotpath_6frames_encode_head
#define NEED_MORE __pyx_e_7hotpath_6frames_NEED_MORE
#define TEXT __pyx_e_7hotpath_6frames_TEXT
#define BINARY __pyx_e_7hotpath_6frames_BINARY
#define PING __pyx_e_7hotpath_6frames_PING
#define CLOSE __pyx_e_7hotpath_6frames_CLOSE
#define BROKEN __pyx_e_7hotpath_6frames_BROKEN

#define HEADER 6
#define BYTE_BY_BYTE 4096 /* longer inputs are cut into larger pieces only: a block per byte takes its time */

/* Around every border of the format, what the gateway uses, and "no limit". */
static const uint64_t MAX_MESSAGE[] = {0, 1, 2, 7, 124, 125, 126, 127, 128, 1000, 8192, 65535, 65536, 65537,
                                       1ull << 31, 1ull << 62};
static const uint32_t MAX_FRAGMENTS[] = {1, 2, 3, 64, 65536, UINT32_MAX};
#define CHOOSE(list, byte) ((list)[(byte) % (sizeof(list) / sizeof(list[0]))])

static void must(int holds, const char *what, ...)
{
    if (holds)
        return;
    va_list words;
    va_start(words, what);
    fputs("the parser broke a promise: ", stderr);
    vfprintf(stderr, what, words);
    fputc('\n', stderr);
    abort();
}

/* Whether this is UTF-8 as Unicode 15 table 3-7 has it; written from the table, not from the parser's automaton. */
static int is_utf8(const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint8_t c = s[i++], low = 0x80, high = 0xBF;
        int more;
        if (c < 0x80)
            continue;
        if (c >= 0xC2 && c <= 0xDF)
            more = 1;
        else if (c >= 0xE0 && c <= 0xEF)
            more = 2, low = c == 0xE0 ? 0xA0 : 0x80, high = c == 0xED ? 0x9F : 0xBF;
        else if (c >= 0xF0 && c <= 0xF4)
            more = 3, low = c == 0xF0 ? 0x90 : 0x80, high = c == 0xF4 ? 0x8F : 0xBF;
        else
            return 0;
        while (more--) {
            if (i == n || s[i] < low || s[i] > high)
                return 0;
            i++, low = 0x80, high = 0xBF;
        }
    }
    return 1;
}

/* What a run found: one line per message, control frame or fault, and the payloads one behind the other. */
typedef struct {
    struct line { Found found; uint16_t code; uint8_t packed; size_t size; } *lines;
    size_t count, room;
    uint8_t *payload;
    size_t bytes, payload_room;
} Log;

static void note(Log *log, Found found, const Frame *frame)
{
    if (log->count == log->room)
        log->lines = realloc(log->lines, (log->room = 2 * log->room + 8) * sizeof(struct line));
    log->lines[log->count++] = (struct line){found, frame->code * (found >= CLOSE), frame->packed, frame->size};
    if (log->bytes + frame->size > log->payload_room)
        log->payload = realloc(log->payload, log->payload_room = 2 * (log->bytes + frame->size));
    if (frame->size)
        memcpy(log->payload + log->bytes, frame->data, frame->size); /* reads it all: sanitizers see every byte */
    log->bytes += frame->size;
}

static void check(const Reader *r, const Limits *limits, int packable, Found found, const Frame *frame, size_t took,
                  size_t given)
{
    /* RFC 7692: a compressed message may be a little longer; its text is not seen before it is inflated. */
    uint64_t most = limits->max_message + (r->packed || frame->packed ? limits->max_message / 8 + 64 : 0);
    must(took <= given, "%zu bytes taken of %zu", took, given);
    must(found == NEED_MORE || found == BROKEN || took, "a frame out of nothing");
    must(found != NEED_MORE || took == given, "asks for more with %zu bytes left", given - took);
    must(r->body_len <= r->body_cap && r->body_cap <= most, "%llu of %llu bytes kept, limit %llu",
         (unsigned long long)r->body_len, (unsigned long long)r->body_cap, (unsigned long long)most);
    must(r->fragments <= limits->max_fragments, "%u fragments, limit %u", r->fragments, limits->max_fragments);
    must((found != TEXT && found != BINARY) || frame->size <= most, "message of %zu bytes", frame->size);
    must(!frame->packed || (packable && (found == TEXT || found == BINARY)), "a compressed frame of kind %d", found);
    must(found != TEXT || frame->packed || is_utf8(frame->data, frame->size), "text that is not UTF-8");
    must(found < PING || frame->size <= 125, "control frame of %zu bytes", frame->size);
    must(found < CLOSE || r->ended, "goes on after the end");
    must(found != CLOSE || (frame->size <= 123 && is_utf8(frame->data, frame->size)), "close reason");
    must(found != BROKEN || frame->code == 1002 || frame->code == 1007 || frame->code == 1008 || frame->code == 1009,
         "fault of code %u", frame->code);
    must(found != BROKEN || (frame->why && !frame->size && !r->body && !r->control), "memory kept after a fault");
}

/* Parse the bytes in pieces of at most `most` (random below it if seed is not 0). */
static void run(Log *log, const Limits *limits, int packable, const uint8_t *data, size_t size, size_t most, uint32_t seed)
{
    Reader reader;
    uint64_t fed = 0;
    size_t small = size <= BYTE_BY_BYTE ? 16 : 2048;
    memset(&reader, 0, sizeof reader);
    reader.deflate = packable;
    while (size) {
        size_t piece = most;
        if (seed) {
            seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
            piece = 1 + (seed >> 8) % (seed & 1 || most < small ? most : small);
        }
        if (piece > size)
            piece = size;
        uint8_t *block = malloc(piece), *at = block;
        size_t left = piece, used = 0;
        memcpy(block, data, piece);
        data += piece, size -= piece, fed += piece;
        for (;;) {
            Frame frame = {0};
            Found found = parse(&reader, limits, at, left, &used, &frame);
            check(&reader, limits, packable, found, &frame, used, left);
            must(reader.body_cap <= 2 * fed, "%llu bytes kept of %llu received",
                 (unsigned long long)reader.body_cap, (unsigned long long)fed);
            at += used, left -= used;
            if (found == NEED_MORE)
                break;
            note(log, found, &frame);
            if (found == BROKEN)
                break;
            done(&reader);
            must(!reader.control && (reader.message || !reader.body), "memory kept after a whole frame");
        }
        free(block);
    }
    clear(&reader);
}

static void compare(const Log *whole, const Log *cut, const char *how)
{
    must(whole->count == cut->count, "%zu results in one piece, %zu %s", whole->count, cut->count, how);
    for (size_t i = 0; i < whole->count; i++)
        must(whole->lines[i].found == cut->lines[i].found && whole->lines[i].code == cut->lines[i].code &&
                 whole->lines[i].packed == cut->lines[i].packed && whole->lines[i].size == cut->lines[i].size,
             "result %zu in one piece: %d, code %u, %zu bytes; %s: %d, code %u, %zu bytes", i, whole->lines[i].found,
             whole->lines[i].code, whole->lines[i].size, how, cut->lines[i].found, cut->lines[i].code, cut->lines[i].size);
    must(whole->bytes == cut->bytes && (!whole->bytes || !memcmp(whole->payload, cut->payload, whole->bytes)),
         "other payload %s", how);
}

static void discard(Log *log)
{
    free(log->lines);
    free(log->payload);
}

/* The head of a server frame says the size that was asked for, in the shortest form (RFC 6455 5.2). */
static void check_head(uint64_t size)
{
    uint8_t exact[3][10]; /* the longest form fits; shorter ones must not write behind their end */
    uint64_t said = 0;
    memset(exact, 0xEE, sizeof exact);
    uint32_t n = encode_head(exact[1], 1, size);
    must(n == (size < 126 ? 2 : size < 65536 ? 4 : 10), "head of %u bytes for %llu", n, (unsigned long long)size);
    for (uint32_t i = 2; i < n; i++)
        said = said << 8 | exact[1][i];
    must(exact[1][0] == 0x81 && (n == 2 ? exact[1][1] == size : said == size), "head says %llu for %llu",
         (unsigned long long)said, (unsigned long long)size);
    for (uint32_t i = n; i < 10; i++)
        must(exact[1][i] == 0xEE, "head writes behind its end");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    __lsan_disable(); /* what Python keeps until the end is its own affair */
    PyImport_AppendInittab("frames", PyInit_frames);
    Py_InitializeEx(0);
    PyObject *module = PyImport_ImportModule("frames");
    if (!module) {
        PyErr_Print();
        abort();
    }
    __lsan_enable();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEADER)
        return 0;
    Limits limits = {CHOOSE(MAX_MESSAGE, data[0]), CHOOSE(MAX_FRAGMENTS, data[1] & 127)};
    int packable = data[1] >> 7;
    uint32_t seed = data[2] | data[3] << 8 | data[4] << 16 | (uint32_t)data[5] << 24;
    Log whole = {0}, cut = {0}, bytes = {0};
    check_head(seed);
    check_head((uint64_t)seed << (seed & 31));
    data += HEADER, size -= HEADER;
    run(&whole, &limits, packable, data, size, size, 0);
    run(&cut, &limits, packable, data, size, size, seed | 1);
    compare(&whole, &cut, "in pieces");
    if (size <= BYTE_BY_BYTE) {
        run(&bytes, &limits, packable, data, size, 1, 0);
        compare(&whole, &bytes, "byte by byte");
    }
    discard(&whole), discard(&cut), discard(&bytes);
    return 0;
}
