"""permessage-deflate (RFC 7692): what is agreed on, and that other people's clients read what we send."""

import asyncio
import json
import os
from pathlib import Path

import pytest
import websockets

from gateway.handshake import DEFLATE, accept_deflate
from hotpath import FOLLOW, MENTION, Event
from tests.fixtures.transport import Transport
from tests.protocol.raw import Server, request, serving

NODE = Path(__file__).parents[1] / "conformance" / "node"
USER = b"abcdefghijkmnopqrstuwxyz13"
# 9 -> 10, 99 -> 100, 999 -> 1000: seq grows by a digit, and the tail with it.
EVENTS = 1010
ROOM = {"outbox_close_at": 2 * EVENTS, "retain_events": 2 * EVENTS}
ECHO = "zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich " * 60

OFFERS = {
    "permessage-deflate": DEFLATE,
    "permessage-deflate; client_max_window_bits": DEFLATE,                      # Chromium, Firefox, ws
    "permessage-deflate;client_max_window_bits=15": DEFLATE,
    'permessage-deflate; client_max_window_bits="10"': DEFLATE,
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover": DEFLATE,
    "permessage-deflate; server_max_window_bits=15": DEFLATE + "; server_max_window_bits=15",
    "permessage-deflate; server_max_window_bits=10, permessage-deflate": DEFLATE,
    "x-webkit-deflate-frame, permessage-deflate": DEFLATE,
    "x-other; a=b ,permessage-deflate ; client_max_window_bits": DEFLATE,
    "": "",
    ",": "",
    "x-webkit-deflate-frame": "",
    "permessage-deflate; server_max_window_bits=10": "",
    "permessage-deflate; server_max_window_bits=8": "",
    "permessage-deflate; server_max_window_bits": "",
    "permessage-deflate; server_max_window_bits=16": "",
    "permessage-deflate; client_max_window_bits=16": "",
    "permessage-deflate; client_max_window_bits=7": "",
    "permessage-deflate; client_max_window_bits=015": "",
    "permessage-deflate; client_max_window_bits=": "",
    "permessage-deflate; server_no_context_takeover=1": "",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover": "",
    "permessage-deflate; what": "",
    "permessage-deflate;": "",
    "permessage-deflated": "",
}


@pytest.mark.parametrize(("offer", "answer"), OFFERS.items())
def test_offers(offer, answer):
    assert accept_deflate(offer) == answer


async def test_what_is_agreed_on_is_in_the_101():
    async with serving(compression=True) as server:
        raw = await server.connect(request(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"))
        _, headers = await raw.head()
        assert headers["sec-websocket-extensions"] == DEFLATE
        two = "x-other\r\nSec-WebSocket-Extensions: permessage-deflate"
        raw = await server.connect(request(Sec_WebSocket_Extensions=two))
        assert (await raw.head())[1]["sec-websocket-extensions"] == DEFLATE
        for none in (request(), request(Sec_WebSocket_Extensions="permessage-deflate; server_max_window_bits=9")):
            raw = await server.connect(none)
            status, headers = await raw.head()
            assert status == 101
            assert "sec-websocket-extensions" not in headers
        assert [upgrade.deflate for _, upgrade in server.adopted] == [True, True, False, False]


def deliver(server: Server, slot: int) -> list[str]:
    """Send the events of a test, every other one with tails; return the messages in them."""
    server.room.set_user(slot, USER, 0)
    posts = [f"{n}: " + f"A message of event {n}, as people write them. " * (n % 17) for n in range(EVENTS)]
    for n, post in enumerate(posts):
        prefix = b'{"event":"posted","broadcast":{},"data":{"post":' + json.dumps(post).encode()
        server.room.deliver(Event(prefix), [slot], tails={slot: MENTION | FOLLOW if n % 2 else 0})
    return posts


def check(texts: list[str], posts: list[str]) -> None:
    """Check the events that a client got."""
    events = [json.loads(text) for text in texts]
    assert [event["seq"] for event in events] == list(range(EVENTS))
    assert [event["data"]["post"] for event in events] == posts
    assert all(("mentions" in event["data"]) == (n % 2 == 1) for n, event in enumerate(events))


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("compression", [True, False])
async def test_the_client_of_websockets(compression):
    async with serving(room=ROOM, compression=compression) as server:
        url = f"{Transport.origin('ws', server.port)}/api/v4/websocket"
        async with asyncio.timeout(60), websockets.connect(url, ssl=Transport.trust) as client:
            assert bool(client.protocol.extensions) == compression
            await server.until(lambda: bool(server.adopted))
            posts = deliver(server, server.adopted[0][0])
            check([await client.recv() for _ in range(EVENTS)], posts)
            await client.send(ECHO)
            assert await client.recv() == ECHO


SCRIPT = """
const WebSocket = require("ws")
const [url, events, echo] = process.argv.slice(1)
const socket = new WebSocket(url, {perMessageDeflate: {threshold: 0}})
const texts = []
socket.on("message", data => {
  texts.push(data.toString())
  if (texts.length == events) socket.send(echo)
  if (texts.length > events) { socket.close(); console.log(JSON.stringify([socket.extensions, texts])) }
})
socket.on("error", error => { throw error })
"""


@pytest.mark.usefixtures("transport")
async def test_ws_of_npm():
    async with serving(room=ROOM, compression=True) as server:
        url = f"{Transport.origin('ws', server.port)}/api/v4/websocket"
        trust = {"NODE_EXTRA_CA_CERTS": str(Transport.tls.authority)} if Transport.tls else {}
        process = await asyncio.create_subprocess_exec(
            "node", "-e", SCRIPT, url, str(EVENTS), ECHO,
            cwd=NODE, env=os.environ | trust, stdout=asyncio.subprocess.PIPE)
        await server.until(lambda: bool(server.adopted))
        posts = deliver(server, server.adopted[0][0])
        printed, _ = await asyncio.wait_for(process.communicate(), 60)
    extensions, texts = json.loads(printed)
    assert extensions == "permessage-deflate"
    assert texts.pop() == ECHO
    check(texts, posts)
