"""Real browsers, where they are installed: that they agree on compression and read what we send.

    apt-get install chromium firefox-esr
"""

import asyncio
import json
import re
import shutil

import pytest

from tests.protocol.raw import serving
from tests.protocol.test_compression import ECHO, EVENTS, ROOM, check, deliver

BROWSERS = {
    "chromium": ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--user-data-dir={profile}"],
    "firefox-esr": ["--headless", "--no-remote", "--profile", "{profile}"],
}
START_S = 90.0  # a first start on a busy machine

PAGE = """<!doctype html><script>
const texts = [], socket = new WebSocket("ws://127.0.0.1:%d/api/v4/websocket"), echo = %s
const tell = what => fetch("/told", {method: "POST", body: JSON.stringify(what)})
socket.onmessage = message => {
  texts.push(message.data)
  if (texts.length == %d) socket.send(echo)
  if (texts.length > %d) { socket.onclose = null; tell([socket.extensions, texts]) }
}
socket.onclose = event => tell(["closed " + event.code, texts])
</script>"""


class Site:
    """Serves the page and hears what it tells."""

    def __init__(self) -> None:
        self.page = ""
        self.told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: *(\d+)", head, re.IGNORECASE)
        told = await reader.readexactly(int(length[1]) if length else 0)
        if head.startswith("POST /told") and not self.told.done():
            self.told.set_result(told)
        body = self.page.encode() if head.startswith("GET / ") else b""
        lines = ["HTTP/1.1 200 OK", "Content-Type: text/html", "Connection: close", f"Content-Length: {len(body)}"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        writer.close()


@pytest.mark.parametrize("browser", BROWSERS)
async def test_a_browser_reads_compressed_events(browser, tmp_path):
    program = shutil.which(browser)
    if program is None:
        pytest.skip(f"{browser} is not installed")
    site = Site()
    listener = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with serving(room=ROOM, compression=True, allowed_origins=("*",)) as server, asyncio.timeout(START_S):
        site.page = PAGE % (server.port, json.dumps(ECHO), EVENTS, EVENTS)
        flags = [flag.format(profile=tmp_path) for flag in BROWSERS[browser]]
        process = await asyncio.create_subprocess_exec(
            program, *flags, f"http://127.0.0.1:{port}/", start_new_session=True,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        try:
            await server.until(lambda: bool(server.adopted), START_S)
            slot, upgrade = server.adopted[0]
            assert upgrade.deflate
            posts = deliver(server, slot)
            extensions, texts = json.loads(await site.told)
        finally:
            process.terminate()
            await process.wait()
            listener.close()
    assert extensions.startswith("permessage-deflate")
    assert texts.pop() == ECHO
    check(texts, posts)
