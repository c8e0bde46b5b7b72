"""The push proxy's HTTP side: a Mattermost server may point its PushNotificationServer at it. Knows no provider.

Source: mattermost-push-proxy: routes, texts, and 200 for every answer on the two routes of /api/v1 but overload. Ours:
JSON has its content type; OK may mean "queued, durably"; /healthz, /readyz; a limit that works.
"""

import hmac
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

import falcon
import falcon.asgi
import msgspec
import structlog
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from push import metrics, tally
from push.intake import Refused, read_ack, read_push
from push.replies import OK, Outcome
from push.sender import Sender
from push.throttle import Throttle
from tidewire.build import build_hash, build_version
from tidewire.bus.push_queue import QueueFull
from tidewire.settings import Settings
from tidewire.wire.errors import Unavailable
from tidewire.wire.push import Provider, new_job

PAGE = b"<html><body>Mattermost Push Proxy</body></html>"
JSON = "application/json"
_OK = msgspec.json.encode(OK) + b"\n"
_encode = msgspec.json.Encoder().encode
_PROVIDERS: dict[str, Provider] = {"apple": "apns", "android": "fcm"}
_PLATFORMS = frozenset({"ios", "android", "apple"})  # an ack's, as a metric's label
_TYPES = frozenset({"message", "clear", "update_badge", "session", "test"})

log = structlog.get_logger("push")
Responder = Callable[[falcon.asgi.Request, falcon.asgi.Response], Awaitable[None]]


class Proxy:
    """The application's state: `sender` is there from the ASGI start-up to the shutdown."""

    def __init__(
        self, settings: Settings, *, wait_s: float, figures: Callable[[], Awaitable[bytes]] | None
    ) -> None:
        """wait_s: for a verdict. figures: what /metrics says; None: there is no such route."""
        push = settings.push
        self.sender: Sender | None = None
        self.figures = figures
        self._wait_s = wait_s
        self._version = _encode({"hash": build_hash(), "version": build_version()})
        self._limit_bytes = push.body_limit_bytes
        self._secret = push.secret.encode()
        self._headers = [name.lower() for name in push.throttle_headers]
        self._trusted = [ip_network(word, strict=False) for word in settings.proxies.trusted]
        self._throttle = (
            Throttle(push.throttle_per_s, push.throttle_burst, push.throttle_callers)
            if push.throttle_per_s
            else None
        )

    # -- the two routes that servers call ---------------------------------------------------------------------

    async def send_push(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """POST /api/v1/send_push."""
        await self._answer(req, resp, self._send_push)

    async def ack(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """POST /api/v1/ack."""
        await self._answer(req, resp, self._ack)

    async def _answer(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, do: Callable[[bytes], Awaitable[Outcome]]
    ) -> None:
        started = time.perf_counter()
        resp.content_type = JSON
        try:
            body = await self._body(req)
            self._check_secret(req)
            outcome = await do(body)
        except Refused as error:
            metrics.BAD_REQUEST.inc()
            log.info("request refused", error=str(error), address=self._address(req))
            outcome = Outcome("FAIL", str(error))
        except (QueueFull, Unavailable) as error:
            reason = "full" if isinstance(error, QueueFull) else "unavailable"
            metrics.REFUSED.labels(reason).inc()
            resp.status = falcon.HTTP_503
            resp.set_header("Retry-After", str(error.retry_after_s))
            outcome = Outcome("FAIL", f"the queue is {reason}")
        except Exception as error:  # the proxy's one boundary: a bug of ours is logged once, and told
            log.exception("request failed by a fault of ours", route=req.path)
            resp.status = falcon.HTTP_500
            outcome = Outcome("FAIL", f"internal error: {type(error).__name__}")
        resp.data = _OK if outcome is OK else _encode(outcome) + b"\n"
        tally.requests.observe(time.perf_counter() - started)

    async def _send_push(self, body: bytes) -> Outcome:
        push = read_push(body)
        sender = self.sender
        assert sender is not None, "a request came before the start-up"
        target = push.platform.partition("-v")[0]
        station = sender.stations.get(target)
        if station is None or station.provider.platform not in _PROVIDERS:
            if "proxy" in sender.stations and target:
                return await sender.submit(new_job(push, provider="proxy"), self._wait_s)
            raise Refused(
                f"Did not send message because of missing platform property type={target[:64]}"
                f" serverId={push.server_id[:64]}"
            )
        job = new_job(push, provider=_PROVIDERS[station.provider.platform], target=target)
        return await sender.submit(job, self._wait_s)

    async def _ack(self, body: bytes) -> Outcome:
        ack = read_ack(body)
        platform = ack.platform if ack.platform in _PLATFORMS else "other"
        metrics.DELIVERED.labels(platform, ack.type if ack.type in _TYPES else "other", "").inc()
        log.debug("acknowledged", ack_id=ack.id[:26], platform=platform, type=ack.type[:20])
        return OK

    async def _body(self, req: falcon.asgi.Request) -> bytes:
        """Return the body; reads no more of it than may be. Raises: Refused."""
        if (req.content_length or 0) > self._limit_bytes:
            raise Refused("Failed to read message body: too large")
        body: bytes = await req.stream.read(self._limit_bytes + 1)
        if len(body) > self._limit_bytes:
            raise Refused("Failed to read message body: too large")
        return body

    def _check_secret(self, req: falcon.asgi.Request) -> None:
        if self._secret and not hmac.compare_digest(
            (req.get_header("X-Mattermost-Auth") or "").encode("latin-1", "replace"), self._secret
        ):
            raise Refused("Failed because of missing or wrong X-Mattermost-Auth")

    # -- the others -------------------------------------------------------------------------------------------

    async def page(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """GET /: people use it as the health check."""
        resp.content_type = "text/html; charset=utf-8"
        resp.data = PAGE

    async def version(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """GET /version."""
        resp.content_type = JSON
        resp.data = self._version

    async def health(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """GET /healthz: this process works."""
        _say(resp, self.sender is not None and self.sender.healthy)

    async def ready(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """GET /readyz: Redis answers, and a target is up."""
        _say(resp, self.sender is not None and self.sender.ready)

    async def metrics(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """GET /metrics."""
        if self.figures is None:
            raise falcon.HTTPNotFound()
        resp.content_type = CONTENT_TYPE_PLAIN_0_0_4
        resp.data = await self.figures()

    # -- throttling -------------------------------------------------------------------------------------------

    def limited(self, route: Responder) -> Responder:
        """Return a route that refuses callers who ask too often: 429, as the reference's words and headers have it."""
        throttle = self._throttle
        if throttle is None:
            return route

        async def respond(req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
            allowance = throttle.take(self._caller(req), time.monotonic())
            resp.set_header("X-RateLimit-Limit", str(throttle.limit))
            resp.set_header("X-RateLimit-Remaining", str(allowance.remaining))
            resp.set_header("X-RateLimit-Reset", str(math.ceil(allowance.reset_s)))
            if not allowance.wait_s:
                await route(req, resp)
                return
            log.warning("caller asks too often", address=self._address(req))
            resp.status = falcon.HTTP_429
            resp.set_header("Retry-After", str(max(1, math.ceil(allowance.wait_s))))
            resp.content_type = "text/plain; charset=utf-8"
            resp.data = b"limit exceeded\n"

        return respond

    def _caller(self, req: falcon.asgi.Request) -> str:
        """Return who asks: the values of the headers that tell callers apart, else the address."""
        address = self._address(req)
        words = []
        for name in self._headers:
            value = address if name == "x-forwarded-for" else req.get_header(name) or ""
            words.append(value.lower()[:200])
        return "\n".join(words) if any(words) else address

    def _address(self, req: falcon.asgi.Request) -> str:
        """Return the nearest address that no trusted balancer vouches against."""
        client = req.scope.get("client")
        hop = str(client[0]) if client else ""
        hops = (req.get_header("X-Forwarded-For") or "").split(",")
        while hops and self._is_trusted(hop) and (forwarded := hops.pop().strip()):
            hop = forwarded
        return hop[:64]

    def _is_trusted(self, hop: str) -> bool:
        try:
            return any(ip_address(hop) in network for network in self._trusted)
        except ValueError:
            return False


def _say(resp: falcon.asgi.Response, good: bool) -> None:
    resp.content_type = "text/plain; charset=utf-8"
    resp.status = falcon.HTTP_200 if good else falcon.HTTP_503
    resp.data = b"ok\n" if good else b"not ready\n"


class _Resource:
    """Falcon wants an object with `on_get`, `on_post` per path."""

    def __init__(self, method: str, respond: Responder) -> None:
        setattr(self, f"on_{method}", respond)
        if method == "get":
            self.on_head = respond


def build(proxy: Proxy) -> falcon.asgi.App[Any, Any]:
    """Return the application."""
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App()
    app.req_options.strip_url_path_trailing_slash = True
    routes: Mapping[str, tuple[str, Responder]] = {
        "/": ("get", proxy.limited(proxy.page)),
        "/version": ("get", proxy.limited(proxy.version)),
        "/metrics": ("get", proxy.metrics),
        "/healthz": ("get", proxy.health),
        "/readyz": ("get", proxy.ready),
        "/api/v1/send_push": ("post", proxy.limited(proxy.send_push)),
        "/api/v1/ack": ("post", proxy.limited(proxy.ack)),
    }
    for path, (method, respond) in routes.items():
        app.add_route(path, _Resource(method, respond))
    return app
