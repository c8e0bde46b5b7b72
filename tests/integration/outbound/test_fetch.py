"""Requests to real servers on this machine, which an administrator has allowed, and to hostile ones."""

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tidewire.outbound import FetchError, Outbound, names
from tidewire.outbound import client as client_module

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    """A server that answers each connection by `handler(request, writer)`; yields its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            length = int(fields.get("content-length", 0))
            await handler(head + (await reader.readexactly(length)).decode(), writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@asynccontextmanager
async def outbound(allowed: str = "127.0.0.1") -> AsyncIterator[Outbound]:
    """A client."""
    made = Outbound(lambda: allowed, lambda: False)
    try:
        yield made
    finally:
        await made.close()


async def test_a_request_and_its_answer() -> None:
    seen = []

    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(reply(gzip.compress(b"hello"), "Content-Type: text/x", "Content-Encoding: gzip", status="404 No"))

    async with server(handler) as url, outbound() as client:
        answer = await client.fetch(
            "POST", url + "/a?b=c", timeout_s=20, limit=5, headers={"X-One": "1"}, body=b"body"
        )
    assert (answer.status, answer.content_type, answer.body) == (404, "text/x", b"hello")
    assert seen[0].startswith("POST /a?b=c HTTP/1.1") and "x-one: 1" in seen[0].lower()
    assert seen[0].endswith("body")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_the_machine_itself_is_not_asked(host: str) -> None:
    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"secret"))

    async with server(handler) as url, outbound("") as client:
        with pytest.raises(FetchError) as caught:
            await client.fetch("GET", url.replace("127.0.0.1", host), timeout_s=20, limit=100)
    assert caught.value.refused


async def test_a_name_that_changes_is_asked_at_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: no resolver knows the name, so a second look-up would find nothing, or lead inside."""
    places = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.2"]]

    async def look_up(host: str, port: int) -> list[str]:
        return places.pop(0)

    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"end"))

    monkeypatch.setattr(client_module, "look_up", look_up)
    async with server(handler) as url, outbound() as client:
        url = url.replace("127.0.0.1", "rebinding.invalid")
        assert (await client.fetch("GET", url, timeout_s=20, limit=100)).body == b"end"
        for _ in range(2):  # looked up again for every request, and every address counts
            with pytest.raises(FetchError) as caught:
                await client.fetch("GET", url, timeout_s=20, limit=100)
            assert caught.value.refused
    assert not places


async def test_a_name_that_nobody_knows_is_no_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS that fails, and is there again."""

    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"end"))

    async with server(handler) as url, outbound() as client:
        url = url.replace("127.0.0.1", "nowhere.invalid")
        with pytest.raises(FetchError) as caught:
            await client.fetch("GET", url, timeout_s=20, limit=100)
        assert not caught.value.refused

        async def look_up(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        monkeypatch.setattr(client_module, "look_up", look_up)
        assert (await client.fetch("GET", url, timeout_s=20, limit=100)).body == b"end"


async def test_names_whose_servers_hang_hold_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    release, asked = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *given: Any, **more: Any) -> Any:
        if host.startswith("slow"):
            release.wait(20)
            raise socket.gaierror
        return asked("127.0.0.1" if host.startswith("quick") else host, *given, **more)

    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"end"))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        async with server(handler) as url, outbound() as client:
            slow = [client.fetch("GET", f"http://slow{n}.invalid/", timeout_s=0.1, limit=9) for n in range(50)]
            given_up = await asyncio.gather(*slow, return_exceptions=True)
            assert all("within" in str(one) for one in given_up)
            quick = url.replace("127.0.0.1", "quick.invalid")
            assert (await client.fetch("GET", quick, timeout_s=20, limit=100)).body == b"end"
            monkeypatch.setattr(names, "_places", threading.BoundedSemaphore(1))
            waiting = asyncio.create_task(client.fetch("GET", "http://slow.invalid/", timeout_s=20, limit=9))
            await asyncio.sleep(0)
            with pytest.raises(FetchError, match="no such host"):  # at once: nobody waits for a place
                await client.fetch("GET", quick, timeout_s=20, limit=9)
            release.set()
            with pytest.raises(FetchError, match="no such host"):
                await waiting
    finally:
        release.set()


async def test_redirects_are_checked_counted_and_told_no_secrets() -> None:
    seen: list[str] = []

    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        path = request.split()[1]
        to = {"/in": "http://127.0.0.2/x", "/loop": "/loop", "/once": "/end", "/keep": "/end"}.get(path)
        status = "307 T" if path == "/keep" else "302 F"
        writer.write(reply(b"", f"Location: {to}", status=status) if to else reply(b"end"))

    async with server(handler) as url, outbound() as client:
        with pytest.raises(FetchError) as caught:  # another address, which nobody allowed
            await client.fetch("GET", url + "/in", timeout_s=20, limit=100, hops=3)
        assert caught.value.refused
        assert (await client.fetch("GET", url + "/loop", timeout_s=20, limit=100, hops=3)).status == 302
        assert len(seen) == 5
        assert (await client.fetch("GET", url + "/once", timeout_s=20, limit=100)).status == 302
        answer = await client.fetch(
            "POST", url + "/once", timeout_s=20, limit=100, hops=1, headers={"Authorization": "x"}, body=b"y"
        )
        assert (answer.body, answer.url) == (b"end", url + "/end")
        assert seen[-1].startswith("GET /end") and "authorization" not in seen[-1].lower()
        await client.fetch("POST", url + "/keep", timeout_s=20, limit=100, hops=1, body=b"y")
        assert seen[-1].startswith("POST /end") and seen[-1].endswith("y")


async def test_endless_slow_and_broken_answers_end() -> None:
    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        path = request.split()[1]
        if path == "/bomb":
            writer.write(reply(gzip.compress(b"\0" * 10_000_000), "Content-Encoding: gzip"))
        elif path == "/long":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"x" * 65536)
                await writer.drain()
        elif path == "/slow":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.1)
        elif path == "/broken":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")

    async with server(handler) as url, outbound() as client:
        for path, word in (("/bomb", "longer"), ("/long", "longer"), ("/slow", "within"), ("/broken", "failed"),
                           ("/none", "failed")):  # fmt: skip
            with pytest.raises(FetchError, match=word):
                limit_s = 0.5 if word == "within" else 20
                await client.fetch("GET", url + path, timeout_s=limit_s, limit=1_000_000)
        with pytest.raises(FetchError, match="no such host"):
            await client.fetch("GET", "http://nowhere.invalid/", timeout_s=20, limit=100)


async def test_a_slow_host_does_not_hold_up_the_others() -> None:
    release = asyncio.Event()

    async def hanging(request: str, writer: asyncio.StreamWriter) -> None:
        await release.wait()

    async def quick(request: str, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(b"quick"))

    async with server(hanging) as slow, server(quick) as fast, outbound() as client:
        waiting = [
            asyncio.create_task(client.fetch("GET", slow, timeout_s=20, limit=100)) for _ in range(20)
        ]
        await asyncio.sleep(0.1)
        assert (await client.fetch("GET", fast, timeout_s=20, limit=100)).body == b"quick"
        release.set()
        assert all(isinstance(one, FetchError) for one in await asyncio.gather(*waiting, return_exceptions=True))


async def test_an_answer_may_be_left_unread() -> None:
    seen: list[str] = []

    async def handler(request: str, writer: asyncio.StreamWriter) -> None:
        seen.append(request.split()[1])
        if seen[-1] == "/moved":
            writer.write(reply(b"", "Location: /long", status="302 F"))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n" + b"x" * 5000)
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()

    async with server(handler) as url, outbound() as client:
        for _ in range(20):  # more than there are places
            incoming = await client.open("GET", url + "/moved", timeout_s=20, hops=1)
            assert (incoming.status, incoming.content_type, incoming.url) == (200, "a/b", url + "/long")
            assert (await incoming.read() or b"").startswith(b"xxxx")
            await incoming.close()
        with pytest.raises(FetchError) as caught:
            await client.open("GET", url + "/moved", timeout_s=20, hops=1, permits=lambda one: "long" not in one)
        assert caught.value.refused and seen[-1] == "/moved"
        incoming = await client.open("GET", url + "/long", timeout_s=1.5)
        with pytest.raises(FetchError, match="within"):
            async for _ in incoming:
                pass
        await incoming.close()
