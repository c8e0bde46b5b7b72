"""A town of all kinds of callers around one team, and things made anew for each request that uses them up."""

import io
import itertools
import json
from typing import Any

import asyncpg
from PIL import Image

from tests.fixtures.announced import Announced, announced
from tests.fixtures.api import PASSWORD, Api, Client

Json = dict[str, Any]
CALLERS = (
    "anonymous",
    "gone",
    "stranger",
    "guest",
    "teammate",
    "member",
    "bot",
    "chanadmin",
    "teamadmin",
    "admin",
)
INSIDE = ("guest", "member", "bot", "chanadmin")  # who is in the channels besides their maker


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, "PNG")
    return out.getvalue()


class Town:
    """Callers by name; `ids` are what the braces of paths and bodies stand for."""

    def __init__(self, api: Api, database_url: str) -> None:
        self.api = api
        self.url = database_url
        self.callers: dict[str, Client] = {}
        self.ids: dict[str, str] = {"unknown": "x" * 26}
        self._numbers = itertools.count()
        self._connection: asyncpg.Connection | None = None

    def __getattr__(self, name: str) -> Client:
        try:
            return self.callers[name]
        except KeyError:
            raise AttributeError(name) from None

    async def sql(self, query: str, *args: Any) -> list[Any]:
        """Ask the database."""
        if self._connection is None:
            self._connection = await asyncpg.connect(self.url)
        rows: list[Any] = await self._connection.fetch(query, *args)
        return rows

    async def close(self) -> None:
        """Close the connection to the database."""
        if self._connection is not None:
            await self._connection.close()

    async def settle(self) -> None:
        """Make everybody, the team, a public and a private channel."""
        self.callers["anonymous"] = self.api.anonymous()
        for name in ("admin", "teamadmin", "chanadmin", "member", "teammate", "stranger"):
            self.callers[name] = await self.api.user(name)
        switched_on = {"GuestAccountsSettings": {"Enable": True}, "FileSettings": {"EnablePublicLink": True}}
        await self.admin.put("/config/patch", switched_on)
        self.callers["guest"] = await self.new_user("guest", roles="system_guest")
        self.callers["bot"] = await self.new_user("bot", is_bot=True)
        self.callers["gone"] = await self.api.user("gone")
        await self.sql("UPDATE users SET delete_at = 1 WHERE id = $1", self.gone.id)
        await self.sql("DELETE FROM sessions WHERE user_id = $1", self.gone.id)
        await self.admin.put(f"/users/{self.gone.id}/patch", {"nickname": "gone"})  # out of the caches
        for name, caller in self.callers.items():
            if name != "anonymous":
                self.ids[name] = caller.id
        other = await self.stranger.new_team("elsewhere")
        self.ids["other_team"] = other["id"]
        self.ids["other_invite"] = other["invite_id"]
        self.ids["other_channel"] = (await self.stranger.new_channel(other["id"], "far"))["id"]
        team = await self.new_team("home")
        self.ids["team"] = team["id"]
        self.ids["invite_id"] = team["invite_id"]
        self.ids["channel"] = (await self.new_channel("harbour"))["id"]
        self.ids["private"] = (await self.new_channel("hidden", "P"))["id"]
        self.ids["archived"] = (await self.new_archived())["id"]
        square = await self.member.get(f"/teams/{team['id']}/channels/name/town-square")
        self.ids["square"] = square["id"]
        asking = {"metadata": {"priority": {"requested_ack": True}}}
        self.ids["root"] = (await self.new_post(**asking))["id"]
        direct = await self.member.post("/channels/direct", [self.member.id, self.chanadmin.id])
        self.ids["direct"] = direct["id"]
        action = {"id": "press", "name": "Press", "integration": {"url": "http://127.0.0.1:9/"}}
        self.ids["button"] = (await self.new_post(props={"attachments": [{"text": "x", "actions": [action]}]}))["id"]
        self.ids["file"] = (await self.new_picture())["id"]
        group = [self.ids[name] for name in ("member", "chanadmin", "teamadmin")]
        self.ids["group"] = (await self.member.post("/channels/group", group))["id"]

    async def new_user(self, name: str, *, roles: str = "system_user", is_bot: bool = False) -> Client:
        """Make an account that is a guest or a bot, and log it in."""
        caller = self.api.anonymous()
        account = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        await caller.post("/users", account, expect=201)
        await self.sql("UPDATE users SET roles = $2 WHERE username = $1", name, roles)
        await caller.log_in(name)
        if is_bot:
            await self.sql("UPDATE users SET is_bot = true WHERE username = $1", name)
            await self.admin.put(f"/users/{caller.id}/patch", {"nickname": name})
        return caller

    def number(self) -> int:
        """Return another number each time."""
        return next(self._numbers)

    async def new_team(self, name: str = "") -> Json:
        """Make a team of teamadmin's with all who are inside."""
        team = await self.teamadmin.new_team(name or f"team{self.number()}")
        everybody = [self.ids[name] for name in (*INSIDE, "teammate")]
        body = [{"team_id": team["id"], "user_id": user_id} for user_id in everybody]
        await self.admin.post(f"/teams/{team['id']}/members/batch", body, expect=201)
        return team

    async def new_channel(self, name: str = "", kind: str = "O", team_id: str = "") -> Json:
        """Make a channel of chanadmin's with all who are inside."""
        team_id = team_id or self.ids["team"]
        channel = await self.chanadmin.new_channel(team_id, name or f"channel{self.number()}", kind)
        body = {"user_ids": [self.ids[name] for name in INSIDE]}
        await self.chanadmin.post(f"/channels/{channel['id']}/members", body, expect=201)
        return channel

    async def fill(self, text: str) -> str:
        """Return a text with its braces filled; what begins with "new_" is made for it."""
        for word, make in (
            ("{new_team}", self.new_team),
            ("{new_channel}", self.new_channel),
            ("{new_private}", lambda: self.new_channel(kind="P")),
            ("{new_archived}", self.new_archived),
            ("{new_newcomer}", self.new_newcomer),
            ("{new_post}", self.new_post),
            ("{new_bot}", self.new_bot),
            ("{new_token}", self.new_token),
            ("{new_incoming}", self.new_incoming),
            ("{new_outgoing}", self.new_outgoing),
            ("{new_command}", self.new_command),
            ("{new_upload}", self.new_upload),
            ("{new_emoji}", self.new_emoji),
        ):
            if word in text:
                text = text.replace(word, (await make())["id"])
        text = text.replace("{n}", str(self.number()))
        for name, value in self.ids.items():
            text = text.replace("{" + name + "}", value)
        return text

    async def fill_in(self, value: Any) -> Any:
        """Return a body with the braces of its strings filled."""
        if isinstance(value, dict):
            return {key: await self.fill_in(one) for key, one in value.items()}
        if isinstance(value, list):
            return [await self.fill_in(one) for one in value]
        return await self.fill(value) if isinstance(value, str) else value

    async def new_post(self, **more: Any) -> Json:
        """Make a post of member's in the private channel."""
        body = {"channel_id": self.ids["private"], "message": "a post", **more}
        made: Json = await self.member.post("/posts", body, expect=201)
        return made

    async def new_bot(self) -> Json:
        """Make a bot of admin's."""
        made = await self.admin.post("/bots", {"username": f"bot{self.number()}"}, expect=201)
        return {"id": made["user_id"]}

    async def new_token(self) -> Json:
        """Make an access token of member's."""
        made: Json = await self.admin.post(f"/users/{self.member.id}/tokens", {"description": "x"})
        return made

    async def new_incoming(self) -> Json:
        """Make an incoming webhook of teamadmin's."""
        made: Json = await self.teamadmin.post("/hooks/incoming", {"channel_id": self.ids["square"]}, expect=201)
        return made

    async def new_outgoing(self) -> Json:
        """Make an outgoing webhook of teamadmin's."""
        body = {"team_id": self.ids["team"], "trigger_words": [f"word{self.number()}"]}
        made: Json = await self.teamadmin.post(
            "/hooks/outgoing", {**body, "callback_urls": ["http://x.example/"]}, expect=201
        )
        return made

    async def new_command(self) -> Json:
        """Make a command of teamadmin's."""
        body = {"team_id": self.ids["team"], "trigger": f"word{self.number()}", "method": "P"}
        made: Json = await self.teamadmin.post("/commands", {**body, "url": "http://x.example/"}, expect=201)
        return made

    async def new_upload(self) -> Json:
        """Begin an upload of member's into the private channel, of three bytes."""
        body = {"channel_id": self.ids["private"], "filename": "a", "file_size": 3}
        made: Json = await self.member.post("/uploads", body, expect=201)
        return made

    async def new_emoji(self) -> Json:
        """Make an emoji of member's."""
        form = {"emoji": json.dumps({"name": f"emoji{self.number()}", "creator_id": self.member.id})}
        answer = await self.member.request("POST", "/emoji", files={"image": ("x.png", _picture())}, data=form)
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        return made

    async def new_picture(self) -> Json:
        """Make a post of member's with a picture in the private channel; return the file."""
        path = f"/files?channel_id={self.ids['private']}&filename=x.png"
        answer = await self.member.request("POST", path, content=_picture())
        assert answer.status_code == 201, answer.text
        file: Json = answer.json()["file_infos"][0]
        await self.new_post(file_ids=[file["id"]])
        return file

    async def new_archived(self) -> Json:
        """Make an archived public channel."""
        channel = await self.new_channel()
        await self.chanadmin.delete(f"/channels/{channel['id']}")
        return channel

    async def new_newcomer(self) -> Json:
        """Make an account that is in the team and in none but its default channels."""
        name = f"new{self.number()}"
        account = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        made: Json = await self.admin.post("/users", account, expect=201)
        member = {"team_id": self.ids["team"], "user_id": made["id"]}
        await self.admin.post(f"/teams/{self.ids['team']}/members", member, expect=201)
        return made

    async def announced_by(self, act: Any) -> tuple[Any, list[Announced]]:
        """Return (the answer of an awaitable, what was announced meanwhile without posts)."""
        _, before = await announced(self.url)
        answer = await act
        found, _ = await announced(self.url, after=before)
        return answer, [item for item in found if not any(copy.name == "posted" for copy in item.copies)]
