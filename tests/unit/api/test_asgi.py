"""The short road of api/asgi.py against Falcon's own: the same requests read, the same answers sent."""

from collections.abc import AsyncIterator
from typing import Any

import falcon
import falcon.asgi
import pytest

from api.asgi import Application, Request, Resource, Response
from api.routing import Route

HOST = (b"host", b"a.example:1")
BODY = (b"content-length", b"2")
ABSENT = object()
# Kept by ours only, made anew for each, or by Falcon only: nothing of ours reads `context`.
OWN = {"has_body", "is_chunked", "read", "context", "stream", "__dict__"}
READ = ("content_length", "params", "query_string", "relative_uri", "prefix", "content_type", "path", "method")
HEADERS = ("Host", "Content-Type", "X-A", "Cookie", "Content-Length", "Transfer-Encoding")

SCOPES: dict[str, dict[str, Any]] = {
    "nothing special": {},
    "the root": {"path": "/"},
    "no path": {"path": ""},
    "a slash at the end": {"path": "/a/"},
    "parameters": {"query_string": b"a=1&b=%C3%A9&c=&a=2&d=1,2"},
    "a body": {"method": "POST", "headers": [HOST, BODY, (b"content-type", b"a/\xe9")]},
    "no length": {"method": "POST", "headers": [HOST, (b"content-length", b"")]},
    "chunks": {"method": "POST", "headers": [HOST, (b"transfer-encoding", b"chunked")]},
    "a header twice": {"headers": [HOST, (b"x-a", b"1"), (b"x-a", b"2")]},
    "a type twice": {"headers": [HOST, (b"content-type", b"a/b"), (b"content-type", b"c/d")]},
    "cookies": {"headers": [HOST, (b"cookie", b"a=1; b=2")]},
}


def scope(**more: Any) -> dict[str, Any]:
    """Return a request's scope as Granian makes it."""
    common = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1"}
    request = {"method": "GET", "scheme": "http", "path": "/a", "query_string": b"", "headers": [HOST]}
    return {**common, **request, "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), **more}


async def receive() -> dict[str, Any]:
    """Return the whole body of those who say that they have one."""
    return {"type": "http.request", "body": b"{}", "more_body": False}


def options() -> falcon.RequestOptions:
    """Return what the application reads requests by."""
    made = falcon.RequestOptions()
    made.strip_url_path_trailing_slash = True
    return made


def slots(kind: type) -> set[str]:
    """Return the names that a class and those above it keep values under."""
    return {name for part in kind.__mro__ for name in getattr(part, "__slots__", ())} - OWN


@pytest.mark.parametrize("more", SCOPES.values(), ids=SCOPES.keys())
def test_a_request_reads_as_falcons(more: dict[str, Any]) -> None:
    given, event, by = scope(**more), {"type": "http.request"}, options()
    ours = Request(given, receive, event, by)
    # Falcon types its receive as any event's; ours gives those of requests.
    theirs = falcon.asgi.Request(given, receive, event, by)  # type: ignore[arg-type]
    names = slots(falcon.asgi.Request)
    assert {"_asgi_headers", "_first_event", "_receive", "_params"} <= names
    kept = [{name: getattr(one, name, ABSENT) for name in names} for one in (ours, theirs)]
    assert kept[0] == kept[1]
    for name in READ:
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in HEADERS:
        assert ours.get_header(name) == theirs.get_header(name), name
    assert ours.get_cookie_values("a") == theirs.get_cookie_values("a")


@pytest.mark.parametrize(
    ("headers", "has_body"),
    [
        ([HOST], False),
        ([HOST, (b"content-length", b"0")], False),
        ([HOST, BODY], True),
        ([HOST, (b"transfer-encoding", b"chunked")], True),
    ],
)
def test_a_body_is_waited_for_where_there_is_one(headers: list[Any], has_body: bool) -> None:
    req = Request(scope(headers=headers), receive, None, options())
    assert req.has_body is has_body and req.read is not has_body


EVENTS: dict[str, list[tuple[bytes, bool]]] = {
    "at once": [(b"12345", False)],
    "at once, as Granian says it": [(b"12345", True), (b"", False)],
    "in parts": [(b"12", True), (b"345", True), (b"", False)],
    "too short": [(b"123", False)],
    "too long": [(b"1234567", False)],
}


@pytest.mark.parametrize("parts", EVENTS.values(), ids=EVENTS.keys())
async def test_a_body_comes_whole(parts: list[tuple[bytes, bool]]) -> None:
    events = iter([{"type": "http.request", "body": body, "more_body": more} for body, more in parts])

    async def next_event() -> dict[str, Any]:
        return next(events)

    given = scope(method="POST", headers=[(b"content-length", b"5")])
    req = Request(given, next_event, next(events), options())
    data = await req.whole(5)
    assert data == b"".join(body for body, _ in parts)[:5]
    assert req.read or req.stream.eof


class Pieces:
    """A body in pieces which must be closed."""

    def __init__(self) -> None:
        self.left = [b"3", b"2", b"1"]
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()

    async def close(self) -> None:
        self.closed = True


def answer(resp: falcon.asgi.Response, kind: str) -> None:
    """Make one of the answers that are compared."""
    resp.set_header("X-A", "1")
    resp.content_type = "application/json"
    resp.status = 201
    if kind.isdigit():
        resp.status, resp.data = int(kind), b""
    elif kind == "pieces":
        resp.stream = Pieces()
    elif kind == "some of a file":
        resp.status, resp.stream, resp.content_length = 206, Pieces(), 3
    elif kind == "a length of its own":
        resp.data, resp.content_length = b"", 77
    elif kind == "cookies":
        resp.data = b"{}"
        resp.set_cookie("a", "b", max_age=3, secure=False)
        resp.append_header("Set-Cookie", "c=d")
    elif kind != "no body":
        resp.data = b'{"a":1}'


KINDS = ["data", "no body", "pieces", "some of a file", "a length of its own", "cookies", "204", "302", "304", "416"]


async def sent(app: Any, method: str, **more: Any) -> list[dict[str, Any]]:
    """Return the events of an answer."""
    events = []

    async def send(event: dict[str, Any]) -> None:
        events.append({"body": b"", "more_body": False, **event} if "body" in event["type"] else event)

    await app(scope(method=method, **more), receive, send)
    return events


@pytest.mark.parametrize("path", ["/a", "/a/{field}"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_is_sent_as_falcons(kind: str, method: str, path: str) -> None:
    got = []

    async def handler(call: Any) -> None:
        raise AssertionError("only the application calls it")

    async def respond(route: Route, req: Request, resp: Response, params: dict[str, str]) -> None:
        got.append(params)
        answer(resp, kind)

    async def on_any(req: falcon.asgi.Request, resp: falcon.asgi.Response, **params: str) -> None:
        got.append(params)
        answer(resp, kind)

    class Theirs:
        on_get = on_head = on_put = staticmethod(on_any)

    ours = Application(respond, lambda path: path)
    route = Route("GET", path, handler, session=False, csrf=False)
    ours.add(path, Resource({"GET": route, "HEAD": route, "PUT": route}, on_any))
    theirs = falcon.asgi.App[Any, Any]()
    theirs.add_route(path, Theirs())
    asked = path.replace("{field}", "value")
    assert await sent(ours, method, path=asked) == await sent(theirs, method, path=asked)
    assert got[0] == got[1]


async def test_a_source_of_pieces_is_closed_when_the_client_is_gone() -> None:
    pieces = Pieces()

    async def respond(route: Route, req: Request, resp: Response, params: dict[str, str]) -> None:
        resp.stream = pieces

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "http.response.body":
            raise OSError("gone")

    app = Application(respond, lambda path: path)
    app.add("/a", Resource({"GET": Route("GET", "/a", respond, session=False, csrf=False)}, respond))
    with pytest.raises(OSError, match="gone"):
        await app(scope(), receive, send)
    assert pieces.closed
