"""What import-linter cannot see: the imports inside compiled modules."""

import re
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
