"""The official web app's start, call by call: from the login page to a drawn channel, in the shapes that it needs.

Source: the Mattermost web app 11.6 as recorded. Eleven of the answers must be real, or there is no usable channel; the
WebSocket among them has tests of its own.
"""

import json
from typing import Any

from api.routing import ROUTES
from loadtest.people.boot import boot_calls
from tests.fixtures.api import PASSWORD, People

THREADS = ("GET", "/users/{user_id}/teams/{team_id}/threads")


async def test_the_start_of_the_web_app(people: People) -> None:
    browser = people.anonymous
    ajax = {"X-Requested-With": "XMLHttpRequest"}
    config = await browser.get("/config/client?format=old")
    assert {
        "Version",
        "SiteURL",
        "WebsocketURL",
        "EnableSignInWithEmail",
        "NoAccounts",
        "DefaultClientLocale",
    } <= set(config)
    assert (
        config["WebsocketPort"]
        and config["WebsocketSecurePort"]
        and config["EnableSignInWithUsername"] == "true"
    )
    assert await browser.get("/license/client?format=old") == {"IsLicensed": "false"}

    login = {"login_id": "member", "password": PASSWORD, "token": "", "deviceId": ""}
    answer = await browser.request("POST", "/users/login", json=login, headers=ajax)
    assert answer.status_code == 200
    assert {"MMAUTHTOKEN", "MMUSERID", "MMCSRF"} <= set(answer.cookies)
    csrf = {"X-CSRF-Token": answer.cookies["MMCSRF"], **ajax}
    me, team, channel = answer.json()["id"], people.team["id"], people.channel["id"]
    await people.owner.post("/posts", {"channel_id": channel, "message": "welcome"})

    answers: dict[str, Any] = {}
    for method, path, body in boot_calls(me, team, channel, [people.owner.id]):
        headers = csrf if method != "GET" else ajax
        answer = await browser.request(
            method, path, headers=headers, **({} if body is None else {"json": body})
        )
        if "/threads?" in path and THREADS not in ROUTES:
            continue
        assert answer.status_code == 200, (method, path, answer.text)
        if path.startswith(f"/users/{me}/image"):
            assert answer.headers["content-type"].startswith("image/")
            continue
        if "page=-1" in path:
            assert answer.headers["content-type"] == "application/x-ndjson"
            answers["members"] = [json.loads(line) for line in answer.text.splitlines()]
            continue
        assert answer.headers["content-type"] == "application/json", path
        answers[path if method == "GET" else f"{path} {body}"] = answer.json()

    def answered(start: str) -> Any:
        return next(value for path, value in answers.items() if path.startswith(start))

    full = answered("/config/client")
    assert len(full) == 256 and full["CollapsedThreads"] == "always_on"
    own = answered("/users/me")
    assert (
        own["notify_props"]["desktop"]
        and own["roles"] == "system_user"
        and "useAutomaticTimezone" in own["timezone"]
    )
    for path in (
        "/users/me/preferences",
        "/users/me/teams/unread",
        "/teams?",
        "/users?",
        "/agents",
        f"/users/me/teams/{team}/drafts",
    ):
        assert isinstance(answered(path), list), path
    assert [one["id"] for one in answers["/users/me/teams"]] == [team]
    [membership] = answers["/users/me/teams/members"]
    assert (membership["team_id"], membership["delete_at"]) == (team, 0)
    assert "team_user" in membership["roles"]
    for name, needed in (("system_user", "create_direct_channel"), ("channel_user", "create_post")):
        [role] = answered(f"/roles/names ['{name}']")
        assert needed in role["permissions"]
    channels = {one["id"] for one in answers["/users/me/channels"]}
    assert channel in channels
    assert {one["channel_id"] for one in answers["members"]} == channels
    assert {
        "notify_props",
        "mention_count_root",
        "msg_count_root",
        "last_viewed_at",
        "roles",
        "scheme_user",
    } <= set(answers["members"][0])
    page = await browser.get(f"/users/{me}/channel_members?page=0&per_page=200")
    stream = (await browser.request("GET", f"/users/{me}/channel_members?page=-1")).text
    assert [json.loads(line) for line in stream.splitlines()] == page, "the stream is made elsewhere than the page"
    categories = answered(f"/users/{me}/teams/{team}/channels/categories")
    assert [one["type"] for one in categories["categories"]] == ["favorites", "channels", "direct_messages"]
    assert categories["order"] == [one["id"] for one in categories["categories"]]
    placed = [one for category in categories["categories"] for one in category["channel_ids"]]
    assert sorted(placed) == sorted(channels), "every channel in exactly one category"
    posts = answered(f"/users/{me}/channels/{channel}/posts/unread")
    assert {"order", "posts", "next_post_id", "prev_post_id"} <= set(posts)
    assert posts["posts"][posts["order"][0]]["message"] == "welcome"
    viewed = answered("/channels/members/me/view")
    assert viewed["status"] == "OK" and channel in viewed["last_viewed_at_times"]
    assert answers["/agents/status"]["available"] is False
    assert answered("/users/stats")["total_users_count"] == 5
    assert [one["user_id"] for one in answered("/users/status/ids")] == [me, people.owner.id]
    assert answered(f"/channels/{channel}/stats")["member_count"] == 2

    answer = await browser.request("POST", "/users/logout", headers=csrf)
    assert answer.status_code == 200
    assert (await browser.request("GET", "/users/me")).status_code == 401
