"""The small world with more kinds of people, and sockets for them."""

from dataclasses import dataclass
from typing import Any

from tests.fixtures.announced import Announced, announced
from tests.fixtures.api import Client, People
from tests.integration.gateway.world import Client as Socket
from tests.integration.gateway.world import World


@dataclass
class Crew:
    """`people` with a guest (in the open channel only), one who was deactivated after his log-in, maybe a bot."""

    people: People
    guest: Client
    gone: Client
    town: World  # the gateway; its `db` reads what the API wrote
    bot: Client  # of the admin, in no team, where the world has one (new_bot); else nobody

    async def socket(self, who: Client, **options: Any) -> Socket:
        """Open a socket of one's session and wait for hello."""
        token = who.http.headers["Authorization"].removeprefix("Bearer ")
        socket = await self.town.open(token, **options)
        await socket.event("hello")
        return socket

    async def announced(self, act: Any, *, names: tuple[str, ...] = ()) -> tuple[Any, list[Announced]]:
        """Return (the answer, what was announced meanwhile). names: only envelopes with such events."""
        url = self.people.api.settings.database.url
        _, before = await announced(url)
        answer = await act
        found, _ = await announced(url, after=before)
        return answer, [one for one in found if not names or {copy.name for copy in one.copies} & set(names)]


async def enlist(people: People, town: World) -> Crew:
    """Make the crew."""
    await people.api.user("guest")
    await people.api.user("gone")
    guest_id, gone_id = [
        (await people.admin.get(f"/users/username/{name}"))["id"] for name in ("guest", "gone")
    ]
    team, channel = people.team["id"], people.channel["id"]
    await people.owner.post(f"/teams/{team}/members", {"team_id": team, "user_id": guest_id})
    await people.owner.post(f"/channels/{channel}/members", {"user_id": guest_id})
    await people.admin.put("/config/patch", {"GuestAccountsSettings": {"Enable": True}})
    await people.admin.post(f"/users/{guest_id}/demote")
    await town.db.execute(
        "DELETE FROM channel_members WHERE user_id = $1 AND channel_id <> $2", guest_id, channel
    )
    gone = await people.api.anonymous().log_in("gone")
    await town.db.execute("UPDATE users SET delete_at = 1 WHERE id = $1", gone_id)
    guest = await people.api.anonymous().log_in("guest")
    return Crew(people, guest, gone, town, people.anonymous)


async def new_bot(people: People) -> Client:
    """Make a bot and return it with its access token."""
    made = await people.admin.post("/bots", {"username": "robot", "display_name": "Robot"}, expect=201)
    token = await people.admin.post(f"/users/{made['user_id']}/tokens", {"description": "its own"})
    bot = people.api.anonymous(Authorization="Bearer " + token["token"])
    bot.me = await bot.get("/users/me")
    return bot
