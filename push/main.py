"""The process `tidewire push`: Granian workers, each with the HTTP side and a sender. `run` is the parent."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import falcon.asgi
import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from prometheus_client import REGISTRY
from prometheus_client.exposition import generate_latest

from push.app import Proxy, build
from push.sender import open_sender
from push.start import config_of, providers_of
from push.targets import BadConfig
from tidewire import log, metrics
from tidewire.settings import Settings, load
from tidewire.settings.tree import Push

LONGEST_WAIT_S = 25  # Mattermost's server gives up after 30


class NoTargets(BadConfig):
    """Nothing could be sent anywhere."""


def effective(settings: Settings) -> Settings:
    """Return the settings with what the reference's configuration file says where nothing else was set.

    Raises: BadConfig.
    """
    push = settings.push
    config, _ = config_of(push)
    if not push.mattermost_config:
        return settings
    host, _, port = config.listen_address.rpartition(":")
    from_file: dict[str, Any] = {"metrics": config.enable_metrics}
    if config.listen_address:
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise BadConfig(f"{push.mattermost_config}: ListenAddress {config.listen_address!r} has no port")
        from_file |= {"host": host.strip("[]") or "0.0.0.0", "port": int(port)}  # Go's meaning of ":8066"
    if config.throttle_memory_store_size > 0:
        from_file["throttle_callers"] = config.throttle_memory_store_size
    if config.throttle_vary_by_header:
        from_file["throttle_headers"] = tuple(config.throttle_vary_by_header.split())
    if config.send_timeout_sec > 0:
        from_file["answer_wait_s"] = float(min(config.send_timeout_sec, LONGEST_WAIT_S))
    if config.retry_timeout_sec > 0:
        # An attempt must end before another worker takes the push over.
        from_file["attempt_timeout_s"] = float(min(config.retry_timeout_sec, 30))
    fields = {name: value for name, value in from_file.items() if name not in push.given}
    # ThrottlePerSec never worked there, so nobody has chosen it for a limit that does (docs/push.md).
    return replace(settings, push=_merged(push, fields))  # type: ignore[type-var]  # each section is a dataclass


def _merged(push: Push, fields: Mapping[str, Any]) -> Push:
    merged: Push = replace(push, **fields)  # type: ignore[type-var]  # as above
    object.__setattr__(merged, "given", push.given)
    return merged


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
        await self._stack.enter_async_context(
            metrics.endpoint(self._settings.metrics, role="push", healthy=lambda: sender.healthy)
        )

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Called by Falcon at the ASGI shutdown."""
        await self._stack.aclose()


async def _own_figures() -> bytes:
    return generate_latest(REGISTRY)


def make_app(settings: Settings) -> falcon.asgi.App[Any, Any]:
    """Return the application of one worker; settings: effective ones."""
    push = settings.push
    proxy = Proxy(settings, wait_s=push.answer_wait_s, figures=_own_figures if push.metrics else None)
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
    push = effective(settings).push
    found, wrong = providers_of(push)
    if not found:
        hint = "set push.mattermost_config, push.vapid_key or push.proxy_url (docs/push.md)"
        raise NoTargets(*wrong, f"there is nothing to send to: {hint}")
    structlog.get_logger("push").info(
        "start", workers=push.workers, address=f"{push.host}:{push.port}", targets=sorted(found)
    )
    Granian(
        "push.main:create",
        factory=True,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        address=push.host,
        port=push.port,
        ssl_cert=Path(push.tls_cert) if push.tls_cert else None,
        ssl_key=Path(push.tls_key) if push.tls_key else None,
        workers=push.workers,
        websockets=False,
        backlog=4096,
        backpressure=4096,
        log_access=False,
        respawn_failed_workers=True,
        respawn_interval=0.2,
        workers_kill_timeout=int(push.drain_s) + 8,
    ).serve()
