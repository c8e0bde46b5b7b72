"""The swarm against the whole product: its figures are the gateways' own, to the frame."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from loadtest.swarm.herd import Herd, Plan
from loadtest.swarm.tally import Tally
from loadtest.tokens import read_tokens
from tests.fixtures.serve import ROOT, Serve
from tests.load.conftest import PEOPLE, hosts, seeded


def sums(server: Serve) -> dict[str, float]:
    """Return each metric of the gateways, both together and over all labels."""
    found: dict[str, float] = {}
    for line in httpx.get(server.metrics + "/metrics", timeout=30).text.splitlines():
        if 'process="gateway-' in line:
            name, value = line.split("{")[0], line.rsplit(" ", 1)[1]
            found[name] = found.get(name, 0.0) + float(value)
    return found


def wait_for(right: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not right():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def post(server: Serve, tokens: Path, count: int) -> None:
    author = read_tokens(tokens)[0]
    headers = {"Authorization": f"Bearer {author.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
        for _ in range(count):
            message = f"tw-sent:{int(time.time() * 1e6):016}"
            answer = client.post("/api/v4/posts", json={"channel_id": author.channel_id, "message": message})
            assert answer.status_code == 201, answer.text


def test_sent_is_received_to_the_frame(two_gateways: Serve, tmp_path: Path) -> None:
    # People of its own: what other tests cut waits for a resume, and hears what its channel hears.
    tokens = seeded(two_gateways, tmp_path / "tokens")
    before, tally = sums(two_gateways), Tally()

    def differences() -> list[float]:
        sent = {name: value - before.get(name, 0.0) for name, value in sums(two_gateways).items()}
        upgrades = tally.count("fresh") + tally.count("resumed")  # each answer counts as a frame there
        hellos = tally.count("fresh")  # they are events to a client, and not to the gateway's count
        return [
            tally.count("frames") + tally.count("pings") + upgrades - sent["tidewire_gate_frames_per_send_sum"],
            tally.count("bytes") - sent["tidewire_gate_sent_bytes_total"],
            tally.count("events") - hellos - sent["tidewire_gate_delivered_total"],
        ]

    # No pings: what is on its way when sockets are cut would be sent and not received.
    herd = Herd(Plan(tokens, PEOPLE, hosts(two_gateways), ping_s=0, descriptors=64 + 50), tally.add)
    try:
        assert len(herd.pids) == 3  # 50 sockets each
        herd.connect(500)
        wait_for(lambda: tally.open == PEOPLE)
        post(two_gateways, tokens, 10)
        wait_for(lambda: tally.count("posted") == 10 * PEOPLE and not any(differences()))
        herd.drop()
        wait_for(lambda: tally.open == 0)
        post(two_gateways, tokens, 3)
        herd.connect(500, resume=True)
        wait_for(lambda: tally.count("posted") == 13 * PEOPLE)
        replies = tally.count("replies")
        herd.say(PEOPLE - 1, "get_statuses_by_ids", user_ids=[read_tokens(tokens)[0].user_id])
        wait_for(lambda: tally.count("replies") > replies and not any(differences()))
    finally:
        herd.stop()
    assert herd.broken == ""
    assert (tally.count("resumed"), tally.count("gaps"), tally.errors) == (PEOPLE, 0, {})
    assert tally.times["delivery"].count == 13 * PEOPLE
    assert differences() == [0, 0, 0]


def test_it_runs_alone_and_prints_json(two_gateways: Serve, tokens: Path) -> None:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "loadtest.swarm", "--seconds", "0.5", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    gateways = [word for host in hosts(two_gateways) for word in ("--ws-host", host)]
    done = run(*gateways, "--tokens", str(tokens), "--connections", "40", "--auth", "challenge")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["open_at_the_end"], figures["counts"]["fresh"], figures["errors"]) == (40, 40, {})
    nobody = run("--ws-host", "127.0.0.1:1", "--tokens", str(tokens), "--connections", "5")
    assert nobody.returncode == 3
    assert json.loads(nobody.stdout)["errors"] == {"connect: Connection refused": 5}
    for words, message in (
        (["--ws-host", "nowhere", "--tokens", str(tokens)], "nowhere is no HOST:PORT"),
        ([*gateways, "--tokens", str(ROOT / "README.md")], "README.md"),
        ([*gateways, "--tokens", str(tokens), "--connections", "2000", "--descriptors", "70"], "raise the limit"),
    ):
        wrong = run(*words)
        assert (wrong.returncode, wrong.stdout) == (1, "")
        assert message in wrong.stderr
        assert "Traceback" not in wrong.stderr
