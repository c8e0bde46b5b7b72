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

from tests.fixtures.serve import Serve
from tidewire.wire.ids import new_token

PASSWORD = "Passw0rd-for-tests"
Event = dict[str, Any]


def connect(module: Any, serve: Serve, login: str) -> Any:
    """Return a driver that is not logged in."""
    driver = mattermostdriver.Driver if module is mattermostdriver else mattermostautodriver.Driver
    where = urlsplit(serve.url)
    return driver(
        {"scheme": "http", "url": where.hostname, "port": where.port, "login_id": login, "password": PASSWORD}
    )


class Person:
    """A user with his driver and the events that its socket heard."""

    def __init__(self, module: Any, serve: Serve, name: str) -> None:
        self.name = f"{name}-{new_token()[:8]}"
        self.driver = connect(module, serve, self.name)
        self.events: Queue[Event] = Queue()
        self.seqs: list[int] = []
        self.id = self._create()
        assert self.driver.login()["id"] == self.id

    def _create(self) -> str:
        account = {"email": f"{self.name}@example.com", "username": self.name, "password": PASSWORD}
        answer = self.driver.client.make_request("post", "/users" if self._old else "/api/v4/users", options=account)
        user: Event = answer.json()
        return str(user["id"])

    @property
    def _old(self) -> bool:
        return isinstance(self.driver, mattermostdriver.Driver)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Run the driver's own WebSocket loop in a thread; leave when it has stopped."""
        ready = threading.Event()

        async def on_event(text: str) -> None:
            event = json.loads(text)
            if "event" in event:
                self.seqs.append(event["seq"])
                self.events.put(event)
                ready.set()

        loop = asyncio.new_event_loop()

        def run() -> None:
            asyncio.set_event_loop(loop)
            try:
                self.driver.init_websocket(on_event)
            except asyncio.CancelledError:
                pass  # how a driver's endless loop is left

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert ready.wait(10), "no hello"
        yield
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(10)

    def next(self, name: str, test: Callable[[Event], bool] = lambda event: True) -> Event:
        """Return the next event of a name; others are passed over. Raises: queue.Empty after 10 s."""
        while True:
            event = self.events.get(timeout=10)
            if event["event"] == name and test(event):
                return event


def post_of(event: Event) -> Event:
    """Return the post inside an event."""
    post: Event = json.loads(event["data"]["post"])
    return post


@pytest.mark.parametrize("module", [mattermostdriver, mattermostautodriver], ids=lambda module: module.__name__)
def test_two_bots_chat(module: Any, serve: Serve) -> None:
    ada, bob = Person(module, serve, "ada"), Person(module, serve, "bob")
    new = module is mattermostautodriver

    def call(driver: Any, method: str, path: str, options: Any = None) -> Any:
        """Call by the driver's own client: its generated wrappers differ between the two."""
        prefix = "/api/v4" if new else ""
        return getattr(driver.client, method)(prefix + path, **({"options": options} if options is not None else {}))

    with ada.listening(), bob.listening():
        team = ada.driver.teams.create_team(
            **{"name": f"team-{new_token()[:8]}", "display_name": "Team", "type": "O"}
        ) if new else ada.driver.teams.create_team(
            options={"name": f"team-{new_token()[:8]}", "display_name": "Team", "type": "O"}
        )
        call(ada.driver, "post", f"/teams/{team['id']}/members", {"team_id": team["id"], "user_id": bob.id})
        assert bob.next("added_to_team")["data"]["team_id"] == team["id"]
        room = call(
            ada.driver,
            "post",
            "/channels",
            {"team_id": team["id"], "name": "room", "display_name": "Room", "type": "P"},
        )
        call(ada.driver, "post", f"/channels/{room['id']}/members", {"user_id": bob.id})
        bob.next("user_added", lambda event: event["broadcast"]["channel_id"] == room["id"])

        create = {"channel_id": room["id"], "message": "hello"}
        post = ada.driver.posts.create_post(**create) if new else ada.driver.posts.create_post(options=create)
        assert post_of(bob.next("posted", lambda event: post_of(event)["message"] == "hello"))["id"] == post["id"]
        answer = {"channel_id": room["id"], "message": "hi", "root_id": post["id"]}
        reply = bob.driver.posts.create_post(**answer) if new else bob.driver.posts.create_post(options=answer)
        assert post_of(ada.next("posted", lambda event: post_of(event)["message"] == "hi"))["root_id"] == post["id"]

        call(ada.driver, "put", f"/posts/{post['id']}/patch", {"message": "hello again"})
        assert post_of(bob.next("post_edited"))["message"] == "hello again"
        reaction = {"user_id": bob.id, "post_id": post["id"], "emoji_name": "wave"}
        call(bob.driver, "post", "/reactions", reaction)
        assert json.loads(ada.next("reaction_added")["data"]["reaction"])["emoji_name"] == "wave"
        call(bob.driver, "delete", f"/users/me/posts/{post['id']}/reactions/wave")
        ada.next("reaction_removed")

        direct = call(bob.driver, "post", "/channels/direct", [ada.id, bob.id])
        assert ada.next("direct_added")["broadcast"]["channel_id"] == direct["id"]
        call(bob.driver, "post", "/posts", {"channel_id": direct["id"], "message": "psst"})
        ada.next("posted", lambda event: post_of(event)["message"] == "psst")

        call(bob.driver, "delete", f"/posts/{reply['id']}")
        assert post_of(ada.next("post_deleted"))["id"] == reply["id"]
        thread = call(ada.driver, "get", f"/posts/{post['id']}/thread")
        assert list(thread["posts"]) == [post["id"]]
    assert ada.seqs == list(range(len(ada.seqs)))
    assert bob.seqs == list(range(len(bob.seqs)))
    ada.driver.logout()
