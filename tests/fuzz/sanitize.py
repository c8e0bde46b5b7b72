"""Run hotpath's tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer, leaks included.

    python -m tests.fuzz.sanitize [--short] [PYTEST ARGUMENTS]

The build lies in build/sanitize; the tree's own modules stay as they are. Every Python process of the run, children
too, imports it first of all, by a sitecustomize.py beside it. Exit status 0 if all tests pass and nothing was found.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / "build" / "sanitize"
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g"
TESTS = ["tests/unit/hotpath", "tests/protocol"]
NOT_MEANT = [
    "--ignore=tests/protocol/test_cycles.py",  # measures memory, and freed blocks are kept aside here
    "--ignore=tests/protocol/test_browsers.py",  # neither browsers nor Node run with AddressSanitizer preloaded
    "--deselect=tests/protocol/test_compression.py::test_ws_of_npm",
]
LONG = [
    "--ignore=tests/protocol/test_autobahn.py",  # a minute of other people's cases, on much the same paths
    "--ignore=tests/unit/hotpath/test_frames.py",  # the fuzzer does more to the parser, with sanitizers too
]


def _runtime(name: str) -> str:
    ask = ["gcc", f"-print-file-name={name}"]
    found = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.isabs(found):
        raise FileNotFoundError(f"gcc has no {name}")
    return found


def _newest(*paths: Path) -> float:
    return max(path.stat().st_mtime for path in paths)


def build() -> None:
    """Build, if a source is newer. Raises: CalledProcessError, the compiler's words shown."""
    stamp = BUILT / "built"
    hotpath = ROOT / "hotpath"
    sources = [*hotpath.rglob("*.p*[xydi]"), *hotpath.glob("*.h"), ROOT / "setup.py", Path(__file__)]
    if stamp.exists() and stamp.stat().st_mtime > _newest(*sources):
        return
    shutil.rmtree(BUILT, ignore_errors=True)
    # The C sources come along: Cython makes anew only what is older than its .pyx.
    shutil.copytree(ROOT / "hotpath", BUILT / "hotpath", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy2(ROOT / name, BUILT / name)
    environment = os.environ | {"CC": "gcc", "CFLAGS": FLAGS, "LDFLAGS": FLAGS}
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "build_ext", "--inplace", "-j", "2"]
    subprocess.run(command, cwd=BUILT, env=environment, check=True)
    (BUILT / "sitecustomize.py").write_text('"""Puts this build before the tree\'s."""\n\nimport hotpath.gate\n')
    stamp.touch()


def environment() -> dict[str, str]:
    """Return what makes a Python process run on that build. Raises: FileNotFoundError."""
    return os.environ | {
        "LD_PRELOAD": f"{_runtime('libasan.so')} {_runtime('libubsan.so')}",
        "PYTHONPATH": str(BUILT),
        "PYTHONMALLOC": "malloc",  # so that every Python object is watched too
        "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1",
        "LSAN_OPTIONS": f"suppressions={HERE / 'lsan.supp'}:print_suppressions=0",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }


def run(arguments: Sequence[str], *, short: bool = False) -> subprocess.CompletedProcess[str]:
    """Build and run the tests; the result is pytest's, or a signal's if a sanitizer found something.

    Raises: RuntimeError if another build would be tested.
    """
    build()
    changed = environment()
    probe = [sys.executable, "-c", "import hotpath.gate, hotpath.frames; print(hotpath.gate.__file__)"]
    used = subprocess.run(probe, cwd=ROOT, env=changed, capture_output=True, text=True, check=True).stdout
    if not used.startswith(str(BUILT)):
        raise RuntimeError(f"the sanitized build is not what is imported, but {used}")
    tests = [*TESTS, *NOT_MEANT, *(LONG if short else [])]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *arguments]
    return subprocess.run(command, cwd=ROOT, env=changed, capture_output=short, text=True, check=False)


def main() -> int:
    arguments = sys.argv[1:]
    short = "--short" in arguments
    done = run([word for word in arguments if word != "--short"], short=short)
    if short:
        print(done.stdout, done.stderr)
    return int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
