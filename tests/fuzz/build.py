"""Builds the fuzzer of the frame parser, with AddressSanitizer and UndefinedBehaviorSanitizer, in build/fuzz.

By clang with libFuzzer, which sees what an input reaches. As root it is installed (Debian, Ubuntu) where it is missing;
a plain user without it gets gcc with mutate.c, which changes the same inputs blindly.
"""

import functools
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures import packages

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / "build" / "fuzz"
LIBFUZZER, BLIND = "clang, libFuzzer", "gcc, blind mutations"

SANITIZE = ["-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]
# Where Cython's own helpers break a rule of C, they are not what is fuzzed: only the harness and the parser run.
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-function", "-Wno-missing-field-initializers", "-Wno-cast-function-type"]


@dataclass(frozen=True)
class Fuzzer:
    """A built fuzzer. engine: LIBFUZZER or BLIND."""

    program: Path
    engine: str


def _links_libfuzzer() -> bool:
    clang = shutil.which("clang")
    if clang is None:
        return False
    source = b"#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *d, size_t n) { return (void)d, (void)n, 0; }"
    flags = ["-x", "c", "-", "-fsanitize=fuzzer,address", "-o", "/dev/null"]
    return subprocess.run([clang, *flags], input=source, capture_output=True, check=False).returncode == 0


def _install() -> None:
    """Install clang and its runtimes. Raises: CalledProcessError."""
    print("installing clang for libFuzzer", file=sys.stderr)
    with packages.alone():
        packages.install("clang")
        dump = subprocess.run(["clang", "-dumpversion"], capture_output=True, text=True, check=True).stdout
        # A package of its own since Debian 12.
        packages.install(f"libclang-rt-{dump.split('.')[0]}-dev", update=False)


@functools.cache
def engine() -> str:
    """Return LIBFUZZER if this machine has it or can get it, else BLIND."""
    if not _links_libfuzzer() and packages.may_install():
        try:
            _install()
        except subprocess.CalledProcessError as error:
            print(f"no libFuzzer: {error}", file=sys.stderr)
    return LIBFUZZER if _links_libfuzzer() else BLIND


def build(which: str) -> Fuzzer:
    """Build, if a source is newer. which: LIBFUZZER or BLIND. Raises: CalledProcessError, compiler's words shown."""
    BUILT.mkdir(parents=True, exist_ok=True)
    frames, program = BUILT / "frames.c", BUILT / ("parser-libfuzzer" if which == LIBFUZZER else "parser-blind")
    sources = [HERE / "parser.c", *([HERE / "mutate.c"] if which == BLIND else [])]
    newest = max(path.stat().st_mtime for path in [*sources, Path(__file__), *(ROOT / "hotpath").glob("frames.p*")])
    if program.exists() and program.stat().st_mtime > newest:
        return Fuzzer(program, which)
    cython: list[str | Path] = [sys.executable, "-m", "cython", "-3", ROOT / "hotpath/frames.pyx", "-o", frames]
    subprocess.run(cython, cwd=ROOT, check=True)
    compiler = ["clang", "-fsanitize=fuzzer,address,undefined"] if which == LIBFUZZER else [
        "gcc", "-fsanitize=address,undefined"]
    config = sysconfig.get_config_vars()
    library = config["LIBDIR"]
    python = ["-I", sysconfig.get_path("include"), "-L", library, "-L", config["LIBPL"], f"-Wl,-rpath,{library}"]
    link = [f"-lpython{config['LDVERSION']}", *config.get("LIBS", "").split(), "-lm"]
    define = f'-DFRAMES_C="{frames}"'
    unfinished = program.with_suffix(".new")
    command: list[str | Path] = [*compiler, *SANITIZE, *WARNINGS, define, *python, *sources, "-o", unfinished, *link]
    subprocess.run(command, check=True)
    unfinished.rename(program)
    return Fuzzer(program, which)
