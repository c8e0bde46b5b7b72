"""A server that is watched by its /metrics alone, since its processes are elsewhere."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loadtest.report.server import Server, server_roots

PAGES = [  # one each time it is asked
    """process_cpu_seconds_total{process="api-1"} 10
process_resident_memory_bytes{process="api-1"} 1048576
mattermost_post_total{process="api-1"} 100
tidewire_gateway_loop_lag_seconds{process="gateway-1"} 9
""",
    """process_cpu_seconds_total{process="api-1"} 12.5
process_resident_memory_bytes{process="api-1"} 3145728
mattermost_post_total{process="api-1"} 130
mattermost_post_total{process="api-2"} 7
tidewire_gateway_loop_lag_seconds{process="gateway-1"} 0.025
tidewire_bus_waiting{process="api-1"} 3
tidewire_bus_waiting{process="api-2"} 4
""",
]


class Metrics(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        body = PAGES[min(Metrics.asked, len(PAGES) - 1)].encode()
        Metrics.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    Metrics.asked = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_remote_server_is_known_by_its_metrics(url: str) -> None:
    server = Server("https://chat.example", ["10.0.0.1:8072"], [url, "http://127.0.0.1:9/metrics"])
    first = server.figures()
    assert not [name for name in first if name.startswith(("lag_ms", "server_"))]  # what was before is not the run's
    assert [name for name in first if name.startswith("load_cpu_s")]
    server.stop()  # asks a last time
    figures = server.figures()
    assert figures["lag_ms gateway-1"] == 25
    assert figures["queue announcements to publish"] == 7
    assert (figures["server_cpu_s api-1"], figures["server_memory_mib api-1"]) == (2.5, 3)
    usage = server.usage()
    assert usage["source"] == "/metrics"
    assert [(one["name"], one["cpu_s"], one["memory_mib"]) for one in usage["processes"]] == [("api-1", 2.5, 3)]
    assert server.counters()["mattermost_post_total"] == 37
    assert server.topology()["metrics_silent"] == ["http://127.0.0.1:9/metrics"]
    assert not [name for name in server.figures() if name.startswith("lag_ms")]  # told once


def test_nothing_is_known_of_a_remote_server_without_metrics() -> None:
    server = Server("https://chat.example")
    assert not [name for name in server.figures() if name.startswith("server_")]
    assert server.usage() == {"source": "", "processes": []}
    assert server.counters() == {}
    assert server_roots("https://chat.example", ["127.0.0.1:1"], [], "") == []
