"""What the tests of push have in common: settings, keys in files, a sender, and jobs."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from push.providers.contract import Provider
from push.sender import Sender, open_sender
from push.start import providers_of
from tests.fixtures.apns_peer import KEY_ID, KEY_PEM, TEAM_ID, TOPIC
from tidewire.bus.push_queue import PushQueue
from tidewire.settings import Settings
from tidewire.settings.tree import Push, Redis
from tidewire.wire.push import Job, Notification, new_job

DEVICE = "a1" * 32


def apple_target(folder: Path, name: str = "apple_rn", **more: Any) -> dict[str, Any]:
    """Return one of ApplePushSettings, its key in a file."""
    (folder / "key.p8").write_bytes(KEY_PEM)
    return {
        "Type": name,
        "ApplePushTopic": TOPIC,
        "AppleAuthKeyFile": "key.p8",
        "AppleAuthKeyID": KEY_ID,
        "AppleTeamID": TEAM_ID,
        **more,
    }


def write_config(folder: Path, *, apple: list[Any] = [], android: list[Any] = [], **more: Any) -> Path:  # noqa: B006
    """Write a configuration file of Mattermost's proxy."""
    path = folder / "mattermost-push-proxy.json"
    path.write_text(json.dumps({"ApplePushSettings": apple, "AndroidPushSettings": android, **more}))
    return path


def settings_for(redis_url: str, **push: Any) -> Settings:
    """Return settings; shortened where a test would wait."""
    quick: dict[str, Any] = {"attempt_timeout_s": 2.0, "claim_after_s": 7.0, "drain_s": 3.0, "in_flight": 200}
    return Settings(redis=Redis(url=redis_url), push=Push(**{**quick, **push}))


@asynccontextmanager
async def sending(
    settings: Settings, providers: Mapping[str, Provider] | None = None
) -> AsyncIterator[Sender]:
    """Run a sender."""
    if providers is None:
        providers, wrong = providers_of(settings.push)
        assert not wrong, wrong
    async with open_sender(settings, providers) as sender:
        yield sender


def push_for(device: str = DEVICE, kind: str = "message", **fields: Any) -> Job:
    """Return a job for Apple."""
    body: dict[str, Any] = {
        "ack_id": f"ack-{device[:20]}",
        "platform": "apple_rn-v2",
        "server_id": "server",
        "device_id": device,
        "type": kind,
        "version": "v2",
        "message": "hello",
        "channel_id": "channel",
        "channel_name": "Town Square",
        "badge": 1,
    }
    return new_job(Notification(**{**body, **fields}), provider="apns")


async def until(true: Callable[[], Any], timeout_s: float = 30.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


async def until_empty(redis_url: str, target: str = "apple_rn") -> None:
    """Wait until nothing waits or is under way."""
    queue = PushQueue(redis_url)
    async with asyncio.timeout(30):
        while await queue.depth(target):
            await asyncio.sleep(0.02)
    await queue.close()
