"""An import of Mattermost's bulk format: posts per second, CPU of both sides, memory at the peak.

    python -m bench.importing [--roots 40000] [--users 500] [--channels 50] [--turns 3] [--attachments 0]

The command `tidewire import` on a core of its own, a private PostgreSQL on the other. Each turn is another file with a
team, its channels and posts, into the same database: of ten roots four have three replies each, three have two
reactions; 20 words out of 20,000. Posts, replies and reactions count as one each. The clock covers the whole command:
its start, the look through the file, its people, the posts and the read states at the end.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench.machine import QUIET_BELOW, Watch, Window, conditions, pin, tree
from bench.posts import API_CORE, LOAD_CORE
from bench.servers import Services, services

TARGET = 1000  # posts a second
AT = 1_600_000_000_000
WORDS = [f"word{number}" for number in range(20_000)]
LEAST_TURNS = 3
PATIENCE = 3


def lines(turn: int, roots: int, users: int, channels: int, files: int) -> Iterator[dict[str, Any]]:
    """Yield the lines of a turn's file."""
    rng = random.Random(turn)
    team = f"bench-{turn}"
    names = [f"person{number}" for number in range(users)]
    yield {"type": "version", "version": 1}
    yield {"type": "team", "team": {"name": team, "display_name": team, "type": "O"}}
    for number in range(channels):
        channel = {"team": team, "name": f"c{number}", "display_name": f"C{number}", "type": "O"}
        yield {"type": "channel", "channel": channel}
    for name in names:
        chosen = rng.sample(range(channels), channels // 2)
        inside = [{"name": f"c{number}", "roles": "channel_user"} for number in chosen]
        teams = [{"name": team, "roles": "team_user", "channels": inside}]
        yield {"type": "user", "user": {"username": name, "email": f"{name}@bench.invalid", "teams": teams}}

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=20))

    for number in range(roots):
        at = AT + turn * 10_000_000_000 + number * 1000
        post: dict[str, Any] = {"team": team, "channel": f"c{rng.randrange(channels)}", "user": rng.choice(names)}
        post |= {"message": text(), "create_at": at}
        if number % 10 < 4:
            post["replies"] = [{"user": rng.choice(names), "message": text(), "create_at": at + n} for n in (1, 2, 3)]
        if number % 10 > 6:
            post["reactions"] = [{"user": name, "emoji_name": "tada", "create_at": at} for name in rng.sample(names, 2)]
        if files and number % files == 0:
            post["attachments"] = [{"path": f"f{turn}"}]
        yield {"type": "post", "post": post}


def write(folder: Path, turn: int, options: argparse.Namespace) -> tuple[Path, int]:
    """Write a turn's file; return it and how many posts, replies and reactions it has."""
    path, count = folder / f"turn{turn}.jsonl", 0
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / f"f{turn}").write_bytes(os.urandom(100_000))
    with path.open("w") as file:
        for line in lines(turn, options.roots, options.users, options.channels, options.attachments):
            post = line.get("post", {})
            count += bool(post) + len(post.get("replies", ())) + len(post.get("reactions", ()))
            file.write(json.dumps(line) + "\n")
    return path, count


def run(running: Services, path: Path, files: Path) -> tuple[float, Window, int]:
    """Import a file; return (seconds, the machine's window of it but for its start and end, KiB at the peak)."""
    environment = os.environ | {
        "TIDEWIRE_DATABASE_URL": running.postgres.url(),
        "TIDEWIRE_FILES_DIRECTORY": str(files),
    }
    command = [sys.executable, "-m", "tidewire", "import", str(path)]
    started, quiet = time.monotonic(), len(tree(running.pids))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    pin(process.pid, API_CORE)
    watch = Watch(process.pid, running.pids)
    peak, window = 0, None
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max([peak, *(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM:"))])
            seen = watch.stop()
            if len(tree(running.pids)) > quiet:  # with the backends gone, their CPU would count as strangers'
                window = seen
        except (OSError, ProcessLookupError):
            break
        time.sleep(0.05)
    if process.wait() or window is None:
        sys.exit(f"the import ended with {process.returncode}")
    return time.monotonic() - started, window, peak


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if the target is met by valid figures, else 3. words: the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.importing", description=__doc__.split("\n")[0])
    parser.add_argument("--roots", type=int, default=40_000)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--channels", type=int, default=50)
    parser.add_argument("--turns", type=int, default=LEAST_TURNS, help="quiet turns to wait for")
    parser.add_argument("--attachments", type=int, default=0, help="a file of 100 KB at each such root; 0: none")
    options = parser.parse_args(words)
    print("\n".join(conditions()))
    os.sched_setaffinity(0, LOAD_CORE)
    found: list[tuple[float, float, int, bool]] = []
    with services() as running, tempfile.TemporaryDirectory() as scratch:
        for process in tree(running.pids):
            pin(process, LOAD_CORE)
        for turn in range(options.turns * PATIENCE):
            path, count = write(Path(scratch), turn, options)
            spent, window, peak = run(running, path, Path(scratch) / "files")
            path.unlink()
            found.append((count / spent, window.cpu_s / count * 1e6, peak, window.quiet))
            others = f"others {window.others:.0%} of a core"
            print(f"turn {turn}: {count:,} posts in {spent:.1f} s, {others}", file=sys.stderr)
            if sum(one[3] for one in found) >= options.turns:
                break
    quiet = [one for one in found if one[3]]
    valid = len(quiet) >= min(options.turns, LEAST_TURNS)
    chosen = quiet if valid else found
    rates, cpu = sorted(one[0] for one in chosen), sorted(one[1] for one in chosen)
    peak_mib = max(one[2] for one in found) / 1024
    print(
        f"{median(rates):,.0f} posts/s ({rates[0]:,.0f}–{rates[-1]:,.0f}), {median(cpu):.0f} µs CPU each in it,"
        f" {peak_mib:.0f} MiB at the peak; {len(quiet)} of {len(found)} turns quiet ({QUIET_BELOW:.0%})"
    )
    met = median(rates) >= TARGET
    print(f"target >= {TARGET:,} posts/s: {'met' if met else 'MISSED'}; {'valid' if valid else 'NOT VALID'}")
    return 0 if met and valid else 3


if __name__ == "__main__":
    raise SystemExit(main())
