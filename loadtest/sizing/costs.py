"""What things cost, and where that was measured. `tidewire loadtest run costs --costs FILE` writes such a file.

Knows the file only; what is measured how is in loadtest/costs.py, what is made of it in model.py.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from loadtest.swarm.herd import CannotRun

SHIPPED = Path(__file__).parent / "costs.json"

# Name -> what it is. CPU in µs, memory and network in bytes. A file must have all of them.
WANTED = {
    "post_api_us": "CPU of the API for a post",
    "post_balancer_us": "CPU of the balancer for a post",
    "post_postgres_us": "CPU of PostgreSQL for a post",
    "post_redis_us": "CPU of Redis for a post, which all gateways read",
    "post_gateways": "gateways that read it in this measurement",
    "post_gateway_us": "CPU of a gateway process for a post that nobody there hears",
    "post_bytes": "network of a post: its answer and what its sender sends",
    "delivery_us": "CPU of a gateway for an event to one socket, at the rate of the run",
    "delivery_bytes": "network of an event to one socket",
    "boot_api_us": "CPU of the API for a start of the web app",
    "boot_balancer_us": "CPU of the balancer for a start",
    "boot_postgres_us": "CPU of PostgreSQL for a start",
    "boot_redis_us": "CPU of Redis for a start",
    "boot_bytes": "network of a start: all answers",
    "open_api_us": "CPU of the API for opening a channel",
    "open_balancer_us": "CPU of the balancer for opening a channel",
    "open_postgres_us": "CPU of PostgreSQL for opening a channel",
    "open_redis_us": "CPU of Redis for opening a channel",
    "open_bytes": "network of opening a channel: all answers",
    "login_gateway_us": "CPU of a gateway for a WebSocket that logs in",
    "login_postgres_us": "CPU of PostgreSQL for a WebSocket that logs in",
    "connection_bytes": "memory of a gateway for a connection",
    "connection_kernel_bytes": "memory of the kernel for a socket",
    "connection_us_per_s": "CPU of a gateway for a connection that is idle, a second",
    "api_bytes": "memory of an API process",
    "gateway_bytes": "memory of a gateway process without connections",
    "push_bytes": "memory of the push worker",
    "balancer_bytes": "memory of the balancer",
    "redis_bytes": "memory of Redis",
    "postgres_bytes": "memory of PostgreSQL",
}  # fmt: skip


class Cost(msgspec.Struct, forbid_unknown_fields=True):
    """One cost. from_: the phase of the run, and how many of what it was measured on."""

    value: float
    from_: str = msgspec.field(name="from")


class Costs(msgspec.Struct, forbid_unknown_fields=True):
    """A file. measured: command, revision, time, machine, server."""

    measured: dict[str, Any]
    costs: dict[str, Cost]

    def __getitem__(self, name: str) -> float:
        return self.costs[name].value


def load_costs(path: Path | None = None) -> Costs:
    """Read a file, without a path the one that is shipped. Raises: CannotRun, with what is wrong."""
    path = path or SHIPPED
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Costs)
    except OSError as error:
        raise CannotRun(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CannotRun(f"{path} is no file of costs: {error}") from error
    missing = WANTED.keys() - found.costs.keys()
    if missing:
        names = ", ".join(sorted(missing))
        raise CannotRun(f"{path} lacks {names}: write it anew by `tidewire loadtest run costs --costs FILE`")
    wrong = [name for name, cost in found.costs.items() if not 0 <= cost.value < 1e15]
    if wrong:
        raise CannotRun(f"{path}: {', '.join(sorted(wrong))}: not from 0 on")
    return found


def save_costs(path: Path, costs: Costs) -> None:
    """Write a file, with a line for each cost, so that two runs can be compared. Raises: OSError."""
    path.write_text(json.dumps(msgspec.to_builtins(costs), indent=2) + "\n")
