"""Simulated people: what they do and how often, what their client asks for, and what it remembers."""

import random
from collections import Counter
from contextlib import contextmanager
from typing import Any

import pytest

from loadtest.people import behaviour
from loadtest.people.behaviour import ACTIONS, Context, choose, pause_s
from loadtest.people.boot import boot_calls
from loadtest.people.client import Client, Failed, Routes
from loadtest.people.memory import Memory
from loadtest.tokens import Person

ME, TEAM, CHANNEL, OTHER, POST = (letter * 26 for letter in "mtcop")
PERSON = Person("token", ME, "name", CHANNEL, TEAM)


class Answer:
    """What a server says, as Locust shows it."""

    def __init__(self, status: int, body: Any) -> None:
        self.status_code, self._body, self.text = status, body, "text"
        self.headers = {"Content-Type": "application/json"}
        self.request_meta: dict[str, Any] = {}
        self.failures: list[str] = []
        self.counted = False

    def __enter__(self) -> "Answer":
        self.counted = True
        return self

    def __exit__(self, *_: object) -> None: ...

    def json(self) -> Any:
        return self._body

    def failure(self, why: str) -> None:
        self.failures.append(why)


class Server:
    """Answers by "METHOD path", all others with an empty object; keeps what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[str] = []
        self.sent: list[Any] = []
        self.given: list[Answer] = []
        self.said: list[tuple[Any, ...]] = []

    def request(self, method: str, path: str, *, name: str, **more: Any) -> Answer:
        self.asked.append(f"{method} {name}")
        self.sent.append(more.get("json", more.get("data")))
        answer = Answer(*self.answers.get(f"{method} {name.removeprefix('/api/v4')}", (200, {})))
        self.given.append(answer)
        return answer

    def open(self, number: int, *, resume: bool) -> None:
        self.said.append(("open", resume))

    def cut(self, number: int) -> None:
        self.said.append(("cut",))

    def say(self, number: int, action: str, **data: object) -> None:
        self.said.append((action, data))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server, Memory(PERSON, 0, CHANNEL), server, Routes(), lambda seconds: None)


def page(count: int, before: str = POST) -> dict[str, Any]:
    posts = {f"{number:026}": {"id": f"{number:026}", "user_id": OTHER, "root_id": ""} for number in range(count)}
    return {"order": list(reversed(posts)), "posts": posts, "prev_post_id": before}


def test_weights_have_reasons_and_decide() -> None:
    assert all(action.weight > 0 and action.why for action in ACTIONS)
    assert len({action.name for action in ACTIONS}) == len(ACTIONS)
    rng, client = random.Random(1), Client(None, Memory(PERSON, 0, CHANNEL), Server(), Routes())
    found = Counter(choose(client, rng).name for _ in range(20_000))
    total = sum(action.weight for action in ACTIONS)
    for name in ("check unread", "list threads"):
        weight = next(action.weight for action in ACTIONS if action.name == name)
        assert found[name] / 20_000 == pytest.approx(weight / total, rel=0.2)
    assert not found["react"]  # there is nothing yet to react to
    pauses = [pause_s(rng) for _ in range(5000)]
    assert min(pauses) >= behaviour.LEAST_S
    assert sum(pauses) / 5000 == pytest.approx(behaviour.THINK_S, rel=0.1)


def test_every_action_runs_and_names_its_routes(client: Client, server: Server) -> None:
    posts = page(30)
    server.answers = {
        "GET /users/{user_id}/channels/{channel_id}/posts/unread": (200, posts),
        "GET /users/me/channels": (200, [{"id": CHANNEL, "team_id": TEAM}, {"id": OTHER, "team_id": TEAM}]),
        "GET /users": (200, [{"id": OTHER, "username": "somebody"}]),
        "POST /posts": (201, {"id": POST}),
        "POST /files": (201, {"file_infos": [{"id": OTHER}]}),
        "POST /channels/direct": (201, {"id": OTHER}),
    }
    context = Context(random.Random(1), ["some words"], lambda: True)
    client.boot()
    assert server.asked == [
        f"{method} /api/v4" + client._name(path) for method, path, _ in boot_calls(ME, TEAM, CHANNEL, [])
    ]
    assert ("open", False) in server.said
    for action in ACTIONS:
        client.switch(CHANNEL)
        client.post("mine")
        assert action.needs(client), action.name
        action.run(client, context)
    assert {"cut", "user_typing", "presence"} <= {said[0] for said in server.said}
    assert ("open", True) in server.said  # who was there asks to resume
    routes = {name for name in server.asked if any(len(word) == 26 and word.isalnum() for word in name.split("/"))}
    assert routes == set()  # ids are named, or there would be a row for each
    assert {"POST /api/v4/files", "POST /api/v4/reactions", "PUT /api/v4/posts/{post_id}/patch"} <= set(server.asked)
    assert "GET /api/v4/posts/scheduled/team/{team_id}" in server.asked


def test_a_route_that_is_not_there_is_left_out_once_and_for_all(server: Server) -> None:
    named: list[str] = []
    routes = Routes(named.append)
    server.answers["POST /reactions"] = (501, {})
    for _ in range(2):
        Client(server, Memory(PERSON, 0, CHANNEL), server, routes).react(POST, "+1")
    assert named == ["POST /reactions"]
    assert len(server.asked) == 1
    assert not server.given[0].counted


def test_a_failure_is_counted_and_ends_the_action(client: Client, server: Server) -> None:
    server.answers["POST /channels/members/me/view"] = (403, {})
    with pytest.raises(Failed):
        client.switch(OTHER)
    assert server.given[-1].failures == ["403 text"]
    assert server.asked == ["POST /api/v4/channels/members/me/view"]


def test_times_count_from_when_something_was_due(client: Client, server: Server, monkeypatch: Any) -> None:
    @contextmanager
    def clock(now: float) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr("loadtest.people.client.time.time", lambda: now)
            yield

    with clock(107.5):
        client.due(100.0)
        client.wait(5.0)  # typing is no delay of the server's
        client.post("words")
    assert server.given[0].request_meta == {"response_time": 2500}
    assert server.given[1].request_meta == {}  # the draft's deletion follows the answer
    assert server.sent[0]["message"].startswith("tw-sent:0000000105000000 ")
    assert client.waited == 5.0


def test_scrolling_ends_at_the_first_post(client: Client, server: Server) -> None:
    server.answers["GET /users/{user_id}/channels/{channel_id}/posts/unread"] = (200, page(3))
    server.answers["GET /channels/{channel_id}/posts"] = (200, page(2, before=""))
    client.switch(CHANNEL)
    assert client.memory.oldest
    client.scroll()
    assert not client.memory.oldest
    count = len(server.asked)
    client.scroll()
    assert len(server.asked) == count
