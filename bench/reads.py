"""Lists of posts: requests per second of one API core, and CPU time per request.

    python -m bench reads [--connections 16] [--turns 9] [--seconds 4]

A page of 60 posts of a channel of 1,000 members, a third of them replies; a whole thread of 200 replies by 20 users.
Servers, cores and rules are those of bench.posts; nobody sends an ETag: every answer is made anew.
"""

import argparse
import asyncio
import http.client
import json
import os
import sys
import tempfile
from pathlib import Path

from bench.machine import conditions, pin, tree
from bench.posts import API_CORE, LOAD_CORE, api, quiet_turns, report
from bench.programs import Program
from bench.servers import services
from loadtest.seed import Plan, SeededUser, seed
from tidewire.store.db import Database

MEMBERS = 1000
POSTS, REPLIES, WRITERS = 80, 200, 20
TEXT = "fifteen words of ordinary prose about the tide and the harbour " * 2


def fill(port: int, users: list[SeededUser]) -> str:
    """Write a thread, and then posts, of which every third is a reply; return the thread's root."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def say(number: int, root_id: str = "") -> str:
        author = users[number % WRITERS]
        body = json.dumps({"channel_id": author.channel_id, "message": TEXT, "root_id": root_id})
        connection.request("POST", "/api/v4/posts", body, {"Authorization": f"Bearer {author.token}"})
        return str(json.load(connection.getresponse())["id"])

    root = say(0)
    for number in range(REPLIES):
        say(number, root)
    last = ""
    for number in range(POSTS):
        made = say(number, last if number % 3 == 2 else "")
        last = last if number % 3 == 2 else made
    connection.close()
    return root


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench reads", description=__doc__.split("\n")[0])
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--turns", type=int, default=9, help="quiet turns to wait for")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one turn")
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    print(f"cores     API on {API_CORE}, the rest on {LOAD_CORE}\n")
    os.sched_setaffinity(0, LOAD_CORE)  # every child begins there
    valid = True
    with services() as running, tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        users = asyncio.run(seed(Database(running.postgres.url()), Plan(MEMBERS)))
        tokens = scratch / "tokens"
        tokens.write_text("".join(user.line() for user in users))
        with api(running, scratch) as (pid, port):
            for process in tree([pid]):
                pin(process, API_CORE)
            root = fill(port, users)
            for head, path in (
                ("page of 60 posts", f"/api/v4/channels/{users[0].channel_id}/posts"),
                (f"thread of {REPLIES} replies", f"/api/v4/posts/{root}/thread"),
            ):
                program = Program([sys.executable, "-m", "bench.asker", port, tokens, path, options.connections])
                try:
                    turns = quiet_turns(program, pid, running, options)
                finally:
                    program.end()
                valid &= report(f"{head}, {options.connections} connections", "request", options, turns)
    return 0 if valid else 3


if __name__ == "__main__":
    sys.exit(main())
