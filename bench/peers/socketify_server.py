"""uWebSockets as a fan-out server: `socketify_server.py PORT`, run by a Python that has socketify.

Whoever opens /api/v4/websocket subscribes and gets a `hello`; what comes to /publish is published to all of them.
libuv's loop runs alone: socketify's own `run()` would poll it from asyncio's.
"""

import ctypes
import signal
import sys
from typing import Any

from socketify import App, OpCode

HELLO = '{"event":"hello","broadcast":{},"data":{},"seq":0}'
PR_SET_PDEATHSIG = 1
BACKPRESSURE = 16 << 20


def on_open(ws: Any) -> None:
    """A subscriber came."""
    ws.subscribe("crowd")
    ws.send(HELLO, OpCode.TEXT)


def main() -> None:
    """Serve until killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    app = App()

    def on_message(ws: Any, message: str | bytes, opcode: int) -> None:
        app.publish("crowd", message, OpCode.TEXT)

    limits = {
        "max_backpressure": BACKPRESSURE,
        "max_payload_length": 1 << 16,
        "idle_timeout": 0,
        "compression": 0,
    }
    app.ws("/api/v4/websocket", {**limits, "open": on_open})
    app.ws("/publish", {**limits, "message": on_message})
    app.listen({"host": "127.0.0.1", "port": int(sys.argv[1])})
    app.loop.uv_loop.run()


main()
