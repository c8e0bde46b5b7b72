"""`python -m loadtest.swarm`: sockets that connect at a rate, stay, and are counted. Prints JSON.

    python -m loadtest.swarm --ws-host 127.0.0.1:8072 --tokens FILE --connections 10000 --rate 2000 --seconds 60

Exit status: 0 all were logged in to the end without a gap in seq, 1 it could not run, 2 wrong command line, 3 not so.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from loadtest.swarm.herd import CannotRun, Herd, Plan
from loadtest.swarm.tally import Tally
from loadtest.tokens import read_tokens

_LOOK_S = 0.2
_PATIENCE_S = 60.0  # for the last log-in, after it was due


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.swarm", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ws-host", action="append", required=True, metavar="HOST:PORT", help="a gateway; repeatable")
    parser.add_argument("--tokens", type=Path, required=True, help="file of `tidewire loadtest seed`")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1000.0, help="connects per second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long all stay")
    parser.add_argument("--auth", choices=["bearer", "cookie", "challenge"], default="bearer")
    parser.add_argument("--sample-every", type=int, default=1, help="every so many clients look for marks in posts")
    parser.add_argument("--in-flight", type=int, default=1000, help="most log-ins under way at once")
    parser.add_argument("--ping", type=float, default=30.0, help="seconds between two pings; 0: none")
    parser.add_argument("--retry", type=float, default=0.0, help="come back so many seconds after a loss; 0: stay away")
    parser.add_argument("--descriptors", type=int, default=0, help="of a process; default: the limit of this account")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    options = _options(words)
    tally = Tally()

    try:
        read_tokens(options.tokens)
        more = {"descriptors": options.descriptors} if options.descriptors else {}
        plan = Plan(
            options.tokens, options.connections, tuple(options.ws_host), auth=options.auth,
            sample_every=options.sample_every, in_flight=options.in_flight, ping_s=options.ping, retry_s=options.retry,
            **more,
        )  # fmt: skip
        herd = Herd(plan, tally.add)
    except CannotRun as error:
        sys.stderr.write(f"swarm: {error}\n")
        return 1
    try:
        herd.connect(options.rate)
        deadline = time.monotonic() + options.connections / options.rate + _PATIENCE_S
        while tally.open < options.connections and time.monotonic() < deadline and not herd.broken:
            time.sleep(_LOOK_S)
            if tally.connect("connect").first_attempt and not tally.connecting and not options.retry:
                break
        time.sleep(options.seconds if tally.open else 0)
        still_open = tally.open
    except KeyboardInterrupt:
        still_open = tally.open
    finally:
        herd.stop()
    result = {"connections": options.connections, "open_at_the_end": still_open}
    json.dump(result | tally.figures(), sys.stdout, indent=2)
    sys.stdout.write("\n")
    if herd.broken:
        sys.stderr.write(f"swarm: {herd.broken}\n")
        return 1
    return 0 if still_open == options.connections and not tally.count("gaps") else 3


if __name__ == "__main__":
    sys.exit(main())
