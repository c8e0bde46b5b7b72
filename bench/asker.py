"""The readers of bench.reads, in a process of their own: each asks again when the last answer is whole.

    python -m bench.asker PORT TOKENS_FILE PATH CONNECTIONS

Keep-alive connections, raw sockets and one epoll: the load must not be what is measured.

Lines on stdin: `go SECONDS`; then it answers `done REQUESTS FAILED P50_MS P99_MS`.
"""

import select
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles


class Asker:
    """One connection that asks for one path."""

    def __init__(self, port: int, token: str, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._request = head.encode()
        self._got = b""
        self.sent_at = 0.0

    def send(self) -> None:
        """Ask once more."""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._request)

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
        return int(head[9:12])


def run(askers: Sequence[Asker], seconds: float) -> str:
    """Ask for so long; return the line that reports it."""
    by_fd = {asker.socket.fileno(): asker for asker in askers}
    epoll = select.epoll()
    for fd in by_fd:
        epoll.register(fd, select.EPOLLIN)
    times: list[float] = []
    failed = 0
    for asker in askers:
        asker.send()
    waiting, end = len(askers), time.perf_counter() + seconds
    while waiting:
        for fd, _ in epoll.poll():
            asker = by_fd[fd]
            status = asker.receive()
            if not status:
                continue
            now = time.perf_counter()
            times.append(now - asker.sent_at)
            failed += status != 200
            if now < end:
                asker.send()
            else:
                waiting -= 1
    epoll.close()
    cuts = quantiles(times, n=100)
    return f"done {len(times)} {failed} {cuts[49] * 1000:.2f} {cuts[98] * 1000:.2f}"


def main() -> None:
    """Connect, then obey."""
    port, tokens, path, connections = sys.argv[1:]
    users = [line.split()[0] for line in Path(tokens).read_text().splitlines()]
    askers = [Asker(int(port), users[number % len(users)], path) for number in range(int(connections))]
    for line in sys.stdin:
        print(run(askers, float(line.split()[1])), flush=True)


if __name__ == "__main__":
    main()
