"""What the push worker does besides deciding: takes dead devices away from sessions, tells phones that their login has
ended, says that it lives. Every task runs until it is cancelled and waits for what is away.
"""

from collections.abc import Sequence

from prometheus_client import Counter

from push.decide_jobs import jobs_for
from tidewire.actions import push_messages, sessions
from tidewire.actions.config import Config
from tidewire.actions.copies import announce
from tidewire.bus import push_replies
from tidewire.bus.envelope import user_key
from tidewire.bus.push_queue import PushQueue, RemovedReader
from tidewire.bus.redis_client import RedisClient
from tidewire.store import push as store
from tidewire.store.db import Database
from tidewire.store.push import Device
from tidewire.wire.ids import now_ms
from tidewire.wire.push import Removed

REMOVED_EVERY_S = 2.0
EXPIRED_EVERY_S = 60.0
EXPIRED_AT_ONCE = 500
HOUR_MS = 3_600_000
ALIVE_EVERY_S = 3.0

REMOVALS = Counter("tidewire_push_devices_removed", "Devices that their provider does not know any more.", ["kind"])


async def say_alive(redis: RedisClient, targets: Sequence[str]) -> None:
    """Say which targets this process sends to. Raises: Unavailable."""
    await push_replies.note_targets(redis, list(targets))


async def forget_removed(db: Database, reader: RemovedReader, server_id: str) -> int:
    """Take what providers do not know any more away from sessions; return how many were told. Raises: Unavailable.

    A device keeps its session, and `last_removed_device_id` says that it gets nothing until it is given again.
    Source: Mattermost API v4, push proxy's REMOVE.
    """
    batch = await reader.read()
    ours = [removed for _, removed in batch if removed.server_id == server_id]
    browsers = [(store.endpoint_hash(one.device), _when(one)) for one in ours if one.provider == "webpush"]
    phones = [(f"{one.platform}:{one.device}", _when(one)) for one in ours if one.provider != "webpush"]
    if browsers or phones:
        async with db.transaction() as tx:
            changed = await store.remove_devices(tx, phones)
            await store.remove_subscriptions(tx, browsers)
            for user_id in sorted({one.user_id for one in changed}):
                stale = [sessions.cache_key(one.token_hash) for one in changed if one.user_id == user_id]
                announce(tx, user_key(user_id), invalidates=stale)
        REMOVALS.labels("phone").inc(len(phones))
        REMOVALS.labels("browser").inc(len(browsers))
    await reader.done([entry for entry, _ in batch])
    return len(batch)


def _when(removed: Removed) -> int:
    return removed.at or now_ms()


async def tell_expired(db: Database, config: Config, queue: PushQueue) -> int:
    """Tell phones whose login ended within the last hour; return how many. Raises: Unavailable, QueueFull.

    Source: Mattermost API v4, push type `session`. A worker that dies in between tells them again, with the same ids.
    """
    if not push_messages.is_on(config):
        return 0
    style = push_messages.style_of(config)
    hours = config.number("ServiceSettings.SessionLengthMobileInHours")
    what = push_messages.session_expired(style, config.text("TeamSettings.SiteName"), hours)
    now = now_ms()
    async with db.transaction() as tx:
        ended = await store.expired_phones(tx, now=now, since=now - HOUR_MS, limit=EXPIRED_AT_ONCE)
        jobs = [
            job
            for session_id, device_id in ended
            for job in jobs_for(
                style, what, Device(session_id, "", device_id, None, None, None), name="session", at=now, key=None
            )
        ]
        await queue.add(jobs)
        await store.note_expired(tx, [session_id for session_id, _ in ended])
    return len(ended)
