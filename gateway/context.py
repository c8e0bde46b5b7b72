"""What a gateway process works with. Opened and closed by gateway/main.py."""

from dataclasses import dataclass

from tidewire.actions.config import Config
from tidewire.bus.contract import Producer
from tidewire.bus.redis_client import RedisClient
from tidewire.settings import Settings
from tidewire.store.db import Database


@dataclass(frozen=True, slots=True)
class Context:
    """Handles and names."""

    settings: Settings
    db: Database
    redis: RedisClient
    producer: Producer
    config: Config
    hostname: str
