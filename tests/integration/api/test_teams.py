"""Teams: what may be chosen, who sees and joins them, what joining and leaving brings."""

import asyncio

from tests.fixtures.api import People

BAD = [
    ({"name": ""}, "model.team.is_valid.url.app_error"),
    ({"name": "x"}, "model.team.is_valid.url.app_error"),
    ({"name": "x" * 65}, "model.team.is_valid.url.app_error"),
    ({"name": "UPPER"}, "model.team.is_valid.characters.app_error"),
    ({"name": "1st"}, "model.team.is_valid.characters.app_error"),
    ({"name": "sp ace"}, "model.team.is_valid.characters.app_error"),
    ({"name": "admin"}, "model.team.is_valid.reserved.app_error"),
    ({"name": "api-team"}, "model.team.is_valid.reserved.app_error"),
    ({"display_name": ""}, "model.team.is_valid.name.app_error"),
    ({"display_name": "x" * 65}, "model.team.is_valid.name.app_error"),
    ({"type": "X"}, "model.team.is_valid.type.app_error"),
    ({"description": "x" * 256}, "model.team.is_valid.description.app_error"),
    ({"name": "seagulls"}, "app.team.save.existing.app_error"),
]


async def test_what_a_team_may_not_be(people: People) -> None:
    good = {"name": "terns", "display_name": "Terns", "type": "O"}
    for change, error_id in BAD:
        answer = await people.owner.post("/teams", {**good, **change}, expect=400)
        assert answer["id"] == error_id, change
    made = await people.owner.post(
        "/teams", {**good, "id": "x" * 26, "delete_at": 3, "email": "T@x.org"}, expect=201
    )
    assert made["id"] != "x" * 26
    assert (made["delete_at"], made["email"]) == (0, "t@x.org")
    assert len(made["invite_id"]) == 26


async def test_a_new_team_has_its_maker_as_admin_and_two_channels(people: People) -> None:
    owner, team = people.owner, people.team
    member = await owner.get(f"/teams/{team['id']}/members/me")
    assert member == {
        "team_id": team["id"], "user_id": owner.id, "roles": "team_user team_admin", "delete_at": 0,
        "scheme_guest": False, "scheme_user": True, "scheme_admin": True, "explicit_roles": "",
    }  # fmt: skip
    names = {
        channel["name"] for channel in await people.teammate.get(f"/users/me/teams/{team['id']}/channels")
    }
    assert names == {"town-square", "off-topic"}
    square = await owner.get(f"/teams/{team['id']}/channels/name/town-square")
    posts = (await owner.get(f"/channels/{square['id']}/posts"))["posts"].values()
    assert sorted(post["type"] for post in posts) == ["system_add_to_team"] * 2 + ["system_join_team"]
    # None of them is counted.
    assert square["total_msg_count"] == 0
    assert square["last_post_at"] > 0


async def test_who_finds_a_team(people: People) -> None:
    closed = people.team
    opened = await people.owner.new_team("terns", allow_open_invite=True)
    for path in (f"/teams/{closed['id']}", "/teams/name/seagulls", "/teams/name/SEAGULLS"):
        assert (await people.member.get(path))["id"] == closed["id"]
        assert (await people.admin.get(path))["id"] == closed["id"]
        await people.stranger.get(path, expect=403)
    assert (await people.stranger.get(f"/teams/{opened['id']}"))["id"] == opened["id"]
    exists = "/teams/name/{}/exists"
    assert await people.member.get(exists.format("seagulls")) == {"exists": True}
    assert await people.stranger.get(exists.format("seagulls")) == {"exists": False}
    assert await people.stranger.get(exists.format("nothing")) == {"exists": False}
    assert [team["name"] for team in await people.stranger.get("/teams")] == ["terns"]
    assert len(await people.admin.get("/teams?per_page=2")) == 2
    counted = await people.admin.get("/teams?include_total_count=true&per_page=1")
    assert (len(counted["teams"]), counted["total_count"]) == (1, 3)
    await people.member.get("/teams/" + "x" * 26, expect=404)
    await people.member.get("/teams/name/nothing", expect=404)


async def test_secrets_of_a_team_are_for_those_who_may(people: People) -> None:
    path = f"/teams/{people.team['id']}"
    owner, member = await people.owner.get(path), await people.member.get(path)
    assert owner["email"] == "owner@example.org"
    assert member["email"] == ""
    assert member["invite_id"] == owner["invite_id"]  # members may invite
    opened = await people.owner.new_team("terns", allow_open_invite=True)
    assert (await people.stranger.get(f"/teams/{opened['id']}"))["invite_id"] == ""


async def test_members_are_added_listed_and_removed(people: People) -> None:
    owner, member, stranger, team = people.owner, people.member, people.stranger, people.team["id"]
    path = f"/teams/{team}/members"
    added = await member.post(path, {"team_id": team, "user_id": stranger.id}, expect=201)
    assert (added["user_id"], added["roles"]) == (stranger.id, "team_user")
    again = await member.post(path, {"team_id": team, "user_id": stranger.id}, expect=201)
    assert again == added
    ids = sorted([owner.id, member.id, stranger.id, people.teammate.id])
    assert [one["user_id"] for one in await stranger.get(path)] == ids
    assert [one["user_id"] for one in await stranger.get(path + "?page=1&per_page=3")] == ids[3:]
    assert (await member.get(path + "?sort=Username"))[0]["user_id"] == member.id
    assert len(await member.post(path + "/ids", [*ids, people.admin.id])) == 4
    assert await member.get(f"/teams/{team}/stats") == {
        "team_id": team, "total_member_count": 4, "active_member_count": 4,
    }  # fmt: skip
    await member.delete(f"{path}/{stranger.id}", expect=403)
    await owner.delete(f"{path}/{stranger.id}")
    await owner.delete(f"{path}/{stranger.id}", expect=404)
    await member.get(f"{path}/{stranger.id}", expect=404)
    await stranger.get(path, expect=403)
    await stranger.get(f"/channels/{people.channel['id']}/members", expect=403)
    assert [one["id"] for one in await stranger.get("/users/me/teams")] == [people.other_team["id"]]
    assert [one["team_id"] for one in await stranger.get("/users/me/teams/members")] == [
        people.other_team["id"]
    ]
    # Back again, as an ordinary member.
    await owner.post(path, {"team_id": team, "user_id": stranger.id}, expect=201)
    assert (await stranger.get(f"{path}/me"))["roles"] == "team_user"


async def test_one_joins_open_teams_only(people: People) -> None:
    opened = await people.owner.new_team("terns", allow_open_invite=True)
    me = people.stranger
    body = {"team_id": opened["id"], "user_id": me.id}
    await me.post(f"/teams/{opened['id']}/members", body, expect=201)
    closed = {"team_id": people.team["id"], "user_id": me.id}
    await me.post(f"/teams/{people.team['id']}/members", closed, expect=403)
    await people.admin.post(f"/teams/{people.team['id']}/members", {"user_id": people.admin.id}, expect=201)


async def test_bad_additions(people: People) -> None:
    path = f"/teams/{people.team['id']}/members"
    cases = [
        ({"user_id": "x" * 26}, 404, "api.team.user.missing_account"),
        ({"user_id": "short"}, 400, "api.team.add_team_member.invalid_body.app_error"),
        (
            {"user_id": people.stranger.id, "team_id": "x" * 26},
            400,
            "api.team.add_team_member.invalid_body.app_error",
        ),
        ({}, 400, "api.context.invalid_body_param.app_error"),
        ([], 400, "api.context.invalid_body_param.app_error"),
    ]
    for body, status, error_id in cases:
        assert (await people.owner.post(path, body, expect=status))["id"] == error_id, body
    await people.owner.post("/teams/" + "x" * 26 + "/members", {"user_id": people.stranger.id}, expect=403)
    await people.admin.post("/teams/" + "x" * 26 + "/members", {"user_id": people.stranger.id}, expect=404)
    batch = [{"user_id": people.stranger.id}, {"user_id": people.admin.id}]
    assert len(await people.owner.post(path + "/batch", batch, expect=201)) == 2
    graceful = await people.owner.post(path + "/batch?graceful=true", batch, expect=201)
    assert [one["error"] for one in graceful] == [None, None]
    await people.owner.post(path + "/batch", [], expect=400)
    await people.owner.post(path + "/batch", [{"user_id": people.admin.id}] * 300, expect=201)


async def test_joining_and_leaving_at_once_ends_in_one_state(people: People) -> None:
    owner, other, team = people.owner, people.stranger, people.team["id"]
    path = f"/teams/{team}/members"

    async def flip(number: int) -> int:
        if number % 2:
            return (await owner.request("DELETE", f"{path}/{other.id}")).status_code
        return (await owner.request("POST", path, json={"user_id": other.id})).status_code

    statuses = await asyncio.gather(*(flip(number) for number in range(40)))
    assert set(statuses) <= {200, 201, 404}
    is_member = (await owner.request("GET", f"{path}/{other.id}")).status_code == 200
    channels = await people.admin.get(f"/users/{other.id}/channels")
    assert sum(channel["team_id"] == team for channel in channels) == (2 if is_member else 0)


async def test_unread_of_teams(people: People) -> None:
    member, team = people.member, people.team["id"]
    for message in ("one", "two"):
        await people.owner.post("/posts", {"channel_id": people.channel["id"], "message": message})
    direct = await people.owner.post("/channels/direct", [people.owner.id, member.id])
    await people.owner.post("/posts", {"channel_id": direct["id"], "message": "psst"})
    # Who is added to a channel is mentioned by the post that says so: off-topic, harbour, hidden.
    expected = {
        "team_id": team, "msg_count": 2, "mention_count": 3, "mention_count_root": 3, "msg_count_root": 2,
        "thread_count": 0, "thread_mention_count": 0, "thread_urgent_mention_count": 0,
    }  # fmt: skip
    assert await member.get("/users/me/teams/unread?include_collapsed_threads=true") == [expected]
    assert await member.get(f"/users/me/teams/unread?exclude_team={team}") == []
    assert await member.get(f"/users/me/teams/{team}/unread") == expected
    await people.stranger.get(f"/users/{member.id}/teams/unread", expect=403)
    await people.stranger.get(f"/users/me/teams/{team}/unread", expect=403)
