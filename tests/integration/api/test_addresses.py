"""Addresses that cannot be had: one line on standard error and status 1, from every process that listens."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEWIRE_")}
    argv = [sys.executable, "-m", "tidewire", *words]
    return subprocess.run(
        argv, env=environment | variables, capture_output=True, text=True, check=False, timeout=120
    )


def refused(done: subprocess.CompletedProcess[str], line: str) -> None:
    assert done.returncode == 1
    ours = [text for text in done.stderr.splitlines() if not text.startswith("{")]  # the log may say more before
    assert ours == [f"tidewire: {line}"], done.stderr


def test_a_taken_port(taken: int, database_url: str, redis_url: str) -> None:
    services = {"TIDEWIRE_DATABASE_URL": database_url, "TIDEWIRE_REDIS_URL": redis_url}
    line = f"cannot listen on 127.0.0.1 port {taken}: Address already in use"
    refused(run("api", "--port", str(taken), **services), line)
    refused(run("gateway", "--port", str(taken), **services), line)
    push = services | {"TIDEWIRE_PUSH_PROXY_URL": "http://127.0.0.1:9"}
    refused(run("push", "--port", str(taken), **push), line)


def test_a_host_that_is_none() -> None:
    services = {"TIDEWIRE_DATABASE_URL": "postgresql://127.0.0.1:1/x", "TIDEWIRE_REDIS_URL": "redis://127.0.0.1:1"}
    done = run("api", "--host", "no.such.host.invalid", "--port", "18999", **services)
    assert done.returncode == 1 and "cannot listen on no.such.host.invalid port 18999: " in done.stderr
    assert "Traceback" not in done.stderr
