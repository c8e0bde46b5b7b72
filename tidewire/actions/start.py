"""Opens what an API worker needs and closes it in reverse order. Knows how the parts fit, and no rules."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import structlog

from tidewire.actions.choose_status import DndSweep
from tidewire.actions.config import Config
from tidewire.actions.file_janitor import Janitor
from tidewire.actions.file_store import FileStore
from tidewire.actions.hook_calls import HookCalls
from tidewire.actions.job_runner import Jobs
from tidewire.actions.link_previews import LinkPreviews
from tidewire.actions.login_limits import Throttle
from tidewire.actions.mail import Mailer
from tidewire.actions.post_writer import PostWriter
from tidewire.actions.reminders import ReminderSweep
from tidewire.actions.revisions import Revisions
from tidewire.actions.roles import Roles
from tidewire.actions.search_index import SearchIndex
from tidewire.actions.services import Services
from tidewire.actions.thread_news import ThreadNews
from tidewire.actions.typists import Typists
from tidewire.actions.vault import Vault
from tidewire.bus.cache import Cache
from tidewire.bus.invalidation import InvalidationReader
from tidewire.bus.publisher import Publisher
from tidewire.bus.redis import RedisProducer
from tidewire.bus.redis_client import RedisClient
from tidewire.closing import Closing
from tidewire.outbound import Outbound
from tidewire.pictures.workshop import Workshop
from tidewire.settings import Settings, exposed
from tidewire.store.db import Database
from tidewire.store.outbox import Outbox
from tidewire.wire.ids import new_id

log = structlog.get_logger("start")
CLOSE_S = 2.5  # what all parts may take to close; below the least api.stop_s


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open everything; a database that does not answer raises Unavailable, an absent Redis does not."""
    for why in exposed(settings):
        log.warning("others may reach what we believe", why=why)
    worker = (
        new_id()
    )  # a process that starts again is another worker: its rows are told apart from its predecessor's
    async with Closing(CLOSE_S) as closing:
        db = Database(settings.database.url, size=settings.database.connections, worker=worker)
        closing.add("database", db.close, 0.2)
        config = await Config.open(settings, db)
        vault = await Vault.open(settings, db)
        roles = Roles(db)
        await roles.reload()
        revisions = Revisions(db, config, roles)
        revisions.start()
        closing.add("revisions", revisions.close, 0.2)
        cache = Cache()
        cache.on_drop = revisions.poke
        db.on_invalidate = cache.drop
        invalidation = InvalidationReader(settings.redis.url, cache)
        invalidation.start()
        closing.add("invalidation", invalidation.close, 0.2)
        bus = settings.bus
        producer = RedisProducer(
            settings.redis.url,
            shards=bus.shards,
            retention_ms=int(bus.stream_retention_s * 1000),
            replicas=bus.replicas,
        )
        closing.add("producer", producer.close, 0.2)
        publisher = Publisher(producer, Outbox(db, worker), retention_ms=int(bus.outbox_retention_s * 1000))
        db.publisher = publisher
        publisher.start()
        closing.add("publisher", publisher.close, 1.0)  # what is left is published by another worker
        posts = PostWriter(db, publisher.take_published)
        closing.add("posts", posts.close, 1.0)  # nobody is told that what waits is written
        client = RedisClient(settings.redis.url)
        closing.add("redis", client.close, 0.2)
        typing = settings.typing
        typists = Typists(
            producer.ephemeral,
            monotonic,
            min_interval_ms=typing.min_interval_ms,
            per_channel=typing.per_channel,
        )
        sweep = DndSweep(db, client, producer, config, heartbeat_s=settings.presence.heartbeat_s)
        sweep.start()
        closing.add("sweep", sweep.close, 0.2)
        workshop = Workshop()
        closing.add("pictures", workshop.close, 0.2)
        mailer = Mailer()
        closing.add("mail", mailer.close, 1.0)
        outbound = Outbound(
            lambda: config.text("ServiceSettings.AllowedUntrustedInternalConnections"),
            lambda: config.flag("ServiceSettings.EnableInsecureOutgoingConnections"),
        )
        closing.add("outbound", outbound.close, 0.2)
        hooks = HookCalls()
        closing.add("hooks", hooks.close, 1.0)
        links = LinkPreviews()
        closing.add("links", links.close, 0.2)
        news = ThreadNews()
        closing.add("threads", news.close, 1.0)  # the next reply or load tells the rest
        throttle = Throttle(client)
        files = await FileStore.open(settings, config, db)
        janitor = Janitor(db, files)
        janitor.start()
        closing.add("files", janitor.close, 0.2)
        jobs = Jobs()
        closing.add("jobs", jobs.close, 0.3)
        services = Services(
            settings,
            db,
            cache,
            producer,
            client,
            throttle,
            posts,
            news,
            typists,
            config,
            roles,
            workshop,
            mailer,
            files,
            janitor,
            outbound,
            hooks,
            links,
            vault,
            jobs,
        )
        mailer.start(services)
        news.start(services)
        hooks.start(services)
        links.start(services)
        index = SearchIndex()
        index.start(services)
        closing.add("index", index.close, 0.2)
        reminders = ReminderSweep()
        reminders.start(services)
        jobs.start(services)
        closing.add("reminders", reminders.close, 0.2)
        yield services
