"""What the tests of posts share: shorthand requests, and what the outbox announced."""

import asyncio
from typing import Any

import msgspec

from tests.fixtures.api import Api, Client
from tidewire.bus import envelope
from tidewire.bus.envelope import Copy
from tidewire.store.db import Database

_rows = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


async def say(who: Client, channel_id: str, message: str = "hi", **members: Any) -> dict[str, Any]:
    """Create a post."""
    made: dict[str, Any] = await who.post(
        "/posts", {"channel_id": channel_id, "message": message, **members}, expect=201
    )
    return made


async def react(who: Client, post_id: str, emoji: str, *, expect: int = 200) -> dict[str, Any]:
    """Add a reaction."""
    body = {"user_id": who.id, "post_id": post_id, "emoji_name": emoji}
    made: dict[str, Any] = await who.post("/reactions", body, expect=expect)
    return made


class Announced:
    """Announcements of the outbox since the last look."""

    def __init__(self, api: Api) -> None:
        self.db = Database(api.settings.database.url)
        self._last = 0

    async def close(self) -> None:
        """Let go of the connection."""
        await self.db.close()

    async def told(self) -> None:
        """Wait until followers have heard all news of threads."""
        async with asyncio.timeout(30):
            while await self.db.fetchval("SELECT count(*) FROM outbox WHERE news IS NOT NULL"):
                await asyncio.sleep(0.05)

    async def copies(self, *, news: bool = False) -> list[Copy]:
        """Return the copies announced since the last call, in the order of commits.

        news: those of threads too, which come when they do, those of earlier tests as well.
        """
        found = []
        for row in await self.db.fetch(
            "SELECT id, payload FROM outbox WHERE id > $1 ORDER BY id", self._last
        ):
            self._last = row["id"]
            for _, data in _rows.decode(row["payload"]):
                found += envelope.decode(data).copies
        return [copy for copy in found if news or copy.name != "thread_updated"]

    async def events(self) -> list[dict[str, Any]]:
        """Return the events announced since the last call as clients see them, strings of JSON decoded."""
        events = []
        for copy in await self.copies():
            event = msgspec.json.decode(copy.body + b"}}")
            for name in ("post", "reaction"):
                if name in event["data"]:
                    event["data"][name] = msgspec.json.decode(event["data"][name])
            events.append(event)
        return events
