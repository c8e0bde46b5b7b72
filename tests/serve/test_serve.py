"""Start, second start, flags, and what goes wrong: one clear line each."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.serve.conftest import Serve
from tests.serve.plain_user import Runner
from tests.serve.run import ROOT, Served, data_dir, free_port, wait_answer


def make_user(url: str) -> str:
    """Create the first user; return his id."""
    body = {"email": "ann@example.org", "username": "ann", "password": "correct horse 9"}
    answer = httpx.post(f"{url}/api/v4/users", json=body, timeout=30)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def log_in(url: str, **options: object) -> httpx.Response:
    """Log the first user in."""
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


def test_every_host_name_is_answered(serve: Serve) -> None:
    with serve() as run:
        url = run.wait_ready()
        answer = httpx.get(f"{url}/api/v4/system/ping", headers={"Host": "chat.example.org"})
        assert answer.json()["status"] == "OK"


def test_metrics_of_all_processes(serve: Serve) -> None:
    with serve("--gateways", "2") as run:
        url = run.wait_ready()
        metrics = next(line.split()[1] for line in run.lines if line.startswith("metrics "))
        text = httpx.get(f"{metrics}/metrics").text
        for process in ("api-1", "gateway-1", "gateway-2"):
            assert f'process="{process}"' in text
        helps = [line for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(helps) == len(set(helps))
        assert httpx.get(f"{metrics}/health").status_code == 200
        assert httpx.get(f"{url}/metrics").status_code == 404, "never on the public origin"


def test_two_installations_share_a_machine(serve: Serve) -> None:
    other = data_dir()
    with serve() as one, Served(other, "--port", str(free_port())) as two:
        urls = {one.wait_ready(), two.wait_ready()}
        assert len(urls) == 2
        assert not set(one.lines) & set(two.lines)


def test_external_databases(serve: Serve, data: Path) -> None:
    with serve() as owner:
        owner.wait_ready()
        env = {
            "TIDEWIRE_DATABASE_URL": (data / "database.url").read_text().strip(),
            "TIDEWIRE_REDIS_URL": (data / "redis.url").read_text().strip(),
        }
        with Served(data_dir(), "--port", str(free_port()), env=env) as guest:
            guest.wait_ready()
            assert not [
                p for p in guest.family() if p.name() in ("postgres", "valkey-server", "redis-server")
            ]


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


def test_a_data_directory_in_use(serve: Serve, data: Path) -> None:
    with serve() as first:
        first.wait_ready()
        with serve() as second:
            refused(second, str(data), "in use", str(first.process.pid))
        assert first.process.poll() is None


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
