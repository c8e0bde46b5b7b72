"""The C programs of a measurement: built by gcc when their source is newer, ended with the measurement."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.machine import ROOT

SOURCES = ROOT / "bench" / "c"
BUILT = ROOT / "build" / "bench"


def build(name: str) -> Path:
    """Compile bench/c/<name>.c if need be; return the program. Raises: CalledProcessError with gcc's message shown."""
    source, program = SOURCES / f"{name}.c", BUILT / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        flags = ["-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra"]
        made = program.with_name(f"{name}.{os.getpid()}")  # two measurements may build it at once
        subprocess.run(["gcc", *flags, "-o", made, source, "-lm"], check=True)
        made.replace(program)
    return program


class Program:
    """A child that talks by lines. Both programs die with this process (PR_SET_PDEATHSIG)."""

    def __init__(self, argv: Sequence[str | Path | int]) -> None:
        self.name = Path(str(argv[0])).name
        self.process = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def say(self, line: str) -> None:
        """Send one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")

    def hear(self, word: str) -> list[str]:
        """Return the words after `word` on the next line.

        Raises: RuntimeError if the program ended or says something else.
        """
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        if not words or words[0] != word:
            raise RuntimeError(
                f"{self.name} said {words} for {word}; it has ended: {self.process.poll() is not None}"
            )
        return words[1:]

    def end(self) -> None:
        """Kill it and wait."""
        self.process.kill()
        self.process.wait()
