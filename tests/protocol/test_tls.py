"""What is TLS's own: versions, hanging and broken handshakes, a new certificate, and TLS in the gateway's process."""

import asyncio
import hashlib
import socket
import ssl
import time

import pytest

from gateway.tls import BadCertificate, server_context
from tests.fixtures.authority import Authority, authority
from tests.fixtures.transport import Transport, speaking
from tests.protocol.raw import Server, frame, request, serving


@pytest.fixture(autouse=True)
def tls(tmp_path):
    """Speak TLS."""
    with speaking("tls", tmp_path):
        yield


async def talk(server: Server, trust: ssl.SSLContext) -> ssl.SSLObject:
    """Have one message echoed by a client with this trust; return what was agreed on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trust)
    writer.write(request() + frame(1, b"hello"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    assert await reader.readexactly(7) == b"\x81\x05hello"
    agreed = writer.get_extra_info("ssl_object")
    writer.close()
    return agreed


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_versions(version):
    async with serving() as server:
        trust = authority().trusting()
        trust.minimum_version = trust.maximum_version = ssl.TLSVersion[version]
        trust.set_alpn_protocols(["h2", "http/1.1"])
        agreed = await talk(server, trust)
        assert agreed.version() == version.replace("_", ".")
        assert agreed.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize(("version", "ciphers"), [
    ("TLSv1_1", "ALL:@SECLEVEL=0"), ("TLSv1", "ALL:@SECLEVEL=0"),
    ("TLSv1_2", "ECDHE+AES128+SHA256:ECDHE+AES128+SHA"), ("TLSv1_2", "AES128-GCM-SHA256"),
])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_what_is_old_is_refused(version, ciphers):
    async with serving() as server:
        trust = authority().trusting()
        trust.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        trust.maximum_version = ssl.TLSVersion[version]
        trust.set_ciphers(ciphers)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await talk(server, trust)
        assert server.door.tls_failures == 1
        await talk(server, authority().trusting())


BROKEN = {
    "HTTP": request(), "nothing known": b"\x00" * 400, "a record too large": b"\x16\x03\x01\xff\xff" + b"x" * 70_000,
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28", "an empty record": b"\x16\x03\x01\x00\x00",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_no_handshake_is_cut(data):
    async with serving(handshake_timeout_s=1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(data)
        try:
            said = await reader.read(-1)
        except ConnectionResetError:
            said = b""
        assert b"HTTP" not in said
        writer.close()
        assert (server.door.tls_failures, server.adopted, server.door.entrances) == (1, [], {})
        await server.upgraded()


async def test_handshakes_that_hang_are_cut_in_time():
    """Security case B12 for TLS: silent ones, half a hello, and a hello whose answer is never taken note of."""
    async with serving(handshake_timeout_s=2) as server:
        hello = ssl.MemoryBIO()
        client = authority().trusting().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        data = hello.read()
        began = time.monotonic()
        hanging = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(90)]
        for i, (_, writer) in enumerate(hanging):
            writer.write((b"", data[: len(data) // 2], data)[i % 3])
        raw = await server.upgraded()
        raw.send(frame(1, b"meanwhile"))
        assert await raw.frame() == (1, b"meanwhile")
        for reader, writer in hanging:
            await reader.read(-1)
            writer.close()
        assert 1.9 < time.monotonic() - began < 60
        assert server.door.entrances == {}
        assert (server.door.tls_handshakes, server.door.tls_failures) == (1, 90)


async def test_the_number_of_handshakes_is_bounded():
    async with serving(max_handshakes=10, handshake_timeout_s=1) as server:
        hanging = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(35)]
        most = 0
        while server.door.tls_failures < 35:
            most = max(most, len(server.door.entrances))
            await asyncio.sleep(0.01)
        assert most == 10
        await server.upgraded()
        for _, writer in hanging:
            writer.close()


async def test_a_new_certificate_is_for_those_who_come():
    async with serving() as server:
        before = await server.upgraded()
        serial = before.writer.get_extra_info("peercert")["serialNumber"]
        files = authority().issue(Transport.tls.cert.parent)
        server.door.tls = server_context(str(files.cert), str(files.key))
        after = await server.upgraded()
        assert after.writer.get_extra_info("peercert")["serialNumber"] != serial
        for raw in (before, after):
            raw.send(frame(1, b"still here"))
            assert await raw.frame() == (1, b"still here")


def test_certificates_that_cannot_be_used(tmp_path):
    mine, others = authority().issue(tmp_path), tmp_path / "others"
    others.mkdir()
    other = Authority().issue(others)
    for cert, key in [(mine.cert, other.key), (mine.cert, tmp_path / "none.pem"), (mine.key, mine.key),
                      (tmp_path / "none.pem", mine.key)]:
        with pytest.raises(BadCertificate) as bad:
            server_context(str(cert), str(key))
        assert str(cert) in str(bad.value)
        assert "\n" not in str(bad.value)


async def test_much_in_both_directions():
    """8 MiB of messages in 8 KiB, sent while nothing is read, come back whole and in order."""
    async with serving(room={"outbox_close_at": 100_000}) as server:
        raw = await server.upgraded()
        sent, got = hashlib.sha256(), hashlib.sha256()

        async def pour() -> None:
            for i in range(1024):
                payload = b"%06d" % i + b"x" * 8000
                sent.update(payload)
                raw.send(frame(1, payload))
                await raw.writer.drain()

        pouring = asyncio.create_task(pour())
        raw.writer.transport.pause_reading()
        await server.until(lambda: server.room.gate.stats()["blocked"] > 0)
        raw.writer.transport.resume_reading()
        for _ in range(1024):
            got.update((await raw.frame())[1])
        await pouring
        assert got.digest() == sent.digest()


async def test_a_socket_that_is_reset_within_a_record():
    async with serving() as server:
        raw = await server.upgraded()
        other = await server.upgraded()
        sock = socket.socket(fileno=socket.dup(raw.writer.get_extra_info("socket").fileno()))
        sock.send(b"\x17\x03\x03\x40\x00" + b"x" * 1000)     # a record of which a part is here
        await asyncio.sleep(0.05)
        sock.close()
        raw.reset()
        await server.until(lambda: len(server.closed) == 1)
        other.send(frame(1, b"undisturbed"))
        assert await other.frame() == (1, b"undisturbed")
