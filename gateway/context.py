"""What a gateway process works with. Opened and closed by gateway/main.py."""

from dataclasses import dataclass

from redis.asyncio import Redis

from tidewire.bus.contract import Producer
from tidewire.settings import Settings
from tidewire.store.db import Database


@dataclass(frozen=True, slots=True)
class Context:
    """Handles and names. version_id: version, build, configuration and licence, as in X-Version-ID."""

    settings: Settings
    db: Database
    redis: Redis
    producer: Producer
    version_id: str
    hostname: str
