"""People's own WebSockets over TLS, against a small server: log-in, events, resume, loss, and what is reported."""

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.people.tls_sockets import TlsSockets
from loadtest.swarm.wire import Report
from tests.fixtures.authority import authority
from tests.unit.loadtest.test_crowd import ID, answer, room, say


def wait_for(right: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not right():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_sockets_open_hear_resume_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.people.tls_sockets.REPORT_S", 0.1)
    monkeypatch.setattr("loadtest.people.tls_sockets.RETRY_S", 0.1)
    authority().issue(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    paths: list[str] = []
    tokens: list[str] = []
    said: list[object] = []
    lose = threading.Event()

    def handler(socket):
        paths.append(socket.request.path)
        tokens.append(socket.request.headers["Authorization"])
        if "connection_id" not in paths[-1]:
            say(socket, "hello", 0, connection_id=ID)
            say(socket, "posted", 1, post=json.dumps({"message": f"tw-sent:{int(time.time() * 1e6):016}"}))
        for text in socket:
            said.append(json.loads(text))
            socket.send(json.dumps({"status": "OK", "seq_reply": said[-1]["seq"]}))
            if lose.is_set():
                lose.clear()
                return

    reports: list[Report] = []
    opened: list[bool] = []

    def on_report(report: Report) -> None:
        reports.append(report)
        opened.extend(resumed for _, _, _, resumed in report.opened)

    def counts() -> Counter[str]:
        return sum((Counter(report.counts) for report in reports), Counter())

    with room(handler, ssl=context) as port:
        sockets = TlsSockets(f"wss://localhost:{port}/api/v4/websocket", lambda number: f"token{number}", on_report)
        sockets.open(3, resume=False)
        wait_for(lambda: opened == [False] and counts()["posted"] == 1)
        sockets.say(3, "user_typing", channel_id="c")
        wait_for(lambda: any(one.get("action") == "user_typing" for one in said))
        sockets.cut(3)
        sockets.open(3, resume=True)
        wait_for(lambda: opened == [False, True])
        lose.set()
        sockets.say(3, "presence", channel_id="c")
        wait_for(lambda: counts()["resumed"] == 2)
        sockets.stop()
    assert paths == ["/api/v4/websocket", *[f"/api/v4/websocket?connection_id={ID}&sequence_number=2"] * 2]
    assert set(tokens) == {"Bearer token3"}
    found = counts()
    # On a busy machine a connection may fail to open; it is named, and tried again.
    unopened = sum(n for report in reports for why, n in report.errors.items() if why.startswith("connect:"))
    assert (found["fresh"], found["events"], found["gaps"], found["lost"]) == (1, 2, 0, 1)
    assert found["attempts"] == 3 + unopened
    assert sum(report.times["delivery"].count for report in reports) == 1
    assert reports[-1].open == 0


def test_a_certificate_that_is_not_trusted_is_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.people.tls_sockets.REPORT_S", 0.05)
    authority().issue(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    errors: Counter[str] = Counter()
    with room(answer, ssl=context) as port:
        sockets = TlsSockets(f"wss://localhost:{port}/", lambda number: "token", lambda one: errors.update(one.errors))
        sockets.open(0, resume=False)
        wait_for(lambda: bool(errors))
        sockets.stop()
    assert all("certificate verify failed" in why for why in errors)
