"""However a run ends, nothing of it stays; whatever dies in it comes back."""

import json
import os
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.fixtures.serve import GONE_S, STOP_S, Runner, Serve
from tests.serve.conftest import Launch
from tests.serve.talk import wait_answer

WAIT_S = 60.0


def _pid(run: Serve) -> int:
    assert run.process is not None
    return run.process.pid


def test_a_signal_stops_everything(launch: Launch, runner: Runner) -> None:
    with launch(runner=runner) as run:
        run.wait_ready()
        os.kill(_pid(run), signal.SIGINT if runner.user else signal.SIGTERM)
        assert run.wait_end(STOP_S) == 0
        run.assert_gone(0)


def test_a_stop_is_bounded_whatever_the_children_wait_for(launch: Launch) -> None:
    """A database that does not answer, clients that say nothing or half of it: each phase has its own time."""
    with launch() as run:
        run.wait_ready()
        family = run.family()
        address = urlsplit(run.url)
        silent, half = [socket.create_connection((address.hostname, address.port)) for _ in range(2)]
        head = f"POST /api/v4/users/login HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 1000\r\n\r\n"
        half.sendall(head.encode() + b"{")
        for process in family:
            if process.name() == "postgres":
                process.suspend()
        os.kill(_pid(run), signal.SIGINT)
        assert run.wait_end(STOP_S) == 0
        run.assert_gone(0)
        silent.close()
        half.close()
        lines = [json.loads(line) for line in run.log.splitlines() if line.startswith("{")]
    late = [line["child"] for line in lines if line.get("event") == "child did not stop in time"]
    assert late == ["postgres"], "the others do not wait for it, nor for clients"
    (slow,) = [line for line in lines if line.get("event") == "slow to stop"]
    assert set(slow["children"]) == {"api", "caddy", "gateway-1", "postgres", "push", "valkey"}


def test_its_own_death_leaves_nothing(launch: Launch, runner: Runner) -> None:
    with launch("--gateways", "2", runner=runner) as run:
        run.wait_ready()
        assert len(run.family()) > 8
        os.kill(_pid(run), signal.SIGKILL)
        run.assert_gone(GONE_S)
    with launch(runner=runner) as run:
        run.wait_ready()


def test_the_supervisors_death_leaves_nothing(launch: Launch) -> None:
    with launch() as run:
        run.wait_ready()
        (supervisor,) = psutil.Process(_pid(run)).children()
        supervisor.kill()
        assert run.wait_end(STOP_S) == 1
        run.assert_gone(0)
        assert "ended by signal 9" in run.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_while_starting(launch: Launch, data: Path, number: signal.Signals) -> None:
    with launch() as run:
        deadline = time.monotonic() + WAIT_S
        while not (data / "postgres.new").exists() and time.monotonic() < deadline:
            run.family()
        assert (data / "postgres.new").exists()
        run.family()
        os.kill(_pid(run), number)
        run.wait_end(STOP_S)
        run.assert_gone(GONE_S)
    with launch() as run:
        run.wait_ready()


def test_what_survived_two_kills_at_once_is_cleared_by_the_next_start(launch: Launch) -> None:
    with launch() as run:
        run.wait_ready()
        (supervisor,) = psutil.Process(_pid(run)).children()
        postgres = run.named("postgres")
        supervisor.suspend()  # so that it cannot see the guard's death
        os.kill(_pid(run), signal.SIGKILL)
        for process in run.family():
            if process.is_running() and process.name() not in (
                "postgres",
                "valkey-server",
                "redis-server",
                "caddy",
            ):
                process.kill()
        assert postgres.is_running()
        with launch() as second:
            second.wait_ready()
            assert not postgres.is_running() or postgres.status() == psutil.STATUS_ZOMBIE


def test_a_dead_child_comes_back(launch: Launch) -> None:
    with launch("--gateways", "2") as run:
        url = run.wait_ready()
        for word, child in [
            ("postgres", "postgres"),
            ("valkey-server", "valkey"),
            ("caddy", "caddy"),
            ("tidewire api", "api"),
            ("tidewire gateway", "gateway-1"),
            ("tidewire push", "push"),
        ]:
            before = sum(run.restarts().values())
            os.kill(run.named(word).pid, signal.SIGKILL)
            deadline = time.monotonic() + WAIT_S
            while sum(run.restarts().values()) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert sum(run.restarts().values()) == before + 1, child
            assert wait_answer(f"{url}/api/v4/system/ping?get_server_status=true").status_code == 200
        assert run.process is not None and run.process.poll() is None
