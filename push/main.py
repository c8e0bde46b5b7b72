"""The process `tidewire push`: Granian workers, each with the HTTP side and a sender. `run` is the parent."""

import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import falcon.asgi
import structlog
from granian.constants import HTTPModes

from push.app import Proxy, build
from push.effective import effective
from push.sender import open_sender, settle
from push.start import providers_of
from push.targets import BadConfig
from tidewire import log, metrics, workers
from tidewire.gathering import gather, merge
from tidewire.settings import Settings, export, load
from tidewire.settings.tree import Metrics


class NoTargets(BadConfig):
    """Nothing could be sent anywhere."""


class Lifespan:
    """Opens the sender when the worker starts and drains it when it stops."""

    def __init__(self, proxy: Proxy, settings: Settings) -> None:
        self._proxy = proxy
        self._settings = settings
        self._stack = AsyncExitStack()

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Called by Falcon at the ASGI start-up; a failure stops the worker."""
        found, wrong = providers_of(self._settings.push)
        for line in wrong:
            structlog.get_logger("push").error("target does not work", problem=line)
        sender = await self._stack.enter_async_context(open_sender(self._settings, found))
        sender.start_replies()
        self._proxy.sender = sender
        own = [self._settings.metrics]
        if self._settings.push.metrics:  # where the workers find each other, for whichever is asked
            own.append(Metrics(dir=self._settings.push.figures_dir))
        for each in own:
            await self._stack.enter_async_context(
                metrics.endpoint(each, role="push", healthy=lambda: sender.healthy)
            )
        settle()

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Called by Falcon at the ASGI shutdown."""
        await self._stack.aclose()


async def _figures(folder: Path) -> bytes:
    """Return the figures of all workers, each with its name; of a single one just as the reference shows them."""
    texts = await gather(folder)
    return (merge(texts) if len(texts) > 1 else "".join(texts.values())).encode()


def make_app(settings: Settings) -> falcon.asgi.App[Any, Any]:
    """Return the application of one worker; settings: effective ones."""
    push = settings.push
    proxy = Proxy(
        settings,
        wait_s=push.answer_wait_s,
        figures=partial(_figures, Path(push.figures_dir)) if push.metrics else None,
    )
    app = build(proxy)
    app.add_middleware(Lifespan(proxy, settings))
    return app


def create() -> falcon.asgi.App[Any, Any]:
    """Granian's factory: called once in each worker process, which has the parent's environment."""
    settings = load()
    log.setup(settings.log, process="push")
    return make_app(effective(settings))


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. The workers read the settings from the environment again.

    Raises: BadConfig if no target works, or the configuration file is wrong.
    """
    log.setup(settings.log, process="push")
    push = effective(settings).push
    found, wrong = providers_of(push)
    if not found:
        hint = "set push.mattermost_config, push.vapid_key or push.proxy_url (docs/push.md)"
        raise NoTargets(*wrong, f"there is nothing to send to: {hint}")
    structlog.get_logger("push").info(
        "start", workers=push.workers, address=f"{push.host}:{push.port}", targets=sorted(found)
    )
    with tempfile.TemporaryDirectory(prefix="tidewire-push-") as folder:
        export(None, {"push": {"figures_dir": folder}})
        workers.serve(
            "push.main:create",
            host=push.host,
            port=push.port,
            http=HTTPModes.auto,
            tls_cert=push.tls_cert,
            tls_key=push.tls_key,
            workers=push.workers,
            log_level=settings.log.level,
            backlog=4096,
            backpressure=4096,
            stop_s=int(push.drain_s) + 8,
        )
