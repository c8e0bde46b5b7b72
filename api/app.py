"""The application: makes answers out of the route table. No rules of chat in here, nor of ASGI (api/asgi.py).

A request passes: URL length, session and CSRF, the handler, the encoder; errors meet in one place at the end.
"""

import time
from collections import defaultdict
from typing import Any

import falcon
import falcon.asgi
import msgspec
import structlog

import api.resources  # noqa: F401  (fills the route table)
from api import browsers, page, times
from api.asgi import Application, Request, Resource, Response
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
_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "permissions-policy": ""}
_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("api")


class Api:
    """The application's state: `services` are there from the ASGI start-up to the shutdown."""

    def __init__(self, proxies: Proxies, *, log_requests: bool, webapp: WebApp | None = None) -> None:
        self.services: Services | None = None
        self.proxies = proxies
        self.log_requests = log_requests
        self.webapp = webapp
        self._rates = Rates()

    def rewrite(self, path: str) -> str:
        """Return the path below the site's address, which may have a path itself that its clients call below."""
        if path.startswith(BASES) or self.services is None or not any(base in path for base in BASES):
            return path
        sub = sub_path(self.services.config.text("ServiceSettings.SiteURL"))
        inside = sub and path.startswith(tuple(sub + base for base in BASES))
        return path[len(sub) :] if inside else path

    async def respond(self, route: Route, req: Request, resp: Response, params: dict[str, str]) -> None:
        """Make the answer to a request of a route."""
        started = time.perf_counter()
        request_id = self._prepare(req, resp)
        try:
            await self._answer(route, req, resp, params)
        except Exception as error:  # the API's one boundary: `describe` sorts faults, and logs ours
            self._fail(error, resp, request_id, route.path)
        if not req.read:
            await drain(req)
        self._record(route, req, resp, request_id, time.perf_counter() - started)

    def _prepare(self, req: Request, resp: Response) -> str:
        request_id = new_token()
        headers = {**_HEADERS, "x-request-id": request_id}
        resp.begin(headers)
        if self.services is not None:
            headers["x-version-id"] = self.services.version_id
            browsers.tell(self.services.config, req, resp)
        if req.method == "GET":
            headers["expires"] = "0"
        if req.is_chunked and not is_plain(req):
            headers["connection"] = "close"
        return request_id

    async def _answer(self, route: Route, req: Request, resp: Response, params: dict[str, str]) -> None:
        services = self.services
        assert services is not None, "a request came before the start-up"
        if req.is_chunked and not is_plain(req):
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
        if mfa.is_enforced(services) and session is not None and route.session and route.mfa and req.path != _MYSELF:
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

    def _fail(self, error: Exception, resp: Response, request_id: str, path: str) -> None:
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
        req: Request,
        resp: Response,
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

    async def preflight(self, req: Request, resp: Response, **_: str) -> None:
        """Falcon's `on_options`: for pages of other origins that may call, else as if there were no such method."""
        request_id = self._prepare(req, resp)
        if self.services is None or not browsers.answer_preflight(self.services.config, req, resp):
            self._fail(AppError("api.context.404.app_error", 404), resp, request_id, "unknown")

    async def not_found(self, req: Request, resp: Response | None, **_: Any) -> None:
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


def build(state: Api) -> Application:
    """Return the application with every operation of the contract: built ones from ROUTES, the rest as 501."""
    app = Application(state.respond, state.rewrite)
    table = {**{key: Route(*key, _not_built, False, False) for key in OPERATIONS}, **ROUTES}
    paths: dict[str, dict[str, Route]] = defaultdict(dict)
    for (method, path), route in table.items():
        paths[PREFIX + path][method] = route
    for (method, path), route in OUTSIDE.items():
        paths[path][method] = route
    for path, methods in paths.items():
        if "GET" in methods:
            methods.setdefault("HEAD", methods["GET"])
        app.add(path, Resource(methods, state.preflight))
        if path == PREFIX + PUBLIC:
            app.add(PUBLIC, Resource(methods, state.preflight))
    app.add_sink(state.not_found, prefix="/")

    async def on_http_error(
        req: Request,
        resp: Response,
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
