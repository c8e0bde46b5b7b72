"""PyPI mattermostdriver and mattermostautodriver, unmodified: the two drivers that bots are written with."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import mattermostautodriver
import mattermostdriver
import pytest

from tests.fixtures.flaky_link import FlakyLink, flaky_link
from tests.fixtures.serve import Serve
from tidewire.wire.ids import new_token

PASSWORD = "Passw0rd-for-tests"
Json = dict[str, Any]


class Bot:
    """A user with his driver, behind a link that can be cut, and the events that the driver's socket heard.

    The drivers block, so everything runs in the test's thread while the link and the socket have loops of their own.
    """

    def __init__(self, module: Any, serve: Serve, name: str) -> None:
        self.name = f"{name}-{new_token()[:8]}"
        self.events: Queue[Json] = Queue()
        self.seqs: list[int] = []
        self._old = module is mattermostdriver
        self._driver = mattermostdriver.Driver if self._old else mattermostautodriver.TypedDriver
        where = urlsplit(serve.url)
        self._host, self._port = where.hostname or "", where.port or 0
        self.driver = self._connect(self._port)
        account = {"email": f"{self.name}@example.com", "username": self.name, "password": PASSWORD}
        self.id: str = self.call("post", "/users", account)["id"]
        assert self.driver.login()["id"] == self.id

    def _connect(self, port: int) -> Any:
        options = {"scheme": "http", "url": "127.0.0.1", "port": port, "login_id": self.name, "password": PASSWORD}
        return self._driver(options | {"keepalive": True, "keepalive_delay": 0.2})

    def call(self, method: str, path: str, options: Any = None) -> Any:
        """Call by the driver's own client; raises the driver's own exceptions."""
        prefix = "" if self._old else "/api/v4"
        return getattr(self.driver.client, method)(prefix + path, **({"options": options} if options else {}))

    def create(self, endpoint: Any, body: Json) -> Json:
        """Call a generated wrapper: one driver takes a body, the other keywords."""
        made: Json = endpoint(options=body) if self._old else endpoint(**body)
        return made

    @contextmanager
    def listening(self) -> Iterator[Callable[[], None]]:
        """Run the driver's own WebSocket loop in a thread; yield what cuts its connection."""
        ready = threading.Event()
        loop = asyncio.new_event_loop()
        links: list[FlakyLink] = []

        async def on_event(text: str) -> None:
            event = json.loads(text)
            if "event" in event:
                self.seqs.append(event["seq"])
                self.events.put(event)
                ready.set()

        async def listen() -> None:
            async with flaky_link(self._host, self._port) as link:
                links.append(link)
                driver = self._connect(link.port)
                websocket = (mattermostdriver.websocket if self._old else mattermostautodriver.websocket).Websocket
                await websocket(driver.options, self.driver.client.token).connect(on_event)

        task = loop.create_task(listen())

        def run() -> None:
            try:
                loop.run_until_complete(task)
            except asyncio.CancelledError:
                loop.run_until_complete(loop.shutdown_asyncgens())  # how a driver's endless loop is left

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(30), "no hello"
            yield lambda: loop.call_soon_threadsafe(links[0].cut) and None
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join(10)

    def next(self, name: str, test: Callable[[Json], bool] = lambda event: True) -> Json:
        """Return the next event of a name; others are passed over. Raises: queue.Empty after 30 s."""
        while True:
            event = self.events.get(timeout=30)
            if event["event"] == name and test(event):
                return event

    def next_post(self, message: str) -> Json:
        """Return the post of the `posted` event with this message."""
        return post_of(self.next("posted", lambda event: post_of(event)["message"] == message))


def post_of(event: Json) -> Json:
    """Return the post inside an event."""
    post: Json = json.loads(event["data"]["post"])
    return post


@pytest.mark.parametrize("module", [mattermostdriver, mattermostautodriver], ids=lambda module: module.__name__)
def test_two_bots_chat(module: Any, serve: Serve) -> None:
    ada, bob = Bot(module, serve, "ada"), Bot(module, serve, "bob")
    with ada.listening() as cut_ada, bob.listening():
        body = {"name": f"team-{new_token()[:8]}", "display_name": "Team", "type": "O"}
        team = ada.create(ada.driver.teams.create_team, body)
        ada.call("post", f"/teams/{team['id']}/members", {"team_id": team["id"], "user_id": bob.id})
        assert bob.next("added_to_team")["data"]["team_id"] == team["id"]
        body = {"team_id": team["id"], "name": "room", "display_name": "Room", "type": "P"}
        room = ada.create(ada.driver.channels.create_channel, body)
        ada.call("post", f"/channels/{room['id']}/members", {"user_id": bob.id})
        bob.next("user_added", lambda event: event["broadcast"]["channel_id"] == room["id"])

        post = ada.create(ada.driver.posts.create_post, {"channel_id": room["id"], "message": "hello"})
        assert bob.next_post("hello")["id"] == post["id"]
        body = {"channel_id": room["id"], "message": "hi", "root_id": post["id"]}
        reply = bob.create(bob.driver.posts.create_post, body)
        assert ada.next_post("hi")["root_id"] == post["id"]

        ada.call("put", f"/posts/{post['id']}/patch", {"message": "hello again"})
        assert post_of(bob.next("post_edited"))["message"] == "hello again"
        bob.call("post", "/reactions", {"user_id": bob.id, "post_id": post["id"], "emoji_name": "wave"})
        assert json.loads(ada.next("reaction_added")["data"]["reaction"])["emoji_name"] == "wave"
        bob.call("delete", f"/users/me/posts/{post['id']}/reactions/wave")
        ada.next("reaction_removed")
        bob.call("post", "/users/me/typing", {"channel_id": room["id"], "parent_id": ""})
        assert ada.next("typing")["data"]["user_id"] == bob.id

        direct = bob.call("post", "/channels/direct", [ada.id, bob.id])
        assert ada.next("direct_added")["broadcast"]["channel_id"] == direct["id"]
        bob.call("post", "/posts", {"channel_id": direct["id"], "message": "psst"})
        ada.next_post("psst")

        assert ada.seqs == list(range(len(ada.seqs)))
        ada.seqs.clear()
        cut_ada()
        assert ada.next("hello")["seq"] == 0  # these drivers do not resume: they come back as new connections
        bob.call("delete", f"/posts/{reply['id']}")
        assert post_of(ada.next("post_deleted"))["id"] == reply["id"]
        thread = ada.call("get", f"/posts/{post['id']}/thread")
        assert list(thread["posts"]) == [post["id"]]
    for bot in (ada, bob):
        assert bot.seqs == list(range(len(bot.seqs)))
    ada.driver.logout()
