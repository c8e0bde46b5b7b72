"""Caddy accepts every configuration we write, and says no where it may not listen."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.serve import Runner
from tests.serve.conftest import Launch
from tidewire.embedded.binaries import caddy_programs
from tidewire.settings import read
from tidewire.supervisor.balancer import caddyfile, public_url
from tidewire.supervisor.layout import Layout

LIMIT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@pytest.mark.parametrize(
    ("serve", "url"),
    [
        ({}, "http://localhost:8065"),
        ({"host": "0.0.0.0", "port": 81}, "http://localhost:81"),
        ({"host": ""}, "http://localhost:8065"),
        ({"host": "::1"}, "http://[::1]:8065"),
        ({"host": "10.1.2.3"}, "http://10.1.2.3:8065"),
        ({"domain": "chat.example.org"}, "https://chat.example.org"),
    ],
)
@pytest.mark.parametrize("trusted", [[], ["10.0.0.0/8", "::1"]])
async def test_caddy_takes_the_configuration(
    tmp_path: Path, serve: dict[str, object], url: str, trusted: list[str]
) -> None:
    settings = read({"serve": serve, "proxies": {"trusted": trusted}})
    folder = tmp_path / "with a space"
    folder.mkdir()
    assert public_url(settings) == url
    file = tmp_path / "Caddyfile"
    file.write_text(caddyfile(settings, Layout(folder, folder, None, -1), [8072, 8073]))
    caddy = (await caddy_programs())[0].path
    done = subprocess.run(
        [caddy, "validate", "--adapter", "caddyfile", "--config", file],
        env={"HOME": str(folder)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


async def test_sockets_outlive_a_renewed_certificate(tmp_path: Path) -> None:
    settings = read({"serve": {"tls_cert": "/cert.pem", "tls_key": "/key.pem"}})
    file = tmp_path / "Caddyfile"
    file.write_text(caddyfile(settings, Layout(tmp_path, tmp_path, None, -1), [8072]))
    adapted = subprocess.run(
        [(await caddy_programs())[0].path, "adapt", "--adapter", "caddyfile", "--config", file],
        env={"HOME": str(tmp_path)}, capture_output=True, check=True,
    )  # fmt: skip
    delays: list[int] = []

    def collect(members: dict[str, object]) -> dict[str, object]:
        delays.extend(value for key, value in members.items() if key == "stream_close_delay" and type(value) is int)
        return members

    json.loads(adapted.stdout, object_hook=collect)
    (delay_ns,) = delays
    assert delay_ns > 90 * 86_400 * 10**9  # until then all of them are closed at once


def test_a_port_without_the_right_to_it(launch: Launch, data: Path, plain: Runner) -> None:
    port = int(LIMIT.read_text()) - 1 if LIMIT.exists() else 0
    if port < 1:
        return  # every port is everybody's here
    data.parent.chmod(0o777)
    with launch("--port", str(port), runner=plain) as run:
        assert run.wait_end() == 1
        assert "setcap cap_net_bind_service=+ep" in run.log
        assert run.log.count("\n") == 1
