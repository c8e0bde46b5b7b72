"""What a run ran on: machine, versions of suite and server. Never a host name, nor a value that may be secret."""

import json
import os
import platform
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 5.0
_SECRET = re.compile(r"^--?[\w-]*(password|secret|key|credential)[\w-]*", re.IGNORECASE)


def machine() -> dict[str, Any]:
    """Return what this computer is."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count() or 1,
        "cores_usable": len(os.sched_getaffinity(0)),
        "memory_mib": int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) // 1024,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def suite_versions() -> dict[str, str]:
    """Return the versions of what makes the load. revision: of the checkout, "+": changed since; "" without one."""
    found = {name: _version(name) for name in ("tidewire", "locust", "gevent")}
    return found | {"revision": revision()}


def revision() -> str:
    """Return the commit of this checkout, with "+" if files differ from it; "" if it is none."""
    if not (_ROOT / ".git").exists():
        return ""
    commit = _git("rev-parse", "--short", "HEAD")
    return commit + ("+" if commit and _git("status", "--porcelain", "-uno") else "")


def server_version(host: str) -> dict[str, str]:
    """Return what the server says that it is; empty if it does not say."""
    url = host.rstrip("/") + "/api/v4/config/client?format=old"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the suite has checked the address
            config, header = json.loads(answer.read()), answer.headers.get("X-Version-Id", "")
    except (OSError, ValueError):
        return {}
    found = {name: str(config.get(name, "")) for name in ("Version", "BuildNumber", "BuildHash", "BuildDate")}
    return {name: text for name, text in (found | {"X-Version-Id": header}).items() if text}


def shown(words: Sequence[str]) -> str:
    """Return a command line for readers: what follows flags of secrets is hidden."""
    hidden, out = False, []
    for word in words:
        flag, equals, _ = word.partition("=")
        out.append("…" if hidden else f"{flag}=…" if equals and _SECRET.match(flag) else word)
        hidden = not equals and bool(_SECRET.match(word))
    return " ".join(out)


def now() -> str:
    """Return the time as readers want it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name) and ":" in line), "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, cwd=_ROOT, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
