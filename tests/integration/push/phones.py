"""People with phones, and what waits for the push worker to decide on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.fixtures.api import Api, Client, People, new_settings, settle
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tidewire.bus.envelope import PostPush, Push, decode_decision
from tidewire.bus.redis import DECIDE
from tidewire.bus.redis_client import RedisClient
from tidewire.wire.ids import new_id

TIMEOUT_S = 20


class Phones:
    """The small world with pushes switched on. The owner has a phone; Redis is the world's own."""

    def __init__(self, people: People, database_url: str, redis: Redis) -> None:
        self.people = people
        self.database_url = database_url
        self.redis_url = redis.url
        self.redis = RedisClient(redis.url)
        self.sentinel = ""  # channel in which a post always waits for a decision

    async def configure(self, **email: Any) -> None:
        """Change keys of EmailSettings."""
        await self.people.admin.put("/config/patch", {"EmailSettings": email})

    async def give_phone(self, who: Client, device: str = "") -> str:
        """Say that the client is a phone; return its device id."""
        device = device or f"apple_rn-v2:{new_id()}"
        await who.put("/users/sessions/device", {"device_id": device})
        return device

    async def log_in_again(self, who: Client) -> Client:
        """Return another client of the same user."""
        return await self.people.api.anonymous().log_in(who.me["username"])

    async def direct(self, one: Client, other: Client) -> str:
        """Return the id of two people's direct channel."""
        channel = await one.post("/channels/direct", [one.id, other.id], expect=201)
        found: str = channel["id"]
        return found

    async def decisions(self) -> list[Push]:
        """Take what waits for a decision: all that was committed before this call."""
        last = await self.people.admin.post("/posts", {"channel_id": self.sentinel, "message": "so far"})
        found: list[Push] = []
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                entries = await self.redis.call("XRANGE", DECIDE, "-", "+")
                if entries:
                    await self.redis.call("XDEL", DECIDE, *[entry for entry, _ in entries])
                found += [decode_decision(fields[1]).push for _, fields in entries]
                if any(isinstance(push, PostPush) and push.post_id == last["id"] for push in found):
                    return found[:-1]
                await asyncio.sleep(0.01)


@asynccontextmanager
async def phones_of(postgres: Postgres) -> AsyncIterator[Phones]:
    """Run an API in which pushes are on."""
    redis = Redis(durable=False)
    redis.start()
    try:
        async with cloned(postgres) as url:
            api = Api(new_settings(url, redis.url))
            await api.start()
            phones = Phones(await settle(api), url, redis)
            await phones.configure(SendPushNotifications=True)
            await phones.give_phone(phones.people.owner)
            phones.sentinel = await phones.direct(phones.people.admin, phones.people.owner)
            await phones.decisions()
            yield phones
            await phones.redis.close()
            await api.stop()
    finally:
        redis.stop()
