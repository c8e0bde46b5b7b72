"""Pushes: from the queue to an HTTP/2 peer over TLS, and through the proxy's endpoint with durable accept.

    python -m bench.push [--pushes 15000] [--in-flight 500] [--turns 7] [--callers 256]

The peer is nginx, which answers 200 at once to APNs' requests; Redis writes its append-only file before it answers
(appendfsync always). What is measured has a core of its own, peer, Redis and callers share the other. "queue": the
sender of `tidewire push` alone, with so many pushes waiting; from the first read to the last answer, what became of
them written down. "endpoint": `tidewire push` with one worker, POSTs of h2load, each answered when the peer has
answered. "h2load": the same requests to the same peer by a C client that knows no queue: the limit. The decision who
gets a push is not in here.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench.machine import ROOT, Watch, Window, conditions, pin, tree
from bench.programs import Program
from bench.push_jobs import TARGET, jobs, notification
from bench.servers import free_port
from tests.fixtures.apns_peer import KEY_ID, KEY_PEM, TEAM_ID, TOPIC
from tests.fixtures.authority import authority
from tests.fixtures.redis import Redis
from tidewire.bus.push_queue import PushQueue
from tidewire.settings import child_environment

OWN, OTHER = (0,), (1,)
HELD_S = 1.2  # a read that waits for pushes ends after a second, and takes what comes until then
QUEUE_TARGET = "10,000/s and 90 µs of a core"
ENDPOINT_TARGET = "4,000/s"
_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; http2_max_concurrent_streams 1000; keepalive_requests 100000000;
    client_body_temp_path {folder}/b;
    proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
        location / {{ return 200; }}
    }}
}}
"""


@dataclass
class Figures:
    """Turns of one measurement: rate and CPU µs of each that was quiet."""

    name: str
    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    all: list[tuple[float, float]] = field(default_factory=list)

    def add(self, window: Window, seconds: float, count: int) -> None:
        """Note a turn."""
        self.all.append((count / seconds, window.cpu_s / count * 1e6))
        if window.quiet:
            self.rates.append(count / seconds)
            self.costs.append(window.cpu_s / count * 1e6)

    def line(self, turns: int, target: str) -> str:
        """Return what is printed."""
        if not self.rates:
            rate, cost = median([rate for rate, _ in self.all]), median([cost for _, cost in self.all])
            return f"{self.name:<10}NOT VALID: {rate:,.0f}/s, {cost:.1f} µs CPU each in {len(self.all)} noisy turns"
        state = "valid" if len(self.rates) >= turns else "NOT VALID"
        return (
            f"{self.name:<10}{median(self.rates):>8,.0f}/s ({min(self.rates):,.0f}–{max(self.rates):,.0f})  "
            f"{median(self.costs):>6.1f} µs CPU each ({min(self.costs):.1f}–{max(self.costs):.1f})  "
            f"{state}: {len(self.rates)} quiet turns of {len(self.all)}{target and '; target ' + target}"
        )


@contextmanager
def peer(folder: Path) -> Iterator[tuple[int, int]]:
    """Run nginx; yield its process and its port."""
    authority().issue(folder)
    folder.chmod(0o755)
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-c", folder / "nginx.conf"])
    try:
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


def config(folder: Path) -> Path:
    """Write a configuration with one app build; return it."""
    (folder / "key.p8").write_bytes(KEY_PEM)
    keys = {"AppleAuthKeyFile": "key.p8", "AppleAuthKeyID": KEY_ID, "AppleTeamID": TEAM_ID}
    target = {"Type": TARGET, "ApplePushTopic": TOPIC, **keys}
    path = folder / "proxy.json"
    path.write_text(json.dumps({"ApplePushSettings": [target]}))
    return path


async def fill(redis_url: str, count: int) -> None:
    """Queue pushes."""
    queue = PushQueue(redis_url)
    for start in range(0, count, 500):
        await queue.add(jobs(min(500, count - start)))
    await queue.close()


def queue_turns(
    folder: Path, port: int, redis: Redis, ours: list[int], options: argparse.Namespace
) -> list[str]:
    """Measure the sender; return lines."""
    words = [config(folder), folder / "ca.pem", f"https://localhost:{port}", redis.url, options.in_flight]
    sender = Program([sys.executable, "-m", "bench.push_sender", *words])
    figures = Figures("queue")
    try:
        sender.hear("ready")
        pin(sender.pid, OWN)
        sender.say("run 0")
        sender.hear("done")
        deadline = time.monotonic() + options.patience
        warm = True
        while len(figures.rates) < options.turns and time.monotonic() < deadline:
            time.sleep(HELD_S)
            asyncio.run(fill(redis.url, options.pushes))
            watch = Watch(sender.pid, ours)
            sender.say(f"run {options.pushes}")
            seconds = float(sender.hear("done")[0])
            time.sleep(0.05)  # what became of the last ones is written down
            window = watch.stop()
            if not warm:
                figures.add(window, seconds, options.pushes)
            warm = False
        sender.say("single 300")
        half, most = map(float, sender.hear("single"))
    finally:
        sender.end()
    alone = f"one at a time, queued to taken: p50 {half:.1f} ms, p99 {most:.1f} ms"
    return [figures.line(options.turns, QUEUE_TARGET), f"{'':<10}{alone}"]


def h2load(
    url: str, body: Path, count: int, flags: list[str]
) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run h2load; return its seconds. Raises: RuntimeError if a request failed."""
    command = ["h2load", "-n", str(count), "-d", str(body), *flags, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = re.search(r"finished in ([\d.]+)(ms|s)", done.stdout)
    if seconds is None or f"{count} succeeded" not in done.stdout or f" {count} 2xx" not in done.stdout:
        raise RuntimeError(f"h2load: not all requests succeeded:\n{done.stdout}")
    return float(seconds[1]) / (1000 if seconds[2] == "ms" else 1), done


def endpoint_turns(
    folder: Path, port: int, redis: Redis, ours: list[int], options: argparse.Namespace
) -> list[str]:
    """Measure `tidewire push`; return lines."""
    own = free_port()
    settings: dict[str, dict[str, Any]] = {
        "redis": {"url": redis.url},
        "push": {
            "port": own,
            "mattermost_config": config(folder),
            "apns_url": f"https://localhost:{port}",
            "ca_file": folder / "ca.pem",
            "throttle_per_s": 0,
        },
    }
    body = folder / "body"
    body.write_bytes(msgspec.json.encode(notification()))
    url = f"http://127.0.0.1:{own}"
    figures = Figures("endpoint")
    with (folder / "push.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidewire", "push"],
            env=child_environment(settings),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(url + "/healthz")
        for one in tree([process.pid]):
            pin(one, OWN)
        flags = ["--h1", "-c", str(options.callers)]
        h2load(url + "/api/v1/send_push", body, options.pushes // 5, flags)
        deadline = time.monotonic() + options.patience
        while len(figures.rates) < options.turns and time.monotonic() < deadline:
            watch = Watch(process.pid, ours)
            seconds, _ = h2load(url + "/api/v1/send_push", body, options.pushes, flags)
            figures.add(watch.stop(), seconds, options.pushes)
    finally:
        process.terminate()
        process.wait(30)
    return [figures.line(options.turns, ENDPOINT_TARGET)]


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while subprocess.run(["curl", "-sf", "-o", os.devnull, url], check=False).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("tidewire push does not start")
        time.sleep(0.1)


def limit_turns(folder: Path, port: int, options: argparse.Namespace) -> list[str]:
    """Measure h2load at the peer; return lines."""
    body = folder / "payload"
    body.write_bytes(b"x" * 900)
    flags = ["-c", "1", "-m", str(options.in_flight), "-H", f"authorization: bearer {'x' * 200}"]
    figures = Figures("h2load")
    url = f"https://127.0.0.1:{port}/3/device/{'a' * 64}"
    for _ in range(options.turns):
        before = os.times()
        os.sched_setaffinity(0, OWN)
        seconds, _done = h2load(url, body, options.pushes, flags)
        os.sched_setaffinity(0, OTHER)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        figures.add(Window(seconds, spent, 0.0), seconds, options.pushes)
    return [figures.line(options.turns, "") + "; others not watched"]


def main(words: list[str] | None = None) -> int:
    """Run it; return 0 if every figure is valid, else 3. words: the command line, by default the process's own."""
    parser = argparse.ArgumentParser(prog="python -m bench.push", description=__doc__.split("\n")[0])
    parser.add_argument("--pushes", type=int, default=15_000, help="in one turn")
    parser.add_argument("--in-flight", type=int, default=500, help="under way at once")
    parser.add_argument("--turns", type=int, default=7, help="quiet turns to wait for")
    parser.add_argument("--patience", type=float, default=120, help="seconds for each of the two")
    parser.add_argument("--callers", type=int, default=256, help="connections to the endpoint")
    options = parser.parse_args(words)
    missing = [name for name in ("nginx", "h2load", "curl") if shutil.which(name) is None]
    if "nginx" in missing:
        print("push: nginx is not installed: there is no peer that costs little")
        return 3
    print("\n".join(conditions()))
    print(f"cores     measured on {OWN}, peer, Redis (appendfsync always) and callers on {OTHER}")
    print(f"pushes    {options.pushes} a turn, {options.in_flight} under way, {options.callers} callers\n")
    os.sched_setaffinity(0, OTHER)  # every child begins there
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tw-", dir="/tmp") as scratch, peer(Path(scratch)) as (pid, port):
        redis = Redis(durable=True)
        redis.start()
        try:
            assert redis.process is not None
            ours = [pid, redis.process.pid]
            lines += queue_turns(Path(scratch), port, redis, ours, options)
            print("\n".join(lines), flush=True)
            if not {"h2load", "curl"} & set(missing):
                more = limit_turns(Path(scratch), port, options)
                more += endpoint_turns(Path(scratch), port, redis, ours, options)
                print("\n".join(more), flush=True)
                lines += more
        finally:
            redis.stop()
    return 3 if any("NOT VALID" in line for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
