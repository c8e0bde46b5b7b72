"""What import-linter and the type checker cannot see of the compiled modules."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hotpath

ROOT = Path(hotpath.__file__).parent
CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)


def test_compiled_modules_stand_at_the_bottom():
    """hotpath may use C, Python's own modules and itself: nothing of the project above it."""
    sources = [*ROOT.glob("*.pyx"), *ROOT.glob("*.pxd")]
    assert len(sources) >= 8
    for source in sources:
        for match in CIMPORT.finditer(source.read_text()):
            package = (match[1] or match[2]).split(".")[0]
            assert package in {"libc", "cpython", "cython", "hotpath", "ssl"}, f"{source.name}: {match[0]}"


def test_every_compiled_module_with_python_names_has_stubs_and_a_twin():
    for name in ("frames", "fanout", "gate", "seat"):
        assert (ROOT / f"{name}.pyi").exists()
        assert (ROOT / "reference" / f"{name}.py").exists()
    assert (ROOT / "reference" / "outbox.py").exists()


def test_a_missing_build_stops_the_process_with_a_clear_message(tmp_path):
    shutil.copytree(ROOT, tmp_path / "hotpath", ignore=shutil.ignore_patterns("*.so", "*.c", "__pycache__"))
    environment = {name: value for name, value in os.environ.items() if name != "HOTPATH"}
    # -S: no site-packages, where an editable install would still point to the built modules.
    run = [sys.executable, "-S", "-c", "import hotpath"]
    missing = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert missing.returncode == 1
    assert "hotpath is not built" in missing.stderr
    assert "setup.py build_ext --inplace" in missing.stderr
    assert subprocess.run(run, cwd=tmp_path, env=environment | {"HOTPATH": "python"}).returncode == 0
