"""All processes of a swarm, from the side of their parent, which may be a Locust worker or a plain program.

Starts as many as the limit of descriptors asks for, and gives every report to a callback, one at a time. Works under
gevent's patches as without: threads read the pipes.
"""

import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from loadtest.swarm.wire import Command, Report, Setup, read_report

SPARE_DESCRIPTORS = 64  # of a child, for everything but sockets
MOST_PROCESSES = 16
_END_S = 10.0


class CannotRun(Exception):
    """The load cannot be made; the text is one clear line."""


@dataclass(frozen=True)
class Plan:
    """A swarm. hosts: HOST:PORT of gateways, in turn. first: number of the first client, for swarms side by side. The
    other fields are those of crowd.Crowd."""

    tokens: Path
    connections: int
    hosts: tuple[str, ...]
    first: int = 0
    auth: str = "bearer"
    watched: int = 0
    sample_every: int = 1
    in_flight: int = 1000
    ping_s: float = 30.0
    timeout_s: float = 30.0
    retry_s: float = 0.0
    path: str = "/api/v4/websocket"
    descriptors: int = field(default_factory=lambda: raise_limit())  # of a process


def raise_limit() -> int:
    """Raise the limit of descriptors as far as this account may, and return it. Children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 20
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted, soft)


def resolve(host: str) -> tuple[str, int, int]:
    """Return (name, IPv4 address, port) of HOST:PORT. Raises: CannotRun."""
    name, _, port = host.rpartition(":")
    try:
        if not name or not 0 < int(port) < 1 << 16:
            raise ValueError("a name and a port are needed")
        found = socket.getaddrinfo(name, int(port), socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        raise CannotRun(f"{host} is no HOST:PORT of a gateway with an IPv4 address: {error}") from error
    address = cast("tuple[str, int]", found[0][4])
    return host, int.from_bytes(socket.inet_aton(address[0]), "big"), address[1]


def split(connections: int, descriptors: int) -> list[int]:
    """Return how many connections each process gets, nearly equally many. Raises: CannotRun."""
    room = descriptors - SPARE_DESCRIPTORS
    if room * MOST_PROCESSES < connections:
        raise CannotRun(
            f"{connections} sockets need more descriptors than {MOST_PROCESSES} processes with {descriptors} each have:"
            " raise the limit (ulimit -n) or ask for fewer"
        )
    processes = -(-connections // room)
    return [connections // processes + (number < connections % processes) for number in range(processes)]


class Herd:
    """A running swarm. on_report: called from other threads, never twice at the same time.

    Raises: CannotRun, if the hosts, the number or the descriptors do not allow it.
    """

    def __init__(self, plan: Plan, on_report: Callable[[Report], None]) -> None:
        if plan.connections < 1 or not plan.hosts:
            raise CannotRun("a swarm needs connections and a gateway")
        self.plan = plan
        self.broken = ""  # why a process ended that should not have
        self._on_report = on_report
        self._lock = threading.Lock()
        self._ending = False
        self._shares = split(plan.connections, plan.descriptors)
        self._children: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        targets, first = [resolve(host) for host in plan.hosts], plan.first
        for share in self._shares:
            setup = Setup(
                str(plan.tokens), first, share, targets, plan.path, plan.auth, plan.watched, plan.sample_every,
                max(1, plan.in_flight // len(self._shares)), plan.ping_s, plan.timeout_s, plan.retry_s,
            )  # fmt: skip
            self._start(setup)
            first += share

    @property
    def pids(self) -> list[int]:
        """The processes."""
        return [child.pid for child in self._children]

    def connect(self, rate: float, *, resume: bool = False, label: str = "connect") -> None:
        """Let all clients connect that are not, `rate` a second over all processes. label: what reports call it."""
        for child, share in zip(self._children, self._shares, strict=True):
            own = rate * share / self.plan.connections
            self._tell(child, Command("connect", rate=own, resume=resume, label=label))

    def drop(self) -> None:
        """Close all sockets, without a close frame."""
        for child in self._children:
            self._tell(child, Command("drop"))

    def open(self, number: int, *, resume: bool = False, label: str = "connect") -> None:
        """Let one client connect, beside the others. label: what reports call it, the same for all."""
        self._tell_one(Command("open", number=number, resume=resume, label=label))

    def cut(self, number: int) -> None:
        """Close one client's socket, without a close frame."""
        self._tell_one(Command("cut", number=number))

    def say(self, number: int, action: str, **data: object) -> None:
        """Let one client send an action; nothing happens if it is not logged in."""
        self._tell_one(Command("say", number=number, action={"action": action, "data": data}))

    def _tell_one(self, command: Command) -> None:
        at = command.number - self.plan.first
        for child, share in zip(self._children, self._shares, strict=True):
            if at < share:
                self._tell(child, command)
                return
            at -= share

    def stop(self) -> None:
        """End all processes, after their last reports."""
        self._ending = True
        for child in self._children:
            assert child.stdin is not None
            try:
                child.stdin.close()
            except BrokenPipeError:
                pass  # it has ended already
        for child, reader in zip(self._children, self._readers, strict=True):
            try:
                child.wait(_END_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            reader.join(_END_S)

    def _start(self, setup: Setup) -> None:
        child = subprocess.Popen(
            [sys.executable, "-m", "loadtest.swarm.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._children.append(child)
        reader = threading.Thread(target=self._read, args=(child,), daemon=True)
        self._readers.append(reader)
        self._write(child, msgspec.json.encode(setup))
        reader.start()

    def _read(self, child: "subprocess.Popen[bytes]") -> None:
        output = cast(BinaryIO, child.stdout)
        while (report := read_report(output)) is not None:
            with self._lock:
                self._on_report(report)
        status = child.wait()
        if not self._ending:
            self.broken = f"process {child.pid} of the swarm ended with {status}"

    def _tell(self, child: "subprocess.Popen[bytes]", command: Command) -> None:
        self._write(child, msgspec.json.encode(command))

    def _write(self, child: "subprocess.Popen[bytes]", line: bytes) -> None:
        assert child.stdin is not None
        try:
            child.stdin.write(line + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            self.broken = self.broken or f"process {child.pid} of the swarm ended"


def side_by_side(plan: Plan, index: int, workers: int) -> Plan:
    """Return one worker's part of a plan that several share; its numbers follow those of the workers before it."""
    share, rest = divmod(plan.connections, workers)
    first = plan.first + index * share + min(index, rest)
    return replace(plan, connections=share + (index < rest), first=first)
