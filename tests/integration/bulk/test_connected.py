"""Who is connected while a file is imported: loads everything anew once it is in, and then hears what he is part of."""

from pathlib import Path

from tests.fixtures.api import Api, Client, new_settings
from tests.fixtures.transport import speaking
from tests.integration.bulk import town
from tests.integration.bulk.town import channel, post, team, user, write
from tests.integration.gateway.world import world

PASSWORD = "the old passphrase"


async def seen(who: Client, channel_id: str, tag: str = "") -> str:
    """Load a channel's posts unless they are those of the tag; return the new tag, "" for the same list."""
    answer = await who.request("GET", f"/channels/{channel_id}/posts", headers={"If-None-Match": tag})
    return "" if answer.status_code == 304 else answer.headers["ETag"]


def reaction(name: str, emoji: str, at: int) -> town.Object:
    return {"user": name, "emoji_name": emoji, "create_at": town.AT + at}


async def test_sockets_and_caches_learn_of_an_import(database_url: str, redis_url: str, tmp_path: Path) -> None:
    settings = new_settings(database_url, redis_url)
    people = [user(name, "town/square", password=PASSWORD) for name in ("ann", "bob", "cat")]
    places = [team("town"), channel("town", "square"), channel("town", "vault", type="P")]
    await town.run(settings, write(tmp_path / "one.jsonl", *places, *people))
    api = Api(settings)
    await api.start()
    with speaking("tcp", tmp_path):
        async with world(database_url, redis_url) as sockets:
            callers = {name: await api.anonymous().log_in(name, PASSWORD) for name in ("ann", "bob", "cat")}
            tokens = {name: one.http.headers["Authorization"].removeprefix("Bearer ") for name, one in callers.items()}
            ann = await sockets.open(tokens["ann"])
            first = await ann.event("hello")
            rows = await sockets.db.fetch("SELECT name, id FROM channels")
            ids = {row["name"]: row["id"] for row in rows}
            await callers["ann"].get(f"/channels/{ids['vault']}", expect=403)
            # Another file: she and bob come into the vault; cat is not in it.
            more = [user("ann", "town/vault"), user("bob", "town/vault"), post("town/vault", "bob", "imported", 0)]
            report = await town.run(settings, write(tmp_path / "two.jsonl", *more))
            assert report.made == {"post": 1}
            again = await ann.event("hello")
            assert again["data"]["connection_id"] != first["data"]["connection_id"]
            assert (await callers["ann"].get(f"/channels/{ids['vault']}"))["name"] == "vault"
            await callers["bob"].post("/posts", {"channel_id": ids["vault"], "message": "live"}, expect=201)
            told = await ann.event("posted")
            assert told["broadcast"]["channel_id"] == ids["vault"]
            posts = await callers["ann"].get(f"/channels/{ids['vault']}/posts")
            assert [posts["posts"][one]["message"] for one in posts["order"]] == ["live", "imported"]
            # Clients that ask for what changed since they last looked get what was imported meanwhile.
            since = await callers["ann"].get(f"/channels/{ids['vault']}/posts?since={town.AT + 1}")
            assert {one["message"] for one in since["posts"].values()} == {"live", "imported"}
            # Tags of lists that were loaded before hold no longer, though imports write beside the channel's events.
            tag = await seen(callers["ann"], ids["vault"])
            for number, more in enumerate(({"is_pinned": True}, {"reactions": [reaction("ann", "+1", 9)]})):
                file = write(tmp_path / f"again{number}.jsonl", post("town/vault", "bob", "imported", 0, **more))
                await town.run(settings, file)
                tag = await seen(callers["ann"], ids["vault"], tag)
                assert tag, more
            assert await seen(callers["ann"], ids["vault"], tag) == ""
    await api.stop()
