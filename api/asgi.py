"""The road between the HTTP server and a route: Falcon's application without the turns that no route of ours needs.

Falcon finds routes with fields, parses what is rare in a request and answers what is no route: preflights, other
methods, the web client, the lifespan. What relies on names that Falcon keeps private is marked *private*;
tests/unit/api/test_asgi.py compares both roads and fails when a Falcon changes them. Knows no rules of chat.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import falcon
import falcon.asgi
from falcon.routing import CompiledRouter

from api.routing import Route

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Respond = Callable[[Route, "Request", "Response", dict[str, str]], Awaitable[None]]
_BODILESS = frozenset({100, 101, 204, 304})  # RFC 9110 6.4.1
_END = {"type": "http.response.body"}


class Request(falcon.asgi.Request):
    """Falcon's request, made in one go, without a `context`.

    has_body: its head says that a body follows; read: all of that has been read.
    """

    __slots__ = ("has_body", "is_chunked", "read")

    def __init__(
        self,
        scope: dict[str, Any],
        receive: Receive,
        first_event: dict[str, Any] | None,
        options: falcon.RequestOptions,
    ) -> None:
        given = scope["headers"]
        headers = dict(given)
        if scope["query_string"] or len(headers) != len(given):
            # There are parameters, or a name stands twice: Falcon knows how these are read.
            super().__init__(scope, receive, first_event, options)
            headers = self._asgi_headers  # private
        else:
            path = scope["path"] or "/"
            self.path = path[:-1] if path.endswith("/") and len(path) > 1 else path
            self.scope = scope
            self.options = options
            self.method = scope["method"]
            self.query_string = ""
            self.is_websocket = False
            self.uri_template = None
            # private, to the end of this branch:
            self._asgi_headers = headers
            self._params = {}
            self._receive = receive
            self._first_event = first_event
            kind = headers.get(b"content-type")
            self.content_type = None if kind is None else kind.decode("latin1")
        self.is_chunked = b"transfer-encoding" in headers
        self.has_body = self.is_chunked or headers.get(b"content-length", b"0") != b"0"
        self.read = not self.has_body

    async def whole(self, length: int) -> bytes:
        """Return a body of this length, which nobody has begun to read."""
        event = self._first_event  # private
        data: bytes = b"" if event is None else event.get("body", b"")
        if len(data) != length:
            return await self.stream.read()
        self.read = True
        return data


class Response(falcon.asgi.Response):
    """Falcon's response. Its body is `data` or `stream`; `text`, `media` and `sse` are not sent."""

    def begin(self, headers: dict[str, str]) -> None:
        """Take these as the first headers: names in small letters, no cookies, and nobody else's dict."""
        self._headers = headers  # private

    def head(self, *, bodiless: bool) -> dict[str, Any]:
        """Return the event that begins the answer, with a length where there is one."""
        headers, status, data = self._headers, self.status_code, self._data  # private
        if data is None and self.stream:
            pass  # as long as it says itself, if it does
        elif not bodiless:
            headers["content-length"] = str(len(data)) if data else "0"
        elif status not in _BODILESS:
            headers.setdefault("content-length", str(len(data)) if data else "0")
        return {"type": "http.response.start", "status": status, "headers": self._asgi_headers()}  # private


class Resource:
    """What Falcon's router keeps for a path. Falcon itself sees no method of it but OPTIONS."""

    def __init__(self, routes: Mapping[str, Route], on_options: Any) -> None:
        self.routes = routes
        self.on_options = on_options


class Application(falcon.asgi.App[Any, Any]):
    """Falcon's application, whose `respond` gets each request that is one of the routes."""

    def __init__(self, respond: Respond, rewrite: Callable[[str], str]) -> None:
        """rewrite: returns the path of a request below the site's address."""
        self._finder = CompiledRouter()
        super().__init__(request_type=Request, response_type=Response, router=self._finder)
        self.req_options.strip_url_path_trailing_slash = True
        self.resp_options.secure_cookies_by_default = False
        self._respond = respond
        self._rewrite = rewrite
        self._plain: dict[str, Mapping[str, Route]] = {}  # the paths without fields

    def add(self, path: str, resource: Resource) -> None:
        """Add the routes of a path."""
        self.add_route(path, resource)
        if "{" not in path:
            self._plain[path] = resource.routes

    # Falcon types it as the WSGI form too, which an ASGI application never is.
    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Answer one ASGI scope."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        path = scope["path"] = self._rewrite(scope["path"])
        if path.endswith("/") and path != "/":
            path = path[:-1]
        params: dict[str, str] = {}
        routes = self._plain.get(path)
        if routes is None and (found := self._finder.find(path)) is not None:
            resource, _, params, _ = found
            routes = cast(Resource, resource).routes
        route = None if routes is None else routes.get(scope["method"])
        if route is None:
            # Granian says "1" for HTTP/1.0, which balancers' health checks speak; the ASGI specification says "1.0".
            if scope["http_version"] == "1":
                scope["http_version"] = "1.0"
            await super().__call__(scope, receive, send)
            return

        req = Request(scope, receive, None, self.req_options)
        if req.has_body:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            req._first_event = event  # private
        resp = Response(self.resp_options)
        try:
            await self._respond(route, req, resp, params)
        except Exception as error:
            if not await self._handle_exception(req, resp, error, params):  # private
                raise
        bodiless = req.method == "HEAD" or resp.status_code in _BODILESS
        await send(resp.head(bodiless=bodiless))
        if bodiless:
            await send(_END)
        elif resp.data is not None:
            await send({"type": "http.response.body", "body": resp.data})
        else:
            await _send_pieces(resp.stream, send)


async def _send_pieces(pieces: Any, send: Send) -> None:
    """Send a body in pieces, and close what they come from, if it can be."""
    if pieces is not None:
        try:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            if hasattr(pieces, "close"):
                await pieces.close()
    await send(_END)
