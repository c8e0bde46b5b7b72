"""Real balancers with the files of deploy/: only addresses, and what the limits of this machine allow, differ.

HAProxy and nginx are the machine's, else Debian's where we may fetch them.
"""

import contextlib
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.fixtures import packages, servers
from tests.fixtures.postgres import plain_user
from tests.fixtures.serve import ROOT

BACKENDS = {"gateway1": 8072, "gateway2": 8073, "api1": 8071, "api2": 8081}  # and their ports in the files


@pytest.fixture(scope="module")
def haproxy() -> str:
    """The program; Debian's package where we may install it."""
    if (found := _installed("haproxy")) is None and packages.may_install():
        with packages.alone(), contextlib.suppress(subprocess.CalledProcessError):
            packages.install("haproxy")
        found = _installed("haproxy")
    if found is None:  # only without it and without root: CI has root, and tries the file
        pytest.skip("haproxy is not installed, and apt-get cannot install it here")
    return found


@pytest.fixture(scope="module")
def nginx() -> Iterator[str]:
    """The program; out of Debian's package where we may fetch it: installed, it would listen at port 80."""
    folder = Path(tempfile.mkdtemp(prefix="tw-nginx-", dir="/tmp"))  # programs do not start in every /dev/shm
    folder.chmod(0o755)
    if (found := _installed("nginx")) is None and packages.may_install():
        with packages.alone(), contextlib.suppress(subprocess.CalledProcessError):
            packages.unpack("nginx", folder)
            found = str(folder / "usr" / "sbin" / "nginx")
    if found is None:  # as above
        shutil.rmtree(folder)
        pytest.skip("nginx is not installed, and apt-get cannot fetch it here")
    yield found
    shutil.rmtree(folder)


def _installed(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def haproxy_file(folder: Path, ports: Mapping[str, int]) -> Path:
    """Write the configuration into the folder. ports: by the names of BACKENDS, and "web"."""
    changes = [(r"bind :443 ssl .*", f"bind 127.0.0.1:{ports['web']}")]
    changes += [(r"/run/haproxy/admin.sock", str(folder / "admin.sock")), (r"maxconn 100000", "maxconn 1000")]
    changes += [(rf"server {name} \S+", f"server {name} 127.0.0.1:{ports[name]}") for name in BACKENDS]
    return _changed("haproxy.cfg", folder, changes)


def nginx_file(folder: Path, ports: Mapping[str, int]) -> Path:
    """Write the configuration into the folder. ports: by the names of BACKENDS, and "web"."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"\n    {kind}_temp_path {folder}/{kind};" for kind in kinds)
    changes = [(r"listen 443 ssl", f"listen 127.0.0.1:{ports['web']}"), (r"ssl_certificate \S+\n", "")]
    changes += [(r"ssl_certificate_key \S+\n", ""), (r"http \{", "http {" + paths), (r"/var/log/nginx", str(folder))]
    changes += [(r"worker_rlimit_nofile 300000", "worker_rlimit_nofile 1024")]
    changes += [(r"worker_connections 100000", "worker_connections 1000")]
    changes += [(rf"127\.0\.0\.1:{usual}\b", f"127.0.0.1:{ports[name]}") for name, usual in BACKENDS.items()]
    return _changed("nginx.conf", folder, changes)


def caddy_file(folder: Path, ports: Mapping[str, int]) -> Path:
    """Write the configuration into the folder. ports: by the names of BACKENDS, and "web"."""
    changes = [(r"chat\.example\.org", f"http://:{ports['web']}"), (r"\{\n\tlog", "{\n\tadmin off\n\tlog")]
    changes += [(rf"127\.0\.0\.1:{usual}\b", f"127.0.0.1:{ports[name]}") for name, usual in BACKENDS.items()]
    return _changed("Caddyfile", folder, changes)


def _changed(name: str, folder: Path, changes: list[tuple[str, str]]) -> Path:
    text = (ROOT / "deploy" / name).read_text()
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text)
        assert count == 1, pattern
    path = folder / name
    path.write_text(text)
    return path


def start(name: str, program: str, ports: Mapping[str, int]) -> servers.Server:
    """Start "caddy", "haproxy" or "nginx" as a user without rights; it may not yet know which of its servers answer."""
    folder = servers.short_directory(plain_user())
    if name == "haproxy":
        command = [program, "-db", "-f", str(haproxy_file(folder, ports))]
    elif name == "caddy":
        command = [program, "run", "--adapter", "caddyfile", "--config", str(caddy_file(folder, ports))]
    else:
        own = ["-p", str(folder), "-e", "stderr", "-g", f"daemon off; pid {folder}/pid;"]
        command = [program, *own, "-c", str(nginx_file(folder, ports))]

    def ready() -> None:
        socket.create_connection(("127.0.0.1", ports["web"]), 5).close()

    server = servers.Server(name, command, folder / "log", ready, user=plain_user())
    server.start()
    return server
