"""Builds the compiled half of hotpath/ and loadtest/swarm/. All other metadata is in pyproject.toml.

HOTPATH_DEBUG=1 builds with bounds, None and overflow checks, symbols and an annotated .html beside each source.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("HOTPATH_DEBUG") == "1"

extensions = [
    Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        extra_compile_args=["-O0", "-g"] if DEBUG else ["-O2"],
    )
    for folder in (Path("hotpath"), Path("loadtest/swarm"))
    for source in sorted(folder.glob("*.pyx"))
]

directives = {"language_level": 3}
if DEBUG:
    # These override the `# cython:` header of a source, not decorators on single functions.
    directives |= {"boundscheck": True, "wraparound": True, "initializedcheck": True, "nonecheck": True,
                   "overflowcheck": True, "cdivision": False}

AT_ONCE = os.cpu_count() or 1
setup(
    ext_modules=cythonize(
        extensions, compiler_directives=directives, annotate=DEBUG, force=DEBUG, nthreads=AT_ONCE
    ),
    options={"build_ext": {"parallel": AT_ONCE}},
)
