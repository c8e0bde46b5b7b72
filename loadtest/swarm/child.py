"""One process of a swarm: `python -m loadtest.swarm.child`, started by herd.py. Single-threaded, no event loop."""

import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from loadtest.swarm.crowd import Crowd
from loadtest.swarm.histogram import Histogram
from loadtest.swarm.wire import Command, Report, Setup, write_report

REPORT_S = 1.0
NEWS_S = 0.1  # while watched clients log in, of whom somebody waits to hear
_POLL_MS = 50
_PAGE = os.sysconf("SC_PAGE_SIZE")
_decode_command = msgspec.json.Decoder(Command).decode


def resident_bytes() -> int:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def read_tokens(path: str, first: int, count: int) -> Iterator[bytes]:
    """Yield the first words of `count` lines from line `first` on, round and round; none is kept."""
    with open(path, "rb") as file:
        at = first % sum(1 for _ in file)
        while count:
            file.seek(0)
            for line in islice(file, at, at + count):
                yield line.split(maxsplit=1)[0]
                count -= 1
            at = 0


class Child:
    """A crowd that does what it is told on standard input and reports on standard output."""

    def __init__(self, setup: Setup) -> None:
        self._base_bytes = resident_bytes()
        self._setup = setup
        self.crowd = Crowd(
            read_tokens(setup.tokens, setup.first, setup.count),
            setup.count,
            setup.targets,
            path=setup.path,
            auth=setup.auth,
            first_number=setup.first,
            watched=setup.watched,
            sample_every=setup.sample_every,
            in_flight=setup.in_flight,
            ping_s=setup.ping_s,
            timeout_s=setup.timeout_s,
            retry_s=setup.retry_s,
            wake_fd=0,
        )
        self._reported, self._cpu_s = time.monotonic(), time.process_time()
        self._input = b""
        self._label = ""
        self._connecting = False

    def run(self) -> None:
        """Serve until standard input ends."""
        while True:
            if self.crowd.poll(_POLL_MS) and not self._obey():
                break
            done = self._connecting and not self.crowd.connecting  # whoever waits for it should not wait for the clock
            if done or time.monotonic() - self._reported >= (NEWS_S if self.crowd.news else REPORT_S):
                self.report()
                self._connecting = self.crowd.connecting > 0
        self.crowd.drop()
        self.report()

    def _obey(self) -> bool:
        """Carry out what has come on standard input; False at its end."""
        data = os.read(0, 1 << 16)
        if not data:
            return False
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            command = _decode_command(line)
            if command.do == "connect":
                self.report()  # nothing of what follows is mixed with what was
                self._label, self._connecting = command.label, True
                self.crowd.connect(0, self._setup.count, command.rate, resume=command.resume)
            elif command.do == "drop":
                self.crowd.drop()
                self.report()
            else:
                self._obey_for_one(command, command.number - self._setup.first)
        return True

    def _obey_for_one(self, command: Command, number: int) -> None:
        if command.do == "open":
            if command.label != self._label:
                self.report()
                self._label = command.label
            self.crowd.begin(number, resume=command.resume)
        elif command.do == "cut":
            self.crowd.cut(number)
        else:
            self.crowd.say(number, msgspec.json.encode(command.action))

    def report(self) -> None:
        """Send what happened since the last report."""
        now, cpu_s, found = time.monotonic(), time.process_time(), self.crowd.take()
        report = Report(
            pid=os.getpid(),
            label=self._label,
            wall_s=now - self._reported,
            cpu_s=cpu_s - self._cpu_s,
            rss_bytes=resident_bytes(),
            base_bytes=self._base_bytes,
            open=found["open"],
            connecting=found["connecting"],
            busiest_us=found["busiest_us"],
            first_attempt=found["first_attempt_us"] / 1e6,
            last_opened=found["last_opened_us"] / 1e6,
            counts=found["counts"],
            times={name: Histogram(*fields) for name, fields in found["times"].items()},
            errors=found["errors"],
            opened=found["opened"],
            marks=found["marks"],
        )
        self._reported, self._cpu_s = now, cpu_s
        write_report(sys.stdout.buffer, report)


def main() -> int:
    """Read the setup and run."""
    with open(0, "rb", buffering=0, closefd=False) as unbuffered:  # what follows belongs to the crowd's poll
        setup = msgspec.json.decode(unbuffered.readline(), type=Setup)
    try:
        Child(setup).run()
    except (BrokenPipeError, KeyboardInterrupt):  # the parent went away, or both are stopped from the keyboard
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
