"""Notifications through a push proxy at a fixed rate: `locust -f loadtest/push.py`, or `tidewire loadtest run push`.

An open model: each caller sends at times that were fixed beforehand, and a request counts from its intended moment
until the proxy's verdict, with which Mattermost's server works. Devices are invented, so let the proxy send to a
stand-in of the provider (`push.apns_url`, `push.fcm_url`) and never to Apple or Google, who take many unknown devices
for abuse. Rows: `POST /api/v1/send_push`, of each type. A verdict REMOVE is counted, and no failure; FAIL is one.

    locust -f loadtest/push.py --headless --push-rate 500 --callers 64 --platform apple_rn-v2 -t 1m \
        --host http://localhost:8066
"""

import itertools
import random
import time
from collections.abc import Mapping
from typing import Any

from locust import FastHttpUser, task
from locust.argument_parser import LocustArgumentParser

from loadtest.preflight import PROXY
from loadtest.suite import Suite
from loadtest.swarm.herd import CannotRun

# Of 100 pushes; our guess: three of four messages are read on the phone, or elsewhere, before the day ends.
TYPES = {"message": 55, "clear": 40, "update_badge": 5}
TEXTS = "@somebody: the tide is in", "Somebody: see you at the harbour :ship:", "Somebody replied in a thread"


def _add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--push-rate", type=float, default=100.0, help="pushes per second, of all callers")
    parser.add_argument("--callers", type=int, default=32, help="requests under way at most")
    parser.add_argument("--platform", default="apple_rn-v2", help="of the devices: a Type of the proxy's configuration")
    parser.add_argument("--devices", type=int, default=10_000, help="different devices")


class Pushes:
    """The course of a run. numbers: of pushes, by which devices take their turns."""

    def __init__(self) -> None:
        self.numbers = itertools.count()

    def prepare(self, suite: Suite) -> None:
        """Read the flags."""
        self.suite, options = suite, suite.options
        if options.push_rate <= 0 or options.callers < 1 or options.devices < 1:
            raise CannotRun("--push-rate is above 0, --callers and --devices 1 or more")
        suite.users = Caller.fixed_count = options.callers
        Caller.period_s = options.callers / options.push_rate

    def figures(self, suite: Suite) -> Mapping[str, float]:
        """Return how often each verdict came."""
        return {f"verdict_{name.lower()}": count for name, count in suite.counts.items()}

    def notification(self) -> dict[str, Any]:
        """Return a push as Mattermost's server writes it. Source: Mattermost's push proxy, send_push."""
        number = next(self.numbers)
        options, kind = self.suite.options, random.choices(list(TYPES), list(TYPES.values()))[0]  # noqa: S311 - makes load
        device = number * 7919 % options.devices  # a prime: every device in its turn
        push: dict[str, Any] = {
            "ack_id": f"{number:026}", "platform": options.platform, "server_id": "loadtest" + "s" * 18,
            "device_id": f"{device:064x}", "type": kind, "badge": number % 20, "channel_id": f"{device:026}",
            "version": "v2", "team_id": "t" * 26,
        }  # fmt: skip
        if kind == "message":
            push |= {
                "message": random.choice(TEXTS), "category": "CAN_REPLY", "post_id": f"{number:026}",  # noqa: S311 - as above
                "channel_name": "Town Square", "sender_id": "u" * 26, "sender_name": "somebody", "is_crt_enabled": True,
            }  # fmt: skip
        return push


pushes = Pushes()
Suite("push", add_options=_add_options, prepare=pushes.prepare, figures=pushes.figures, swarm=False, kind=PROXY)


class Caller(FastHttpUser):
    """Sends every `period_s`, beginning somewhere within the first one."""

    fixed_count = 1
    period_s = 1.0

    def on_start(self) -> None:
        """Take a place within the period."""
        self.due = time.time() + self.period_s * random.random()  # noqa: S311 - as above

    @task
    def push(self) -> None:
        """Send the next push when it is due, or at once if that has passed."""
        time.sleep(max(0.0, self.due - time.time()))  # Locust makes it yield
        due, self.due = self.due, self.due + self.period_s
        push = pushes.notification()
        with self.client.post(
            "/api/v1/send_push", json=push, name=f"/api/v1/send_push {push['type']}", catch_response=True
        ) as answer:
            answer.request_meta["response_time"] = (time.time() - due) * 1000
            try:
                found = answer.json() if answer.status_code == 200 else {}
            except ValueError:
                found = {}
            status = str(found.get("status", "")) if isinstance(found, dict) else ""
            pushes.suite.counts[status or "none"] += 1
            if status not in ("OK", "REMOVE"):
                why = str(found.get("error", "")) if status else answer.text or "no answer"
                answer.failure(f"{answer.status_code} {status} {why}"[:200])
