"""The browsers of bench.boot, in a process of their own: each sends the next call when the last is answered.

One keep-alive connection for each user, raw sockets and one epoll; when the last call of a start is answered, the user
starts again, as a first visit: no If-None-Match.

    python -m bench.booter PORT TOKENS_FILE [ENCODING]

ENCODING: what they accept, by default `identity`.

Lines on stdin: `go SECONDS`; then it answers `done BOOTS FAILED P50_MS P99_MS`, times of whole starts. Everything but
200 is counted as failed, and named on stderr.
"""

import json
import select
import socket
import sys
import time
from pathlib import Path
from statistics import quantiles

from loadtest.people.boot import boot_calls

STATUSES = 40  # people of whom a sidebar wants to know


class Browser:
    """One user and his connection. `next` is the number of the call that is sent next."""

    def __init__(
        self, port: int, encoding: str, token: str, user_id: str, channel_id: str, team_id: str, others: list[str]
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests: list[bytes] = []
        self.paths: list[str] = []
        for method, path, body in boot_calls(user_id, team_id, channel_id, others):
            data = b"" if body is None else json.dumps(body).encode()
            head = (
                f"{method} /api/v4{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                f"Accept-Encoding: {encoding}\r\nContent-Length: {len(data)}\r\n\r\n"
            )
            self._requests.append(head.encode() + data)
            self.paths.append(path)
        self._got = bytearray()
        self.next = 0
        self.began_at = 0.0

    def send(self) -> None:
        """Send the next call."""
        if self.next == 0:
            self.began_at = time.perf_counter()
        self.socket.sendall(self._requests[self.next])
        self.next = (self.next + 1) % len(self._requests)

    def receive(self) -> int:
        """Read; return the status once the answer is whole, else 0."""
        self._got += self.socket.recv(1 << 20)
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return 0
        head = bytes(self._got[:end]).lower()
        _, sized, rest = head.partition(b"content-length: ")
        if sized:
            whole = end + 4 + int(rest.split(b"\r\n", 1)[0])
            if len(self._got) < whole:
                return 0
        elif not self._got.endswith(b"0\r\n\r\n"):  # chunked: the stream of memberships
            return 0
        self._got.clear()
        return int(head[9:12])


def run(browsers: list[Browser], seconds: float) -> str:
    """Start again and again for so long; return the line that reports it."""
    by_fd = {browser.socket.fileno(): browser for browser in browsers}
    epoll = select.epoll()
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    times: list[float] = []
    failed = 0
    wrong: set[str] = set()
    for browser in browsers:
        browser.send()
    waiting, end = len(browsers), time.perf_counter() + seconds
    while waiting:
        for fd, _ in epoll.poll():
            browser = by_fd[fd]
            status = browser.receive()
            if not status:
                continue
            if status != 200:
                failed += 1
                wrong.add(f"{status} {browser.paths[browser.next - 1].partition('?')[0]}")
            now = time.perf_counter()
            if browser.next == 0:
                times.append(now - browser.began_at)
            if browser.next or now < end:
                browser.send()
            else:
                waiting -= 1
    epoll.close()
    if wrong:
        print(sorted(wrong)[:3], file=sys.stderr)
    cuts = quantiles(times, n=100)
    return f"done {len(times)} {failed} {cuts[49] * 1000:.2f} {cuts[98] * 1000:.2f}"


def main() -> None:
    """Connect, then obey."""
    port, tokens, encoding = [*sys.argv[1:], "identity"][:3]
    users = [line.split() for line in Path(tokens).read_text().splitlines()]
    others = [user[1] for user in users][:STATUSES]
    browsers = [
        Browser(int(port), encoding, token, me, channel, team, others) for token, me, _, channel, team in users
    ]
    for line in sys.stdin:
        print(run(browsers, float(line.split()[1])), flush=True)


if __name__ == "__main__":
    main()
