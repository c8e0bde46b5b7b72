"""What happens to every push, counted in plain integers; prometheus reads them when it is asked.

Three counters and two histograms of prometheus_client per push took 12 µs, a sixth of a core at full speed. What is
rare is counted in `metrics`. Names and buckets are the reference's where it has them.
"""

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tidewire.plain_histogram import PlainHistogram

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KIND = ["platform", "type", "transport"]


class Seconds(PlainHistogram):
    """A histogram of times."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(BOUNDS_S)


class Kind:
    """Pushes of one platform, type and transport: taken on; sent; sent, and an acknowledgement is asked for."""

    __slots__ = ("sent", "taken", "with_ack")

    def __init__(self) -> None:
        self.taken = self.sent = self.with_ack = 0


kinds: defaultdict[tuple[str, str, str], Kind] = defaultdict(Kind)
generations: defaultdict[tuple[str, str], int] = defaultdict(int)  # by target and the app's generation
attempts: defaultdict[tuple[str, str], Seconds] = defaultdict(Seconds)  # by platform and verdict
notifications: defaultdict[str, Seconds] = defaultdict(Seconds)  # by platform, from acceptance to the end
requests = Seconds()
under_way: defaultdict[str, int] = defaultdict(int)  # attempts, by target


class _Shown(Collector):
    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        for name, text, field in (
            ("service_notifications", "Pushes taken on.", "taken"),
            ("service_success", "Pushes that the provider took.", "sent"),
            ("service_success_with_ack", "Of these, those that ask for an acknowledgement.", "with_ack"),
        ):
            counts = CounterMetricFamily(name, text, labels=_KIND)
            for labels, kind in kinds.items():
                if count := getattr(kind, field):
                    counts.add_metric(labels, count)
            yield counts
        versions = CounterMetricFamily(
            "service_notifications_by_app_version",
            "Pushes by generation of the app.",
            labels=["platform", "app_version"],
        )
        for pair, count in generations.items():
            versions.add_metric(pair, count)
        yield versions
        yield from self._histograms()
        gauge = GaugeMetricFamily(
            "tidewire_push_in_flight", "Attempts under way in this process.", labels=["target"]
        )
        for target, count in under_way.items():
            gauge.add_metric([target], count)
        yield gauge

    def _histograms(self) -> Iterator[Metric]:
        for name, platform, text in (
            ("service_apns_request_duration_seconds", "apple", "Each attempt at Apple."),
            ("service_fcm_request_duration_seconds", "android", "Each attempt at Google."),
        ):
            total = Seconds()
            for (one, _), seconds in attempts.items():
                if one == platform:
                    total.add(seconds)
            family = HistogramMetricFamily(name, text)
            total.show(family)
            yield family
        family = HistogramMetricFamily("service_request_duration_seconds", "Handling of send_push and ack.")
        requests.show(family)
        yield family
        family = HistogramMetricFamily(
            "service_notification_duration_seconds",
            "From acceptance to the final verdict.",
            labels=["platform"],
        )
        for platform, seconds in notifications.items():
            seconds.show(family, [platform])
        yield family
        family = HistogramMetricFamily(
            "tidewire_push_attempt_seconds",
            "Each attempt, by what came of it.",
            labels=["provider", "verdict"],
        )
        for labels, seconds in attempts.items():
            seconds.show(family, labels)
        yield family


REGISTRY.register(_Shown())
