"""The crowd against a small server that speaks the contract on websockets' own sockets: it refuses unmasked frames."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from loadtest.swarm.crowd import Crowd

ID = "c" * 26
Room = Callable[[ServerConnection], None]


def say(socket: ServerConnection, event: str, seq: int, **data: object) -> None:
    """Send an event as Mattermost writes it, with blanks."""
    socket.send(json.dumps({"event": event, "data": data, "broadcast": {"connection_id": ""}, "seq": seq}))


def answer(socket: ServerConnection) -> None:
    """Answer every request OK."""
    for text in socket:
        socket.send(json.dumps({"status": "OK", "data": {"text": "pong"}, "seq_reply": json.loads(text)["seq"]}))


@contextmanager
def room(handler: Room, **options: object) -> Iterator[int]:
    """A server on a free port that calls handler(socket) for each client."""

    def handle(socket: ServerConnection) -> None:
        try:
            handler(socket)
        except ConnectionClosed:
            pass  # the crowd drops its sockets

    with serve(handle, "127.0.0.1", 0, compression=None, close_timeout=0.5, **options) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


class Watched:
    """A crowd of three, what it has told so far, and how to wait for more."""

    def __init__(self, port: int, count: int = 3, **options: object) -> None:
        tokens, target = (b"token%d" % number for number in range(count)), (f"127.0.0.1:{port}", 0x7F000001, port)
        self.crowd = Crowd(tokens, count, [target], path="/api/v4/websocket", **options)  # type: ignore[arg-type]
        self.counts: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.times: dict[str, int] = {}
        self.opened: list[tuple[int, int, int, bool]] = []
        self.marks: list[tuple[int, int, int]] = []

    def until(self, right: Callable[["Watched"], bool]) -> "Watched":
        """Poll until it is so; fail after 30 s."""
        deadline = time.monotonic() + 30
        while not right(self):
            assert time.monotonic() < deadline, (self.counts, self.errors)
            self.crowd.poll(10)
            found = self.crowd.take()
            for name, count in found["counts"].items():
                self.counts[name] = self.counts.get(name, 0) + count
            for name, count in found["errors"].items():
                self.errors[name] = self.errors.get(name, 0) + count
            for name, fields in found["times"].items():
                self.times[name] = self.times.get(name, 0) + fields[0]
            self.opened += found["opened"]
            self.marks += found["marks"]
        return self


@pytest.mark.parametrize("auth", ["bearer", "cookie", "challenge"])
def test_everybody_logs_in_hears_and_pings(auth):
    seen = []

    def handler(socket):
        headers = socket.request.headers
        if auth == "challenge":
            request = json.loads(socket.recv())
            seen.append((request["action"], request["data"]["token"]))
            say(socket, "hello", 0, connection_id=ID)
            socket.send(json.dumps({"status": "OK", "seq_reply": request["seq"]}))
        else:
            name = "Authorization" if auth == "bearer" else "Cookie"
            seen.append((name, headers[name]))
            say(socket, "hello", 0, connection_id=ID)
        say(socket, "posted", 1, post=json.dumps({"message": f"tw-sent:{int(time.time() * 1e6):016}"}))
        answer(socket)

    with room(handler) as port:
        watched = Watched(port, auth=auth, ping_s=1, watched=2)
        watched.crowd.connect(0, 3, 1000)
        watched.until(lambda one: one.times.get("ping", 0) >= 3)
        watched.crowd.drop()
    form = {"bearer": ("Authorization", "Bearer token{}"), "cookie": ("Cookie", "MMAUTHTOKEN=token{}"),
            "challenge": ("authentication_challenge", "token{}")}[auth]  # fmt: skip
    assert sorted(seen) == [(form[0], form[1].format(number)) for number in range(3)]
    assert (watched.counts["fresh"], watched.counts["events"], watched.counts["gaps"]) == (3, 6, 0)
    assert watched.times["delivery"] == len(watched.marks) == 3
    assert all(0 <= took < 5_000_000 for _, _, took in watched.marks)
    assert sorted(number for number, _, _, _ in watched.opened) == [0, 1]  # of the watched ones only
    assert watched.errors == {}


def test_a_resume_names_the_connection_and_is_known_by_its_reply():
    paths = []

    def handler(socket):
        query = parse_qs(urlsplit(socket.request.path).query)
        paths.append(query)
        if not query:
            say(socket, "hello", 0, connection_id=ID)
            say(socket, "typing", 1)
        elif len(paths) <= 6:
            say(socket, "typing", 2)
        elif len(paths) <= 9:
            pass  # nothing was missed
        else:
            say(socket, "hello", 0, connection_id="d" * 26)
        answer(socket)

    with room(handler) as port:
        watched = Watched(port)
        watched.crowd.connect(0, 3, 1000)
        watched.until(lambda one: one.counts.get("events", 0) == 6)
        for resumed, anew in ((3, 0), (6, 0), (6, 3)):
            assert watched.crowd.drop() == 3
            watched.crowd.connect(0, 3, 1000, resume=True)
            watched.until(lambda one, want=(resumed, anew): (one.counts["resumed"], one.counts["anew"]) == want)
        watched.crowd.drop()
        watched.crowd.connect(0, 3, 1000)
        watched.until(lambda one: one.counts["fresh"] == 6)
        watched.crowd.drop()
    named = [{"connection_id": [ID], "sequence_number": [number]} for number in ("2", "3")]
    assert paths[3:6] == named[:1] * 3
    assert paths[6:9] == paths[9:12] == named[1:] * 3
    assert paths[12:] == [{}] * 3
    assert (watched.counts["gaps"], watched.errors) == (0, {})


def test_gaps_closes_and_refusals_are_counted_by_their_reason():
    def handler(socket):
        say(socket, "hello", 0, connection_id=ID)
        say(socket, "typing", 2)
        socket.ping(b"there?").wait(5)
        socket.close(1013, "slow")

    def refuse(socket, request):
        return socket.respond(HTTPStatus.SERVICE_UNAVAILABLE, "busy") if "token2" in str(request.headers) else None

    with room(handler, process_request=refuse) as port:
        watched = Watched(port)
        watched.crowd.connect(0, 3, 1000)
        watched.until(lambda one: sum(one.errors.values()) == 3)
    assert watched.errors == {"lost: closed with 1013": 2, "upgrade: HTTP/1.1 503 Service Unavailable": 1}
    assert (watched.counts["lost"], watched.counts["gaps"], watched.counts["pings"]) == (2, 2, 2)
    refused = Watched(port)
    refused.crowd.connect(0, 3, 1000)
    refused.until(lambda one: one.errors == {"connect: Connection refused": 3})


def test_who_is_not_answered_gives_up_and_comes_back():
    over, seen = threading.Event(), []

    def handler(socket):
        seen.append(socket.request.path)
        if len(seen) == 2:
            say(socket, "hello", 0, connection_id=ID)
        if len(seen) == 3:
            answer(socket)
        over.wait(30)

    with room(handler) as port:
        watched = Watched(port, 1, timeout_s=1, ping_s=1, retry_s=0.1)
        watched.crowd.connect(0, 1, 1000)
        watched.until(lambda one: one.counts.get("resumed", 0) == 1)
        watched.crowd.drop()
        over.set()
    assert watched.errors == {"no log-in within 1 s": 1, "lost: no reply to a ping": 1}
    assert seen[2].endswith(f"connection_id={ID}&sequence_number=1")


def test_a_frame_in_many_pieces_and_many_frames_in_one_read():
    def handler(socket):
        say(socket, "hello", 0, connection_id=ID)
        for seq in range(1, 400):
            say(socket, "posted", seq, post="x" * 700)
        say(socket, "posted", 400, post="y" * 200_000)
        answer(socket)

    with room(handler) as port:
        watched = Watched(port)
        watched.crowd.connect(0, 3, 1000)
        watched.until(lambda one: one.counts.get("events", 0) == 3 * 401)
        watched.crowd.drop()
    assert (watched.counts["gaps"], watched.errors) == (0, {})


def test_a_message_that_is_none_ends_the_connection():
    with room(lambda socket: socket.send("[]")) as port:
        watched = Watched(port)
        watched.crowd.connect(0, 3, 1000)
        watched.until(lambda one: one.errors == {"a message that is neither event nor reply": 3})


def test_a_crowd_needs_sensible_numbers():
    target = [("127.0.0.1:1", 0x7F000001, 1)]
    for tokens, count in (([], 0), ([b""], 1), ([b"x"], 2), ([b"x", b"y"], 1)):
        with pytest.raises(ValueError):
            Crowd(tokens, count, target, path="/")
    for options in ({"auth": "none"}, {"sample_every": 0}, {"in_flight": 0}, {"timeout_s": 0}):
        with pytest.raises(ValueError):
            Crowd([b"x"], 1, target, path="/", **options)
    crowd = Crowd([b"x"], 1, target, path="/")
    with pytest.raises(ValueError):
        crowd.connect(0, 2, 1)
    assert crowd.bytes_per_connection < 300


def test_single_clients_are_opened_and_cut_beside_the_others():
    queries = []

    def handler(socket):
        query = parse_qs(urlsplit(socket.request.path).query)
        queries.append(query)
        if not query:
            say(socket, "hello", 0, connection_id=ID)
        answer(socket)

    with room(handler) as port:
        watched = Watched(port, watched=3, ping_s=0)
        watched.crowd.begin(2)
        watched.crowd.begin(2)  # it has a socket already
        watched.until(lambda one: [number for number, *_ in one.opened] == [2])
        watched.crowd.begin(0)
        watched.until(lambda one: one.crowd.open == 2)
        watched.crowd.cut(2)
        watched.crowd.cut(1)  # it has none
        assert watched.crowd.open == 1
        watched.crowd.begin(2, resume=True)
        watched.until(lambda one: one.crowd.open == 2)
        for number in (3, 1000):
            with pytest.raises(ValueError, match="no such connection"):
                watched.crowd.begin(number)
            with pytest.raises(ValueError, match="no such connection"):
                watched.crowd.cut(number)
        watched.crowd.drop()
    assert [(number, resumed) for number, _, _, resumed in watched.opened] == [(2, False), (0, False), (2, True)]
    assert queries == [{}, {}, {"connection_id": [ID], "sequence_number": ["1"]}]
    assert (watched.counts["attempts"], watched.errors) == (3, {})
