"""A server whose configuration switches on what is off at first: e-mail invitations, deletion for good, limits."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from aiosmtpd.controller import Controller

from tests.fixtures.api import PASSWORD, Api, Client, new_settings
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.teams.town import Town
from tidewire.bus.envelope import LeaveChannel, LeaveTeam
from tidewire.store import permanent
from tidewire.store.db import Database
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
MOST = 12  # members of a team


class Box:
    """What a mail server received."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        """Called by aiosmtpd for each message."""
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    async def token_for(self, address: str) -> str:
        """Wait for a mail to an address and return the token of its link."""
        async with asyncio.timeout(30):
            while not (found := [mail for mail in self.mails if mail["To"] == address]):
                await asyncio.sleep(0.05)
        text = found[-1].get_body(("plain",)).get_content()
        link = re.search(r"\S+/signup_user_complete/\S+", text)
        assert link is not None, text
        query = parse_qs(urlsplit(link[0]).query)
        assert json.loads(query["d"][0])["email"] == address
        return query["t"][0]


@pytest.fixture(scope="module")
def box() -> Box:
    return Box()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(postgres: Postgres, redis: Redis, box: Box) -> AsyncIterator[Town]:
    """A town of its own, where more is allowed and less."""
    redis.flush()
    mail = Controller(box, hostname="127.0.0.1", port=free_port())
    mail.start()
    config = {
        "ServiceSettings.EnableAPITeamDeletion": True,
        "ServiceSettings.EnableAPIChannelDeletion": True,
        "ServiceSettings.EnableAPIUserDeletion": True,
        "ServiceSettings.EnableEmailInvitations": True,
        "TeamSettings.MaxUsersPerTeam": MOST,
        "TeamSettings.RestrictDirectMessage": "team",
        "EmailSettings.SMTPServer": "127.0.0.1",
        "EmailSettings.SMTPPort": str(mail.port),
        "EmailSettings.FeedbackEmail": "tidewire@example.org",
    }
    async with cloned(postgres) as url:
        api = Api(new_settings(url, redis.url, site={"url": "https://chat.example.org"}))
        made = Town(api, url)
        for key, value in config.items():
            await made.sql("INSERT INTO config (key, value) VALUES ($1, $2::jsonb)", key, json.dumps(value))
        await made.sql("UPDATE revisions SET n = n + 1 WHERE name = 'config'")
        await api.start()
        await made.settle()
        yield made
        await made.close()
        await api.stop()
    mail.stop()


async def test_an_invitation_lets_one_in_once(town: Town, box: Box) -> None:
    team = await town.new_team()
    secret = await town.new_channel(team_id=team["id"], kind="P")
    body = {
        "emails": ["Stranger@example.org", "new@example.org"],
        "channelIds": [secret["id"]],
        "message": "Come <b>!",
    }
    path = f"/teams/{team['id']}/invite/email"
    assert await town.member.post(path, body, expect=200) == {"status": "OK"}
    token = await box.token_for("stranger@example.org")
    stored = await town.sql("SELECT * FROM one_time_tokens")
    assert token not in str(stored)
    answers = await asyncio.gather(
        *(town.stranger.request("POST", f"/teams/members/invite?token={token}") for _ in range(100))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 99
    mine = {one["id"] for one in await town.stranger.get("/users/me/channels")}
    assert secret["id"] in mine
    # By signing up: the address is the invitation's, the channel too.
    token = await box.token_for("new@example.org")
    account = {"username": "invited", "email": "other@example.org", "password": PASSWORD}
    made = await town.anonymous.post(f"/users?t={token}", account, expect=201)
    assert made["email"] == "new@example.org"
    await town.member.get(f"/channels/{secret['id']}/members/{made['id']}")
    again = {"username": "invited2", "email": "more@example.org", "password": PASSWORD}
    await town.anonymous.post(f"/users?t={token}", again, expect=400)


async def test_an_invitation_ends_after_a_while(town: Town, box: Box) -> None:
    team = await town.new_team()
    await town.chanadmin.post(f"/teams/{team['id']}/invite/email", ["late@example.org"], expect=200)
    token = await box.token_for("late@example.org")
    await town.sql("UPDATE one_time_tokens SET expires_at = 1 WHERE email = 'late@example.org'")
    for _ in range(2):
        refused = await town.stranger.post(f"/teams/members/invite?token={token}", expect=400)
        assert refused["id"] == "api.user.create_user.signup_link_expired.app_error"
    await town.sql("UPDATE one_time_tokens SET expires_at = 9000000000000 WHERE email = 'late@example.org'")
    refused = await town.guest.post(f"/teams/members/invite?token={token}", expect=400)
    assert refused["id"] == "api.user.create_user.invalid_invitation_type.app_error"
    await town.teamadmin.delete(f"/teams/{team['id']}")
    refused = await town.stranger.post(f"/teams/members/invite?token={token}", expect=400)
    assert refused["id"] == "api.user.create_user.signup_link_invalid.app_error"


async def test_what_an_invitation_may_not(town: Town) -> None:
    team = await town.new_team()
    path = f"/teams/{team['id']}/invite/email"
    secret = await town.chanadmin.new_channel(team["id"], "closed", "P")
    cases: list[tuple[Any, int, str]] = [
        ([], 400, "api.context.invalid_body_param.app_error"),
        (["a\nb@example.org"], 400, "model.user.is_valid.email.app_error"),
        (["nonsense"], 400, "model.user.is_valid.email.app_error"),
        ({"emails": ["a@example.org"], "channelIds": ["x"]}, 400, "model.member.is_valid.channel.app_error"),
        (
            {"emails": ["a@example.org"], "channelIds": [secret["id"]]},
            403,
            "api.context.permissions.app_error",
        ),
        ({"emails": ["a@example.org"], "channelIds": ["x" * 26]}, 403, "api.context.permissions.app_error"),
        (
            {"emails": ["a@example.org"], "message": "x" * 1001},
            400,
            "api.context.invalid_body_param.app_error",
        ),
        ([f"many{n}@example.org" for n in range(21)], 413, "app.email.rate_limit_exceeded.app_error"),
        (["a@example.org"], 413, "app.email.rate_limit_exceeded.app_error"),
    ]
    for body, status, error_id in cases:
        answer = await town.member.post(path, body, expect=status)
        assert answer["id"] == error_id, body
    await town.teamadmin.put(f"/teams/{team['id']}/patch", {"allowed_domains": "here.org"})
    found = await town.teamadmin.post(path + "?graceful=true", ["a@elsewhere.org", "b@here.org"], expect=200)
    assert [(one["email"], (one["error"] or {}).get("id")) for one in found] == [
        ("a@elsewhere.org", "api.team.invite_members.invalid_email.app_error"),
        ("b@here.org", None),
    ]


async def test_deleting_a_team_for_good_leaves_nothing(town: Town) -> None:
    team = await town.new_team()
    channel = await town.new_channel(team_id=team["id"], kind="P")
    body = {"channel_id": channel["id"], "message": "m"}
    post = await town.member.post("/posts", body | {"metadata": {"priority": {"requested_ack": True}}}, expect=201)
    await town.member.post(f"/users/me/posts/{post['id']}/ack")
    await town.member.post("/drafts", body, expect=201)
    hook = {"channel_id": channel["id"], "display_name": "h"}
    await town.admin.post("/hooks/incoming", hook, expect=201)
    command = {"team_id": team["id"], "trigger": "gone", "method": "P", "url": "http://example.org/x"}
    await town.admin.post("/commands", command, expect=201)
    reply = {"channel_id": channel["id"], "message": "r", "root_id": post["id"]}
    await town.member.post("/posts", reply, expect=201)
    reaction = {"user_id": town.member.id, "post_id": post["id"], "emoji_name": "wave"}
    await town.member.post("/reactions", reaction)
    sidebar = f"/users/me/teams/{team['id']}/channels/categories"
    await town.member.post(sidebar, {"display_name": "C", "channel_ids": [channel["id"]]}, expect=200)
    path = f"/teams/{team['id']}?permanent=true"
    await town.member.delete(path, expect=403)
    answer, told = await town.announced_by(town.teamadmin.delete(path))
    assert answer == {"status": "OK"}
    effects = [effect for item in told for effect in item.effects]
    assert LeaveChannel(town.member.id, channel["id"]) in effects
    assert LeaveTeam(town.member.id, team["id"]) in effects
    names = [event["event"] for item in told for event in item.events]
    assert names == ["delete_team"] + ["leave_team"] * 6
    for table, column, value in (
        ("teams", "id", team["id"]), ("team_members", "team_id", team["id"]), ("channels", "team_id", team["id"]),
        ("channel_members", "channel_id", channel["id"]), ("posts", "channel_id", channel["id"]),
        ("threads", "channel_id", channel["id"]), ("thread_members", "channel_id", channel["id"]),
        ("reactions", "post_id", post["id"]), ("drafts", "channel_id", channel["id"]),
        ("post_acknowledgements", "channel_id", channel["id"]), ("commands", "team_id", team["id"]),
        ("incoming_webhooks", "team_id", team["id"]), ("outgoing_webhooks", "team_id", team["id"]),
        ("sidebar_categories", "team_id", team["id"]), ("sidebar_channels", "team_id", team["id"]),
    ):  # fmt: skip
        assert (await town.sql(f"SELECT count(*) FROM {table} WHERE {column} = $1", value))[0][0] == 0, table
    assert channel["id"] not in [one["id"] for one in await town.member.get("/users/me/channels")]
    await town.member.get(f"/channels/{channel['id']}", expect=404)
    await town.admin.get(f"/teams/{team['id']}", expect=404)
    await town.new_team(team["name"])


async def test_deleting_a_channel_for_good_leaves_nothing(town: Town) -> None:
    channel = await town.new_channel(kind="P")
    post = await town.member.post("/posts", {"channel_id": channel["id"], "message": "m"}, expect=201)
    reaction = {"user_id": town.member.id, "post_id": post["id"], "emoji_name": "wave"}
    await town.member.post("/reactions", reaction)
    path = f"/channels/{channel['id']}?permanent=true"
    refused = await town.stranger.delete(path, expect=403)
    assert refused["id"] == "api.context.permissions.app_error"
    answer, told = await town.announced_by(town.chanadmin.delete(path))
    assert answer == {"status": "OK"}
    assert [event["event"] for item in told for event in item.events] == ["channel_deleted"]
    effects = [effect for item in told for effect in item.effects]
    assert LeaveChannel(town.member.id, channel["id"]) in effects
    for table, column, value in (
        ("channels", "id", channel["id"]), ("channel_members", "channel_id", channel["id"]),
        ("posts", "channel_id", channel["id"]), ("reactions", "post_id", post["id"]),
        ("sidebar_channels", "channel_id", channel["id"]), ("post_search", "channel_id", channel["id"]),
    ):  # fmt: skip
        assert (await town.sql(f"SELECT count(*) FROM {table} WHERE {column} = $1", value))[0][0] == 0, table
    await town.member.get(f"/channels/{channel['id']}", expect=404)
    square = await town.chanadmin.delete(f"/channels/{town.ids['square']}?permanent=true", expect=400)
    assert square["id"] == "api.channel.delete_channel.cannot.app_error"


async def test_deleting_a_user_for_good_leaves_nothing_of_his(town: Town) -> None:
    account = await town.new_newcomer()
    me = await town.api.anonymous().log_in(account["username"])
    channel = await town.new_channel(kind="P")
    await town.member.post(f"/channels/{channel['id']}/members", {"user_id": me.id}, expect=201)

    async def say(caller: Client, text: str, root: str = "") -> str:
        body = {"channel_id": channel["id"], "message": text, "root_id": root}
        return str((await caller.post("/posts", body, expect=201))["id"])

    mine, theirs = await say(me, "my root"), await say(town.member, "their root")
    for caller, text, root in (
        (town.member, "to mine", mine), (me, "to theirs", theirs), (town.bot, "to theirs too", theirs),
    ):  # fmt: skip
        await say(caller, text, root)
    await me.put(f"/posts/{mine}/patch", {"message": "my root, edited"})
    await me.post("/reactions", {"user_id": me.id, "post_id": theirs, "emoji_name": "wave"})
    await me.put("/users/me/preferences", [{"user_id": me.id, "category": "c", "name": "n", "value": "v"}])
    token = await town.admin.post(f"/users/{me.id}/tokens", {"description": "x"})
    direct = await me.post("/channels/direct", [me.id, town.member.id], expect=201)
    path = f"/users/{me.id}?permanent=true"
    await me.delete(path, expect=403)
    await town.member.delete(path, expect=403)
    answer, told = await town.announced_by(town.admin.delete(path))
    assert answer == {"status": "OK"}
    names = [event["event"] for item in told for event in item.events]
    assert names.count("user_updated") == 3
    assert names.count("user_removed") == 4  # the channel, the direct one, two default channels
    assert names.count("leave_team") == 2
    effects = [effect for item in told for effect in item.effects]
    assert LeaveChannel(me.id, channel["id"]) in effects
    assert LeaveChannel(me.id, direct["id"]) in effects
    tables = (
        "channel_members", "team_members", "thread_members", "posts", "reactions", "preferences", "statuses",
        "sessions", "user_access_tokens", "one_time_tokens", "sidebar_channels", "sidebar_categories", "drafts",
        "audits",
    )  # fmt: skip
    for table in tables:
        assert (await town.sql(f"SELECT count(*) FROM {table} WHERE user_id = $1", me.id))[0][0] == 0, table
    await town.admin.get(f"/users/{me.id}", expect=404)
    await me.get("/users/me", expect=401)
    program = town.api.anonymous(Authorization="Bearer " + token["token"])
    await program.get("/users/me", expect=401)
    # What others said stays, but for what answered him; their thread and post know nothing of him.
    assert (await town.sql("SELECT count(*) FROM posts WHERE root_id = $1 OR original_id = $1", mine))[0][0] == 0
    thread = await town.member.get(f"/posts/{theirs}/thread")
    assert len(thread["order"]) == 2
    [row] = await town.sql("SELECT * FROM threads WHERE root_id = $1", theirs)
    assert (row["reply_count"], row["participants"]) == (1, [town.bot.id])
    assert not thread["posts"][theirs].get("has_reactions")
    # The name is free again, and a second request finds nobody.
    await town.admin.delete(path, expect=404)
    again = {"username": account["username"], "email": account["email"], "password": PASSWORD}
    await town.admin.post("/users", again, expect=201)


async def test_a_post_that_is_written_late_goes_with_its_author(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Group commits end in any order: it may be seen later than others of later ids."""
    made = await town.new_newcomer()
    late, walk = new_id(), permanent.delete_reactions_by
    await town.new_post()

    async def and_a_late_post(db: Database, user_id: str) -> None:
        insert = """INSERT INTO posts (id, create_at, update_at, user_id, channel_id, message)
            VALUES ($1, 1, 1, $2, $3, 'late')"""
        await db.execute(insert, late, user_id, town.ids["channel"])
        await walk(db, user_id)

    monkeypatch.setattr(permanent, "delete_reactions_by", and_a_late_post)
    await town.admin.delete(f"/users/{made['id']}?permanent=true")
    assert await town.sql("SELECT user_id FROM posts WHERE id = $1", late) == []


async def test_a_team_has_room_for_so_many(town: Town) -> None:
    team = await town.new_team()
    there = (await town.teamadmin.get(f"/teams/{team['id']}/stats"))["active_member_count"]
    accounts = []
    for _ in range(MOST - there + 2):
        name = f"crowd{town.number()}"
        account = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        accounts.append((await town.admin.post("/users", account, expect=201))["id"])
    path = f"/teams/{team['id']}/members"
    statuses = await asyncio.gather(
        *(town.teamadmin.request("POST", path, json={"user_id": user_id}) for user_id in accounts)
    )
    assert sorted(answer.status_code for answer in statuses) == [201] * (len(accounts) - 2) + [400] * 2
    refused = next(answer for answer in statuses if answer.status_code == 400)
    assert refused.json()["id"] == "app.team.join_user_to_team.max_accounts.app_error"
    assert (await town.teamadmin.get(f"/teams/{team['id']}/stats"))["active_member_count"] == MOST


async def test_direct_messages_within_teams_only(town: Town) -> None:
    loner = await town.api.user(f"loner{town.number()}")
    refused = await loner.post("/channels/direct", [loner.id, town.member.id], expect=403)
    assert refused["id"] == "api.channel.create_channel.direct_channel.team_restricted_error"
    await loner.post("/channels/direct", [loner.id, loner.id], expect=201)
    await loner.post("/channels/direct", [loner.id, town.bot.id], expect=201)
    await town.member.post("/channels/direct", [town.member.id, town.teammate.id], expect=201)
    await town.admin.post("/channels/direct", [town.admin.id, loner.id], expect=201)
