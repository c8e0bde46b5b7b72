"""What import-linter cannot see: the imports inside compiled modules, and what others bring along."""

import re
import subprocess
import sys
from pathlib import Path

HOTPATH = Path(__file__).parents[2] / "hotpath"
# hotpath is the lowest layer: C, CPython and itself.
ALLOWED = {"hotpath", "libc", "libcpp", "posix", "cpython", "cython", "picows"}


def test_compiled_modules_import_nothing_above_them() -> None:
    sources = [*HOTPATH.glob("*.pyx"), *HOTPATH.glob("*.pxd")]
    assert sources
    for source in sources:
        text = source.read_text()
        names = re.findall(r"^\s*(?:from\s+(\S+)\s+c?import|c?import\s+(\S+))", text, re.M)
        roots = {(one or other).split(".")[0].rstrip(",") for one, other in names}
        own = {root for root in roots if root.startswith(("api", "gateway", "tidewire", "loadtest", "push"))}
        assert not own, f"{source.name} imports {own}"
        cimports = re.findall(r"^\s*(?:from\s+(\S+)\s+cimport|cimport\s+(\S+))", text, re.M)
        assert {(one or other).split(".")[0].rstrip(",") for one, other in cimports} <= ALLOWED, source.name


def test_a_gateway_holds_nothing_large_that_it_does_not_use() -> None:
    start = "import sys; from tidewire.command import import_structlog_alone as alone; alone(); import gateway.main"
    command = [sys.executable, "-c", f"{start}; print(*sys.modules)"]
    modules = subprocess.run(command, cwd=HOTPATH.parent, capture_output=True, text=True, check=True).stdout.split()
    assert "structlog.dev" in modules
    assert not {"cyclopts", "pydantic", "pygments", "redis", "rich"} & set(modules)
