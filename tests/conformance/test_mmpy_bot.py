"""PyPI mmpy_bot, unmodified, runs a small bot. `make test` installs it into an environment of its own (.venv/bots)."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import websockets

from tests.conformance.client import Client, Json
from tests.fixtures.ports import free_port
from tests.fixtures.serve import ROOT, Serve
from tidewire.wire.ids import new_token

PYTHON = ROOT / ".venv/bots/bin/python"
BOT = Path(__file__).parent / "bots/small_bot.py"
CONNECTED = b"Websocket authentification OK"  # logged by its driver


@asynccontextmanager
async def running(serve: Serve, token: str, port: int) -> AsyncIterator[None]:
    """Run the bot, connected. port: where it takes calls. Fails with what it logged if the block or the bot does."""
    host, _, api_port = serve.url.rpartition(":")
    own = {"MATTERMOST_URL": host, "MATTERMOST_PORT": api_port, "BOT_TOKEN": token}
    own |= {"WEBHOOK_HOST_ENABLED": "true", "WEBHOOK_HOST_PORT": str(port)}
    pipe, merged = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(PYTHON, BOT, env=os.environ | own, stdout=pipe, stderr=merged)
    lines: list[bytes] = []
    connected = asyncio.Event()

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            lines.append(line)
            if CONNECTED in line:
                connected.set()
        connected.set()

    reader = asyncio.create_task(read())
    try:
        await asyncio.wait_for(connected.wait(), 60)
        assert process.returncode is None
        yield
    except BaseException:
        print(b"".join(lines).decode())
        raise
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader
    wrong = [line for line in lines if b"][ERROR]" in line or b"Traceback" in line]
    assert not wrong, b"".join(lines).decode()


class Ears:
    """What one person's socket hears."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def next(self, name: str, member: str, test: Callable[[Json], bool]) -> Json:
        """Return the JSON in a member of the next event of a name that fits; others are passed over."""
        async with asyncio.timeout(30):
            while True:
                event = json.loads(await self._socket.recv())
                if event.get("event") == name:
                    found: Json = json.loads(event["data"][member])
                    if test(found):
                        return found


async def test_a_small_bot(own_serve: Callable[..., Serve]) -> None:
    serve = await asyncio.to_thread(own_serve)
    admin = await Client(serve, "ada").sign_up()  # the first account of a server
    allowed = {"AllowedUntrustedInternalConnections": "127.0.0.1", "EnableBotAccountCreation": True}
    await admin.call("PUT", "/config/patch", {"ServiceSettings": allowed})
    bot = await admin.call("POST", "/bots", {"username": f"sailor-{new_token()[:8]}"})
    await admin.call("PUT", "/config/patch", {"ServiceSettings": {"EnableUserAccessTokens": True}})
    token = (await admin.call("POST", f"/users/{bot['user_id']}/tokens", {"description": "mmpy_bot"}))["token"]
    body = {"name": f"team-{new_token()[:8]}", "display_name": "Team", "type": "O"}
    team = await admin.call("POST", "/teams", body)
    room = await admin.call("GET", f"/teams/{team['id']}/channels/name/town-square")
    member = {"team_id": team["id"], "user_id": bot["user_id"]}
    await admin.call("POST", f"/teams/{team['id']}/members", member)
    port = free_port()
    url = serve.url.replace("http", "ws") + "/api/v4/websocket"
    headers = {"Authorization": f"Bearer {admin.token}"}

    async def say(message: str, **more: Any) -> Json:
        said: Json = await admin.call("POST", "/posts", {"channel_id": room["id"], "message": message, **more})
        return said

    async with running(serve, token, port), websockets.connect(url, additional_headers=headers) as socket:
        ears = Ears(socket)

        async def answer(message: str) -> Json:
            """Return the bot's next post with this message."""
            return await ears.next(
                "posted",
                "post",
                lambda post: (post["user_id"], post["message"]) == (bot["user_id"], message),
            )

        # Answers in threads; a name in front is taken off, and some things are said to who names it only.
        post = await say("hail Ishmael")
        reply = await answer("Ahoy, Ishmael!")
        assert (reply["root_id"], reply["props"].get("from_bot")) == (post["id"], "true")
        await say("hail Queequeg", root_id=post["id"])
        assert (await answer("Ahoy, Queequeg!"))["root_id"] == post["id"]
        await say("called")
        called = await say(f"@{bot['username']} called")
        assert (await answer("somebody called me"))["root_id"] == called["id"]

        # Direct messages, its and ours.
        await say("secret")
        await say("whisper")
        whispered = await answer("psst")
        direct = await admin.call("POST", "/channels/direct", [admin.id, bot["user_id"]])
        assert (whispered["channel_id"], whispered["root_id"]) == (direct["id"], "")
        secret = await say("secret", channel_id=direct["id"])
        assert (await answer("between us"))["root_id"] == secret["id"]

        # A reaction and a file.
        post = await say("like")
        reaction = await ears.next("reaction_added", "reaction", lambda row: row["post_id"] == post["id"])
        assert (reaction["user_id"], reaction["emoji_name"]) == (bot["user_id"], "+1")
        await say("chart")
        file = (await answer("a chart"))["metadata"]["files"][0]
        assert (file["name"], file["mime_type"]) == ("chart.txt", "text/plain")
        assert (await admin.rest.get(f"/files/{file['id']}")).text == "here be dragons"

        # A button that calls the bot, which changes the post and says something to who pressed it.
        await say("button")
        post = await answer("")
        action = post["props"]["attachments"][0]["actions"][0]
        assert "integration" not in action
        await admin.call("POST", f"/posts/{post['id']}/actions/{action['id']}", {})
        edited = await ears.next("post_edited", "post", lambda row: row["id"] == post["id"])
        assert (edited["message"], edited["props"].get("attachments")) == ("pressed", None)
        shown = await ears.next("ephemeral_message", "post", lambda row: row["channel_id"] == room["id"])
        assert shown["message"] == f"thanks, {admin.name}"

        # An outgoing webhook that calls the bot.
        hook = {"team_id": team["id"], "channel_id": room["id"], "display_name": "bell", "trigger_words": ["ring"]}
        called_at = {"callback_urls": [f"http://127.0.0.1:{port}/hooks/bell"], "content_type": "application/json"}
        await admin.call("POST", "/hooks/outgoing", hook | called_at, expect=201)
        await say("ring twice")
        await answer("bell: ring twice")

        # Who did not name it, or was not alone with it, got no answer; its own list of what it can do.
        await say("help", channel_id=direct["id"])
        helped = await ears.next(
            "posted", "post", lambda post: post["user_id"] == bot["user_id"] and "hail" in post["message"]
        )
        assert helped["channel_id"] == direct["id"]
        posts = (await admin.call("GET", f"/channels/{room['id']}/posts"))["posts"].values()
        said = [post["message"] for post in posts if post["user_id"] == bot["user_id"]]
        assert (said.count("somebody called me"), said.count("between us")) == (1, 0)
    await admin.stop()
