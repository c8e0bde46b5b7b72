"""The real door and room with an echo handler and no log-in, for protocol suites such as Autobahn's.

    python -m tests.protocol.echo_gateway --port 9001 [--host ADDRESS] [--compression] [--tls-cert FILE --tls-key FILE]

Prints `ready ws://HOST:PORT/api/v4/websocket`; stops on SIGTERM. Limits are raised through the ordinary settings:
the suites send messages of 16 MiB and 65,536 fragments.
"""

import argparse
import asyncio
import signal
import ssl

import uvloop

from gateway.door import Door
from gateway.handshake import Upgrade
from gateway.room import Room
from gateway.tls import server_context
from tidewire.settings import read

LIMITS = {
    "gateway": {
        "max_message_bytes": 64 << 20,
        "max_fragments": 1 << 20,
        # kosoku fails a case of compression that gets a ping: on a busy machine some last over a minute.
        "ping_interval_s": 3600.0,
        "read_timeout_s": 7200.0,
    },
    "outbox": {"close_at": 1 << 20},
}


PATHS = frozenset({"/", "/api/v4/websocket", "/api/v4/websocket/"})  # kosoku asks for "/"


class Echo:
    """Sends every message back: a text as a reply of the room."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.closed: list[tuple[int, int, str]] = []

    def admit(self, upgrade: Upgrade) -> tuple[int, str] | None:
        return None

    def on_adopted(self, slot: int, upgrade: Upgrade) -> None:
        pass

    def on_message(self, slot: int, data: bytes, text: bool) -> None:
        if text:
            self.room.reply(slot, data)
        else:
            self.room.gate.reply(slot, data, binary=True)
            self.room.flush_soon()

    def on_closed(self, slot: int, code: int, why: str) -> None:
        if why != "local":
            self.room.release(slot)


async def serve(host: str, port: int, compression: bool, tls: ssl.SSLContext | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = read(LIMITS)
    room = Room.of(settings)
    door = Door(room, Echo(room), version_id="echo", compression=compression, paths=PATHS, tls=tls)
    port = await door.start(host, port)
    print(f"ready ws://{host}:{port}/api/v4/websocket", flush=True)
    await stop.wait()
    await door.stop()
    await room.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--compression", action="store_true")
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    arguments = parser.parse_args()
    tls = server_context(arguments.tls_cert, arguments.tls_key) if arguments.tls_cert else None
    uvloop.run(serve(arguments.host, arguments.port, arguments.compression, tls))


if __name__ == "__main__":
    main()
