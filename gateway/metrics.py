"""The gateway's numbers for Prometheus: read from plain integers when asked, nothing is counted here.

Names are Mattermost's where it has the thing; `tidewire_gateway_*` else.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway.connection import State

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.feed import Feed


class GatewayCollector(Collector):
    """Reads a running gateway. `lag_s`: how late the loop's last ticks came, at worst since the last reading."""

    def __init__(self, gateway: "Gateway", feed: "Feed") -> None:
        self._gateway = gateway
        self._feed = feed
        self._lag_s = 0.0

    def note_lag(self, seconds: float) -> None:
        """Take note of how late a timer came."""
        self._lag_s = max(self._lag_s, seconds)

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        gateway, relay = self._gateway, self._gateway.relay
        states = [connection.state for connection in gateway.connections.values()]
        away = states.count(State.AWAY)
        door = gateway.door
        yield GaugeMetricFamily("mattermost_http_websockets_total", "Open WebSockets.", len(states) - away)
        yield CounterMetricFamily("mattermost_websocket_broadcasts", "Announcements applied.", relay.applied)
        yield CounterMetricFamily("mattermost_websocket_reconnects", "Connections resumed.", gateway.resumed)
        events = CounterMetricFamily(
            "mattermost_websocket_event", "Events queued for connections.", labels=["type"]
        )
        for event, count in gateway.hub.delivered_by_name.items():
            events.add_metric([event or "unnamed"], count)
        yield events
        yield _by_label("resumes", "kind", "Who came back, by what was taken over; anew: impossible.", gateway.resumes)
        dropped = gateway.hub.dropped_by_name | {
            "typing, coalesced": gateway.typists.dropped + gateway.typing.dropped
        }
        yield _by_label("dropped", "event", "Droppable events left out: for want of room, or too often.", dropped)
        for name, text, value in (
            ("deliveries", "Events queued for connections.", gateway.hub.delivered),
            ("events_read", "Entries read from the bus.", self._feed.read),
            ("events_repeated", "Entries that were known already.", relay.repeated),
            ("events_held", "Entries that came before their predecessor.", relay.held),
            ("events_unreadable", "Entries that could not be decoded.", relay.unreadable),
            ("events_lessened", "Entries without what some may see: a key was late.", relay.lessened),
            ("gaps", "Events that never came: their audience loaded everything anew.", relay.gaps),
            ("resyncs", "Users made to load everything anew.", gateway.resyncs),
            ("connections_given", "Connections handed over to another gateway.", gateway.handover.given),
            ("connections_taken", "Connections taken over from another gateway.", gateway.handover.taken),
            ("connections_missed", "Connections handed over that could not go on.", gateway.handover.missed),
            ("refused", "Upgrades refused for a limit.", gateway.refused),
            ("tls_handshakes", "TLS handshakes done.", door.tls_handshakes if door else 0),
            ("tls_failures", "TLS handshakes that failed or took too long.", door.tls_failures if door else 0),
            ("bus_epochs", "Changes of the stream behind the bus.", self._feed.epochs),
            ("bus_lost", "Stretches of the bus that may be lost.", self._feed.lost),
            ("task_failures", "Exceptions that nobody caught.", gateway.failures),
        ):
            yield CounterMetricFamily(f"tidewire_gateway_{name}", text, value)
        for name, text, number in (
            ("connections_unauthenticated", "Sockets that have not logged in.", gateway.unauthenticated),
            ("connections_away", "Lost connections that can be resumed.", away),
            ("users", "Users with a connection.", len(gateway.hub.members)),
            ("keys", "Ordering keys that somebody hears.", gateway.hub.key_count),
            ("loop_lag_seconds", "How late the event loop was at worst since the last reading.", self._lag_s),
        ):
            yield GaugeMetricFamily(f"tidewire_gateway_{name}", text, number)
        self._lag_s = 0.0
        latency = gateway.latency
        yield HistogramMetricFamily(
            "tidewire_gateway_delivery_seconds",
            "From an event's publication, right after its commit, until the sockets have it: the oldest of a batch.",
            buckets=latency.buckets(),
            sum_value=latency.sum_ms / 1000,
        )
        yield from _gate_metrics(gateway.room.gate.stats())

    def describe(self) -> list[Metric]:
        """Nothing to read at registration."""
        return []

    def register(self) -> None:
        """Add to the process's registry."""
        REGISTRY.register(self)

    def unregister(self) -> None:
        """Take out again."""
        REGISTRY.unregister(self)


# Of hotpath.gate.Gate.stats(): what only grows.
GATE_COUNTERS = frozenset(
    {
        "messages",
        "delivered",
        "refused",
        "sends",
        "batches",
        "sent_bytes",
        "received_bytes",
        "blocked",
        "evicted",
    }
)
GATE_TEXTS = {
    "live": "Sockets that are open; those that are being closed left out.",
    "sockets": "Sockets, handshakes not counted.",
    "tls": "Sockets over TLS.",
    "slots": "Slots in use: sockets, and lost connections that can be resumed.",
    "capacity": "Slots there are.",
    "messages": "Messages read.",
    "delivered": "Events put into outboxes.",
    "refused": "Droppable events that an outbox half full did not take.",
    "sends": "Sends: frames that waited for a socket go out in one.",
    "batches": "Hand-overs of sends to the kernel (io_uring).",
    "sent_bytes": "Bytes sent.",
    "received_bytes": "Bytes read.",
    "blocked": "Sends that the kernel did not take whole.",
    "waiting": "Frames that wait.",
    "waiting_most": "Frames that wait for one socket at most.",
    "retained_bytes": "Bytes of events that are kept for resumes.",
    "ring_bytes": "Bytes of the lists of these events.",
    "evicted": "Events dropped because resume.bytes was full.",
    "dirty": "Sockets with something to send.",
}


def _by_label(name: str, label: str, text: str, counts: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"tidewire_gateway_{name}", text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value or "unnamed"], count)
    return family


def _gate_metrics(stats: dict[str, Any]) -> Iterator[Metric]:
    carried, frames = stats.pop("carried"), stats.pop("frames")
    bounds = [*(str(1 << power) for power in range(len(carried))), "+Inf"]
    yield HistogramMetricFamily(
        "tidewire_gate_frames_per_send",
        "Frames that one send carried.",
        buckets=list(zip(bounds, accumulate([*carried, 0]), strict=True)),
        sum_value=frames,
    )
    ends = CounterMetricFamily("tidewire_gate_ends", "Sockets that ended.", labels=["reason"])
    for reason, count in stats.pop("ends").items():
        ends.add_metric([reason], count)
    yield ends
    for name, value in stats.items():
        kind = CounterMetricFamily if name in GATE_COUNTERS else GaugeMetricFamily
        yield kind(f"tidewire_gate_{name}", GATE_TEXTS[name], value)
