"""One /metrics for all processes: each one's answer with a `process` label added."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from tidewire.gathering import gather, merge
from tidewire.metrics import Answer, serve_http
from tidewire.settings.tree import Metrics
from tidewire.supervisor.layout import StartError

_PORT = 8067  # Mattermost's


@dataclass(frozen=True)
class Health:
    """How a child is."""

    name: str
    healthy: bool
    restarts: int


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
