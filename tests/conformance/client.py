"""A client with a memory, as the apps have one: it loads a snapshot by REST and then applies events.

Only what the contract promises is compared: `State.view` is the same whether it was loaded or reached by events.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import websockets

from tests.fixtures.serve import Serve
from tidewire.wire.ids import new_token

PASSWORD = "Passw0rd-for-tests"
Json = dict[str, Any]
# Mattermost API v4: these system posts do not count as messages.
UNCOUNTED = frozenset(
    f"system_{kind}"
    for kind in (
        "join_leave",
        "join_channel",
        "leave_channel",
        "join_team",
        "leave_team",
        "add_to_channel",
        "remove_from_channel",
        "add_to_team",
        "remove_from_team",
    )
)
_TEAM = ("name", "display_name", "description", "type", "allow_open_invite", "company_name", "delete_at")
_CHANNEL = (
    "type",
    "team_id",
    "name",
    "display_name",
    "header",
    "purpose",
    "delete_at",
    "last_post_at",
    "last_root_post_at",
    "total_msg_count",
    "total_msg_count_root",
)
_MEMBER = (
    "msg_count",
    "msg_count_root",
    "mention_count",
    "mention_count_root",
    "urgent_mention_count",
    "last_viewed_at",
    "roles",
    "notify_props",
)
_THREAD = ("reply_count", "last_reply_at", "unread_replies", "unread_mentions", "is_urgent")
_POST = (
    "message",
    "user_id",
    "channel_id",
    "root_id",
    "type",
    "is_pinned",
    "edit_at",
    "create_at",
    "reply_count",
    "last_reply_at",
    "file_ids",
)


def _difference(told: Any, fresh: Any) -> Any:
    """Return what differs, member by member, as (from events, from a fresh load)."""
    if not (isinstance(told, dict) and isinstance(fresh, dict)):
        return told, fresh
    keys = told.keys() | fresh.keys()
    return {key: _difference(told.get(key), fresh.get(key)) for key in keys if told.get(key) != fresh.get(key)}


_DRAFT = ("message", "type", "props", "file_ids", "priority", "create_at", "update_at", "delete_at")
_ME = ("username", "nickname", "first_name", "position", "roles", "props", "last_picture_update", "update_at")


@dataclass
class State:
    """What a client remembers: rows by id."""

    teams: dict[str, Json] = field(default_factory=dict)
    channels: dict[str, Json] = field(default_factory=dict)
    members: dict[str, Json] = field(default_factory=dict)
    posts: dict[str, Json] = field(default_factory=dict)
    threads: dict[str, Json] = field(default_factory=dict)
    people: dict[str, set[str]] = field(default_factory=dict)
    preferences: dict[tuple[str, str], str] = field(default_factory=dict)
    drafts: dict[tuple[str, str], Json] = field(default_factory=dict)  # by channel and root
    team_roles: dict[str, str] = field(default_factory=dict)
    # By team: category id → its row; the order of the ids is the dict's.
    sidebars: dict[str, dict[str, Json]] = field(default_factory=dict)
    me: Json = field(default_factory=dict)
    status: str = ""

    def view(self) -> Json:
        """Return what must be equal after events and after a fresh load."""
        return {
            "teams": {key: {name: row[name] for name in _TEAM} for key, row in self.teams.items()},
            "team_roles": self.team_roles,
            "sidebars": {key: _sidebar_view(rows) for key, rows in self.sidebars.items()},
            "channels": {key: {name: row[name] for name in _CHANNEL} for key, row in self.channels.items()},
            "members": {key: {name: row[name] for name in _MEMBER} for key, row in self.members.items()},
            "posts": {key: _post_view(row) for key, row in self.posts.items()},
            "threads": {key: {name: row[name] for name in _THREAD} for key, row in self.threads.items()},
            "people": {key: sorted(ids) for key, ids in self.people.items()},
            "preferences": self.preferences,
            "drafts": {
                key: {name: row.get(name) for name in _DRAFT}
                for key, row in self.drafts.items()
                if key[0] in self.channels and not self.channels[key[0]]["delete_at"]
            },
            "me": {name: self.me.get(name) for name in _ME},
            "status": self.status,
        }


def _post_view(post: Json) -> Json:
    reactions = {(row["user_id"], row["emoji_name"]) for row in post["metadata"].get("reactions") or []}
    people = sorted(row["id"] for row in post["participants"] or [])
    files = post["metadata"].get("files") or []
    more = {"reactions": reactions, "participants": people, "files": files}
    more |= {name: post["props"].get(name) for name in ("previewed_post", "channel_mentions")}
    more |= {name: post["metadata"].get(name) or None for name in ("embeds", "images")}
    more |= {
        "priority": post["metadata"].get("priority"),
        "acknowledgements": post["metadata"].get("acknowledgements") or [],
    }
    return {name: post[name] for name in _POST} | more


def _sidebar_view(rows: dict[str, Json]) -> list[Json]:
    """Return the categories in order. The order of channels is promised only where the user gave them one."""
    names = ("id", "display_name", "type", "sorting", "muted", "collapsed")
    return [
        {name: row[name] for name in names}
        | {"channels": row["channel_ids"] if row["type"] == "custom" else sorted(row["channel_ids"])}
        for row in rows.values()
    ]


class Refused(AssertionError):
    """A call was answered 403 or 404 where the test did not expect it."""


class Client:
    """One person: REST with a bearer token, one socket, one state."""

    def __init__(self, serve: Serve, name: str) -> None:
        self.serve = serve
        self.name = f"{name}-{new_token()[:10]}"
        self.rest = httpx.AsyncClient(base_url=serve.url + "/api/v4", timeout=20)
        self.id = ""
        self.token = ""
        self.state = State()
        self.seen: list[Json] = []
        self.next_seq = 0
        self.failure: Exception | None = None
        self._listener: asyncio.Task[None] | None = None
        self._applied = asyncio.Condition()

    async def call(self, method: str, path: str, body: Any = None, *, expect: int = 0) -> Any:
        """Call the API; return the JSON answer. expect: the status, else any 2xx."""
        answer = await self.rest.request(method, path, json=body)
        if answer.status_code in (403, 404) and answer.status_code != expect:
            raise Refused(f"{method} {path}: {answer.text}")
        fine = answer.status_code == expect if expect else answer.is_success
        assert fine, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def sign_up(self) -> "Client":
        """Create the account and log in."""
        account = {"email": f"{self.name}@example.com", "username": self.name, "password": PASSWORD}
        self.id = (await self.call("POST", "/users", account, expect=201))["id"]
        answer = await self.rest.post("/users/login", json={"login_id": self.name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        self.token = answer.headers["Token"]
        self.rest.headers["Authorization"] = f"Bearer {self.token}"
        return self

    async def start(self) -> None:
        """Connect, then load the snapshot, then apply events: the order of the apps."""
        url = self.serve.url.replace("http", "ws") + "/api/v4/websocket"
        socket = await websockets.connect(url, additional_headers={"Authorization": f"Bearer {self.token}"})
        hello = json.loads(await socket.recv())
        assert (hello["event"], hello["seq"]) == ("hello", 0)
        self.next_seq = 1
        self.state = await self.load()
        self._listener = asyncio.create_task(self._listen(socket))

    async def stop(self) -> None:
        """Disconnect and close."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        await self.rest.aclose()

    async def load(self) -> State:
        """Return a fresh snapshot."""
        state = State()
        state.me = await self.call("GET", "/users/me")
        state.status = (await self.call("POST", "/users/status/ids", [self.id]))[0]["status"]
        state.teams = {row["id"]: row for row in await self.call("GET", "/users/me/teams")}
        state.team_roles = {row["team_id"]: row["roles"] for row in await self.call("GET", "/users/me/teams/members")}
        for team_id in state.teams:
            state.sidebars[team_id] = await self._load_sidebar(team_id)
            for row in await self.call("GET", f"/users/me/teams/{team_id}/drafts"):
                state.drafts[row["channel_id"], row["root_id"]] = row
        for row in await self.call("GET", "/users/me/preferences"):
            state.preferences[row["category"], row["name"]] = row["value"]
        for row in await self.call("GET", "/users/me/channels"):
            await self._load_channel(state, row["id"])
        state.threads = await self._load_threads(state)
        return state

    async def _load_threads(self, state: State, *, events_wait: bool = False) -> dict[str, Json]:
        """Return the followed threads of the channels that a client shows.

        events_wait: a team may have been left meanwhile, and the event that says so has not been applied.
        """
        found: dict[str, Json] = {}
        for team_id in state.teams:
            try:
                page = await self.call("GET", f"/users/me/teams/{team_id}/threads?per_page=200")
            except Refused:
                if not events_wait:
                    raise
                continue  # out of the team meanwhile
            found.update({row["id"]: row for row in page["threads"]})
        return {key: row for key, row in found.items() if row["post"]["channel_id"] in state.channels}

    async def _load_sidebar(self, team_id: str) -> dict[str, Json]:
        found = await self.call("GET", f"/users/me/teams/{team_id}/channels/categories")
        rows = {row["id"]: row for row in found["categories"]}
        return {key: rows[key] for key in found["order"]}

    async def _load_channel(self, state: State, channel_id: str) -> None:
        """Load until nothing came in between: counters and posts must be of one moment."""
        before: Json = {}
        while before != (before := await self.call("GET", f"/channels/{channel_id}")):
            state.members[channel_id] = await self.call("GET", f"/channels/{channel_id}/members/me")
            members = await self.call("GET", f"/channels/{channel_id}/members?per_page=200")
            posts = await self.call("GET", f"/channels/{channel_id}/posts?per_page=200")
        state.channels[channel_id] = before
        state.people[channel_id] = {row["user_id"] for row in members}
        state.posts.update({key: posts["posts"][key] for key in posts["order"]})

    async def _listen(self, socket: websockets.ClientConnection) -> None:
        try:
            async for text in socket:
                event = json.loads(text)
                if "event" not in event:
                    continue  # out of the team meanwhile
                assert event["seq"] == self.next_seq, f"seq {event['seq']} after {self.next_seq - 1}"
                self.next_seq += 1
                apply = getattr(self, f"on_{event['event']}", None)
                if apply is not None:
                    await apply(event["data"], event["broadcast"])
                async with self._applied:
                    self.seen.append(event)
                    self._applied.notify_all()
        except Exception as error:  # kept for the test, which raises it: an exception in a task must fail it
            self.failure = error
            async with self._applied:
                self._applied.notify_all()

    async def wait_for(self, name: str, count: int = 1) -> Json:
        """Return the last event of a name once `count` of them have been applied."""
        async with asyncio.timeout(30), self._applied:
            while sum(event["event"] == name for event in self.seen) < count:
                if self.failure:
                    raise self.failure
                await self._applied.wait()
        return [event for event in self.seen if event["event"] == name][-1]

    async def settle(self) -> None:
        """Wait until the state that events made equals a fresh load. Raises: AssertionError with the difference."""
        deadline = asyncio.get_running_loop().time() + 30
        while True:
            fresh = (await self.load()).view()
            if self.failure:
                raise self.failure
            if self.state.view() == fresh:
                return
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.05)
        told = self.state.view()
        wrong = {name: _difference(told[name], fresh[name]) for name in told if told[name] != fresh[name]}
        raise AssertionError(f"{self.name}: events against a fresh load: {wrong}")

    # What an app does on each event.

    async def on_posted(self, data: Json, _: Json) -> None:
        post = json.loads(data["post"])
        channel = self.state.channels.get(post["channel_id"])
        if channel is None or post["id"] in self.state.posts:
            return
        self.state.posts[post["id"]] = post
        is_root = not post["root_id"]
        channel["last_post_at"] = max(channel["last_post_at"], post["create_at"])
        if is_root:
            channel["last_root_post_at"] = max(channel["last_root_post_at"], post["create_at"])
        if post["type"] not in UNCOUNTED:
            channel["total_msg_count"] += 1
            channel["total_msg_count_root"] += is_root
        if root := self.state.posts.get(post["root_id"]):
            root["reply_count"] += 1
            root["last_reply_at"] = max(root["last_reply_at"], post["create_at"])
            people = root["participants"] or []
            if post["user_id"] not in [row["id"] for row in people]:
                root["participants"] = [*people, {"id": post["user_id"]}]
        member = self.state.members[post["channel_id"]]
        # Mattermost API v4: with collapsed threads a reply marks its thread as viewed, not the channel.
        if post["user_id"] == self.id and is_root and not post["type"].startswith("system_"):
            self._viewed(post["channel_id"], channel["last_post_at"])
        if "mentions" in data:
            assert json.loads(data["mentions"]) == [self.id]
            member["mention_count"] += 1
            member["mention_count_root"] += is_root
            urgent = (post["metadata"].get("priority") or {}).get("priority") == "urgent"
            member["urgent_mention_count"] += urgent and is_root

    def _viewed(self, channel_id: str, at: int) -> None:
        channel, member = self.state.channels[channel_id], self.state.members[channel_id]
        member["last_viewed_at"] = max(member["last_viewed_at"], at)
        member["msg_count"] = channel["total_msg_count"]
        member["msg_count_root"] = channel["total_msg_count_root"]
        member["mention_count"] = member["mention_count_root"] = member["urgent_mention_count"] = 0

    async def on_post_unread(self, data: Json, broadcast: Json) -> None:
        if member := self.state.members.get(broadcast["channel_id"]):
            member |= {name: data[name] for name in _MEMBER if name in data}

    async def on_thread_updated(self, data: Json, _: Json) -> None:
        thread = json.loads(data["thread"])
        if not thread["reply_count"]:  # the last one was deleted: a post without replies is no thread
            self.state.threads.pop(thread["id"], None)
        elif thread["post"]["channel_id"] in self.state.channels:
            self.state.threads[thread["id"]] = thread

    async def on_thread_read_changed(self, data: Json, broadcast: Json) -> None:
        if thread := self.state.threads.get(data.get("thread_id", "")):
            thread |= {name: data[name] for name in ("unread_replies", "unread_mentions")}
        elif "thread_id" not in data:
            channel_id = broadcast["channel_id"]
            for thread in self.state.threads.values():
                if not channel_id or thread["post"]["channel_id"] == channel_id:
                    thread |= {"unread_replies": 0, "unread_mentions": 0}

    async def on_thread_follow_changed(self, data: Json, _: Json) -> None:
        self.state.threads.pop(data["thread_id"], None)
        if data["state"] and data["reply_count"]:
            team_id = next(iter(self.state.teams))
            path = f"/users/me/teams/{team_id}/threads/{data['thread_id']}"
            self.state.threads[data["thread_id"]] = await self.call("GET", path)

    async def on_post_edited(self, data: Json, _: Json) -> None:
        post = json.loads(data["post"])
        if old := self.state.posts.get(post["id"]):
            kept = {name: old[name] for name in ("reply_count", "last_reply_at", "participants")}
            self.state.posts[post["id"]] = post | kept

    async def on_post_deleted(self, data: Json, _: Json) -> None:
        post = json.loads(data["post"])
        self.state.posts.pop(post["id"], None)
        replies = [key for key, row in self.state.posts.items() if row["root_id"] == post["id"]]
        for key in replies:
            del self.state.posts[key]
        self.state.threads.pop(post["id"], None)
        if root := self.state.posts.get(post["root_id"]):
            # What is left of a thread is in the root of a fresh load: an app refetches it.
            fresh = await self.call("GET", f"/channels/{post['channel_id']}/posts?per_page=200")
            names = ("reply_count", "last_reply_at", "participants")
            root |= {name: fresh["posts"][root["id"]][name] for name in names}

    async def on_reaction_added(self, data: Json, _: Json) -> None:
        reaction = json.loads(data["reaction"])
        if post := self.state.posts.get(reaction["post_id"]):
            rows = post["metadata"].setdefault("reactions", [])
            rows.append(reaction)

    async def on_reaction_removed(self, data: Json, _: Json) -> None:
        gone = json.loads(data["reaction"])
        if post := self.state.posts.get(gone["post_id"]):
            post["metadata"]["reactions"] = [
                row
                for row in post["metadata"].get("reactions") or []
                if (row["user_id"], row["emoji_name"]) != (gone["user_id"], gone["emoji_name"])
            ]

    async def on_post_acknowledgement_added(self, data: Json, _: Json) -> None:
        new = json.loads(data["acknowledgement"])
        if post := self.state.posts.get(new["post_id"]):
            post["metadata"].setdefault("acknowledgements", []).append(new)

    async def on_post_acknowledgement_removed(self, data: Json, _: Json) -> None:
        gone = json.loads(data["acknowledgement"])
        if post := self.state.posts.get(gone["post_id"]):
            post["metadata"]["acknowledgements"].remove(gone)

    async def on_channel_updated(self, data: Json, _: Json) -> None:
        channel = json.loads(data["channel"])
        if old := self.state.channels.get(channel["id"]):
            counts = ("last_post_at", "last_root_post_at", "total_msg_count", "total_msg_count_root")
            self.state.channels[channel["id"]] = channel | {name: old[name] for name in counts}

    async def on_channel_deleted(self, data: Json, _: Json) -> None:
        # Archived channels are not in a fresh list of my channels.
        self._forget(data["channel_id"])

    def _forget(self, channel_id: str) -> None:
        for table in (self.state.channels, self.state.members, self.state.people):
            table.pop(channel_id, None)
        self._place(channel_id, "")
        self.state.posts = {key: row for key, row in self.state.posts.items() if row["channel_id"] != channel_id}
        self.state.threads = {
            key: row for key, row in self.state.threads.items() if row["post"]["channel_id"] != channel_id
        }

    async def _fetch(self, channel_id: str) -> None:
        loaded = State()
        try:
            await self._load_channel(loaded, channel_id)
        except Refused:
            return  # removed again meanwhile: the next event says so
        for name in ("channels", "members", "people", "posts"):
            getattr(self.state, name).update(getattr(loaded, name))
        threads = await self._load_threads(self.state, events_wait=True)
        self.state.threads |= {key: row for key, row in threads.items() if row["post"]["channel_id"] == channel_id}
        # Mattermost API v4: a channel that is new to the user is in the category of its kind, or in Favorites.
        kind = "channels" if loaded.channels[channel_id]["team_id"] else "direct_messages"
        favorite = self.state.preferences.get(("favorite_channel", channel_id)) == "true"
        self._place(channel_id, "favorites" if favorite else kind)

    def _place(self, channel_id: str, kind: str) -> None:
        """Put a channel into a built-in category of its team, or of all for D and G; "": into none."""
        team_id = self.state.channels.get(channel_id, {}).get("team_id", "")
        for key, rows in self.state.sidebars.items():
            for row in rows.values():
                row["channel_ids"] = [one for one in row["channel_ids"] if one != channel_id]
                if row["type"] == kind and team_id in ("", key):
                    row["channel_ids"].append(channel_id)

    async def on_channel_created(self, data: Json, _: Json) -> None:
        await self._fetch(data["channel_id"])

    async def on_direct_added(self, _: Json, broadcast: Json) -> None:
        await self._fetch(broadcast["channel_id"])

    on_group_added = on_direct_added

    async def on_user_added(self, data: Json, broadcast: Json) -> None:
        if data["user_id"] == self.id:
            await self._fetch(broadcast["channel_id"])
        elif broadcast["channel_id"] in self.state.people:
            self.state.people[broadcast["channel_id"]].add(data["user_id"])

    async def on_user_removed(self, data: Json, broadcast: Json) -> None:
        if broadcast["user_id"] == self.id:
            self._forget(data["channel_id"])
        elif broadcast["channel_id"] in self.state.people:
            self.state.people[broadcast["channel_id"]].discard(data["user_id"])

    async def on_multiple_channels_viewed(self, data: Json, _: Json) -> None:
        for channel_id, at in data["channel_times"].items():
            if channel_id in self.state.channels:
                self._viewed(channel_id, at)

    async def on_added_to_team(self, data: Json, _: Json) -> None:
        self.state.teams = {row["id"]: row for row in await self.call("GET", "/users/me/teams")}
        rows = await self.call("GET", "/users/me/teams/members")
        self.state.team_roles = {row["team_id"]: row["roles"] for row in rows}
        await self._load_sidebars()

    async def on_leave_team(self, data: Json, _: Json) -> None:
        if data["user_id"] == self.id:
            for table in (self.state.teams, self.state.team_roles, self.state.sidebars):
                table.pop(data["team_id"], None)
            for row in [row for row in self.state.channels.values() if row["team_id"] == data["team_id"]]:
                self._forget(row["id"])

    async def on_update_team(self, data: Json, _: Json) -> None:
        team = json.loads(data["team"])
        if team["id"] in self.state.teams:
            self.state.teams[team["id"]] |= team

    async def on_delete_team(self, data: Json, _: Json) -> None:
        team = json.loads(data["team"])
        for table in (self.state.teams, self.state.team_roles, self.state.sidebars):
            table.pop(team["id"], None)

    async def on_restore_team(self, data: Json, broadcast: Json) -> None:
        await self.on_added_to_team(data, broadcast)

    async def on_memberrole_updated(self, data: Json, _: Json) -> None:
        member = json.loads(data["member"])
        if member["team_id"] in self.state.teams:
            self.state.team_roles[member["team_id"]] = member["roles"]

    async def on_channel_member_updated(self, data: Json, _: Json) -> None:
        member = json.loads(data["channelMember"])
        if member["channel_id"] in self.state.members:
            self.state.members[member["channel_id"]] = member

    async def on_channel_restored(self, data: Json, _: Json) -> None:
        await self._fetch(data["channel_id"])
        await self._load_sidebars()

    async def _load_sidebars(self) -> None:
        for team_id in self.state.teams:
            try:
                self.state.sidebars[team_id] = await self._load_sidebar(team_id)
            except Refused:
                pass  # out of the team meanwhile: the next event says so

    async def on_sidebar_category_created(self, _: Json, __: Json) -> None:
        await self._load_sidebars()

    on_sidebar_category_deleted = on_sidebar_category_created

    async def on_sidebar_category_updated(self, data: Json, broadcast: Json) -> None:
        if "updatedCategories" not in data:
            await self._load_sidebars()
            return
        for row in json.loads(data["updatedCategories"]):
            self.state.sidebars[broadcast["team_id"]][row["id"]] = row

    async def on_sidebar_category_order_updated(self, data: Json, broadcast: Json) -> None:
        rows = self.state.sidebars[broadcast["team_id"]]
        self.state.sidebars[broadcast["team_id"]] = {key: rows[key] for key in data["order"]}

    async def on_preferences_changed(self, data: Json, _: Json) -> None:
        for row in json.loads(data["preferences"]):
            self.state.preferences[row["category"], row["name"]] = row["value"]

    async def on_draft_created(self, data: Json, _: Json) -> None:
        row = json.loads(data["draft"])
        self.state.drafts[row["channel_id"], row["root_id"]] = row

    async def on_draft_deleted(self, data: Json, _: Json) -> None:
        row = json.loads(data["draft"])
        del self.state.drafts[row["channel_id"], row["root_id"]]

    async def on_preference_changed(self, data: Json, _: Json) -> None:
        row = json.loads(data["preference"])
        self.state.preferences[row["category"], row["name"]] = row["value"]

    async def on_preferences_deleted(self, data: Json, _: Json) -> None:
        for row in json.loads(data["preferences"]):
            self.state.preferences.pop((row["category"], row["name"]), None)

    async def on_user_updated(self, data: Json, _: Json) -> None:
        if data["user"]["id"] == self.id:
            self.state.me |= data["user"]

    async def on_status_change(self, data: Json, _: Json) -> None:
        if data["user_id"] == self.id:
            self.state.status = data["status"]
