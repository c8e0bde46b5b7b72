"""Posts at a fixed rate into channels, and how long they take to receivers: `locust -f loadtest/firehose.py`.

An open model: each author sends at times that were fixed beforehand, and a request's time counts from the intended
moment, so a server that falls behind shows it. Sampled receivers hold a WebSocket each and report the time from that
moment to the event, as `WS delivery`; a break in `seq` is a failure of `WS seq`. Authors and receivers are the users of
a file that `tidewire loadtest seed --tokens FILE` wrote; a receiver hears the channel of his line.

    tidewire loadtest seed --users 1000 --channels 10 --channel-members 100 --tokens FILE
    locust -f loadtest/firehose.py --headless --tokens FILE --post-rate 200 --authors 50 --receivers 20 \
        -u 70 -r 70 -t 1m --host http://localhost:8065
"""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import websocket
from locust import FastHttpUser, User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser

MARK = "firehose "
WAIT_S = 1.0  # a receiver looks this often whether the run has ended
OPEN_TIMEOUT_S = 10.0


def _options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--tokens", required=True, help="file of `tidewire loadtest seed`")
    parser.add_argument("--post-rate", type=float, default=100.0, help="posts per second, all authors of a process")
    parser.add_argument("--authors", type=int, default=50, help="users that post")
    parser.add_argument("--receivers", type=int, default=10, help="users that listen")
    parser.add_argument("--ws-host", action="append", default=[], help="HOST:PORT of a gateway; default: --host")


def _deal(environment: Environment, **_: Any) -> None:
    """Give authors and receivers their numbers, and each process its own lines of the file."""
    options = environment.parsed_options
    if options is None or not getattr(options, "tokens", None):
        return
    Author.fixed_count, Receiver.fixed_count = options.authors, options.receivers
    Author.period_s = options.authors / options.post_rate
    lines = [line.split() for line in Path(options.tokens).read_text(encoding="ascii").splitlines()]
    if not lines:
        raise SystemExit(f"{options.tokens} has no users")
    share = max(0, getattr(environment.runner, "worker_index", 0))
    people.lines, people.numbers = lines, itertools.count(share * (options.authors + options.receivers))


class _People:
    """The seeded users, dealt one after the other."""

    lines: list[list[str]]
    numbers: "itertools.count[int]"

    def next(self) -> tuple[str, str]:
        """Return (token, channel id) of the next user."""
        token, _, _, channel_id, _ = self.lines[next(self.numbers) % len(self.lines)]
        return token, channel_id


people = _People()
events.init_command_line_parser.add_listener(_options)
events.init.add_listener(_deal)


class Author(FastHttpUser):
    """Posts every `period_s`, beginning somewhere within the first one."""

    period_s = 1.0

    def on_start(self) -> None:
        """Take a user's place."""
        self.token, self.channel_id = people.next()
        self.due = time.time() + self.period_s * (hash(self.token) % 1000) / 1000

    @task
    def post(self) -> None:
        """Send the next post when it is due, or at once if that has passed."""
        time.sleep(max(0.0, self.due - time.time()))  # Locust makes it yield
        due, self.due = self.due, self.due + self.period_s
        with self.client.post(
            "/api/v4/posts",
            json={"channel_id": self.channel_id, "message": f"{MARK}{due:.6f}"},
            headers={"Authorization": f"Bearer {self.token}"},
            name="POST /posts",
            catch_response=True,
        ) as answer:
            answer.request_meta["response_time"] = (time.time() - due) * 1000
            if answer.status_code != 201:
                answer.failure(f"{answer.status_code} {answer.text or ''}"[:200])


class Receiver(User):
    """Hears the posts of his channel and says how old they are."""

    def on_start(self) -> None:
        """Open the socket; a refusal counts as a failure of `WS connect`."""
        self.token, _ = people.next()
        self.next_seq = 0
        options = self.environment.parsed_options
        hosts: list[str] = options.ws_host if options else []
        base = f"ws://{hosts[hash(self.token) % len(hosts)]}" if hosts else str(self.host).replace("http", "ws", 1)
        self.report("connect", self.connect, f"{base}/api/v4/websocket")

    def connect(self, url: str) -> None:
        """Log in by the handshake."""
        header = {"Authorization": f"Bearer {self.token}"}
        self.socket = websocket.create_connection(url, timeout=OPEN_TIMEOUT_S, header=header)
        self.socket.settimeout(WAIT_S)

    def on_stop(self) -> None:
        """Close the socket."""
        if hasattr(self, "socket"):
            self.socket.close()

    @task
    def hear(self) -> None:
        """Take one event; silence is no failure, the end of the socket is one, and ends this receiver."""
        try:
            text = self.socket.recv()
        except websocket.WebSocketTimeoutException:
            return
        except (OSError, websocket.WebSocketException) as error:
            self.fire("connection", 0.0, error)
            raise StopUser from error
        now = time.time()
        event = json.loads(text)
        if "seq_reply" in event:
            return
        if event["seq"] != self.next_seq:
            self.fire("seq", 0.0, ValueError(f"seq {event['seq']} instead of {self.next_seq}"))
        self.next_seq = event["seq"] + 1
        if event["event"] == "posted":
            message = json.loads(event["data"]["post"])["message"]
            if message.startswith(MARK):
                self.fire("delivery", (now - float(message[len(MARK) :])) * 1000)

    def report(self, name: str, action: Callable[..., None], *arguments: Any) -> None:
        """Do something and tell Locust how long it took; a failure ends this user."""
        start = time.perf_counter()
        try:
            action(*arguments)
        except (OSError, websocket.WebSocketException) as error:
            self.fire(name, (time.perf_counter() - start) * 1000, error)
            raise StopUser from error
        self.fire(name, (time.perf_counter() - start) * 1000)

    def fire(self, name: str, ms: float, error: Exception | None = None) -> None:
        """Add to Locust's statistics."""
        self.environment.events.request.fire(
            request_type="WS", name=name, response_time=ms, response_length=0, exception=error, context={}
        )
