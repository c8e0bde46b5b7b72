"""People with phones, and what waits for the push worker to decide on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from push.decide import Decider
from tests.fixtures.api import Api, Client, People, new_settings, settle
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tidewire.actions import push_keys
from tidewire.actions.config import Config
from tidewire.actions.vault import Vault
from tidewire.bus.cache import Cache
from tidewire.bus.envelope import Decision, PostPush, Push, decode_decision
from tidewire.bus.redis import DECIDE
from tidewire.bus.redis_client import RedisClient
from tidewire.store.db import Database
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.push import Job

TIMEOUT_S = 30
TARGETS = {"apple_rn", "android_rn", "webpush", "proxy"}


class Phones:
    """The small world with pushes switched on. The owner has a phone; Redis is the world's own."""

    def __init__(self, people: People, database_url: str, redis: Redis) -> None:
        self.people = people
        self.database_url = database_url
        self.redis_url = redis.url
        self.redis = RedisClient(redis.url)
        self.decider: Decider | None = None
        self.config: Config
        self.db: Database
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

    async def pushes(self) -> list[Job]:
        """Return the jobs of everything that was committed before this call."""
        return await self.decide(await self.decisions())

    async def decide(self, waiting: list[Push]) -> list[Job]:
        """Return the jobs of these, as things are now."""
        if self.decider is None:
            self.db = Database(self.database_url)
            settings = self.people.api.settings
            self.config = await Config.open(settings, self.db)
            pair = await push_keys.get_pair(settings, self.db, push_keys.SIGNING)
            vault = await Vault.open(settings, self.db)
            key = push_keys.load_private(push_keys.private_pem(vault, push_keys.SIGNING, pair))
            self.decider = Decider(
                self.db, self.redis, self.config, Cache(), key, targets=TARGETS, heartbeat_s=5
            )
        await self.config.reload()
        return await self.decider.decide([Decision(now_ms(), push) for push in waiting])

    async def count_statements(self, waiting: list[Push]) -> int:
        """Return how many statements deciding on these takes."""
        await self.decide([])
        fetch, count = self.db.fetch, 0

        async def counting(query: str, *args: Any) -> Any:
            nonlocal count
            count += 1
            return await fetch(query, *args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.db, "fetch", counting)
            patch.setattr(self.config, "reload", lambda: asyncio.sleep(0))
            await self.decide(waiting)
        return count

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
async def phones_of(postgres: Postgres, **sections: dict[str, Any]) -> AsyncIterator[Phones]:
    """Run an API in which pushes are on; sections: of its settings."""
    redis = Redis(durable=False)
    redis.start()
    try:
        async with cloned(postgres) as url:
            api = Api(new_settings(url, redis.url, **sections))
            await api.start()
            phones = Phones(await settle(api), url, redis)
            await phones.configure(SendPushNotifications=True)
            await phones.give_phone(phones.people.owner)
            phones.sentinel = await phones.direct(phones.people.admin, phones.people.owner)
            await phones.decisions()
            yield phones
            if phones.decider is not None:
                await phones.db.close()
            await phones.redis.close()
            await api.stop()
    finally:
        redis.stop()
