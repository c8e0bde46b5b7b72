"""The push worker of an installation: decides who gets what, and sends it, in one process on one loop.

`tidewire push worker`; `tidewire serve` runs one. Several share the work. Providers and their credentials are those of
the push proxy (push/start.py); the key that browsers know this server by is the installation's own.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
import uvloop

from push import housekeeping
from push.configured_proxy import ConfiguredProxy
from push.decide import Decider
from push.decide_worker import DecideWorker
from push.effective import effective
from push.providers.aes128gcm import Vapid
from push.sender import CLOSE_S as SENDER_CLOSE_S
from push.sender import Sender, settle
from push.start import line_of, providers_of
from push.targets import BadConfig
from tidewire import log, metrics
from tidewire.actions import push_keys
from tidewire.actions.config import Config
from tidewire.actions.revisions import Revisions
from tidewire.actions.vault import Unreadable, Vault
from tidewire.bus.cache import Cache
from tidewire.bus.invalidation import InvalidationReader
from tidewire.bus.push_decide import CLAIM_AFTER_MS, DecisionReader
from tidewire.bus.push_queue import PushQueue, QueueFull, RemovedReader
from tidewire.bus.redis_client import RedisClient
from tidewire.closing import Closing
from tidewire.loops import again, ended_by_signals
from tidewire.settings import Settings
from tidewire.store.db import Database
from tidewire.store.waiting import once_there
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import new_id

CONNECTIONS = 3  # the decision's, housekeeping's, and one to look at the configuration by
REPUBLISHED = 3  # times bus.outbox_retention_s: for so long a post is known that may be published again
NOBODY = "mailto:nobody@example.org"  # where neither site nor mail has an address; push services want one
CLOSE_S = 2.5  # what all parts may take to close besides the drain; with 1.5 of it what `serve` grants
_log = structlog.get_logger("push")


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Raises: BadConfig."""
    log.setup(settings.log, process="push-worker")
    uvloop.run(_main(effective(settings)))


async def _main(settings: Settings) -> None:
    with ended_by_signals():
        await _work(settings)


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with working(settings) as tasks:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        settle()
        _say_ready(settings.push.ready_fd)
        ending = asyncio.create_task(stop.wait())
        await asyncio.wait([ending, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()  # raises: what runs in the background never ends by itself
        _log.info("push worker stops")


def _say_ready(descriptor: int) -> None:
    """Tell whoever started us that we work."""
    if descriptor >= 0:
        try:
            os.write(descriptor, b"1")
        except BrokenPipeError:
            _log.info("nobody waits for this worker to be ready")
        os.close(descriptor)


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Decide and send as long as the context lasts; yields the tasks, which end only by a bug."""
    url = settings.redis.url
    consumer = f"{socket.gethostname()[:40]}-{new_id()[:10]}"
    async with Closing(settings.push.drain_s + CLOSE_S) as closing:
        db = Database(settings.database.url, size=CONNECTIONS, worker=consumer)
        closing.add("database", db.close, 0.2)
        redis = RedisClient(url)
        closing.add("redis", redis.close, 0.2)
        config, signing, vapid = await once_there(db, partial(_keys, settings, db))
        revisions = Revisions(db, config)
        cache = Cache()
        cache.on_drop = revisions.poke
        revisions.start()
        closing.add("revisions", revisions.close, 0.2)
        invalidation = InvalidationReader(url, cache)
        invalidation.start()
        closing.add("invalidation", invalidation.close, 0.2)

        who = Vapid(vapid, subject_of(settings, config))
        found, wrong = providers_of(settings.push, vapid=who)
        for line in wrong:
            _log.error("target does not work", problem=line)
        found["proxy"] = ConfiguredProxy(config, line_of(settings.push), settings.push.secret)
        sender = Sender(settings, found)
        closing.add("sender", sender.close, settings.push.drain_s + SENDER_CLOSE_S)
        queue = PushQueue(url, limit=settings.push.queue_limit, replicas=settings.push.replicas)
        closing.add("queue", queue.close, 1.0)  # what is not added is decided again

        keep_s = REPUBLISHED * settings.bus.outbox_retention_s
        claim_after_ms = min(CLAIM_AFTER_MS, int(settings.push.claim_after_s * 1000))
        reader = DecisionReader(url, consumer=consumer, keep_s=keep_s, claim_after_ms=claim_after_ms)
        closing.add("decisions", reader.close, 0.2)
        removed = RemovedReader(url, consumer=consumer)
        closing.add("removed", removed.close, 0.2)
        decider = Decider(
            db,
            redis,
            config,
            cache,
            push_keys.load_private(signing),
            targets=found.keys(),
            heartbeat_s=settings.presence.heartbeat_s,
        )
        work = [
            DecideWorker(reader, decider, queue).run(),
            again(
                "targets", lambda: housekeeping.say_alive(redis, sorted(found)), housekeeping.ALIVE_EVERY_S
            ),
            again(
                "removed devices",
                lambda: housekeeping.forget_removed(db, removed, config.server_id),
                housekeeping.REMOVED_EVERY_S,
            ),
            again(
                "expired sessions",
                lambda: housekeeping.tell_expired(db, config, queue),
                housekeeping.EXPIRED_EVERY_S,
                waits=(Unavailable, QueueFull),
            ),
        ]
        tasks = [asyncio.create_task(one) for one in work]
        closing.add("tasks", lambda: _cancel(tasks), 1.0)
        async with metrics.endpoint(settings.metrics, role="push", healthy=lambda: sender.healthy):
            _log.info("push worker works", targets=sorted(found))
            yield tasks


def subject_of(settings: Settings, config: Config) -> str:
    """Return whom browsers' push services may ask about our pushes. Source: RFC 8292 2.1: https: or mailto:."""
    site, mail = config.text("ServiceSettings.SiteURL"), config.text("EmailSettings.FeedbackEmail")
    if settings.push.vapid_subject:
        return settings.push.vapid_subject
    return site if site.startswith("https://") else f"mailto:{mail}" if mail else NOBODY


async def _keys(settings: Settings, db: Database) -> tuple[Config, bytes, bytes]:
    """Return the configuration and the private keys (PEM) that sign pushes and that name us to push services.

    Raises: BadConfig where the keys cannot be read.
    """
    config = await Config.open(settings, db)
    vault = await Vault.open(settings, db)
    names = (push_keys.SIGNING, push_keys.VAPID)
    pairs = [(name, await push_keys.get_pair(settings, db, name)) for name in names]
    try:
        signing, vapid = (push_keys.private_pem(vault, *pair) for pair in pairs)
    except Unreadable as error:
        raise BadConfig("the keys of pushes were sealed with another database.secrets_key") from error
    return config, signing, vapid


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
