"""`python -m bench`: every measurement with its defaults; `python -m bench NAME FLAGS`: one of them.

Ends with 3 if a figure does not count, as on a noisy machine.
"""

import sys

from bench import (
    boot,
    bystanders,
    channels,
    compression,
    connect,
    crowd,
    exporting,
    fanout,
    files,
    hostile,
    importing,
    latency,
    posts,
    push,
    reader,
    reads,
    search,
    stall,
    swarm,
    tls,
)
from bench.peers import compare

BENCHES = {
    "boot": boot.main,
    "bystanders": bystanders.main,
    "channels": channels.main,
    "compression": compression.main,
    "connect": connect.main,
    "crowd": crowd.main,
    "exporting": exporting.main,
    "fanout": fanout.main,
    "files": files.main,
    "hostile": hostile.main,
    "importing": importing.main,
    "latency": latency.main,
    "peers": compare.main,
    "posts": posts.main,
    "push": push.main,
    "reader": reader.main,
    "search": search.main,
    "reads": reads.main,
    "stall": stall.main,
    "swarm": swarm.main,
    "tls": tls.main,
}

if __name__ == "__main__":
    name, *flags = sys.argv[1:] or [""]
    if name and name not in BENCHES:
        sys.exit(f"python -m bench [{' | '.join(BENCHES)}] …")
    chosen = [BENCHES[name]] if name else list(BENCHES.values())
    sys.exit(max([bench(flags) for bench in chosen]))
