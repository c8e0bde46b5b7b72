"""Files: MB/s up and down through the real API, and the memory that it takes more meanwhile.

    python -m bench.files [--total 1024] [--size 64] [--connections 4] [--turns 5] [--directory DIR]

The real API process with one worker on a core of its own, a private PostgreSQL and Redis; each connection sends its
next file when the last is answered, by sendfile() out of the page cache. Files go to a disk; only the kernel waits for
it. Memory: the peak of the worker's resident set, less what it had before.
"""

import argparse
import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.machine import QUIET_BELOW, Watch, Window, conditions, pin, rss_kib, tree
from bench.posts import API_CORE, LOAD_CORE, PATIENCE, api
from bench.servers import services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

MIB = 1 << 20
LEAST_TURNS = 3


@dataclass
class Turn:
    """One stretch. more_kib: memory at its peak above that of the start."""

    window: Window
    size: int
    more_kib: int

    @property
    def rate(self) -> float:
        """Megabytes (10^6 bytes) per second."""
        return self.size / 1e6 / self.window.wall_s


class Caller:
    """One keep-alive connection of a user."""

    def __init__(self, port: int, user: SeededUser, content: Path, size: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._auth = f"Host: 127.0.0.1\r\nAuthorization: Bearer {user.token}\r\n"
        self._channel_id, self._size = user.channel_id, size
        self._content = content.open("rb")
        self._buffer = memoryview(bytearray(MIB))
        self._ids: list[str] = []

    def body(self) -> None:
        """Upload a file as the body."""
        path = f"/api/v4/files?channel_id={self._channel_id}&filename=a.bin"
        self._upload(f"POST {path} HTTP/1.1\r\n{self._auth}Content-Length: {self._size}\r\n\r\n".encode(), b"")

    def form(self) -> None:
        """Upload a file by a form, as the web client does."""
        start = f'--b\r\nContent-Disposition: form-data; name="channel_id"\r\n\r\n{self._channel_id}\r\n--b\r\n'
        start += 'Content-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'
        end = b"\r\n--b--\r\n"
        length = len(start) + self._size + len(end)
        head = f"POST /api/v4/files HTTP/1.1\r\n{self._auth}Content-Type: multipart/form-data; boundary=b\r\n"
        self._upload(f"{head}Content-Length: {length}\r\n\r\n{start}".encode(), end)

    def _upload(self, head: bytes, end: bytes) -> None:
        self._socket.sendall(head)
        self._socket.sendfile(self._content, 0)
        self._socket.sendall(end)
        status, body = self._answer()
        assert status == 201, body
        self._ids.append(json.loads(body)["file_infos"][0]["id"])

    def download(self) -> None:
        """Get one of the files back."""
        path = f"/api/v4/files/{self._ids.pop()}"
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{self._auth}\r\n".encode())
        head, rest = self._head()
        left = self._size - len(rest)
        assert b" 200 " in head.partition(b"\r\n")[0], head
        while left:
            left -= self._socket.recv_into(self._buffer[: min(left, MIB)])

    def forget(self) -> None:
        """Let go of the files that it has uploaded: they are to be deleted."""
        self._ids.clear()

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self._socket.recv(65_536)
            assert piece, data
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest

    def _answer(self) -> tuple[int, bytes]:
        head, body = self._head()
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            body += self._socket.recv(65_536)
        return int(head.split(b" ", 2)[1]), body


def _peak_kib(pids: list[int]) -> int:
    """Return the resident memory at its peak since the last `_forget_peak`."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _forget_peak(pids: list[int]) -> None:
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def turn(
    pool: ThreadPoolExecutor, act: Callable[[Caller], None], callers: list[Caller], times: int, watched: Any
) -> Turn:
    """Let each caller act so many times at once, and measure the API."""
    pid, ours, size = watched
    processes = tree([pid])
    _forget_peak(processes)
    before = rss_kib(processes)
    watch = Watch(pid, ours)

    def go(caller: Caller) -> None:
        for _ in range(times):
            act(caller)

    list(pool.map(go, callers))
    window = watch.stop()
    return Turn(window, size * times * len(callers), _peak_kib(processes) - before)


def measure(options: argparse.Namespace) -> bool:
    """Run all turns and print them; return whether they may be quoted."""
    size = options.size * MIB
    times = options.total // options.size // options.connections
    with services() as running, tempfile.TemporaryDirectory(dir=options.directory) as folder:
        scratch = Path(folder)
        users = asyncio.run(seed(Database(running.postgres.url()), Plan(options.connections)))
        content = scratch / "content"
        content.write_bytes(os.urandom(MIB) * options.size)
        with api(running, scratch) as (pid, port), ThreadPoolExecutor(options.connections) as pool:
            for process in tree([pid]):
                pin(process, API_CORE)
            callers = [Caller(port, user, content, size) for user in users[: options.connections]]
            acts = {"up, body": Caller.body, "up, form": Caller.form, "down": Caller.download}
            turns: dict[str, list[Turn]] = {name: [] for name in acts}
            for caller in callers:
                caller.form()
                caller.download()
            watched = (pid, running.pids, size)
            for _ in range(options.turns * PATIENCE):
                for name, act in acts.items():
                    turns[name].append(turn(pool, act, callers, times, watched))
                for caller in callers:
                    caller.forget()
                for file in (scratch / "files").rglob("*/*/*/*"):  # so that the disk does not fill
                    file.unlink()
                if all(sum(one.window.quiet for one in found) >= options.turns for found in turns.values()):
                    break
    return report(turns)


def report(turns: dict[str, list[Turn]]) -> bool:
    """Print the figures; return whether they may be quoted."""
    valid = True
    for name, found in turns.items():
        quiet = [one for one in found if one.window.quiet]
        good = len(quiet) >= LEAST_TURNS
        chosen = quiet if good else found
        valid &= good
        rates = sorted(one.rate for one in chosen)
        cpu = median(one.window.cpu_s / one.window.wall_s for one in chosen)
        more = max(one.more_kib for one in found) / 1024
        print(
            f"{name:10}{median(rates):>6.0f} MB/s ({rates[0]:.0f}–{rates[-1]:.0f}), {cpu:.0%} of a core,"
            f" {more:.1f} MiB more at the peak; {len(quiet)} of {len(found)} turns quiet ({QUIET_BELOW:.0%})"
        )
    print("valid" if valid else "NOT VALID")
    return valid


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.files", description=__doc__.split("\n")[0])
    parser.add_argument("--total", type=int, default=1024, help="MiB of one turn")
    parser.add_argument("--size", type=int, default=64, help="MiB of one file")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--turns", type=int, default=5, help="quiet turns to wait for")
    parser.add_argument("--directory", help="where files go, by default the folder for temporary ones")
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    print(
        f"cores     API on {API_CORE}, the rest on {LOAD_CORE}; {options.total} MiB a turn, files of {options.size} MiB"
        f" over {options.connections} connections\n"
    )
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    return 0 if measure(options) else 3


if __name__ == "__main__":
    raise SystemExit(main())
