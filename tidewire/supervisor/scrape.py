"""One /metrics for all processes: each one's answer with a `process` label added."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from tidewire.metrics import Answer, serve_http
from tidewire.settings.tree import Metrics
from tidewire.supervisor.layout import StartError
from tidewire.supervisor.probe import fetch

_PORT = 8067  # Mattermost's

_TIMEOUT_S = 2.0  # a frozen process must not keep the others' figures back


@dataclass(frozen=True)
class Health:
    """How a child is."""

    name: str
    healthy: bool
    restarts: int


async def gather(folder: Path) -> dict[str, str]:
    """Return the metrics of every process with a socket in the folder, by its name; who does not answer is left out."""
    sockets = sorted(folder.glob("*.sock"))
    answers = await asyncio.gather(*(_ask(path) for path in sockets))
    return {path.stem: text for path, text in zip(sockets, answers, strict=True) if text}


async def _ask(path: Path) -> str:
    try:
        status, body = await asyncio.wait_for(fetch(path, "/metrics"), _TIMEOUT_S)
    except (OSError, EOFError, ValueError, TimeoutError):
        return ""
    return body.decode() if status == 200 else ""


def merge(texts: Mapping[str, str]) -> str:
    """Return one exposition (text format 0.0.4): per metric family its HELP and TYPE once, then everybody's samples."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for process, text in texts.items():
        family = ""
        fresh: dict[str, list[str]] = {}
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                family = line.split(" ", 3)[2]
                fresh.setdefault(family, []).append(line)
            elif line and not line.startswith("#"):
                samples.setdefault(family, []).append(_labelled(line, process))
        for name, lines in fresh.items():
            heads.setdefault(name, lines)
    parts: list[str] = []
    for name in dict.fromkeys([*heads, *samples]):
        parts += [*heads.get(name, ()), *samples.get(name, ())]
    return "\n".join(parts) + "\n"


def _labelled(sample: str, process: str) -> str:
    """Add process="…" to a sample. Label values may hold spaces and braces, so the first "{" decides."""
    name_end = min(at for at in (sample.find("{"), sample.find(" ")) if at >= 0)
    name, rest = sample[:name_end], sample[name_end:]
    label = f'process="{process}"'
    if rest.startswith("{}"):
        return f"{name}{{{label}}}{rest[2:]}"
    return f"{name}{{{label},{rest[1:]}" if rest.startswith("{") else f"{name}{{{label}}}{rest}"


def own_metrics(children: Iterable[Health]) -> str:
    """Return the supervisor's own figures."""
    rows = list(children)
    lines = ["# HELP tidewire_child_up 1 while the process answers.", "# TYPE tidewire_child_up gauge"]
    lines += [f'tidewire_child_up{{child="{row.name}"}} {int(row.healthy)}' for row in rows]
    lines += ["# HELP tidewire_child_restarts_total Deaths that were mended."]
    lines += ["# TYPE tidewire_child_restarts_total counter"]
    lines += [f'tidewire_child_restarts_total{{child="{row.name}"}} {row.restarts}' for row in rows]
    return "\n".join(lines) + "\n"


async def listen(settings: Metrics, folder: Path, health: Callable[[], list[Health]]) -> asyncio.Server:
    """Serve /metrics of all processes, and /health: 200, or 503 with the names of those that do not answer.

    Without a port in the settings it is 8067 or the first free one after it. Raises: StartError.
    """

    async def answer(path: str) -> Answer:
        if path == "/health":
            sick = [child.name for child in health() if not child.healthy]
            return (
                (503, "text/plain", f"down: {', '.join(sick)}".encode())
                if sick
                else (200, "text/plain", b"ok")
            )
        if path != "/metrics":
            return 404, "text/plain", b"not found"
        texts = {**await gather(folder), "serve": own_metrics(health())}
        return 200, CONTENT_TYPE_PLAIN_0_0_4, merge(texts).encode()

    # Tried in turn: whoever listens first has it. 0, any free port, is the last resort.
    for port in [settings.port] if settings.port else [*range(_PORT, _PORT + 100), 0]:
        try:
            return await serve_http(answer, settings.host, port)
        except OSError as error:
            problem = error
    reason = problem.strerror or problem
    raise StartError(f"cannot serve metrics on {settings.host} port {settings.port}: {reason}")
