"""One gateway process from start to stop: opens what it needs, runs it, gives its connections away on SIGTERM.

SIGINT, or a second SIGTERM, stops it within seconds.
"""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
import uvloop

from gateway.app import Gateway
from gateway.context import Context
from gateway.door import Door
from gateway.feed import Feed
from gateway.metrics import GatewayCollector
from gateway.room import Room
from gateway.tls import BadCertificate, server_context
from tidewire import metrics
from tidewire.actions.config import Config
from tidewire.actions.revisions import Revisions
from tidewire.bus.redis import RedisProducer
from tidewire.bus.redis_client import RedisClient
from tidewire.bus.redis_reader import RedisReader
from tidewire.closing import Closing
from tidewire.listening import listening
from tidewire.log import setup as setup_log
from tidewire.loops import again, ended_by_signals
from tidewire.settings import Settings, exposed
from tidewire.store.connections import load_numbers
from tidewire.store.db import Database
from tidewire.store.waiting import once_there

log = structlog.get_logger()

TICK_S = 0.05
# A batch of log-ins is one query; one more for memberships, one for what presence needs.
DATABASE_CONNECTIONS = 3
CANCEL_AGAIN_S = 0.5
CLOSE_S = 3.5  # what all parts may take; `tidewire serve` kills a gateway that takes 4 s
MAX_DESCRIPTORS = 500_000


def run(settings: Settings) -> None:
    """Serve until SIGTERM (drain, then stop) or SIGINT (stop). SIGHUP: read the certificate again.

    Raises: CannotListen if the address is taken; BadCertificate, before anything else is done.
    """
    setup_log(settings.log, process=f"gateway-{settings.gateway.port}")
    if settings.gateway.tls_cert:
        server_context(settings.gateway.tls_cert, settings.gateway.tls_key)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it listens: what is read by then is new enough
    logging.getLogger("picows").setLevel(logging.WARNING)
    uvloop.run(_main(settings))


async def _main(settings: Settings) -> None:
    with ended_by_signals():  # nothing to give away yet
        await _serve(settings)


async def _serve(settings: Settings) -> None:
    drain, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    async with serving(settings) as (gateway, port):
        loop.add_signal_handler(signal.SIGTERM, lambda: (stop if drain.is_set() else drain).set())
        loop.add_signal_handler(signal.SIGINT, stop.set)
        gc.collect()
        gc.freeze()  # what the start made stays: the collector, which takes up to 15 ms for it, need not look at it
        if settings.gateway.tls_cert:
            loop.add_signal_handler(signal.SIGHUP, _renew_certificate, gateway, settings)
        log.info("gateway listens", host=settings.gateway.host, port=port)
        _say_ready(settings.gateway.ready_fd)
        stopping, draining = asyncio.create_task(stop.wait()), asyncio.create_task(drain.wait())
        await _first(stopping, draining, *gateway.background)
        if draining.done() and not stopping.done():
            log.info("gateway drains", sockets=len(gateway.connections))
            await _first(stopping, asyncio.create_task(gateway.drain()), *gateway.background)
        for task in gateway.background:
            if task.done():
                task.result()  # raises: what runs in the background never ends by itself
        log.info("gateway stops", sockets=len(gateway.connections))


def _renew_certificate(gateway: Gateway, settings: Settings) -> None:
    """Read the certificate again, for connections to come; a bad one changes nothing."""
    assert gateway.door is not None
    try:
        gateway.door.tls = server_context(settings.gateway.tls_cert, settings.gateway.tls_key)
    except BadCertificate as error:
        log.error("the certificate stays as it was", why=str(error))
    else:
        log.info("certificate read again")


async def _first(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def _say_ready(descriptor: int) -> None:
    """Tell whoever started us that we listen."""
    if descriptor >= 0:
        try:
            os.write(descriptor, b"1")
        except BrokenPipeError:
            log.info("nobody waits for this gateway to be ready")
        os.close(descriptor)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[Gateway, int]]:
    """Run a gateway as long as the context lasts; yields it with the port it listens on."""
    for why in exposed(settings):
        log.warning("others may reach what we believe", why=why)
    async with Closing(CLOSE_S) as closing:
        db = Database(settings.database.url, size=DATABASE_CONNECTIONS)
        closing.add("database", db.close, 0.2)
        client = RedisClient(settings.redis.url)
        closing.add("redis", client.close, 0.2)
        producer = RedisProducer(settings.redis.url, shards=settings.bus.shards)
        closing.add("producer", producer.close, 0.2)
        reader = RedisReader(settings.redis.url, shards=settings.bus.shards)
        closing.add("reader", reader.close, 0.2)
        config = await once_there(db, partial(Config.open, settings, db))
        revisions = Revisions(db, config)
        context = Context(settings, db, client, producer, config, socket.gethostname())
        _raise_descriptor_limit()
        room = Room.of(settings)
        closing.add("room", room.stop, 1.5)  # for clients to answer the close
        gateway = Gateway(room, context, slots=room.gate.stats()["capacity"])
        _watch_exceptions(gateway)
        closing.add("exchange", gateway.handover.exchange.close, 0.5)
        gateway.relay.on_stale = revisions.poke
        feed = _feed(gateway, reader, settings, db)
        collector = GatewayCollector(gateway, feed)
        collector.register()
        closing.add("metrics", collector.unregister, 0.2)
        work = (feed.run(), gateway.presence.run(), gateway.handover.run(), _tick(gateway, feed, collector))
        gateway.background = [asyncio.create_task(one) for one in work]
        closing.add("background", lambda: _cancel(gateway.background), 1.0)
        await reader.ready()
        gateway.handover.history.begin(reader.starts)
        await gateway.handover.exchange.ready()
        door = gateway.door = Door.of(room, gateway, settings)
        config.on_change = gateway.on_config
        gateway.on_config()
        revisions.start()
        closing.add("revisions", revisions.close, 0.2)
        inherited = settings.gateway.listen_fd
        with listening(settings.gateway.host, settings.gateway.port):
            port = await door.start(
                settings.gateway.host,
                settings.gateway.port,
                sock=socket.socket(fileno=inherited) if inherited >= 0 else None,
                reuse_port=settings.gateway.reuse_port,
            )
        closing.add("door", door.stop, 0.2)
        closing.add("presence", gateway.presence.stop, 2.0)  # what is left is another process's janitor's
        closing.add("connections", gateway.stop, 1.5)
        async with metrics.endpoint(settings.metrics, role="gateway", healthy=lambda: not gateway.stopping):
            yield gateway, port
            await closing.close()  # in here: who asks for our health meanwhile shall hear of it


def _feed(gateway: Gateway, reader: RedisReader, settings: Settings, db: Database) -> Feed:
    return Feed(
        reader,
        gateway.relay,
        lambda keys: load_numbers(db, keys),
        lambda key: gateway.resync(gateway.hub.users_of(key) if key else set(gateway.hub.members)),
        shards=settings.bus.shards,
        hold_ms=settings.bus.hold_ms,
        retention_s=settings.bus.outbox_retention_s,
        history=gateway.handover.history,
        applied=gateway.on_applied,
    )


async def _tick(gateway: Gateway, feed: Feed, collector: GatewayCollector) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time() + TICK_S

    async def tick() -> None:
        nonlocal due
        try:
            collector.note_lag(loop.time() - due)
            feed.watch()
            gateway.tick()
        finally:
            due = loop.time() + TICK_S

    await again("tick", tick, TICK_S, rest_first=True)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    """End the tasks. Asked more than once: a library may take a cancellation for its own time-out and go on."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as the system gives: a socket needs one, and two while it comes in."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _watch_exceptions(gateway: Gateway) -> None:
    """Log and count what callbacks and tasks raise and nobody caught; the process goes on."""

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        gateway.failures += 1
        log.error("nobody caught", what=context.get("message"), exc_info=context.get("exception"))

    asyncio.get_running_loop().set_exception_handler(handle)
