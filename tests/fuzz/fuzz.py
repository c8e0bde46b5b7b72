"""Fuzz the frame parser; what was found new is kept in build/fuzz/corpus for the next time.

    python -m tests.fuzz.fuzz [--seconds 600] [--blind]

Exit status 1 if an input broke a promise of the parser or of C; the input lies in build/fuzz then, and the command that
runs it again is printed.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import seeds
from tests.fuzz.build import BLIND, BUILT, LIBFUZZER, Fuzzer, build, engine

LONGEST_INPUT = 70_000  # a frame of 65,536 bytes and some more
# abort_on_error: the end is a signal, so that no exit code can be mistaken. Python's home is found by its program.
ENVIRONMENT = {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:malloc_context_size=10",
               "UBSAN_OPTIONS": "print_stacktrace=1", "PYTHONHOME": sys.base_prefix}


@dataclass(frozen=True)
class Outcome:
    """What a run of the fuzzer came to. coverage: edges reached, 0 if the engine cannot tell."""

    engine: str
    runs: int
    coverage: int
    failed: bool
    report: str

    def __str__(self) -> str:
        seen = f", {self.coverage} edges reached" if self.coverage else ""
        return f"{self.engine}: {self.runs:,} inputs{seen}, {'FAILED' if self.failed else 'nothing found'}"


def run(fuzzer: Fuzzer, seconds: float, *, corpus: Path, seed: int = 0, flags: Sequence[str] = ()) -> Outcome:
    """Fuzz for some seconds, from the seeds and whatever is in `corpus` on, and add to it."""
    given = BUILT / "seeds"
    seeds.write(given)
    corpus.mkdir(parents=True, exist_ok=True)
    argv = [str(fuzzer.program), f"-max_total_time={round(seconds)}", f"-seed={seed}", *flags]
    if fuzzer.engine == LIBFUZZER:
        argv += [f"-max_len={LONGEST_INPUT}", f"-artifact_prefix={BUILT}/", "-timeout=20", "-rss_limit_mb=2048",
                 "-print_final_stats=1", str(corpus)]
    done = subprocess.run([*argv, str(given)], capture_output=True, text=True, errors="replace", check=False,
                          env=os.environ | ENVIRONMENT)
    if done.returncode and fuzzer.engine == BLIND:
        current = (BUILT / "current").read_bytes()
        (BUILT / "crash-blind").write_bytes(current[8 : 8 + int.from_bytes(current[:8], sys.byteorder)])
    coverage = [int(number) for number in re.findall(r"\bcov: (\d+)", done.stderr)]
    runs = re.search(r"Done (\d+) runs", done.stderr)
    return Outcome(fuzzer.engine, int(runs[1]) if runs else 0, max(coverage, default=0), done.returncode != 0,
                   done.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--blind", action="store_true", help="without libFuzzer, as where clang is missing")
    arguments = parser.parse_args()
    fuzzer = build(BLIND if arguments.blind else engine())
    outcome = run(fuzzer, arguments.seconds, corpus=BUILT / "corpus", seed=int.from_bytes(os.urandom(3)) + 1)
    print(outcome)
    if outcome.failed:
        print(outcome.report[-6000:])
        print(f"the input is in {BUILT}; run it again: PYTHONHOME={sys.base_prefix} {fuzzer.program} FILE")
    return int(outcome.failed)


if __name__ == "__main__":
    sys.exit(main())
