"""What is asked before a run, of servers that are none, and of one that knows one token."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loadtest.preflight import answers, check_gateways, check_server, check_token, gateways_of
from loadtest.runner import Run, command, execute, is_local, local_gateways
from loadtest.swarm.herd import CannotRun

FILE = Path("tokens")


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = 200
        if self.path.endswith("/users/me"):
            status = {"Bearer known": 200, "Bearer busy": 503}.get(self.headers["Authorization"], 401)
        self.send_response(status)
        self.end_headers()
        if status == 200:
            self.wfile.write(b"<html>" if self.path.startswith("/other") else b'{"status":"OK"}')

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def port() -> Iterator[int]:
    """A small server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_server_that_answers_passes(port):
    url = f"http://127.0.0.1:{port}"
    check_server(url)
    check_token(url, "known", FILE)
    check_gateways([f"127.0.0.1:{port}"])
    assert answers(url)
    assert gateways_of(url, ()) == (f"127.0.0.1:{port}",)


def test_what_is_wrong_is_said(port):
    url = f"http://127.0.0.1:{port}"
    for call, words in (
        (lambda: check_server(f"{url}/other"), "not as a server of Mattermost API v4"),
        (lambda: check_server("http://127.0.0.1:9"), "does not answer"),
        (lambda: check_server("ftp://x"), "is no address"),
        (lambda: check_server("localhost:8065"), "is no address"),
        (lambda: check_token(url, "foreign", FILE), "does not know the first token of tokens"),
        (lambda: check_token(url, "busy", FILE), "answers 503"),
        (lambda: check_gateways(["127.0.0.1:9"]), "no gateway at 127.0.0.1:9: Connection refused"),
        (lambda: gateways_of("https://chat.example", ()), "without TLS"),
    ):
        with pytest.raises(CannotRun, match=words):
            call()
    assert not answers("http://127.0.0.1:9")


def test_the_command_line_of_a_run(tmp_path):
    (tmp_path / "gateways.url").write_text("http://127.0.0.1:8072 http://127.0.0.1:8073\n")
    assert local_gateways(tmp_path) == ("127.0.0.1:8072", "127.0.0.1:8073")
    assert local_gateways(tmp_path / "none") == ()
    assert is_local("http://localhost:1") and is_local("http://127.3.2.1") and not is_local("http://chat.example")
    words = command(Run("storm", "http://h", ("g:1",), users=7, time="60s", more=("--rest", "5")), FILE)
    assert words[3:] == [words[3], words[4], "--host", "http://h", "--tokens", "tokens", "--sockets", "7", "--headless",
                         "--only-summary", "--run-time", "60s", "--ws-host", "g:1", "--rest", "5"]  # fmt: skip
    assert "--headless" not in command(Run("storm", "http://h", web=True), FILE)
    for run, message in ((Run("none", "http://h"), "no suite none"), (Run("storm", "http://h"), "not this machine")):
        with pytest.raises(CannotRun, match=message):
            execute(run, tmp_path, lambda plan, file: None)
