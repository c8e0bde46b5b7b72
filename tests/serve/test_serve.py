"""Start, second start, flags, and what goes wrong: one clear line each."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import websockets
import websockets.sync.client

from tests.fixtures.ports import free_port
from tests.fixtures.serve import ROOT, Runner, Serve
from tests.serve.compression import check_compression
from tests.serve.conftest import Launch
from tests.serve.talk import log_in, make_user, wait_answer
from tidewire.settings import exposed, read


def test_a_second_start_keeps_the_data(launch: Launch, data: Path, runner: Runner) -> None:
    with launch("--gateways", "2", "--api-workers", "2", runner=runner) as run:
        url = run.wait_ready()
        assert wait_answer(f"{url}/").status_code == 200
        assert len(set(run.gateways)) == 2
        for gateway in run.gateways:
            assert httpx.get(f"{gateway}/health", timeout=30).status_code == 200
        user = make_user(url)
        for name in ("database.url", "redis.url"):
            assert (data / name).stat().st_mode & 0o777 == 0o600
    with launch(runner=runner) as run:
        answer = log_in(run.wait_ready())
        assert answer.status_code == 200
        assert answer.json()["id"] == user
        assert run.lines[-1] == f"ready http://localhost:{answer.url.port}"


@pytest.fixture(scope="module")
def running() -> Iterator[Serve]:
    """One run for the tests that only look."""
    with Serve("--gateways", "2") as run:
        run.wait_ready()
        yield run


def test_every_host_name_is_answered(running: Serve) -> None:
    answer = httpx.get(f"{running.url}/api/v4/system/ping", headers={"Host": "chat.example.org"}, timeout=30)
    assert answer.json()["status"] == "OK"


def test_sockets_reach_the_gateways(running: Serve) -> None:
    for path in ("/api/v4/websocket", "/api/v4/websocket/"):
        with websockets.sync.client.connect(
            running.url.replace("http", "ws") + path, open_timeout=30
        ) as socket:
            socket.send('{"seq":1,"action":"authentication_challenge","data":{"token":"wrong"}}')
            with pytest.raises(websockets.ConnectionClosed):
                socket.recv(timeout=30)


def test_answers_are_compressed(running: Serve) -> None:
    check_compression(running.url)


def test_metrics_of_all_processes(running: Serve) -> None:
    text = httpx.get(f"{running.metrics}/metrics", timeout=30).text
    for process in ("api-1", "gateway-1", "gateway-2"):
        assert f'process="{process}"' in text
    helps = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(helps) == len(set(helps))
    assert httpx.get(f"{running.metrics}/health", timeout=30).status_code == 200
    assert "# TYPE" not in httpx.get(f"{running.url}/metrics", timeout=30).text, "never on the public origin"


def test_nobody_else_reaches_the_databases(running: Serve) -> None:
    urls = {name: (running.data_dir / f"{name}.url").read_text().strip() for name in ("database", "redis")}
    assert exposed(read({name: {"url": url} for name, url in urls.items()})) == []
    places = [Path(parse_qs(urlsplit(urls["database"]).query)["host"][0]), Path(urlsplit(urls["redis"]).path).parent]
    assert [place.stat().st_mode & 0o777 for place in places] == [0o700, 0o700]


def test_a_data_directory_in_use(running: Serve) -> None:
    assert running.process is not None
    with Serve(data_dir=running.data_dir) as second:
        refused(second, str(running.data_dir), "in use", str(running.process.pid))


def test_a_second_installation_and_external_databases(running: Serve) -> None:
    env = {
        "TIDEWIRE_DATABASE_URL": (running.data_dir / "database.url").read_text().strip(),
        "TIDEWIRE_REDIS_URL": (running.data_dir / "redis.url").read_text().strip(),
    }
    with Serve(env=env) as guest:
        guest.wait_ready()
        assert not [p for p in guest.family() if p.name() in ("postgres", "valkey-server", "redis-server")]
        assert not set(guest.lines) & set(running.lines), "no address is shared"


def refused(run: Serve, *words: str) -> None:
    """Check that a run ended with one clear line, and left nothing."""
    assert run.wait_end() == 1
    assert run.log.count("\n") == 1, run.log
    for word in words:
        assert word in run.log
    assert not run.lines


def test_a_taken_port(launch: Launch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with launch("--port", str(port)) as run:
            refused(run, f"port {port} is taken")


def test_an_unwritable_data_directory(launch: Launch, data: Path, plain: Runner) -> None:
    data.parent.chmod(0o511)  # nobody's but root's to write, and the plain user is not root
    with launch(runner=plain) as run:
        refused(run, str(data), "Permission denied")
    data.parent.chmod(0o711)
    data.write_text("a file")
    with launch() as run:
        refused(run, str(data))


def test_a_data_directory_of_another_version(launch: Launch, data: Path) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("9\n")
    with launch() as run:
        refused(run, "PostgreSQL 9", str(data / "postgres"))


def test_a_database_that_is_not_there(launch: Launch) -> None:
    env = {"TIDEWIRE_DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    with launch(env=env) as run:
        refused(run, "cannot migrate the database none at 127.0.0.1")


@pytest.mark.parametrize(
    ("arguments", "env", "words", "status"),
    [
        (["--gatways", "2"], {}, "Unknown option", 2),
        (["--gateways", "many"], {}, "gateways", 2),
        (["--gateways", "0"], {}, "serve.gateways (--gateways)", 1),
        ([], {"TIDEWIRE_GATEWAY_PROT": "1"}, "gateway.prot (TIDEWIRE_GATEWAY_PROT)", 1),
        (["--tls-cert", "x.pem"], {}, "tls_cert and tls_key go together", 1),
        (["--tls-cert", "absent.pem", "--tls-key", "absent.key"], {}, "cannot read absent.pem", 1),
    ],
)
def test_wrong_flags(data: Path, arguments: list[str], env: dict[str, str], words: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidewire", "serve", "--data-dir", str(data), *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
