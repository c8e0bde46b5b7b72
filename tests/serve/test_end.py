"""However a run ends, nothing of it stays; whatever dies in it comes back."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.serve.conftest import Serve
from tests.serve.plain_user import Runner
from tests.serve.run import GONE_S, STOP_S, wait_answer

WAIT_S = 60.0


def test_a_signal_stops_everything(serve: Serve, runner: Runner) -> None:
    with serve(who=runner) as run:
        run.wait_ready()
        run.process.send_signal(signal.SIGINT if runner.user else signal.SIGTERM)
        assert run.wait_end(STOP_S) == 0
        run.assert_gone(0)


def test_its_own_death_leaves_nothing(serve: Serve, runner: Runner) -> None:
    with serve("--gateways", "2", who=runner) as run:
        run.wait_ready()
        assert len(run.family()) > 8
        run.process.kill()
        run.assert_gone(GONE_S)
    with serve(who=runner) as run:
        run.wait_ready()


def test_the_supervisors_death_leaves_nothing(serve: Serve) -> None:
    with serve() as run:
        run.wait_ready()
        (supervisor,) = psutil.Process(run.process.pid).children()
        supervisor.kill()
        assert run.wait_end(STOP_S) == 1
        run.assert_gone(0)
        assert "ended by signal 9" in run.errors[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_end_while_starting(serve: Serve, data: Path, number: signal.Signals) -> None:
    with serve() as run:
        deadline = time.monotonic() + WAIT_S
        while not (data / "postgres.new").exists() and time.monotonic() < deadline:
            run.family()
        assert (data / "postgres.new").exists()
        run.family()
        run.process.send_signal(number)
        run.wait_end(STOP_S)
        run.assert_gone(GONE_S)
    with serve() as run:
        run.wait_ready()


def test_what_survived_two_kills_at_once_is_cleared_by_the_next_start(serve: Serve) -> None:
    with serve() as run:
        run.wait_ready()
        (supervisor,) = psutil.Process(run.process.pid).children()
        postgres = run.named("postgres")
        supervisor.suspend()  # so that it cannot see the guard's death
        run.process.kill()
        for process in run.family():
            if process.is_running() and process.name() not in (
                "postgres",
                "valkey-server",
                "redis-server",
                "caddy",
            ):
                process.kill()
        assert postgres.is_running()
        with serve() as second:
            second.wait_ready()
            assert not postgres.is_running() or postgres.status() == psutil.STATUS_ZOMBIE


def test_a_dead_child_comes_back(serve: Serve) -> None:
    with serve("--gateways", "2") as run:
        url = run.wait_ready()
        for word, child in [
            ("postgres", "postgres"),
            ("valkey-server", "valkey"),
            ("caddy", "caddy"),
            ("tidewire api", "api"),
            ("tidewire gateway", "gateway-1"),
        ]:
            before = sum(run.restarts().values())
            os.kill(run.named(word).pid, signal.SIGKILL)
            deadline = time.monotonic() + WAIT_S
            while sum(run.restarts().values()) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert sum(run.restarts().values()) == before + 1, child
            assert wait_answer(f"{url}/api/v4/system/ping?get_server_status=true").status_code == 200
        assert run.process.poll() is None
