"""From the handshake's transport to the gate: no byte is lost, no descriptor stays, no socket is confused."""

import asyncio
import os
import socket

import pytest

from tests.protocol.raw import frame, request, serving

pytestmark = pytest.mark.usefixtures("transport")


async def test_request_ping_and_half_a_frame_in_one_segment():
    async with serving() as server:
        message = frame(1, b"in two halves")
        raw = await server.connect(request() + frame(9, b"early") + message[:9])
        assert (await raw.head())[0] == 101
        assert await raw.frame() == (10, b"early")
        assert server.messages == []
        raw.send(message[9:])
        assert await raw.frame() == (1, b"in two halves")


async def test_many_messages_behind_the_request():
    async with serving() as server:
        raw = await server.connect(request() + b"".join(frame(1, b"%d" % i) for i in range(500)))
        assert (await raw.head())[0] == 101
        assert [await raw.frame() for _ in range(500)] == [(1, b"%d" % i) for i in range(500)]


async def test_byte_by_byte():
    async with serving() as server:
        raw = await server.connect()
        raw.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request() + frame(9, b"x") + frame(1, b"slowly"):
            raw.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await raw.head())[0] == 101
        assert [await raw.frame(), await raw.frame()] == [(10, b"x"), (1, b"slowly")]


async def test_a_reset_before_the_adoption():
    """The connection dies after its request was judged, before its descriptor is handed over."""
    async with serving() as server:
        server.admit_with = None
        raw = await server.connect()
        admit = server.admit

        def reset_then_admit(upgrade):
            raw.reset()
            return admit(upgrade)

        server.admit = reset_then_admit
        raw.send(request())
        await server.until(lambda: len(server.closed) == 1)
        assert server.adopted[0][0] == server.closed[0][0]
        assert server.closed[0][1:] == (1006, "peer")
        server.admit = admit
        other = await server.upgraded()
        other.send(frame(1, b"fine"))
        assert await other.frame() == (1, b"fine")


async def test_a_reset_right_behind_the_request():
    async with serving() as server:
        for _ in range(50):
            raw = await server.connect(request())
            await raw.writer.drain()
            raw.reset()
        raw = await server.upgraded()
        await server.until(lambda: len(server.adopted) - len(server.closed) == 1)
        assert server.room.gate.stats()["sockets"] == 1


async def test_an_end_of_input_right_behind_the_request(transport):
    if transport == "tls":
        pytest.skip("asyncio has no half-closed TLS")
    async with serving() as server:
        raw = await server.connect(request())
        raw.writer.write_eof()
        assert (await raw.head())[0] == 101
        assert await raw.rest() == b""


async def test_the_handler_may_end_a_socket_at_once():
    async with serving() as server:
        server.on_adopted_do = lambda slot: server.room.close(slot, 0)
        raw = await server.connect(request())
        assert (await raw.head())[0] == 101       # right after the 101, no close frame
        assert await raw.rest() == b""
        await server.until(lambda: server.closed[-1:] == [(0, 1006, "local")])


async def test_the_handlers_first_words_come_behind_the_101():
    async with serving() as server:
        server.on_adopted_do = lambda slot: server.room.reply(slot, b"welcome")
        raw = await server.upgraded()
        assert await raw.frame() == (1, b"welcome")


async def test_a_full_room_drops_the_socket():
    async with serving(room={"capacity": 2}) as server:
        await server.upgraded()
        await server.upgraded()
        raw = await server.connect(request())
        assert await raw.rest() == b""
        assert len(server.adopted) == 2


async def test_descriptors_are_the_same_after_all_kinds_of_ends():
    async with serving() as server:
        await (await server.upgraded()).close()
        await server.until(lambda: len(server.closed) == 1)
        before = len(os.listdir("/proc/self/fd"))
        for i in range(200):
            raw = await server.upgraded()
            if i % 4 == 0:
                raw.send(frame(8, b"\x03\xe8"))
                await raw.rest()
            elif i % 4 == 1:
                raw.reset()
            elif i % 4 == 2:
                raw.send(b"\xff\xff")             # a broken protocol
                await raw.rest()
            await raw.close()
        await server.until(lambda: len(server.closed) == 201)
        sockets = server.room.gate.stats
        while sockets()["sockets"]:
            server.room.gate.poll()
            await asyncio.sleep(0)
        server.raws.clear()
        assert len(os.listdir("/proc/self/fd")) <= before
