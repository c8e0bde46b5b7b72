"""Single processes of Tidewire on real databases, for tests that must know which worker they talk to."""

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.fixtures import servers
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import TEMPLATE, Postgres
from tests.fixtures.redis import Redis

ROOT = Path(__file__).parents[2]


class Part(servers.Server):
    """`tidewire api` or `tidewire gateway` on a port of its own, the same at every start."""

    def __init__(self, what: str, path: str, postgres: Postgres, redis: Redis) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._probe_url = self.url + path
        environment = {
            "PYTHONPATH": str(ROOT),
            "TIDEWIRE_DATABASE_URL": postgres.url(TEMPLATE),
            "TIDEWIRE_REDIS_URL": redis.url,
            f"TIDEWIRE_{what.upper()}_PORT": str(self.port),
        }
        argv = ["env", *[f"{name}={value}" for name, value in environment.items()]]
        argv += [sys.executable, "-m", "tidewire", what]
        directory = servers.short_directory()
        super().__init__(f"{what} {self.port}", argv, directory / "log", self._probe)

    def _probe(self) -> None:
        try:
            urllib.request.urlopen(self._probe_url, timeout=2).close()
        except urllib.error.HTTPError as error:
            raise RuntimeError(str(error)) from error


def api(postgres: Postgres, redis: Redis) -> Part:
    """Return an API process of one worker, not yet started."""
    return Part("api", "/api/v4/system/ping", postgres, redis)


def gateway(postgres: Postgres, redis: Redis) -> Part:
    """Return a gateway process, not yet started."""
    return Part("gateway", "/health", postgres, redis)


def seed(postgres: Postgres, tokens: Path, *, users: int) -> list[str]:
    """Create users who are all in one channel; return the lines of their tokens."""
    command = ["env", f"TIDEWIRE_DATABASE_URL={postgres.url(TEMPLATE)}", sys.executable, "-m", "tidewire"]
    command += ["loadtest", "seed", "--users", str(users), "--tokens", str(tokens)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return tokens.read_text().splitlines()
