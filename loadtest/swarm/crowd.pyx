# cython: boundscheck=False, wraparound=False, cdivision=True
"""Many WebSocket clients on one epoll set: connect at a rate, log in, resume, read, ping, count.

A client is a flat struct and its token; nothing of it is a Python object. Calls come from one thread, and nothing runs
but inside poll(). Knows nothing of pipes and processes. Times are µs: of the monotonic clock, but for marks in posts,
which say the time of day. Durations count from the moment that an attempt was due, not from when it could be made.
"""

import os
from hashlib import sha1
from base64 import b64encode

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from loadtest.swarm.linux cimport (CLOCK_MONOTONIC, CLOCK_REALTIME, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD,
                                   EPOLLIN, EPOLLOUT, MSG_DONTWAIT, MSG_NOSIGNAL, close, epoll_create1, epoll_ctl,
                                   epoll_event, epoll_wait, memmem, recv, send, swarm_clock_us, swarm_connect,
                                   swarm_socket_error)
from loadtest.swarm.reading cimport (BUCKETS, HELLO, ID_SIZE, POSTED, REPLY, UNREADABLE, Head, Text, bucket_of,
                                     find_id, find_mark, read_head, read_text, write_frame)
from loadtest.swarm.shapes cimport (ANEW, BATCH, BEARER, BEGUN, CHALLENGE, CONNECTING, FRESH, GREETING, HEAD_LIMIT,
                                    IDLE, INPUT, KNOWN, MARKS, NOTES, OP_CLOSE, OP_PING, OP_PONG, OP_TEXT, OPEN,
                                    PER_ADDRESS, RESUMED, RESUMING, RETRYING, UPGRADING, WAKE, Auth, Buckets, Conn,
                                    Counts, State, Target)

cdef bytes GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
cdef tuple AUTHS = ("bearer", "cookie", "challenge")


cdef inline void _add(Buckets* buckets, int64_t us) noexcept nogil:
    cdef uint64_t value = us if us > 0 else 0
    if buckets.count == 0 or value < buckets.least_us:
        buckets.least_us = value
    if value > buckets.most_us:
        buckets.most_us = value
    buckets.count += 1
    buckets.sum_us += value
    buckets.counts[bucket_of(value)] += 1


cdef tuple _taken(Buckets* buckets):
    """Return the fields of a Histogram and begin anew."""
    cdef int i
    cdef dict counts = {i: buckets.counts[i] for i in range(BUCKETS) if buckets.counts[i]}
    found = (buckets.count, buckets.sum_us, buckets.least_us, buckets.most_us, counts)
    memset(buckets, 0, sizeof(Buckets))
    return found


cdef class Crowd:
    """See crowd.pyi for what each method promises."""

    cdef Conn* conns
    cdef uint8_t* arena
    cdef uint8_t* input
    cdef uint8_t* output
    cdef Target* targets
    cdef uint32_t size, target_count, first_number, watched, sample_every, in_flight, most_in_flight
    cdef uint64_t token_bytes
    cdef int epoll
    cdef Auth auth
    cdef bytes path, key, accept
    cdef uint32_t random
    cdef int64_t ping_us, timeout_us, retry_us, looked_at, pinged_at
    cdef uint32_t ping_cursor
    # The attempts that are under way: numbers next_due … last_due, one every 1/rate seconds since due_from.
    cdef uint32_t next_due, last_due, due_base
    cdef int64_t due_from
    cdef double due_gap_us
    cdef bint resume
    cdef Counts counts
    cdef Buckets open_times[3]  # FRESH, RESUMED, ANEW
    cdef Buckets ping_times, delivery_times
    cdef dict errors
    cdef list opened_notes, mark_notes
    cdef int64_t busiest_us, first_attempt_us, last_opened_us
    cdef bint woken

    def __cinit__(self, tokens, uint32_t count, targets, *, str path, str auth="bearer", uint32_t first_number=0,
                  uint32_t watched=0, uint32_t sample_every=1, uint32_t in_flight=1000, double ping_s=30.0,
                  double timeout_s=30.0, double retry_s=0.0, int wake_fd=-1):
        cdef uint32_t i = 0
        cdef size_t used = 0, room = 0
        cdef bytes word
        cdef epoll_event event
        self.epoll = -1
        if not count or not targets or auth not in AUTHS or sample_every < 1 or in_flight < 1 or timeout_s <= 0:
            raise ValueError("a crowd needs tokens, targets and sensible numbers")
        self.auth = <Auth><int>AUTHS.index(auth)
        self.path = path.encode("ascii")
        self.size, self.target_count = count, len(targets)
        self.first_number, self.watched, self.sample_every = first_number, watched, sample_every
        self.most_in_flight = in_flight
        self.ping_us, self.timeout_us = <int64_t>(ping_s * 1e6), <int64_t>(timeout_s * 1e6)
        self.retry_us = <int64_t>(retry_s * 1e6)
        # One key for the process: the answer to it is known beforehand (RFC 6455 4.2.2).
        self.key = b64encode(os.urandom(16))
        self.accept = b64encode(sha1(self.key + GUID, usedforsecurity=False).digest())
        self.random = int.from_bytes(os.urandom(4), "little") | 1
        self.errors, self.opened_notes, self.mark_notes = {}, [], []
        self.conns = <Conn*>calloc(self.size, sizeof(Conn))
        self.input = <uint8_t*>malloc(INPUT)
        self.output = <uint8_t*>malloc(HEAD_LIMIT)
        self.targets = <Target*>calloc(self.target_count, sizeof(Target))
        if self.conns == NULL or self.input == NULL or self.output == NULL or self.targets == NULL:
            raise MemoryError
        for i in range(count):
            self.conns[i].fd = -1
        # One after the other, so that they are never Python objects all at once.
        i = 0
        for word in tokens:
            if not 0 < len(word) <= 4096 or i == count:
                raise ValueError("a token is empty or very long, or there are too many")
            if used + len(word) > room:
                room = 2 * room + 4096
                self._make_room(room)
            memcpy(self.arena + used, PyBytes_AS_STRING(word), len(word))
            self.conns[i].token_at, self.conns[i].token_size = <uint32_t>used, <uint16_t>len(word)
            used += len(word)
            i += 1
        if i < count:
            raise ValueError("there are too few tokens")
        self._make_room(used)
        self.token_bytes = used
        for i, (name, address, port) in enumerate(targets):
            word = name.encode("ascii")
            if len(word) > 79:
                raise ValueError("a host name is too long")
            memcpy(self.targets[i].name, PyBytes_AS_STRING(word), len(word))
            self.targets[i].address, self.targets[i].port = address, port
            self.targets[i].loopback = address >> 24 == 127
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, os.strerror(errno))
        if wake_fd >= 0:
            event.events, event.data.u32 = EPOLLIN, WAKE
            if epoll_ctl(self.epoll, EPOLL_CTL_ADD, wake_fd, &event) != 0:
                raise OSError(errno, os.strerror(errno))
        self.looked_at = self.pinged_at = swarm_clock_us(CLOCK_MONOTONIC)

    def __dealloc__(self):
        cdef uint32_t i
        if self.conns != NULL:
            for i in range(self.size):
                if self.conns[i].fd >= 0:
                    close(self.conns[i].fd)
                free(self.conns[i].partial)
        if self.epoll >= 0:
            close(self.epoll)
        free(self.conns)
        free(self.arena)
        free(self.input)
        free(self.output)
        free(self.targets)

    cdef int _make_room(self, size_t size) except -1:
        """Let the arena have this size."""
        cdef uint8_t* arena = <uint8_t*>realloc(self.arena, size)
        if arena == NULL:
            raise MemoryError
        self.arena = arena
        return 0

    # What the owner asks for

    def connect(self, uint32_t first, uint32_t count, double rate, *, bint resume=False):
        if first + count > self.size or rate <= 0:
            raise ValueError("no such connections, or no rate")
        self.next_due = self.due_base = first
        self.last_due = first + count
        self.due_from = swarm_clock_us(CLOCK_MONOTONIC)
        self.due_gap_us = 1e6 / rate
        self.resume = resume
        self.first_attempt_us = self.last_opened_us = 0

    def drop(self):
        cdef uint32_t i
        cdef uint32_t dropped = 0
        self.next_due = self.last_due = 0
        for i in range(self.size):
            if self.conns[i].state == OPEN:
                dropped += 1
            self._close(i, IDLE)
        return dropped

    def begin(self, uint32_t number, *, bint resume=False):
        if number >= self.size:
            raise ValueError("no such connection")
        if self.conns[number].state in (IDLE, RETRYING):
            self._begin(number, swarm_clock_us(CLOCK_MONOTONIC), resume)

    def cut(self, uint32_t number):
        if number >= self.size:
            raise ValueError("no such connection")
        self._close(number, IDLE)

    def say(self, uint32_t number, bytes action):
        cdef Conn* conn
        if number >= self.size or PyBytes_GET_SIZE(action) > HEAD_LIMIT - 64:
            raise ValueError("no such connection, or too long an action")
        conn = &self.conns[number]
        if conn.state != OPEN:
            return False
        conn.asked += 1
        return self._send_json(conn, b'{"seq":%d,%s' % (conn.asked, action[1:]))

    def poll(self, int timeout_ms):
        cdef epoll_event events[BATCH]
        cdef int found, i
        cdef uint32_t number
        cdef int64_t now = swarm_clock_us(CLOCK_MONOTONIC)
        self.woken = False
        timeout_ms = self._begin_due(now, timeout_ms)
        with nogil:
            found = epoll_wait(self.epoll, events, BATCH, timeout_ms)
        if found < 0 and errno != EINTR:
            raise OSError(errno, os.strerror(errno))
        cdef int64_t start = swarm_clock_us(CLOCK_MONOTONIC)
        for i in range(found):
            number = events[i].data.u32
            if number == WAKE:
                self.woken = True
            elif self.conns[number].state == CONNECTING:
                self._on_connected(number)
            elif self.conns[number].fd >= 0:
                self._on_readable(number)
        now = swarm_clock_us(CLOCK_MONOTONIC)
        if now - self.looked_at > 100_000:
            self._look_around(now)
            now = swarm_clock_us(CLOCK_MONOTONIC)
        if now - start > self.busiest_us:
            self.busiest_us = now - start
        return self.woken

    @property
    def connecting(self):
        return self.in_flight + self.last_due - self.next_due

    @property
    def open(self):
        cdef uint32_t i
        cdef uint32_t found = 0
        for i in range(self.size):
            found += self.conns[i].state == OPEN
        return found

    @property
    def news(self):
        return len(self.opened_notes)

    @property
    def bytes_per_connection(self):
        return sizeof(Conn) + self.token_bytes / self.size

    def take(self):
        found = {
            "open": self.open,
            "connecting": self.connecting,
            "busiest_us": self.busiest_us,
            "first_attempt_us": self.first_attempt_us,
            "last_opened_us": self.last_opened_us,
            "counts": self.counts,
            "times": {"fresh": _taken(&self.open_times[FRESH]), "resumed": _taken(&self.open_times[RESUMED]),
                      "anew": _taken(&self.open_times[ANEW]), "ping": _taken(&self.ping_times),
                      "delivery": _taken(&self.delivery_times)},
            "errors": self.errors,
            "opened": self.opened_notes,
            "marks": self.mark_notes,
        }
        self.busiest_us = 0
        self.errors, self.opened_notes, self.mark_notes = {}, [], []
        memset(&self.counts, 0, sizeof(Counts))
        return found

    # Attempts

    cdef int _begin_due(self, int64_t now, int timeout_ms) except -1:
        """Begin the attempts that are due, some at a time; return how long poll() may sleep."""
        cdef int64_t due
        cdef uint32_t begun = 0
        while self.next_due < self.last_due and self.in_flight < self.most_in_flight:
            due = self.due_from + <int64_t>((self.next_due - self.due_base) * self.due_gap_us)
            if due > now:
                return min(timeout_ms, <int>((due - now) // 1000) + 1)
            if begun == BEGUN:
                return 0
            begun += 1
            self.next_due += 1
            if self.conns[self.next_due - 1].state in (IDLE, RETRYING):
                self._begin(self.next_due - 1, due, self.resume)
        return timeout_ms

    cdef int _begin(self, uint32_t number, int64_t due, bint resume) except -1:
        """Begin an attempt that counts from `due`. A challenge comes too late for a resume."""
        cdef Conn* conn = &self.conns[number]
        cdef uint32_t everywhere = self.first_number + number
        cdef Target* target = &self.targets[everywhere % self.target_count]
        cdef uint32_t source = 0
        cdef uint32_t block
        cdef epoll_event event
        if target.loopback:
            # 127.1.0.1 and up: 200 sockets each, the last byte 1 to 250.
            block = everywhere // PER_ADDRESS
            source = (<uint32_t>127 << 24) + (1 << 16) + (block // 250 << 8) + block % 250 + 1
        self.counts.attempts += 1
        if self.first_attempt_us == 0:
            self.first_attempt_us = swarm_clock_us(CLOCK_REALTIME)
        conn.since_us = due
        conn.asked = conn.awaited = 0
        if not resume or self.auth == CHALLENGE:
            conn.flags = 0
        conn.fd = swarm_connect(source, target.address, target.port)
        if conn.fd < 0:
            return self._failed(number, f"connect: {os.strerror(errno)}")
        conn.state = CONNECTING
        self.in_flight += 1
        event.events, event.data.u32 = EPOLLOUT, number
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, conn.fd, &event) != 0:
            raise OSError(errno, os.strerror(errno))
        return 0

    cdef int _on_connected(self, uint32_t number) except -1:
        """Ask for the upgrade."""
        cdef Conn* conn = &self.conns[number]
        cdef Target* target = &self.targets[(self.first_number + number) % self.target_count]
        cdef int why = swarm_socket_error(conn.fd)
        cdef epoll_event event
        cdef char* out = <char*>self.output
        cdef int size
        if why:
            return self._failed(number, f"connect: {os.strerror(why)}")
        size = snprintf(out, HEAD_LIMIT, "GET %s", PyBytes_AS_STRING(self.path))
        if conn.flags & KNOWN:
            conn.flags |= RESUMING
            size += snprintf(out + size, HEAD_LIMIT - size, "?connection_id=%.26s&sequence_number=%llu", conn.id,
                             <unsigned long long>conn.next_seq)
        else:
            conn.next_seq = 0
        size += snprintf(out + size, HEAD_LIMIT - size,
                         " HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", target.name,
                         PyBytes_AS_STRING(self.key))
        if self.auth != CHALLENGE:
            size += snprintf(out + size, HEAD_LIMIT - size, "%s%.*s\r\n",
                             <const char*>"Authorization: Bearer " if self.auth == BEARER
                             else <const char*>"Cookie: MMAUTHTOKEN=",
                             <int>conn.token_size, self.arena + conn.token_at)
        size += snprintf(out + size, HEAD_LIMIT - size, "\r\n")
        if send(conn.fd, out, size, MSG_NOSIGNAL | MSG_DONTWAIT) != size:
            return self._failed(number, "the request could not be sent")
        conn.state = UPGRADING
        event.events, event.data.u32 = EPOLLIN, number
        if epoll_ctl(self.epoll, EPOLL_CTL_MOD, conn.fd, &event) != 0:
            raise OSError(errno, os.strerror(errno))
        return 0

    cdef int _close(self, uint32_t number, State state) noexcept:
        """Close a socket, if there is one; the connection can be resumed later."""
        cdef Conn* conn = &self.conns[number]
        if conn.state in (CONNECTING, UPGRADING, GREETING):
            self.in_flight -= 1
        if conn.fd >= 0:
            close(conn.fd)              # takes it out of the epoll set
            conn.fd = -1
        free(conn.partial)
        conn.partial = NULL
        conn.partial_size = 0
        conn.flags &= KNOWN
        conn.state = state
        return 0

    cdef int _failed(self, uint32_t number, str why) except -1:
        """An attempt or an open connection ended against our will: count it, and come back if that is wanted."""
        cdef Conn* conn = &self.conns[number]
        if conn.state == OPEN:
            self.counts.lost += 1
            why = "lost: " + why
        self.errors[why] = self.errors.get(why, 0) + 1
        self._close(number, RETRYING if self.retry_us else IDLE)
        if self.retry_us:
            conn.since_us = swarm_clock_us(CLOCK_MONOTONIC) + self.retry_us
        return 0

    cdef int _look_around(self, int64_t now) except -1:
        """Time-outs, retries and pings; ten times a second."""
        cdef uint32_t i, until
        cdef Conn* conn
        self.looked_at = now
        for i in range(self.size):
            conn = &self.conns[i]
            if conn.state in (CONNECTING, UPGRADING, GREETING):
                if now - conn.since_us > self.timeout_us:
                    self._failed(i, ("no TCP connection", "no answer to the upgrade", "no log-in")[conn.state - 1]
                                 + f" within {self.timeout_us / 1e6:g} s")
            elif conn.state == RETRYING and conn.since_us <= now and self.in_flight < self.most_in_flight:
                self._begin(i, conn.since_us, True)
        if self.ping_us <= 0:
            return 0
        # Everybody once in ping_us, spread evenly: who is due is a stretch of numbers.
        until = <uint32_t>min(<int64_t>self.size, (now - self.pinged_at) * self.size // self.ping_us)
        while self.ping_cursor < until:
            self._ping(self.ping_cursor, now)
            self.ping_cursor += 1
        if until == self.size:
            self.ping_cursor, self.pinged_at = 0, now
        return 0

    cdef int _ping(self, uint32_t number, int64_t now) except -1:
        """Ask for a reply, as web and mobile clients do; without the last one the connection is given up."""
        cdef Conn* conn = &self.conns[number]
        if conn.state != OPEN:
            return 0
        if conn.since_us:
            return self._failed(number, "no reply to a ping")
        conn.since_us = now
        conn.asked += 1
        conn.awaited = conn.asked
        if not self._send_json(conn, b'{"seq":%d,"action":"ping"}' % conn.asked):
            return self._failed(number, "a ping could not be sent")
        return 0

    cdef bint _send_json(self, Conn* conn, bytes payload) noexcept:
        return self._send(conn, OP_TEXT, <const uint8_t*>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))

    cdef bint _send(self, Conn* conn, uint8_t opcode, const uint8_t* payload, size_t size) noexcept:
        """Send a masked frame; False if the socket does not take it whole: a client's frames are small and few."""
        self.random ^= self.random << 13
        self.random ^= self.random >> 17
        self.random ^= self.random << 5
        size = write_frame(self.output, opcode, self.random, payload, size)
        return send(conn.fd, self.output, size, MSG_NOSIGNAL | MSG_DONTWAIT) == <Py_ssize_t>size

    # What the server says

    cdef int _on_readable(self, uint32_t number) except -1:
        cdef Conn* conn = &self.conns[number]
        cdef size_t held = conn.partial_size
        cdef size_t size, used = 0
        cdef Py_ssize_t got
        if held:
            memcpy(self.input, conn.partial, held)
        got = recv(conn.fd, self.input + held, INPUT - held, MSG_DONTWAIT)
        if got < 0 and errno in (EAGAIN, EINTR):
            return 0
        if got <= 0:
            return self._failed(number, os.strerror(errno) if got < 0 else "closed by the server")
        self.counts.reads += 1
        self.counts.bytes += got
        size = held + <size_t>got
        if conn.state == UPGRADING:
            used = self._read_answer(number, size)
        if conn.fd >= 0 and conn.state >= GREETING:
            used += self._read_frames(number, self.input + used, size - used)
        if conn.fd < 0:
            return 0
        size -= used
        if size == INPUT:
            return self._failed(number, f"a frame of more than {INPUT} bytes")
        if size == 0:
            free(conn.partial)
            conn.partial = NULL
        else:
            conn.partial = <uint8_t*>realloc(conn.partial, size)
            if conn.partial == NULL:
                raise MemoryError
            memcpy(conn.partial, self.input + used, size)
        conn.partial_size = <uint32_t>size
        return 0

    cdef Py_ssize_t _read_answer(self, uint32_t number, size_t size) except -1:
        """Read the answer to the upgrade, then log in if need be and ask for the reply that tells that we are in."""
        cdef Conn* conn = &self.conns[number]
        cdef uint8_t* end = <uint8_t*>memmem(self.input, size, b"\r\n\r\n", 4)
        cdef bytes head, request
        if end == NULL:
            if size > HEAD_LIMIT:
                self._failed(number, "an answer to the upgrade of more than 16 KiB")
            return 0
        if size < 12 or memcmp(self.input, b"HTTP/1.1 101", 12) != 0:
            head = PyBytes_FromStringAndSize(<char*>self.input, min(<size_t>60, end - self.input))
            self._failed(number, "upgrade: " + head.split(b"\r\n")[0].decode("latin-1"))
            return 0
        if memmem(self.input, end - self.input, PyBytes_AS_STRING(self.accept), PyBytes_GET_SIZE(self.accept)) == NULL:
            self._failed(number, "upgrade: a wrong Sec-WebSocket-Accept")
            return 0
        conn.state = GREETING
        conn.asked = conn.awaited = 1
        # A resumed connection gets no `hello`, and nothing is answered before the log-in: so a reply tells of it.
        request = b'{"seq":1,"action":"ping"}'
        if self.auth == CHALLENGE:
            request = b'{"seq":1,"action":"authentication_challenge","data":{"token":"%s"}}' % (
                PyBytes_FromStringAndSize(<char*>self.arena + conn.token_at, conn.token_size))
        if not self._send_json(conn, request):
            self._failed(number, "the first request could not be sent")
            return 0
        return end + 4 - self.input

    cdef Py_ssize_t _read_frames(self, uint32_t number, uint8_t* data, size_t size) except -1:
        """Read the whole frames and return their bytes."""
        cdef Conn* conn = &self.conns[number]
        cdef size_t used = 0
        cdef Head head
        cdef uint8_t opcode
        while conn.fd >= 0:
            read_head(data + used, size - used, &head)
            if head.size == 0 or head.payload > size - used - head.size:
                break
            opcode = head.first & 15
            if head.first & 0xF0 != 0x80 or head.masked:
                # Neither Tidewire nor Mattermost send fragments, and no extension was asked for.
                self._failed(number, "a frame that is masked, a fragment, or of an extension")
            elif opcode == OP_TEXT:
                self._on_text(number, data + used + head.size, head.payload)
            elif opcode == OP_PING:
                self.counts.pings += 1
                if head.payload > 125 or not self._send(conn, OP_PONG, data + used + head.size, head.payload):
                    self._failed(number, "a pong could not be sent")
            elif opcode == OP_CLOSE:
                self._on_close(number, data + used + head.size, head.payload)
            elif opcode != OP_PONG:
                self._failed(number, f"a frame with opcode {opcode}")
            used += head.size + head.payload
        return used

    cdef int _on_close(self, uint32_t number, uint8_t* payload, size_t size) except -1:
        cdef int code = payload[0] << 8 | payload[1] if size >= 2 else 1005
        self._send(&self.conns[number], OP_CLOSE, payload, 2 if size >= 2 else 0)
        return self._failed(number, f"closed with {code}")

    cdef int _on_text(self, uint32_t number, uint8_t* payload, size_t size) except -1:
        cdef Conn* conn = &self.conns[number]
        cdef Text text
        cdef int64_t sent
        read_text(payload, size, &text)
        self.counts.frames += 1
        if text.kind == UNREADABLE:
            return self._failed(number, "a message that is neither event nor reply")
        if text.kind == REPLY:
            self.counts.replies += 1
            return self._on_reply(number, &text)
        self.counts.events += 1
        if text.kind == HELLO:
            self._on_hello(number, payload, size)
        elif conn.state == GREETING:
            self._opened(number, RESUMED if conn.flags & RESUMING else FRESH)
        if text.number != conn.next_seq:
            self.counts.gaps += 1
        conn.next_seq = text.number + 1
        if text.kind == POSTED:
            self.counts.posted += 1
            if (self.first_number + number) % self.sample_every == 0:
                sent = find_mark(payload, size)
                if sent >= 0:
                    self._on_mark(number, sent)
        return 0

    cdef int _on_reply(self, uint32_t number, Text* text) except -1:
        cdef Conn* conn = &self.conns[number]
        if not text.ok:
            self.errors["a reply FAIL"] = self.errors.get("a reply FAIL", 0) + 1
            return 0
        if text.number != conn.awaited:
            return 0
        if conn.state == GREETING:
            return self._opened(number, RESUMED if conn.flags & RESUMING else FRESH)
        if conn.since_us:
            _add(&self.ping_times, swarm_clock_us(CLOCK_MONOTONIC) - conn.since_us)
            conn.since_us = 0
        return 0

    cdef int _on_hello(self, uint32_t number, uint8_t* payload, size_t size) except -1:
        """A connection of its own: fresh, or in place of the one that was asked for."""
        cdef Conn* conn = &self.conns[number]
        cdef const uint8_t* found = find_id(payload, size)
        conn.next_seq = 0
        if found != NULL:
            memcpy(conn.id, found, ID_SIZE)
            conn.flags |= KNOWN
        if conn.state == OPEN:
            self.counts.resyncs += 1
            return 0
        return self._opened(number, ANEW if conn.flags & RESUMING else FRESH)

    cdef int _opened(self, uint32_t number, int way) except -1:
        """Logged in, and known to be."""
        cdef Conn* conn = &self.conns[number]
        cdef int64_t took = swarm_clock_us(CLOCK_MONOTONIC) - conn.since_us
        self.in_flight -= 1
        conn.state = OPEN
        conn.since_us = 0
        conn.flags &= ~RESUMING
        self.last_opened_us = swarm_clock_us(CLOCK_REALTIME)
        _add(&self.open_times[way], took)
        if way == RESUMED:
            self.counts.resumed += 1
        elif way == ANEW:
            self.counts.anew += 1
        else:
            self.counts.fresh += 1
        if self.first_number + number < self.watched and len(self.opened_notes) < NOTES:
            self.opened_notes.append((self.first_number + number, self.last_opened_us, took, way == RESUMED))
        return 0

    cdef int _on_mark(self, uint32_t number, int64_t sent) except -1:
        cdef int64_t took = swarm_clock_us(CLOCK_REALTIME) - sent
        _add(&self.delivery_times, took)
        if len(self.mark_notes) < MARKS:
            self.mark_notes.append((self.first_number + number, sent, max(0, took)))
        return 0
