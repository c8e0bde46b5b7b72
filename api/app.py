"""The Falcon application: makes responders out of the route table. No rules of chat in here.

A request passes: URL length, session and CSRF, the handler, the encoder; errors meet in one place at the end.
"""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import falcon
import falcon.asgi
import msgspec
import structlog

import api.resources  # noqa: F401  (fills the route table)
from api import browsers, page, times
from api.auth import COOKIE_TOKEN, authenticate
from api.call import Call
from api.drain import drain
from api.errors import describe
from api.files import PUBLIC
from api.framing import is_plain
from api.not_implemented import OPERATIONS
from api.proxies import Proxies
from api.rates import Rates
from api.routing import OUTSIDE, PREFIX, ROUTES, Created, Raw, Route, Stream
from api.webapp import WebApp, may_compress, serves_pages, sub_path
from tidewire.actions import audits, mfa
from tidewire.actions.services import Services
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_token

_MYSELF = PREFIX + "/users/me"  # answered without a second factor: clients ask it who must set one up
BASES = (PREFIX + "/", "/hooks/", "/files/", "/oauth/")  # what the API answers below the path of SiteURL
JSON = "application/json"  # exactly: the official client takes anything else as text
COMPRESSED = frozenset({JSON, "application/x-ndjson"})
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Permissions-Policy": ""}
_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("api")
Responder = Callable[..., Awaitable[None]]


class Api:
    """The application's state: `services` are there from the ASGI start-up to the shutdown."""

    def __init__(self, proxies: Proxies, *, log_requests: bool, webapp: WebApp | None = None) -> None:
        self.services: Services | None = None
        self.proxies = proxies
        self.log_requests = log_requests
        self.webapp = webapp
        self._rates = Rates()

    def responder(self, route: Route) -> Responder:
        """Return Falcon's `on_<method>` for a route."""

        async def respond(
            _: object, req: falcon.asgi.Request, resp: falcon.asgi.Response, **params: str
        ) -> None:
            started = time.perf_counter()
            request_id = self._prepare(req, resp)
            try:
                await self._answer(route, req, resp, params)
            except Exception as error:  # the API's one boundary: `describe` sorts faults, and logs ours
                self._fail(error, resp, request_id, route.path)
            await drain(req)
            self._record(route, req, resp, request_id, time.perf_counter() - started)

        return respond

    def _prepare(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> str:
        request_id = new_token()
        resp.set_headers(_HEADERS)
        resp.set_header("X-Request-ID", request_id)
        if self.services is not None:
            resp.set_header("X-Version-ID", self.services.version_id)
            browsers.tell(self.services.config, req, resp)
        if req.method == "GET":
            resp.set_header("Expires", "0")
        if not is_plain(req):
            resp.set_header("Connection", "close")
        return request_id

    async def _answer(
        self, route: Route, req: falcon.asgi.Request, resp: falcon.asgi.Response, params: dict[str, str]
    ) -> None:
        services = self.services
        assert services is not None, "a request came before the start-up"
        if not is_plain(req):
            raise AppError("api.context.bad_request.app_error", 400, "The transfer coding is not just chunked.")
        if len(req.relative_uri) > services.config.number("ServiceSettings.MaximumURLLength"):
            raise AppError("api.context.uri_too_long.app_error", 414, "The URL is too long.")
        session, token, dead_cookie = await authenticate(
            services, req, required=route.session, csrf=route.csrf
        )
        call = Call(services, self.proxies, req, resp, params, session, token)
        if dead_cookie:
            call.clear_cookie(COOKIE_TOKEN)
        self._rates.check(call)
        if session is not None and route.session and route.mfa and req.path != _MYSELF:
            await mfa.check_enforced(services, session)
        answer = await (_audited(route, call) if route.audit else route.handler(call))
        if isinstance(answer, Created):
            resp.status = falcon.HTTP_201
            answer = answer.value
        if isinstance(answer, Raw):
            resp.status = answer.status
            resp.data = answer.data
            resp.content_type = answer.content_type
        elif isinstance(answer, Stream):
            resp.status = answer.status
            resp.stream = answer.pieces
            resp.content_type = answer.content_type
        else:
            resp.data = answer if isinstance(answer, bytes) else _encode(answer)
            resp.content_type = JSON
        # The balancer compresses what is marked so; never what an account's secrets may be in (BREACH), nor files, of
        # which a client may want a part.
        whole = resp.content_type in COMPRESSED and resp.get_header("Accept-Ranges") is None
        if whole and not route.audit and may_compress(services.config):
            resp.append_header("Vary", "Accept-Encoding")

    def _fail(self, error: Exception, resp: falcon.asgi.Response, request_id: str, path: str) -> None:
        body, retry_after_s = describe(error, request_id, path)
        resp.status = body.status_code
        limited = body.status_code == 429  # the contract's one error that is plain text
        resp.data = b"limit exceeded\n" if limited else _encode(body)
        resp.content_type = "text/plain" if limited else JSON
        if retry_after_s:
            resp.set_header("Retry-After", str(retry_after_s))
        # A 401 of ours makes the client forget a token that will never work again.
        if (
            body.status_code == 401
            and body.id == "api.context.session_expired.app_error"
            and self.services is not None
        ):
            browsers.clear_cookie(self.services.config, resp, COOKIE_TOKEN)

    def _record(
        self,
        route: Route,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        request_id: str,
        seconds: float,
    ) -> None:
        status = resp.status_code
        times.count(route.handler.__name__, req.method, status, seconds)
        if self.log_requests:
            _log.info(
                "request",
                method=req.method,
                route=route.path,
                status=status,
                ms=round(seconds * 1000, 1),
                request_id=request_id,
                address=self.proxies.address(req),
            )

    async def preflight(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, **_: str) -> None:
        """Falcon's `on_options`: for pages of other origins that may call, else as if there were no such method."""
        request_id = self._prepare(req, resp)
        if self.services is None or not browsers.answer_preflight(self.services.config, req, resp):
            self._fail(AppError("api.context.404.app_error", 404), resp, request_id, "unknown")

    async def not_found(self, req: falcon.asgi.Request, resp: falcon.asgi.Response | None, **_: Any) -> None:
        """Answer what no route matches: JSON below /api, the page everywhere else."""
        assert resp is not None, "a WebSocket came to the API: Granian has them switched off"
        request_id = self._prepare(req, resp)
        pages = self.services is None or serves_pages(self.services.config)
        if req.path.startswith("/api/") or req.method not in ("GET", "HEAD") or not pages:
            self._fail(AppError("api.context.404.app_error", 404), resp, request_id, "unknown")
            await drain(req)
            return
        if self.webapp is None or self.services is None or req.path == "/robots.txt":
            page.answer(req, resp)
            return
        try:
            await self.webapp.answer(req, resp, self.services.config)
        except Exception as error:  # as in `responder`: a boundary
            self._fail(error, resp, request_id, "page")


async def _audited(route: Route, call: Call) -> Any:
    """Call the handler and write down what came of it, whoever's fault it was."""
    outcome = "success"
    try:
        answer = await route.handler(call)
        if isinstance(answer, Raw) and answer.status >= 400:
            outcome = f"fail - {answer.status}"
        return answer
    except AppError as error:
        outcome = "fail - " + error.id
        raise
    finally:
        session = call.session
        await audits.do_write(
            call.services,
            user_id=call.audit_user_id or (session.user_id if session is not None else ""),
            action=call.req.path,
            extra=outcome,
            address=call.address,
            session_id=session.id if session is not None else "",
        )


async def _not_built(call: Call) -> None:
    raise AppError("api.context.not_implemented.app_error", 501)


class _Resource:
    """Falcon wants an object with `on_get`, `on_post`, … per path."""


class Application(falcon.asgi.App[Any, Any]):
    """Falcon's application, for Granian's scopes."""

    state: Api

    # Falcon types it as the WSGI form too, which an ASGI application never is.
    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # type: ignore[override]
        """Answer one ASGI scope."""
        # Granian says "1" for HTTP/1.0, which balancers' health checks speak; the ASGI specification says "1.0".
        if scope.get("http_version") == "1":
            scope["http_version"] = "1.0"
        path = scope.get("path", "")
        if not path.startswith(BASES) and any(base in path for base in BASES) and self.state.services is not None:
            # The site's address has a path, and its clients call below it.
            sub = sub_path(self.state.services.config.text("ServiceSettings.SiteURL"))
            if sub and path.startswith(tuple(sub + base for base in BASES)):
                scope["path"] = path[len(sub) :]
        await super().__call__(scope, receive, send)


def build(state: Api) -> Application:
    """Return the application with every operation of the contract: built ones from ROUTES, the rest as 501."""
    app = Application(sink_before_static_route=True)
    app.state = state
    app.req_options.strip_url_path_trailing_slash = True
    app.resp_options.secure_cookies_by_default = False
    table = {**{key: Route(*key, _not_built, False, False) for key in OPERATIONS}, **ROUTES}
    paths: dict[str, dict[str, Route]] = defaultdict(dict)
    for (method, path), route in table.items():
        paths[PREFIX + path][method] = route
    for (method, path), route in OUTSIDE.items():
        paths[path][method] = route
    for path, methods in paths.items():
        resource = _Resource()
        for method, route in methods.items():
            setattr(resource, f"on_{method.lower()}", state.responder(route).__get__(resource))
        if "GET" in methods and "HEAD" not in methods:
            resource.on_head = resource.on_get  # type: ignore[attr-defined]  # attributes are made just above
        resource.on_options = state.preflight  # type: ignore[attr-defined]  # as above
        app.add_route(path, resource)
        if path == PREFIX + PUBLIC:
            app.add_route(PUBLIC, resource)
    app.add_sink(state.not_found, prefix="/")

    async def on_http_error(
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        error: falcon.HTTPError,
        params: dict[str, Any],
        **_: Any,
    ) -> None:
        known = error.status_code if 400 <= error.status_code < 500 else 400
        status = 404 if known == 405 else known
        error_id = "api.context.404.app_error" if status == 404 else "api.context.bad_request.app_error"
        state._fail(AppError(error_id, status), resp, state._prepare(req, resp), "unknown")

    app.add_error_handler(falcon.HTTPError, on_http_error)
    return app
