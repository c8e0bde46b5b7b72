"""Connections to one provider: HTTP/2 over TLS by pyreqwest, re-used for every push, several where one is full.

Redirects are not followed, nothing is decompressed, and every attempt has a deadline.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import ConnectTimeoutError, PyreqwestError, RequestTimeoutError

from push.targets import BadConfig


class Answer(NamedTuple):
    """What came back. body: empty for a 200 that nobody wanted to read."""

    status: int
    body: bytes
    retry_after: str | None


class NoAnswer(Exception):
    """The peer could not be reached, hung up or was too slow. word: for metrics; why: safe to show, may be empty."""

    def __init__(self, word: str, why: str = "") -> None:
        super().__init__(word)
        self.word, self.why = word, why


@dataclass(frozen=True)
class Line:
    """How to reach a provider. ca_file: PEM of further authorities; connections: most that are held open."""

    attempt_timeout_s: float = 8.0
    connections: int = 2
    ca_file: str = ""


def builder(line: Line) -> ClientBuilder:
    """Return what every client of ours has. Raises: BadConfig for a file of authorities that cannot be read."""
    made = (
        ClientBuilder()
        .follow_redirects(False)
        .referer(False)
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .user_agent("Tidewire")
        .timeout(timedelta(seconds=line.attempt_timeout_s))
        .connect_timeout(timedelta(seconds=min(5.0, line.attempt_timeout_s)))
        # A connection that died silently is noticed before the next push would wait for it.
        .http2_keep_alive_interval(timedelta(seconds=15))
        .http2_keep_alive_timeout(timedelta(seconds=10))
        .http2_keep_alive_while_idle(True)
        .pool_idle_timeout(timedelta(minutes=30))
        # Answers are small, but thousands of them: credit for all of a second's errors.
        .http2_initial_connection_window_size(1 << 20)
    )
    if line.ca_file:
        try:
            made = made.add_root_certificate_pem(Path(line.ca_file).read_bytes())
        except (OSError, ValueError) as error:
            raise BadConfig(
                f"{line.ca_file}: {getattr(error, 'strerror', None) or 'no certificate'}"
            ) from error
    return made


# Requests that a connection takes in a row: written together they share records of TLS and calls of the system. A peer
# that allows 100 at once still gets them evenly enough.
ROW = 32


class Lines:
    """Clients of one provider; pushes go to the one with the least under way, some in a row. Each is one connection.

    They are made by `open`, or with the first push: a process that forks must have none.
    """

    def __init__(self, builders: list[ClientBuilder]) -> None:
        self._builders = builders
        self._clients: list[Client] = []
        self._busy = [0] * len(builders)
        self._number = 0

    def open(self) -> None:
        """Make the clients, if there are none; takes some 40 ms each, which the first push need not wait for."""
        if not self._clients:
            self._clients = [one.build() for one in self._builders]

    async def post(self, url: str, headers: dict[str, str], body: bytes, *, read: bool = False) -> Answer:
        """Send one request. read: the body of a 200, too. Raises: NoAnswer."""
        self.open()
        busy = self._busy
        number = self._number
        if len(busy) > 1 and busy[number] >= min(busy) + ROW:
            number = self._number = busy.index(min(busy))
        busy[number] += 1
        try:
            response = await self._clients[number].post(url).headers(headers).body_bytes(body).build().send()
            status = response.status
            if status == 200 and not read:
                return _OK
            return Answer(status, bytes(await response.bytes()), response.get_header("retry-after"))
        except PyreqwestError as error:
            raise no_answer(error) from error
        finally:
            busy[number] -= 1

    async def close(self) -> None:
        """Drop the connections."""
        for client in self._clients:
            await client.close()


_OK = Answer(200, b"", None)


def no_answer(error: PyreqwestError) -> NoAnswer:
    """Return what an exception of the client means."""
    if isinstance(error, ConnectTimeoutError):
        word = "ConnectTimeout"
    else:
        word = "Timeout" if isinstance(error, RequestTimeoutError) else "RequestError"
    causes = (getattr(error, "details", None) or {}).get("causes") or [{}]
    why = str(causes[-1].get("message", ""))
    # The outer ones name the address, which has the device's token in it; the innermost is the system's word.
    return NoAnswer(word, "" if "://" in why else why[:200])
