"""The readers of bench.reads, in a process of their own: each asks again when the last answer is whole.

    python -m bench.asker PORT TOKENS_FILE PATH CONNECTIONS

As bench.poster: keep-alive connections, raw sockets and one epoll; the same lines on stdin and stdout.
"""

import sys
import time
from pathlib import Path

from bench.poster import Author, run


class Asker(Author):
    """One connection that asks for one path."""

    expected = 200

    def __init__(self, port: int, token: str, path: str) -> None:
        super().__init__(port, token, "", "", 0)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._request = head.encode()

    def send(self) -> None:
        """Ask once more."""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._request)


def main() -> None:
    """Connect, then obey."""
    port, tokens, path, connections = sys.argv[1:]
    users = [line.split()[0] for line in Path(tokens).read_text().splitlines()]
    askers = [Asker(int(port), users[number % len(users)], path) for number in range(int(connections))]
    for line in sys.stdin:
        print(run(askers, float(line.split()[1])), flush=True)


if __name__ == "__main__":
    main()
