"""The opening handshake: who gets a 101, what others get, and that strangers cost little."""

import asyncio
import json
import resource

import pytest

from gateway.handshake import origin_allowed
from tests.protocol.raw import ACCEPT, frame, request, serving

pytestmark = pytest.mark.usefixtures("transport")


async def test_the_101():
    async with serving(version_id="11.6.0.1.abc.false") as server:
        for path in ("/api/v4/websocket", "/api/v4/websocket/", "/api/v4/websocket?connection_id=&sequence_number=0"):
            raw = await server.connect(request(path))
            status, headers = await raw.head()
            assert status == 101
            assert headers["sec-websocket-accept"] == ACCEPT
            assert headers["x-version-id"] == "11.6.0.1.abc.false"
            assert len(headers["x-request-id"]) == 26
            assert "sec-websocket-extensions" not in headers
            assert "sec-websocket-protocol" not in headers
        _, upgrade = server.adopted[-1]
        assert upgrade.query == {"connection_id": "", "sequence_number": "0"}
        assert upgrade.remote == "127.0.0.1"
        assert upgrade.headers["host"] == "chat.example"


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade,keep-alive", " UPGRADE "])
async def test_every_spelling_of_connection_upgrade(connection):
    async with serving() as server:
        raw = await server.upgraded(Connection=connection)
        raw.send(frame(1, b"hello"))
        assert await raw.frame() == (1, b"hello")


BAD = {
    "a thousand headers": (request(**{f"X_{i}": "1" for i in range(1000)}), {400, 431}),
    "a header of 1 MiB": (request(X_Large="a" * (1 << 20)), {431}),
    "a header of 16 KiB": (request(X_Large="a" * (16 << 10)), {431}),
    "transfer-encoding and a body": (request(Transfer_Encoding="chunked") + b"5\r\nhello\r\n0\r\n\r\n", {400}),
    "a body": (request(Content_Length="5") + b"hello", {400}),
    "two lengths": (request(Content_Length="0\r\nContent-Length: 5") + b"hello", {400}),
    "HTTP/1.0": (request(version="HTTP/1.0"), {400}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
    "no key": (request(Sec_WebSocket_Key=""), {400}),
    "a short key": (request(Sec_WebSocket_Key="AAAA"), {400}),
    "a key that is not base64": (request(Sec_WebSocket_Key="!" * 24), {400}),
    "version 12": (request(Sec_WebSocket_Version="12"), {426}),
    "version 8": (request(Sec_WebSocket_Version="8"), {426}),
    "no version": (request(Sec_WebSocket_Version=""), {400}),
    "POST": (request(method="POST"), {400}),
    "no upgrade": (request(Upgrade=""), {400}),
    "another upgrade": (request(Upgrade="h2c"), {400}),
    "no connection header": (request(Connection=""), {400}),
    "a folded header": (request(X_A="1\r\n folded"), {400}),
    "a bare line feed": (request(X_A="1\n2"), {400}),
    "no colon": (request(X_A="1\r\nsecret"), {400}),
    "a NUL": (request(X_A="a\0b"), {400}),
    "a path that is not ASCII": (request("/api/v4/websocket?ä=1"), {400}),
    "another path": (request("/api/v4/users"), {404}),
    "a path below": (request("/api/v4/websocket/x"), {404}),
    "rubbish": (b"\x16\x03\x01\x02\0\x01\r\n\r\n", {400}),
}


@pytest.mark.parametrize(("data", "statuses"), BAD.values(), ids=BAD.keys())
async def test_bad_handshakes(data, statuses):
    """Security case B14: a 4xx in the contract's shape, the connection closed, nothing reflected, nothing kept."""
    async with serving() as server:
        raw = await server.connect(data.replace(b"X-A", b"X-Reflect"))
        status, headers = await raw.head()
        body = await raw.rest()
        assert status in statuses
        assert headers["connection"] == "close"
        assert int(headers["content-length"]) == len(body)
        error = json.loads(body)
        assert (error["status_code"], error["request_id"]) == (status, headers["x-request-id"])
        assert b"eflect" not in body
        assert b"hello" not in body
        assert status != 426 or headers["sec-websocket-version"] == "13"
        await raw.close()
        assert server.adopted == []
        raw = await server.upgraded()              # others are served


async def test_what_a_client_proposes_is_not_reflected():
    async with serving() as server:
        proposed = {"Sec_WebSocket_Protocol": "chat, \tx", "Sec_WebSocket_Extensions": "permessage-deflate"}
        raw = await server.connect(request(**proposed))
        status, headers = await raw.head()
        assert status == 101
        assert not {"sec-websocket-protocol", "sec-websocket-extensions"} & headers.keys()


async def test_refusals_of_the_handler():
    async with serving() as server:
        server.admit_with = 401, "api.context.token_provided.app_error"
        raw = await server.connect(request())
        assert (await raw.head())[0] == 401
        assert json.loads(await raw.rest())["id"] == "api.context.token_provided.app_error"


@pytest.mark.parametrize("path", ["/health", "/api/v4/system/ping", "/api/v4/system/ping?get_server_status=true"])
async def test_health(path):
    async with serving() as server:
        plain = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        raw = await server.connect(plain)
        assert (await raw.head())[0] == 200
        assert json.loads(await raw.rest()) == {"status": "OK"}
        server.door.drain()
        raw = await server.connect(plain)
        assert (await raw.head())[0] == 404
        await server.upgraded()                    # draining still admits


SITE = "https://site.example"


@pytest.mark.parametrize(("origin", "status"), [
    (None, 101), (SITE, 101),
    ("https://evil.example", 403), ("https://site.example.evil.com", 403), ("https://evil.com/site.example", 403),
    ("null", 403), ("http://site.example", 403), ("https://site.example:444", 403), ("HTTPS://SITE.EXAMPLE", 403),
    ("https://site.example/", 403), ("https://user@site.example", 403),
])
async def test_origins(origin, status):
    """Security cases A1 and A2."""
    async with serving(site_url=SITE + "/") as server:
        raw = await server.connect(request(Origin=origin or ""))
        assert (await raw.head())[0] == status
        if status == 403:
            assert json.loads(await raw.rest())["id"] == "api.web_socket.connect.upgrade.app_error"


async def test_below_the_sites_path():
    async with serving(site_url=SITE + "/chat/") as server:
        for path, status in (
            ("/chat/api/v4/websocket", 101), ("/api/v4/websocket", 101),
            ("/chat/chat/api/v4/websocket", 404), ("/other/api/v4/websocket", 404), ("/chatapi/v4/websocket", 404),
        ):
            raw = await server.connect(request(path))
            assert (await raw.head())[0] == status, path


def test_origins_without_a_site_url_and_with_a_list():
    assert origin_allowed("http://localhost:8065", "localhost:8065", "", ())
    assert origin_allowed("https://chat.example", "chat.example:443", "", ())
    assert origin_allowed("https://chat.example", "Chat.Example", "", ())
    assert not origin_allowed("https://chat.example", "other.example", "", ())
    assert not origin_allowed("https://chat.example:8443", "chat.example", "", ())
    assert not origin_allowed("chat.example", "chat.example", "", ())
    assert not origin_allowed("null", "null", "", ("*",))
    assert origin_allowed("https://any.example", "x", SITE, ("*",))
    assert origin_allowed("https://app.example", "x", SITE, ("https://app.example",))
    assert origin_allowed(SITE, "x", SITE + ":443", ("https://app.example",))
    assert not origin_allowed("https://other.example", "other.example", "", ("https://app.example",))


async def test_slow_handshakes_are_cut_and_do_not_delay_others():
    """Security case B12: 300 connections that never finish."""
    async with serving(handshake_timeout_s=0.5) as server:
        slow = [await server.connect(request()[:i % 90]) for i in range(300)]
        raw = await server.upgraded()
        raw.send(frame(1, b"meanwhile"))
        assert await raw.frame() == (1, b"meanwhile")
        assert [await each.rest() for each in slow] == [b""] * 300
        assert server.door.entrances == {}
        assert len(server.adopted) == 1


async def test_too_many_handshakes(transport):
    """Who is too much is told so; over TLS, where telling is as dear as serving, it waits in the kernel's queue."""
    async with serving(max_handshakes=5, handshake_timeout_s=0.5) as server:
        slow = [await server.connect(b"GET ") for _ in range(5)]
        connecting = asyncio.create_task(server.connect(request()))
        if transport == "tls":
            assert [await each.rest() for each in slow] == [b""] * 5
            assert len(server.door.entrances) <= 5
            assert (await (await connecting).head())[0] == 101
        else:
            status, headers = await (await connecting).head()
            assert (status, headers["retry-after"]) == (503, "3")


async def test_too_many_sockets():
    async with serving(max_sockets=2) as server:
        first = await server.upgraded()
        await server.upgraded()
        raw = await server.connect(request())
        status, headers = await raw.head()
        assert (status, headers["retry-after"]) == (503, "3")
        assert json.loads(await raw.rest())["status_code"] == 503
        first.send(frame(8, b"\x03\xe8"))
        await server.until(lambda: len(server.closed) == 1)
        await server.upgraded()


async def test_near_the_limit_of_descriptors():
    async with serving() as server:
        assert 0 < server.door.last_descriptor < resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        keep = await server.upgraded()
        server.door.last_descriptor = 3          # as if all above were taken
        raw = await server.connect(request())
        assert (await raw.head())[0] == 503
        keep.send(frame(1, b"undisturbed"))
        assert await keep.frame() == (1, b"undisturbed")


async def test_the_door_stops_with_handshakes_under_way():
    async with serving() as server:
        half = await server.connect(b"GET /api")
        await asyncio.sleep(0)
        whole = await server.upgraded()
        await server.door.stop()
        assert await half.rest() == b""
        with pytest.raises(OSError):
            await server.connect()
        whole.send(frame(1, b"still here"))
        assert await whole.frame() == (1, b"still here")
        stopping = asyncio.create_task(server.room.stop())
        assert await whole.frame() == (8, b"\x03\xe9")
        whole.send(frame(8, b"\x03\xe9"))
        await stopping
