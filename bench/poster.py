"""The authors of bench.posts, in a process of their own: each sends the next post when the last is answered.

Keep-alive connections, raw sockets and one epoll, some 30 µs a post: the load must not be what is measured.

    python -m bench.poster PORT TOKENS_FILE CHANNEL_ID CONNECTIONS REPLIES_PERCENT [MENTIONS]

MENTIONS: how many members each post names.

Lines on stdin: `go SECONDS`; then it answers `done POSTS FAILED P50_MS P99_MS`.
"""

import random
import select
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

# Words of ordinary length; what they mean costs nobody anything.
WORDS = [
    "tide",
    "wire",
    "a",
    "harbour",
    "of",
    "the",
    "seagull",
    "and",
    "on",
    "morning",
    "lighthouse",
    "we",
    "sail",
    "to",
]


class Author:
    """One connection and the user behind it."""

    expected = 201  # the status of an answer

    def __init__(
        self,
        port: int,
        token: str,
        user_id: str,
        channel_id: str,
        replies: float,
        *,
        names: list[str] | None = None,
        mentions: int = 0,
    ) -> None:
        """names: usernames, of which each post mentions so many."""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST /api/v4/posts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: "
        self._head = head.encode()
        self._user_id, self._channel_id, self._replies = user_id, channel_id, replies
        self._names, self._mentions = names or [], mentions
        self._number = 0
        self._root = ""
        self._got = b""
        self.sent_at = 0.0

    def send(self) -> None:
        """Send the next post: prose of 15 words in the middle."""
        self._number += 1
        text = " ".join(random.choices(WORDS, k=random.randint(3, 27)))
        for name in random.sample(self._names, self._mentions):
            text += " @" + name
        root = self._root if random.random() < self._replies else ""
        pending = f"{self._user_id}:{id(self)}-{self._number}"
        body = (
            f'{{"channel_id":"{self._channel_id}","message":"{text}","root_id":"{root}","file_ids":[],"props":{{}},'
            f'"metadata":{{}},"create_at":0,"pending_post_id":"{pending}"}}'
        ).encode()
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._head + b"%d\r\n\r\n" % len(body) + body)

    def receive(self) -> int:
        """Read; return the status once the answer is whole, else 0."""
        self._got += self.socket.recv(65536)
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return 0
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return 0
        self._got = b""
        if b'"root_id":""' in body:
            self._root = body.partition(b'"id":"')[2][:26].decode()
        return int(head[9:12])


def run(authors: Sequence[Author], seconds: float) -> str:
    """Post for so long; return the line that reports it."""
    by_fd = {author.socket.fileno(): author for author in authors}
    epoll = select.epoll()
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    times: list[float] = []
    failed = 0
    for author in authors:
        author.send()
    waiting, end = len(authors), time.perf_counter() + seconds
    while waiting:
        for fd, _ in epoll.poll():
            author = by_fd[fd]
            status = author.receive()
            if not status:
                continue
            now = time.perf_counter()
            times.append(now - author.sent_at)
            failed += status != author.expected
            if now < end:
                author.send()
            else:
                waiting -= 1
    epoll.close()
    cuts = quantiles(times, n=100)
    return f"done {len(times)} {failed} {cuts[49] * 1000:.2f} {cuts[98] * 1000:.2f}"


def main() -> None:
    """Connect, then obey."""
    port, tokens, channel_id, connections, replies, *more = sys.argv[1:]
    users = [line.split()[:3] for line in Path(tokens).read_text().splitlines()]
    names = [name for _, _, name in users]
    authors = []
    for number in range(int(connections)):
        token, user_id, _ = users[number % len(users)]
        share, mentions = int(replies) / 100, int(more[0]) if more else 0
        authors.append(Author(int(port), token, user_id, channel_id, share, names=names, mentions=mentions))
    for line in sys.stdin:
        print(run(authors, float(line.split()[1])), flush=True)


if __name__ == "__main__":
    main()
