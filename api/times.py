"""How long answers took, in the reference's metrics: mattermost_api_time, mattermost_http_requests and _errors."""

from collections.abc import Iterator

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from tidewire.plain_histogram import PlainHistogram

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_times: dict[tuple[str, str, int], PlainHistogram] = {}  # by handler, method and status


def count(handler: str, method: str, status: int, seconds: float) -> None:
    """Count an answer."""
    key = handler, method, status
    times = _times.get(key)
    if times is None:
        times = _times[key] = PlainHistogram(BOUNDS_S)
    times.observe(seconds)


class _Shown(Collector):
    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        family = HistogramMetricFamily(
            "mattermost_api_time", "Seconds to answer.", labels=["handler", "method", "status_code"]
        )
        requests = errors = 0
        for (handler, method, status), times in _times.items():
            times.show(family, [handler, method, str(status)])
            requests += times.count
            errors += times.count if status >= 400 else 0
        yield family
        yield CounterMetricFamily("mattermost_http_requests", "Requests answered.", value=requests)
        yield CounterMetricFamily("mattermost_http_errors", "Requests answered with an error.", value=errors)


REGISTRY.register(_Shown())
