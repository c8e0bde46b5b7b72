"""Which build this is: the version, and the commit or the sources that it is made of. Asked once, at a start."""

import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path

from tidewire import __version__

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("api", "gateway", "hotpath", "push", "tidewire")


@cache
def build_hash() -> str:
    """Return the commit of a checkout; of anything else the digest of its sources, as `sha256-…`."""
    if commit := _git("rev-parse", "HEAD"):
        return commit
    digest = sha256()
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return f"sha256-{digest.hexdigest()[:40]}"


@cache
def build_version() -> str:
    """Return the version; of a checkout of another commit than the tagged one with `+` and the commit's beginning."""
    commit = _git("rev-parse", "HEAD")
    if not commit or f"v{__version__}" in _git("tag", "--points-at", "HEAD").split():
        return __version__
    return f"{__version__}+{commit[:7]}"


def _git(*words: str) -> str:
    """Return what git says of our own checkout; "" where there is none, whatever lies around it."""
    if not (_ROOT / ".git").exists():
        return ""
    command = ["git", "-C", str(_ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
