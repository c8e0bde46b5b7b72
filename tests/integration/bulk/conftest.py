"""A workspace with something of everything, made through the API; the tests of this folder only add to it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.api import Api, Client, People, new_settings, settle
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.files.shelf import drawn, upload
from tests.integration.people.crew import new_bot
from tests.integration.posts.chat import react, say
from tidewire.bulk.export import export
from tidewire.bulk.export_job import Options, Report
from tidewire.store.db import Database
from tidewire.store.objects import Objects, Place


@dataclass
class Site:
    """A workspace with something of everything, and its rows."""

    people: People
    bot: Client
    db: Database
    ids: dict[str, str] = field(default_factory=dict)  # of posts and channels that tests name

    @property
    def files(self) -> Path:
        """The folder of the file store."""
        return Path(self.people.api.settings.files.directory)

    @property
    def objects(self) -> Objects:
        """Where attachments are."""
        return Objects(Place(str(self.files)))

    async def export(self, path: Path, **options: Any) -> Report:
        """Export it."""
        force = options.pop("force", False)
        return await export(self.db, lambda: self.objects, path, Options(**options), force=force)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def site(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The workspace; its Redis is its own, since `redis_url` empties the session's."""
    redis = Redis(durable=False)
    redis.start()
    try:
        async with cloned(postgres) as url:
            files = {"directory": str(tmp_path_factory.mktemp("files"))}
            api = Api(new_settings(url, redis.url, files=files))
            await api.start()
            people = await settle(api)
            made = Site(people, await new_bot(people), Database(url))
            await fill(made)
            yield made
            await made.db.close()
            await api.stop()
    finally:
        redis.stop()


async def fill(site: Site) -> None:
    """Make something of everything."""
    people, ids = site.people, site.ids
    owner, member, channel = people.owner, people.member, people.channel["id"]
    files = [(await upload(member, channel, "Zeichnung ü.png", drawn()))["id"]]
    files += [(await upload(member, channel, "a.bin"))["id"] for _ in range(2)]
    root = await say(member, channel, "der Käse 🧀 @owner", file_ids=files, props={"mine": [1, {"two": None}]})
    ids["root"] = root["id"]
    reply = await say(owner, channel, "an answer", root_id=root["id"])
    await say(owner, channel, "a wrong answer", root_id=root["id"])
    (wrong,) = [one for one in await texts(owner, root["id"]) if one["message"] == "a wrong answer"]
    await owner.delete(f"/posts/{wrong['id']}")
    await owner.put(f"/posts/{reply['id']}/patch", {"message": "a better answer"})
    await react(owner, root["id"], "cheese_wedge")
    await react(member, reply["id"], "+1")
    await owner.post(f"/posts/{root['id']}/pin")
    saved = {"user_id": owner.id, "category": "flagged_post", "name": reply["id"], "value": "true"}
    theme = {"user_id": owner.id, "category": "theme", "name": "", "value": '{"type":"Onyx"}'}
    favorite = {"user_id": owner.id, "category": "favorite_channel", "name": channel, "value": "true"}
    steps = {"user_id": owner.id, "category": "tutorial_step", "name": owner.id, "value": "999"}
    often = {"user_id": owner.id, "category": "notifications", "name": "email_interval", "value": "900"}
    await owner.put("/users/me/preferences", [saved, theme, favorite, steps, often])
    await say(owner, channel, "never said")
    gone = (await say(owner, channel, "taken back"))["id"]
    await owner.delete(f"/posts/{gone}")
    await say(owner, channel, "urgent", metadata={"priority": {"priority": "urgent", "requested_ack": True}})
    ids["old"] = (await owner.new_channel(people.team["id"], "old", "O", member))["id"]
    await say(member, ids["old"], "long ago")
    await owner.delete(f"/channels/{ids['old']}")
    pair = await member.post("/channels/direct", [member.id, owner.id])
    await say(member, pair["id"], "between us")
    alone = await member.post("/channels/direct", [member.id, member.id])
    await say(member, alone["id"], "a note")
    group = await member.post("/channels/group", [member.id, owner.id, people.teammate.id])
    shown = {"user_id": owner.id, "category": "direct_channel_show", "name": member.id, "value": "true"}
    grouped = {"user_id": owner.id, "category": "group_channel_show", "name": group["id"], "value": "true"}
    await owner.put("/users/me/preferences", [shown, grouped])
    emoji = json.dumps({"name": "cheddar", "creator_id": member.id})
    form = {"emoji": (None, emoji), "image": ("c.png", drawn(size=(20, 20)), "image/png")}
    answer = await member.request("POST", "/emoji", files=form)
    assert answer.status_code == 200, answer.text
    picture = {"image": ("me.png", drawn(), "image/png")}
    assert (await member.request("POST", "/users/me/image", files=picture)).status_code == 200
    await owner.put("/users/me/status/custom", {"emoji": "palm_tree", "text": "on the beach"})
    await people.admin.delete(f"/users/{people.stranger.id}")
    found = await people.admin.get("/roles/name/system_post_all")
    await people.admin.put(f"/roles/{found['id']}/patch", {"permissions": ["create_post"]})


async def texts(who: Client, root_id: str) -> list[dict[str, Any]]:
    """Return the posts of a thread."""
    found: list[dict[str, Any]] = list((await who.get(f"/posts/{root_id}/thread"))["posts"].values())
    return found
