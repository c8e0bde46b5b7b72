"""Start, second start, flags, and what goes wrong: one clear line each."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import websockets
import websockets.sync.client

from tests.serve.conftest import Serve
from tests.serve.plain_user import Runner
from tests.serve.run import ROOT, Served, data_dir, free_port, wait_answer


def make_user(url: str, **options: object) -> str:
    """Create a user; return his id."""
    body = {"email": "ann@example.org", "username": "ann", "password": "correct horse 9"}
    answer = httpx.post(f"{url}/api/v4/users", json=body, timeout=30, **options)  # type: ignore[arg-type]  # by name
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def log_in(url: str, **options: object) -> httpx.Response:
    """Log that user in."""
    body = {"login_id": "ann", "password": "correct horse 9"}
    return httpx.post(f"{url}/api/v4/users/login", json=body, timeout=30, **options)  # type: ignore[arg-type]  # by name


def test_a_second_start_keeps_the_data(serve: Serve, data: Path, runner: Runner) -> None:
    with serve("--gateways", "2", "--api-workers", "2", who=runner) as run:
        url = run.wait_ready()
        assert wait_answer(f"{url}/").status_code == 200
        gateways = [line.split()[1] for line in run.lines if line.startswith("gateway ")]
        assert len(set(gateways)) == 2
        for gateway in gateways:
            assert httpx.get(f"{gateway}/health").status_code == 200
        user = make_user(url)
        for name in ("database.url", "redis.url"):
            assert (data / name).stat().st_mode & 0o777 == 0o600
    with serve(who=runner) as run:
        answer = log_in(run.wait_ready())
        assert answer.status_code == 200
        assert answer.json()["id"] == user
        assert run.lines[-1] == f"ready http://localhost:{answer.url.port}"


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    """One run for the tests that only look."""
    folder = data_dir()
    with Served(folder, "--gateways", "2", "--port", str(free_port())) as run:
        run.wait_ready()
        yield run
    shutil.rmtree(folder.parent, ignore_errors=True)


def test_every_host_name_is_answered(running: Served) -> None:
    answer = httpx.get(f"{running.url}/api/v4/system/ping", headers={"Host": "chat.example.org"})
    assert answer.json()["status"] == "OK"


def test_sockets_reach_the_gateways(running: Served) -> None:
    for path in ("/api/v4/websocket", "/api/v4/websocket/"):
        with websockets.sync.client.connect(
            running.url.replace("http", "ws") + path, open_timeout=30
        ) as socket:
            socket.send('{"seq":1,"action":"authentication_challenge","data":{"token":"wrong"}}')
            with pytest.raises(websockets.ConnectionClosed):
                socket.recv(timeout=30)


def test_metrics_of_all_processes(running: Served) -> None:
    metrics = next(line.split()[1] for line in running.lines if line.startswith("metrics "))
    text = httpx.get(f"{metrics}/metrics").text
    for process in ("api-1", "gateway-1", "gateway-2"):
        assert f'process="{process}"' in text
    helps = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(helps) == len(set(helps))
    assert httpx.get(f"{metrics}/health").status_code == 200
    assert "# TYPE" not in httpx.get(f"{running.url}/metrics").text, "never on the public origin"


def test_a_data_directory_in_use(running: Served) -> None:
    with Served(running.data, "--port", str(free_port())) as second:
        refused(second, str(running.data), "in use", str(running.process.pid))
    assert running.process.poll() is None


def test_a_second_installation_and_external_databases(running: Served) -> None:
    env = {
        "TIDEWIRE_DATABASE_URL": (running.data / "database.url").read_text().strip(),
        "TIDEWIRE_REDIS_URL": (running.data / "redis.url").read_text().strip(),
    }
    with Served(data_dir(), "--port", str(free_port()), env=env) as guest:
        guest.wait_ready()
        assert not [p for p in guest.family() if p.name() in ("postgres", "valkey-server", "redis-server")]
        assert not set(guest.lines) & set(running.lines), "no address is shared"


def refused(run: Served, *words: str, status: int = 1) -> None:
    """Check that a run ended with one clear line, and left nothing."""
    assert run.wait_end() == status
    assert len(run.errors) == 1, run.errors
    for word in words:
        assert word in run.errors[0]
    assert not run.lines


def test_a_taken_port(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serve("--port", str(port)) as run:
            refused(run, f"port {port} is taken")


def test_an_unwritable_data_directory(data: Path, plain: Runner) -> None:
    with Served(data / "deep", python=plain.python, env=plain.env, cwd=plain.cwd, user=plain.user) as run:
        if plain.user:
            refused(run, str(data), "Permission denied")
    data.write_text("a file")
    with Served(data) as run:
        refused(run, str(data))


def test_a_data_directory_of_another_version(serve: Serve, data: Path) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("9\n")
    with serve() as run:
        refused(run, "PostgreSQL 9", str(data / "postgres"))


def test_a_database_that_is_not_there(serve: Serve) -> None:
    env = {"TIDEWIRE_DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    with serve(env=env) as run:
        refused(run, "cannot migrate the database")


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
