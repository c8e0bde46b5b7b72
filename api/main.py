"""The API process: Granian workers, each with its services. `run` is the parent, `create` a worker's application."""

import asyncio
import gc
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import falcon.asgi
import structlog
from granian.constants import HTTPModes

from api.app import Api, build
from api.proxies import Proxies
from api.webapp import WebApp
from tidewire import log, metrics, priorities, workers
from tidewire.actions.config import Config
from tidewire.actions.start import open_services
from tidewire.settings import Settings, load
from tidewire.store.db import Database
from tidewire.store.waiting import once_there

# New objects between two runs of the collector, and its runs between two of the next generation. A request makes some
# 60 containers and no cycles; at Python's 700, 10, 10 looking for them took a tenth of the time of a post.
GC_THRESHOLDS = 20_000, 20, 50
SERVER_STARTS_S = 0.1  # after the worker's start-up; if later, that is seen so much later


class Lifespan:
    """Opens the services when the worker starts and closes them, in reverse order, when it stops."""

    def __init__(self, state: Api, settings: Settings) -> None:
        self._state = state
        self._settings = settings
        self._stack = AsyncExitStack()

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Called by Falcon at the ASGI start-up; a failure stops the worker."""
        await _wait_for_database(self._settings)
        self._state.services = await self._stack.enter_async_context(open_services(self._settings))
        await self._stack.enter_async_context(metrics.endpoint(self._settings.metrics, role="api"))
        gc.collect()
        gc.freeze()  # what the start made stays: the collector need not look at it
        gc.set_threshold(*GC_THRESHOLDS)

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Called by Falcon at the ASGI shutdown."""
        await self._stack.aclose()


async def _wait_for_database(settings: Settings) -> None:
    """Return when it answers. A worker that failed instead would be started five times a second."""
    db = Database(settings.database.url, size=1)
    try:
        await once_there(db, partial(Config.open, settings, db))
    finally:
        await db.close()


class ServerBehind:
    """Puts Granian's threads, which start when the worker has started, behind the one that makes answers."""

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Called by Falcon at the ASGI start-up, after the Lifespan."""
        if known := priorities.threads():
            self._look(known)

    def _look(self, known: frozenset[int]) -> None:
        if not priorities.put_behind(known):
            asyncio.get_running_loop().call_later(SERVER_STARTS_S, self._look, known)


def make_app(settings: Settings) -> falcon.asgi.App[Any, Any]:
    """Return the application of one worker."""
    webapp = WebApp(settings.web.directory) if settings.web.directory else None
    state = Api(Proxies(settings.proxies.trusted), log_requests=settings.log.requests, webapp=webapp)
    app = build(state)
    app.add_middleware(Lifespan(state, settings))
    return app


def create() -> falcon.asgi.App[Any, Any]:
    """Granian's factory: called once in each worker process, which has the parent's environment."""
    settings = load()
    log.setup(settings.log, process="api")
    app = make_app(settings)
    app.add_middleware(ServerBehind())
    return app


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. The settings come from the environment, as the workers read them there again."""
    log.setup(settings.log, process="api")
    api = settings.api
    structlog.get_logger("api").info(
        "start", workers=api.workers, address=api.uds or f"{api.host}:{api.port}"
    )
    workers.serve(
        "api.main:create",
        host=api.host,
        port=api.port,
        uds=api.uds,
        http=HTTPModes.http1,
        workers=api.workers,
        log_level=settings.log.level,
        backlog=max(1024, api.backlog),
        backpressure=api.backlog,
        stop_s=api.stop_s,  # requests under way and, after them, the worker's parts (start.CLOSE_S)
    )
