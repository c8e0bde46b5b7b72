"""What a crowd is made of. Data only."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from loadtest.swarm.reading cimport BUCKETS, ID_SIZE

# IDLE → CONNECTING → UPGRADING (request sent) → GREETING (101 came) → OPEN → RETRYING → CONNECTING; any → IDLE.
cdef enum State:
    IDLE = 0
    CONNECTING = 1
    UPGRADING = 2
    GREETING = 3
    OPEN = 4
    RETRYING = 5

cdef enum:
    RESUMING = 1             # flag: the request named a connection
    KNOWN = 2                # flag: `id` is filled
    OP_TEXT = 1
    OP_CLOSE = 8
    OP_PING = 9
    OP_PONG = 10
    INPUT = 1 << 18          # the shared read buffer: some 370 posts
    HEAD_LIMIT = 1 << 14     # of an HTTP answer
    PER_ADDRESS = 200        # sockets of one source address; servers may limit an address
    WAKE = 0xFFFFFFFF
    BATCH = 512
    BEGUN = 64               # attempts begun between two reads: some ms
    NOTES = 2000             # openings of watched connections told one by one for one take(); the counts have them all
    MARKS = 50               # the same for marks

# How a log-in ended.
cdef enum:
    FRESH = 0                # nothing to resume was named
    RESUMED = 1
    ANEW = 2                 # a resume was asked for, a new connection came

# Ways to say who one is.
cdef enum Auth:
    BEARER = 0
    COOKIE = 1
    CHALLENGE = 2

cdef struct Conn:
    int fd
    uint32_t partial_size
    uint8_t* partial         # the start of a frame or answer whose end has not come
    uint64_t next_seq
    # When the attempt was due, RETRYING: will be. OPEN: when the unanswered ping was sent, 0 if there is none.
    int64_t since_us
    uint32_t asked           # seq of the last request on this socket
    uint32_t awaited         # seq of the ping whose reply is awaited
    uint32_t token_at        # in the arena
    uint16_t token_size
    uint8_t state
    uint8_t flags
    char id[ID_SIZE]

cdef struct Buckets:
    uint64_t count
    uint64_t sum_us
    uint64_t least_us
    uint64_t most_us
    uint32_t counts[BUCKETS]

cdef struct Counts:
    uint64_t attempts        # sockets begun
    uint64_t fresh           # log-ins that were answered
    uint64_t resumed
    uint64_t anew
    uint64_t resyncs         # a `hello` in mid-connection
    uint64_t lost            # open sockets that the server or the network ended
    uint64_t frames          # text frames read: events and replies
    uint64_t events
    uint64_t posted
    uint64_t replies
    uint64_t pings           # ping frames of the server, all answered
    uint64_t bytes
    uint64_t reads           # system calls that brought bytes
    uint64_t gaps            # events whose seq was not the expected one

cdef struct Target:
    uint32_t address
    uint16_t port
    bint loopback
    char name[80]
