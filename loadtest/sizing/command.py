"""`tidewire loadtest size`: flags, and what is printed."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from loadtest.sizing.costs import load_costs
from loadtest.sizing.model import Installation, size
from loadtest.sizing.text import as_json, lines, page
from loadtest.swarm.herd import CannotRun

DOCS = Path("docs/sizing.md")


def size_command(
    *,
    users: int = 0,
    peak_online: int = 0,
    posts_per_user: float = 0.0,
    peak_share: float | None = None,
    audience: int | None = None,
    opens_per_hour: float | None = None,
    starts_per_hour: float | None = None,
    return_within: float | None = None,
    busy: float | None = None,
    gateway_connections: int | None = None,
    costs: Path | None = None,
    as_data: Annotated[bool, Parameter(name="--json", negative="")] = False,
    docs: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Say what an installation needs: processes, cores, memory, network; with the arithmetic and where costs are from.

    Parameters
    ----------
    users
        People with an account; needed.
    peak_online
        Connections at once, in the busiest hour; needed.
    posts_per_user
        Posts a day, of everybody on average; needed.
    peak_share
        Share of a day's posts in the busiest hour; assumed 0.15.
    audience
        Connections that hear a post, on average; assumed 50.
    opens_per_hour
        Channels that somebody who is online opens in an hour; assumed 20.
    starts_per_hour
        Starts of the app in an hour, of somebody who is online; assumed 1.
    return_within
        Seconds in which all come back after an outage; assumed 300.
    busy
        Share of a core that may be used at the peak; assumed 0.6.
    gateway_connections
        Most connections of a gateway process; assumed 20000.
    costs
        File of measured costs, as `tidewire loadtest run costs --costs FILE` writes it; default: the one shipped.
    as_data
        Print JSON.
    docs
        Write docs/sizing.md anew from the shipped costs, and nothing else.
    """
    try:
        if docs:
            DOCS.write_text(page(load_costs()))
            return
        wishes = {
            "peak_share": peak_share, "audience": audience, "opens_per_hour": opens_per_hour,
            "starts_per_hour": starts_per_hour, "return_s": return_within, "busy": busy,
            "gateway_connections": gateway_connections,
        }  # fmt: skip
        plan = installation(users, peak_online, posts_per_user, wishes)
        found = load_costs(costs)
    except CannotRun as error:
        sys.stderr.write(f"tidewire loadtest: {error}\n")
        sys.exit(1)
    result, shipped = size(plan, found), costs is None
    text = json.dumps(as_json(plan, found, result, shipped=shipped), indent=2) if as_data else ""
    sys.stdout.write((text or "\n".join(lines(plan, found, result, shipped=shipped))) + "\n")


def installation(
    users: int, peak_online: int, posts_per_user: float, wishes: Mapping[str, Any]
) -> Installation:
    """Return what is to be sized. wishes: None where nothing was said. Raises: CannotRun, naming what is wrong."""
    if users < 1 or not 1 <= peak_online <= 100 * users or not 0 <= posts_per_user <= 1e6:
        raise CannotRun(
            "--users is 1 or more, --peak-online 1 to a hundred for each user, --posts-per-user 0 or more: all three"
        )
    given = {name: value for name, value in wishes.items() if value is not None}
    wrong = [name for name, value in given.items() if not 0 <= value < 1e9 or (name not in _MAY_BE_0 and not value)]
    wrong += [name for name in ("busy", "peak_share") if given.get(name, 0) > 1]
    if wrong:
        raise CannotRun(f"{', '.join(wrong)}: above 0, and shares at most 1")
    return Installation(
        users, peak_online, posts_per_user, **given, assumed=frozenset(wishes.keys() - given.keys())
    )


_MAY_BE_0 = frozenset({"peak_share", "audience", "opens_per_hour", "starts_per_hour"})
