"""Snapshot + events == fresh snapshot: whatever happens, a client that listened knows what a fresh load says.

Each scenario acts by REST; then both people's states, made by events alone, are compared with fresh loads.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.conformance.client import Client, Json
from tests.fixtures.serve import Serve
from tests.integration.links.site import described, reply, site_at
from tidewire.wire.ids import new_token


class World:
    """Ada and Bob in a team with a channel; Eve is in the team only."""

    ada: Client
    bob: Client
    eve: Client
    team: Json
    room: Json

    def __init__(self, serve: Serve) -> None:
        self.ada, self.bob, self.eve = (Client(serve, name) for name in ("ada", "bob", "eve"))

    async def begin(self) -> "World":
        """Sign up, make the team and the room, and listen."""
        for person in self.people:
            await person.sign_up()
        body = {"name": f"team-{new_token()[:10]}", "display_name": "Team", "type": "O"}
        self.team = await self.ada.call("POST", "/teams", body)
        for person in (self.bob, self.eve):
            member = {"team_id": self.team["id"], "user_id": person.id}
            await self.ada.call("POST", f"/teams/{self.team['id']}/members", member)
        self.room = await self.new_channel("O")
        await self.ada.call("POST", f"/channels/{self.room['id']}/members", {"user_id": self.bob.id})
        for person in self.people:
            await person.start()
        return self

    @property
    def people(self) -> list[Client]:
        return [self.ada, self.bob, self.eve]

    async def new_channel(self, kind: str) -> Json:
        body = {"team_id": self.team["id"], "name": f"c-{new_token()[:10]}", "display_name": "Room", "type": kind}
        channel: Json = await self.ada.call("POST", "/channels", body)
        return channel

    async def settle(self) -> None:
        """Wait until everybody knows what a fresh load says.

        After one came (back) into a channel: of a post that was deleted before he has loaded it, events alone do not
        tell him whether it is in the number that he loaded.
        """
        for person in self.people:
            await person.settle()

    async def post(self, person: Client, message: str, channel: Json | None = None, root: Json | None = None) -> Json:
        body = {"channel_id": (channel or self.room)["id"], "message": message, "root_id": root["id"] if root else ""}
        post: Json = await person.call("POST", "/posts", body, expect=201)
        return post


@pytest_asyncio.fixture
async def world(serve: Serve) -> AsyncIterator[World]:
    made = World(serve)
    try:
        yield await made.begin()
    finally:
        for person in made.people:
            await person.stop()


async def post_and_reply(w: World) -> None:
    root = await w.post(w.ada, "one")
    await w.post(w.bob, "two", root=root)
    await w.post(w.ada, "three", root=root)


async def edit_and_pin(w: World) -> None:
    post = await w.post(w.ada, "draft")
    await w.ada.call("PUT", f"/posts/{post['id']}/patch", {"message": "final"})
    await w.bob.call("POST", f"/posts/{post['id']}/pin")


async def delete_post(w: World) -> None:
    root = await w.post(w.ada, "root")
    reply = await w.post(w.bob, "reply", root=root)
    await w.post(w.ada, "stays", root=root)
    await w.bob.call("DELETE", f"/posts/{reply['id']}")


async def delete_root(w: World) -> None:
    root = await w.post(w.ada, "root")
    await w.post(w.bob, "reply", root=root)
    await w.ada.call("DELETE", f"/posts/{root['id']}")


async def react(w: World) -> None:
    post = await w.post(w.ada, "nice")
    for person, emoji in ((w.bob, "wave"), (w.ada, "wave"), (w.bob, "tada")):
        await person.call("POST", "/reactions", {"user_id": person.id, "post_id": post["id"], "emoji_name": emoji})
    await w.bob.call("DELETE", f"/users/me/posts/{post['id']}/reactions/wave")


async def acknowledge(w: World) -> None:
    priority = {"priority": "urgent", "requested_ack": True}
    body = {"channel_id": w.room["id"], "message": f"@{w.bob.name} now", "metadata": {"priority": priority}}
    post = await w.ada.call("POST", "/posts", body, expect=201)
    await w.post(w.ada, f"@{w.bob.name}?", root=post)
    for person in (w.bob, w.ada):
        await person.call("POST", f"/users/me/posts/{post['id']}/ack")
    await w.bob.call("DELETE", f"/users/me/posts/{post['id']}/ack")
    await w.ada.call("PUT", f"/posts/{post['id']}/patch", {"message": f"@{w.bob.name} now!"})


async def view(w: World) -> None:
    await w.post(w.ada, "unread")
    await w.bob.call("POST", "/channels/members/me/view", {"channel_id": w.room["id"], "prev_channel_id": ""})


async def mention(w: World) -> None:
    root = await w.post(w.ada, f"hello @{w.bob.name}, @{w.eve.name} and @all")
    await w.post(w.bob, f"@{w.ada.name} yes", root=root)
    await w.post(w.ada, f"`@{w.bob.name}` @{w.bob.name.upper()}.", root=root)


async def read_threads(w: World) -> None:
    root = await w.post(w.ada, f"hello @{w.bob.name}")
    reply = await w.post(w.ada, f"@{w.bob.name}", root=root)
    await w.post(w.ada, "again", root=root)
    thread = f"/users/me/teams/{w.team['id']}/threads/{root['id']}"
    await w.bob.call("PUT", f"{thread}/read/{reply['create_at']}")
    await w.bob.call("POST", f"{thread}/set_unread/{reply['id']}")
    await w.ada.call("DELETE", f"{thread}/following")
    await w.post(w.bob, "unheard", root=root)
    await w.ada.call("PUT", f"{thread}/following")
    await w.bob.call("PUT", f"/users/me/teams/{w.team['id']}/threads/read")


async def mark_unread(w: World) -> None:
    post = await w.post(w.ada, f"hello @{w.bob.name}")
    await w.post(w.ada, "more")
    body = {"collapsed_threads_supported": True}
    await w.bob.call("POST", f"/users/me/posts/{post['id']}/set_unread", body)
    await w.post(w.ada, f"even more @{w.bob.name}")
    await w.ada.call("POST", "/channels/members/me/mark_read", [w.room["id"]])


async def create_channels(w: World) -> None:
    await w.new_channel("O")
    secret = await w.new_channel("P")
    await w.ada.call("POST", f"/channels/{secret['id']}/members", {"user_id": w.bob.id})
    await w.post(w.bob, "in secret", secret)


async def direct_and_group(w: World) -> None:
    direct = await w.ada.call("POST", "/channels/direct", [w.ada.id, w.bob.id])
    await w.post(w.ada, "psst", direct)
    await w.bob.call("POST", "/channels/members/me/view", {"channel_id": direct["id"]})
    group = await w.ada.call("POST", "/channels/group", [w.ada.id, w.bob.id, w.eve.id])
    await w.post(w.eve, "all three", group)


async def patch_channel(w: World) -> None:
    patch = {"header": "news", "display_name": "Hall", "purpose": "talk"}
    await w.ada.call("PUT", f"/channels/{w.room['id']}/patch", patch)


async def archive_channel(w: World) -> None:
    gone = await w.new_channel("P")
    await w.ada.call("POST", f"/channels/{gone['id']}/members", {"user_id": w.bob.id})
    await w.ada.call("DELETE", f"/channels/{gone['id']}")


async def remove_and_add(w: World) -> None:
    await w.ada.call("DELETE", f"/channels/{w.room['id']}/members/{w.bob.id}")
    await w.post(w.ada, "without bob")
    await w.ada.call("POST", f"/channels/{w.room['id']}/members", {"user_id": w.bob.id})
    await w.post(w.ada, "with bob")
    await w.ada.call("POST", f"/channels/{w.room['id']}/members", {"user_id": w.eve.id})
    await w.eve.call("DELETE", f"/channels/{w.room['id']}/members/{w.eve.id}")
    await w.settle()


async def leave_team(w: World) -> None:
    await w.bob.call("DELETE", f"/teams/{w.team['id']}/members/{w.bob.id}")
    await w.post(w.ada, "bob left")
    await w.ada.call("POST", f"/teams/{w.team['id']}/members", {"team_id": w.team["id"], "user_id": w.bob.id})
    await w.ada.call("POST", f"/channels/{w.room['id']}/members", {"user_id": w.bob.id})
    await w.settle()


async def preferences(w: World) -> None:
    rows = [{"user_id": w.ada.id, "category": "display_settings", "name": name, "value": "x"} for name in ("a", "b")]
    await w.ada.call("PUT", "/users/me/preferences", rows)
    await w.ada.call("POST", "/users/me/preferences/delete", rows[:1])
    for command in ("/collapse", "/expand"):
        await w.ada.call("POST", "/commands/execute", {"command": command, "channel_id": w.room["id"]})


async def drafts(w: World) -> None:
    root = await w.post(w.ada, "root")
    for root_id, message in (("", "to say"), (root["id"], "to answer"), ("", "to say later")):
        body = {"user_id": w.bob.id, "channel_id": w.room["id"], "root_id": root_id, "message": message}
        await w.bob.call("POST", "/drafts", {**body, "create_at": 1, "update_at": 2, "delete_at": 3})
    await w.bob.call("DELETE", f"/users/me/channels/{w.room['id']}/drafts/{root['id']}")


async def patch_me(w: World) -> None:
    await w.bob.call("PUT", "/users/me/patch", {"nickname": "Bobby", "position": "Bosun"})


async def change_team(w: World) -> None:
    path = f"/teams/{w.team['id']}"
    await w.ada.call("PUT", path + "/patch", {"description": new_token(), "company_name": "Gulls"})
    await w.ada.call("PUT", path + "/privacy", {"privacy": "I"})
    await w.ada.call("PUT", path + "/privacy", {"privacy": "O"})
    await w.ada.call("POST", path + "/regenerate_invite_id")


async def archive_team(w: World) -> None:
    body = {"name": f"team-{new_token()[:10]}", "display_name": "Other", "type": "O"}
    team = await w.ada.call("POST", "/teams", body)
    members = [{"team_id": team["id"], "user_id": person.id} for person in (w.bob, w.eve)]
    await w.ada.call("POST", f"/teams/{team['id']}/members/batch", members)
    await w.ada.call("DELETE", f"/teams/{team['id']}")
    await w.ada.call("POST", f"/teams/{team['id']}/restore")
    await w.bob.call("DELETE", f"/teams/{team['id']}/members/{w.bob.id}")


async def team_roles(w: World) -> None:
    path = f"/teams/{w.team['id']}/members/{w.bob.id}"
    await w.ada.call("PUT", path + "/roles", {"roles": "team_user team_admin"})
    await w.ada.call("PUT", path + "/schemeRoles", {"scheme_user": True, "scheme_admin": False})


async def channel_roles_and_props(w: World) -> None:
    room = await w.new_channel("O")
    await w.ada.call("POST", f"/channels/{room['id']}/members", {"user_ids": [w.bob.id, w.eve.id]})
    path = f"/channels/{room['id']}/members/{w.bob.id}"
    await w.ada.call("PUT", path + "/roles", {"roles": "channel_user channel_admin"})
    await w.post(w.ada, "between", room)
    await w.bob.call("PUT", path + "/notify_props", {"mark_unread": "mention", "desktop": "none"})
    await w.post(w.eve, "after", room)


async def restore_channel(w: World) -> None:
    for kind in ("O", "P"):
        room = await w.new_channel(kind)
        await w.ada.call("POST", f"/channels/{room['id']}/members", {"user_id": w.bob.id})
        await w.ada.call("DELETE", f"/channels/{room['id']}")
        await w.ada.call("POST", f"/channels/{room['id']}/restore")


async def change_privacy(w: World) -> None:
    room = await w.new_channel("O")
    await w.ada.call("POST", f"/channels/{room['id']}/members", {"user_id": w.bob.id})
    await w.ada.call("PUT", f"/channels/{room['id']}/privacy", {"privacy": "P"})
    update = {"id": room["id"], "display_name": "Now private", "header": "h"}
    await w.bob.call("PUT", f"/channels/{room['id']}", update)


async def convert_group(w: World) -> None:
    # The three have one group channel; a converted one is a channel of its own, and the next a new group.
    group = await w.ada.call("POST", "/channels/group", [w.ada.id, w.bob.id, w.eve.id])
    await w.post(w.bob, "in the group", group)
    body = {
        "channel_id": group["id"],
        "team_id": w.team["id"],
        "name": f"c-{new_token()[:10]}",
        "display_name": "Once a group",
    }
    await w.ada.call("POST", f"/channels/{group['id']}/convert_to_channel", body)
    await w.post(w.eve, "in the channel", group)


async def categories(w: World) -> None:
    path = f"/users/me/teams/{w.team['id']}/channels/categories"
    rooms = [await w.new_channel(kind) for kind in ("O", "P")]
    ids = [room["id"] for room in rooms]
    own = await w.ada.call("POST", path, {"display_name": "Own", "channel_ids": ids})
    await w.ada.call("PUT", f"{path}/{own['id']}", {**own, "channel_ids": ids[:1], "muted": True, "collapsed": True})
    favorites = f"favorites_{w.ada.id}_{w.team['id']}"
    await w.ada.call("PUT", path, [{**own, "channel_ids": []}, {"id": favorites, "channel_ids": [*ids, w.room["id"]]}])
    order = await w.ada.call("GET", path + "/order")
    await w.ada.call("PUT", path + "/order", order[::-1])
    await w.ada.call("DELETE", f"/channels/{ids[1]}")
    item = {"user_id": w.ada.id, "category": "favorite_channel", "name": ids[0], "value": "true"}
    await w.ada.call("POST", "/users/me/preferences/delete", [item])
    await w.ada.call("PUT", "/users/me/preferences", [item])
    await w.ada.call("DELETE", f"{path}/{own['id']}")


async def choose_status(w: World) -> None:
    for status in ("dnd", "online"):
        await w.bob.call("PUT", "/users/me/status", {"user_id": w.bob.id, "status": status})


async def custom_status(w: World) -> None:
    await w.ada.call("PUT", "/users/me/status/custom", {"emoji": "palm_tree", "text": "away"})
    await w.ada.call("DELETE", "/users/me/status/custom")
    await w.ada.call("PUT", "/users/me/status/custom", {"text": "back"})


# The smallest GIF there is.
DOT = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"


async def picture(w: World) -> None:
    for person in (w.ada, w.bob):
        answer = await person.rest.post("/users/me/image", files={"image": ("x.gif", DOT)})
        assert answer.status_code == 200, answer.text
    await w.bob.call("DELETE", "/users/me/image")


async def files(w: World) -> None:
    ids = []
    for name, content in (("a.txt", b"words"), ("b.txt", b"more"), ("c.gif", DOT)):
        path = f"/files?channel_id={w.room['id']}&filename={name}"
        answer = await w.ada.rest.post(path, content=content)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["file_infos"][0]["id"])
    body = {"channel_id": w.room["id"], "message": "", "file_ids": ids[:2]}
    root = await w.ada.call("POST", "/posts", body, expect=201)
    await w.post(w.bob, "nice", root=root)
    await w.ada.call("PUT", f"/posts/{root['id']}/patch", {"file_ids": ids[1:]})
    reply = {**body, "file_ids": [], "root_id": root["id"], "message": "without"}
    await w.ada.call("POST", "/posts", reply, expect=201)
    await w.bob.call("POST", f"/posts/{root['id']}/pin")


async def refer(w: World, site: str) -> None:
    """Posts that name channels and show posts which some of the people may not read."""
    room, secret, hall = [await w.new_channel(kind) for kind in ("O", "P", "O")]
    await w.ada.call("POST", f"/channels/{room['id']}/members", {"user_ids": [w.bob.id, w.eve.id]})
    await w.ada.call("POST", f"/channels/{secret['id']}/members", {"user_id": w.bob.id})
    for place in (secret, hall, room):
        shown = await w.post(w.ada, "shown", place)
        link = f"{site}/{w.team['name']}/pl/{shown['id']}"
        post = await w.post(w.bob, f"{link} ~{secret['name']} ~{hall['name']}", room)
        reply = await w.post(w.ada, f"again {link}", room, post)
        await w.bob.call("PUT", f"/posts/{post['id']}/patch", {"message": f"~{secret['name']}"})
        await w.ada.call("PUT", f"/posts/{reply['id']}/patch", {"message": f"~{hall['name']} {link}"})
        await w.bob.call("POST", f"/posts/{reply['id']}/pin")


async def restore_version(w: World) -> None:
    root = await w.post(w.ada, f"#first @{w.bob.name}")
    await w.post(w.bob, "a reply", root=root)
    for message in ("second", "third"):
        await w.ada.call("PUT", f"/posts/{root['id']}/patch", {"message": message})
    versions = await w.ada.call("GET", f"/posts/{root['id']}/edit_history")
    await w.ada.call("POST", f"/posts/{root['id']}/restore/{versions[-1]['id']}")


async def mark_unread_without_collapsed_threads(w: World) -> None:
    """A client without collapsed threads marks a reply as unread, and then sees the channel with its threads."""
    root = await w.post(w.ada, "root")
    replies = [await w.post(w.ada, f"@{w.bob.name} {n}", root=root) for n in range(2)]
    await w.post(w.ada, f"behind them @{w.bob.name}")
    await w.bob.call("POST", f"/users/me/posts/{replies[1]['id']}/set_unread", {})
    await w.post(w.ada, "one more", root=root)
    await w.bob.call("POST", "/channels/members/me/view", {"channel_id": w.room["id"]})
    await w.post(w.ada, "and another", root=root)
    await w.bob.call("POST", f"/users/me/posts/{root['id']}/set_unread", {})


async def delete_mentions(w: World) -> None:
    root = await w.post(w.ada, f"@{w.bob.name}")
    replies = [await w.post(w.ada, f"@{w.bob.name} {n}", root=root) for n in range(3)]
    await w.ada.call("DELETE", f"/posts/{replies[0]['id']}")
    await w.ada.call("DELETE", f"/posts/{replies[2]['id']}")
    other = await w.post(w.ada, f"@{w.bob.name}")
    await w.ada.call("DELETE", f"/posts/{other['id']}")


async def delete_with_files(w: World) -> None:
    answer = await w.ada.rest.post(f"/files?channel_id={w.room['id']}&filename=a.txt", content=b"words")
    assert answer.status_code == 201, answer.text
    file_id = answer.json()["file_infos"][0]["id"]
    root = await w.post(w.bob, "root")
    body = {"channel_id": w.room["id"], "message": "", "file_ids": [file_id], "root_id": root["id"]}
    post = await w.ada.call("POST", "/posts", body, expect=201)
    await w.ada.call("DELETE", f"/posts/{post['id']}")


async def direct_threads(w: World) -> None:
    direct = await w.ada.call("POST", "/channels/direct", [w.ada.id, w.bob.id])
    root = await w.post(w.ada, "psst", direct)
    await w.post(w.bob, f"@{w.ada.name} what?", direct, root)
    reply = await w.post(w.ada, "this", direct, root)
    await w.bob.call("POST", f"/users/me/posts/{reply['id']}/set_unread", {"collapsed_threads_supported": True})
    await w.bob.call("POST", f"/users/me/posts/{reply['id']}/set_unread", {})
    await w.ada.call("PUT", f"/users/me/teams/{w.team['id']}/threads/read")
    await w.settle()
    await w.ada.call("DELETE", f"/posts/{reply['id']}")


async def leave_with_threads_and_drafts(w: World) -> None:
    root = await w.post(w.bob, "root")
    await w.post(w.ada, "reply", root=root)
    body = {"user_id": w.bob.id, "channel_id": w.room["id"], "root_id": root["id"], "message": "to answer"}
    await w.bob.call("POST", "/drafts", body)
    await w.bob.call("DELETE", f"/channels/{w.room['id']}/members/{w.bob.id}")
    await w.post(w.ada, f"@{w.bob.name}", root=root)
    await w.bob.call("POST", f"/channels/{w.room['id']}/members", {"user_id": w.bob.id})
    await w.post(w.ada, f"@{w.bob.name} again", root=root)
    await w.settle()


async def keywords_and_mutes(w: World) -> None:
    props = (await w.bob.call("GET", "/users/me"))["notify_props"]
    await w.bob.call("PUT", "/users/me/patch", {"notify_props": {**props, "mention_keys": "gull,\u9dd7"}})
    root = await w.post(w.ada, "a Gull")
    await w.post(w.ada, "\u3053\u306e\u9dd7\u3092", root=root)
    await w.bob.call("POST", "/commands/execute", {"command": "/mute", "channel_id": w.room["id"]})
    await w.post(w.ada, f"gull @all @{w.bob.name}")
    await w.bob.call("POST", "/commands/execute", {"command": "/mute", "channel_id": w.room["id"]})
    await w.bob.call("PUT", "/users/me/patch", {"notify_props": props})


async def programs(w: World) -> None:
    """Webhooks and commands write: in the channel, in a thread, to one user."""
    hook = await w.ada.call("POST", "/hooks/incoming", {"channel_id": w.room["id"], "username": "gate"})
    root = await w.post(w.bob, "root")
    site = w.ada.serve.url
    for payload in (
        {"text": f"<!channel> @{w.bob.name}", "attachments": [{"text": f"@{w.eve.name} :wave:"}]},
        {"text": f"answer @{w.bob.name}", "root_id": root["id"]},
        {"text": "for you", "channel": "@" + w.bob.name},
        {"text": "x" * 20_000},
        {"text": "now", "priority": {"priority": "urgent"}},
    ):
        answer = await w.ada.rest.post(f"{site}/hooks/{hook['id']}", json=payload)
        assert answer.status_code == 200, answer.text
    for person, command in (
        (w.ada, "/me waves"),
        (w.bob, f"/shrug @{w.ada.name}"),
        (w.ada, "/code x"),
        (w.ada, "/header news"),
        (w.ada, "/purpose talk"),
        (w.ada, "/rename Hall"),
        (w.ada, f"/msg @{w.bob.name} psst"),
        (w.bob, f"/groupmsg @{w.ada.name},@{w.eve.name} all"),
        (w.ada, f"/invite @{w.eve.name}"),
        (w.ada, f"/remove @{w.eve.name}"),
        (w.bob, "/leave"),
    ):
        body = {"command": command, "channel_id": w.room["id"], "team_id": w.team["id"]}
        await person.call("POST", "/commands/execute", body)
    await w.ada.call("POST", f"/channels/{w.room['id']}/members", {"user_id": w.bob.id})
    await w.settle()


async def remind(w: World) -> None:
    """A reminder comes within some seconds, by a direct message of the server's own account."""
    post = await w.post(w.ada, "later")
    due = int(time.time()) + 1
    await w.bob.call("POST", f"/users/me/posts/{post['id']}/reminder", {"target_time": due})
    seen = len(w.bob.state.posts)
    async with asyncio.timeout(30):
        while not any(post["type"] == "reminder" for post in w.bob.state.posts.values()):
            await asyncio.sleep(0.1)
    assert len(w.bob.state.posts) > seen


SCENARIOS: list[Callable[[World], Awaitable[None]]] = [
    post_and_reply,
    edit_and_pin,
    delete_post,
    delete_root,
    react,
    acknowledge,
    view,
    mention,
    read_threads,
    mark_unread,
    create_channels,
    direct_and_group,
    patch_channel,
    archive_channel,
    remove_and_add,
    leave_team,
    preferences,
    drafts,
    patch_me,
    change_team,
    archive_team,
    team_roles,
    channel_roles_and_props,
    restore_channel,
    change_privacy,
    convert_group,
    categories,
    files,
    restore_version,
    mark_unread_without_collapsed_threads,
    delete_mentions,
    delete_with_files,
    direct_threads,
    leave_with_threads_and_drafts,
    keywords_and_mutes,
    programs,
]


@pytest.mark.parametrize("scenario", [*SCENARIOS, remind], ids=lambda scenario: scenario.__name__)
async def test_events_lead_where_a_fresh_load_leads(world: World, scenario: Callable[[World], Awaitable[None]]) -> None:
    await scenario(world)
    await world.settle()


async def test_everything_in_random_order(world: World) -> None:
    order = random.Random(7)  # any fixed number: a failure must come again
    for _ in range(25):
        await order.choice(SCENARIOS)(world)
    await world.settle()


async def links(w: World) -> None:
    """Pages are allowed, linked to and found; links are edited away and back."""
    allowed = {"AllowedUntrustedInternalConnections": "127.0.0.1"}
    await w.ada.call("PUT", "/config/patch", {"ServiceSettings": allowed})
    async with site_at("127.0.0.1") as site:
        site.pages = {"/a": described(title="a", image="/i"), "/i": reply(DOT, "image/gif"), "/b": described(title="b")}
        first = await w.post(w.ada, site.url + "/a")
        second = await w.post(w.bob, f"{site.url}/b ![i]({site.url}/i)", root=first)
        await shows(w, first, "a")
        await shows(w, second, "b")
        await w.ada.call("PUT", f"/posts/{first['id']}/patch", {"message": f"{site.url}/b, {site.url}/a"})
        await shows(w, first, "b")
        await w.bob.call("PUT", f"/posts/{second['id']}/patch", {"message": "none"})


async def shows(w: World, post: Json, title: str) -> None:
    """Wait until a post shows the page of this title."""
    async with asyncio.timeout(30):
        while True:
            embeds = (await w.ada.call("GET", f"/posts/{post['id']}"))["metadata"]["embeds"]
            if embeds[0].get("data", {}).get("title") == title:
                return
            await asyncio.sleep(0.05)


async def test_what_only_admins_do(own_serve: Callable[..., Serve]) -> None:
    """Links lead to this machine and get an address, a channel moves to another team, and a team is deleted for good.

    The first account of a server is its admin.
    """
    w = await World(await asyncio.to_thread(own_serve)).begin()
    try:
        await links(w)
        await w.settle()
        body = {"name": f"team-{new_token()[:10]}", "display_name": "Other", "type": "O"}
        other = await w.ada.call("POST", "/teams", body)
        member = {"team_id": other["id"], "user_id": w.bob.id}
        await w.ada.call("POST", f"/teams/{other['id']}/members", member)
        await w.ada.call("POST", f"/channels/{w.room['id']}/members", {"user_id": w.eve.id})
        sidebar = f"/users/me/teams/{w.team['id']}/channels/categories"
        await w.bob.call("POST", sidebar, {"display_name": "Own", "channel_ids": [w.room["id"]]})
        root = await w.post(w.eve, "root")
        await w.post(w.bob, "reply", root=root)
        site = "https://chat.example.org"
        await w.ada.call("PUT", "/config/patch", {"ServiceSettings": {"SiteURL": site}})
        await w.settle()  # meanwhile every process hears of it
        await refer(w, site)
        await w.settle()
        assert {bool(post["metadata"].get("embeds")) for post in w.eve.state.posts.values()} == {False, True}
        await w.ada.call("POST", f"/channels/{w.room['id']}/move", {"team_id": other["id"], "force": True})
        await w.settle()
        await w.ada.call("PUT", "/config/patch", {"ServiceSettings": {"EnableAPITeamDeletion": True}})
        await w.ada.call("DELETE", f"/teams/{other['id']}?permanent=true")
        await w.settle()
        assert w.room["id"] not in w.bob.state.channels
    finally:
        for person in w.people:
            await person.stop()
