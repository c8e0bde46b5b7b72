"""What one socket can cost: messages, fragments, floods, and the memory behind them. Security cases B2-B4, B7."""

import asyncio

import pytest

from hotpath import Event
from tests.protocol.raw import Raw, frame, serving

pytestmark = pytest.mark.usefixtures("transport")


async def closed_with(raw: Raw) -> int:
    """Return the code of the close frame, which must be the last thing before the end."""
    opcode, payload = await raw.frame()
    assert opcode == 8
    assert await raw.rest() == b""
    return int.from_bytes(payload[:2], "big")


async def test_messages_of_8_kib_and_one_byte_more():
    async with serving() as server:
        raw = await server.upgraded()
        raw.send(frame(1, b"x" * 8192))
        assert await raw.frame() == (1, b"x" * 8192)
        raw.send(frame(1, b"x" * 8193))
        assert await closed_with(raw) == 1009
        assert server.closed[0][1:] == (1009, "protocol")


async def test_a_huge_frame_is_refused_when_it_is_announced():
    """B2: at once, before any allocation."""
    async with serving() as server:
        raw = await server.upgraded()
        raw.send(b"\x82\xff" + (1 << 62).to_bytes(8, "big"))
        assert await closed_with(raw) == 1009


async def test_fragments_count_together():
    """B3: frames under the limit, never the last one."""
    async with serving() as server:
        raw = await server.upgraded()
        raw.send(frame(1, b"a" * 5000, fin=False) + frame(0, b"b" * 5000, fin=False))
        assert await closed_with(raw) == 1009


@pytest.mark.parametrize("part", [b"", b"x"])
async def test_tiny_fragments_are_counted(part):
    """B4: a million of them; closed by the limit of 64."""
    async with serving() as server:
        raw = await server.upgraded()
        raw.send(frame(1, b"", fin=False) + frame(0, part, fin=False) * 20_000)
        assert await closed_with(raw) == 1008
        assert server.closed[0][1:] == (1008, "protocol")


async def test_control_frames_do_not_count_as_fragments():
    async with serving() as server:
        raw = await server.upgraded()
        raw.send(frame(1, b"a", fin=False) + frame(9, b"p") * 100 + frame(0, b"b"))
        assert [await raw.frame() for _ in range(100)] == [(10, b"p")] * 100
        assert await raw.frame() == (1, b"ab")


async def test_a_flood_of_pings_that_reads_nothing_is_cut():
    async with serving(room={"outbox_close_at": 64}) as server:
        raw = await server.upgraded()
        raw.writer.transport.pause_reading()
        flood = frame(9, b"p" * 125) * 1000

        async def pour() -> None:
            while True:
                raw.send(flood)
                await raw.writer.drain()

        pouring = asyncio.create_task(pour())
        other = await server.upgraded()
        await server.until(lambda: len(server.closed) == 1)
        pouring.cancel()
        assert server.closed[0][1] in (1013, 1006)
        other.send(frame(1, b"undisturbed"))
        assert await other.frame() == (1, b"undisturbed")
        raw.reset()


async def test_every_socket_is_served_beside_a_hog():
    async with serving() as server:
        hog = await server.upgraded()
        raws = [await server.upgraded() for _ in range(20)]
        hog.send(frame(1, b"") * 100_000)
        for raw in raws:
            raw.send(frame(1, b"me"))
        for raw in raws:
            assert await raw.frame() == (1, b"me")
        assert len(server.messages) < 100_000     # the hog still has some to go
        hog.reset()


async def test_a_reader_that_stopped_is_bounded_and_costs_the_others_nothing():
    """B8: 100 MiB of events for a socket that does not read; it can be resumed from what it has."""
    async with serving() as server:
        raw = await server.upgraded()
        raw.writer.transport.pause_reading()
        other = await server.upgraded()
        (slow, _), (healthy, _) = server.adopted
        gate = server.room.gate
        event_bytes = 100_000
        for n in range(1000):
            event = Event(b'{"event":"posted","broadcast":{},"data":{"n":%d,"x":"' % n + b"x" * event_bytes + b'"')
            server.room.deliver(event, [slow, healthy])
            _, payload = await other.frame()      # at once, whatever the other one does
            assert payload.endswith(b'"},"seq":%d}' % n)
            if server.closed:
                break
        assert server.closed == [(slow, 1013, "slow")]
        # 256 wait, and what the kernels of both sides have taken.
        assert n < 256 + 100
        assert gate.stats()["retained_bytes"] < (256 + 100) * (event_bytes + 200)
        raw.reset()
