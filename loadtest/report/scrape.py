"""What servers say at /metrics: the few rows that a report shows. Text format of Prometheus, version 0.0.4.

Tidewire's and Mattermost's own names. A row belongs to the process of its `process` label, as `tidewire serve` sets
it, else to the address that was asked.
"""

import re
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_TIMEOUT_S = 2.0
_ROW = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

# Gauges. Name -> what a chart calls it.
LAG = {"tidewire_gateway_loop_lag_seconds": ("event loop lag, ms", 1000.0)}  # with the factor to the unit
QUEUES = {
    "tidewire_bus_waiting": "announcements to publish",
    "tidewire_push_undecided": "posts to decide on pushes",
    "tidewire_push_waiting": "pushes to send",
    "tidewire_push_retrying": "pushes to try again",
    "tidewire_push_in_flight": "pushes under way",
    "tidewire_gate_waiting": "events waiting for sockets",
    "tidewire_gate_waiting_most": "events waiting for the slowest socket",
}
SOCKETS = "mattermost_http_websockets_total"
CPU, MEMORY = "process_cpu_seconds_total", "process_resident_memory_bytes"
# Counters whose growth during the run is in the report, all processes together.
COUNTERS = (
    "mattermost_http_requests_total",
    "mattermost_http_errors_total",
    "mattermost_post_total",
    "mattermost_websocket_broadcasts_total",
    "tidewire_gateway_events_read_total",
    "tidewire_gateway_deliveries_total",
    "tidewire_gateway_gaps_total",
    "tidewire_gateway_resyncs_total",
    "tidewire_gate_delivered_total",
    "tidewire_gate_frames_per_send_sum",
    "tidewire_gate_frames_per_send_count",
    "tidewire_gate_sent_bytes_total",
    "tidewire_gate_received_bytes_total",
    "tidewire_gate_evicted_total",
)
WANTED = frozenset({*LAG, *QUEUES, SOCKETS, CPU, MEMORY, *COUNTERS})
Found = dict[tuple[str, str], float]  # (name of the metric, process) -> value, labels other than the process summed


@dataclass(frozen=True)
class Scraped:
    """found: of all addresses that answered; silent: those that did not."""

    found: Mapping[tuple[str, str], float]
    silent: tuple[str, ...]

    def of(self, name: str) -> dict[str, float]:
        """Return a metric by process."""
        return {process: value for (metric, process), value in self.found.items() if metric == name}

    def total(self, name: str) -> float | None:
        """Return a metric of all processes together; None if none has it."""
        values = self.of(name)
        return sum(values.values()) if values else None


def parse(text: str, source: str) -> Found:
    """Return the rows that are wanted. source: the process, where a row does not say."""
    found: Found = {}
    for line in text.splitlines():
        row = None if line.startswith("#") else _ROW.match(line)
        if row is None or row[1] not in WANTED:
            continue
        labels = dict(_LABEL.findall(row[2] or ""))
        key = row[1], labels.get("process") or source
        try:
            found[key] = found.get(key, 0.0) + float(row[3])
        except ValueError:
            continue  # no number: whoever wrote it is no exporter of ours
    return found


def scrape(urls: Iterable[str]) -> Scraped:
    """Ask every address once."""
    found: Found = {}
    silent = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the user named it
                found |= parse(answer.read().decode(errors="replace"), urlsplit(url).netloc)
        except (OSError, ValueError):
            silent.append(url)
    return Scraped(found, tuple(silent))


def metrics_url(text: str) -> str:
    """Return the address to ask, of what a user gave: HOST:PORT, an origin, or all of it."""
    url = text if "//" in text else f"http://{text}"
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/metrics"
