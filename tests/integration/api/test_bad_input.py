"""Input that no client of ours sends: never a traceback, never a 500, always the contract's error."""

import asyncio
import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.routing import ROUTES
from tests.fixtures.api import Client, People

BODIES = [
    b"", b"{", b"null", b"5", b'"x"', b"[]", b"{}", b"[[]]", b"[null]", b'{"":1}', b"\xff\xfe", b'{"a":"\xff"}',
    b'{"username":"\\ud800"}', b'{"message":"\\u0000"}', b'["\\u0000"]', b"[" * 100_000, b'{"a":' * 50_000,
    b"1e999", b"-" * 1000, b"1" * 10_000, b'{"user_id":{"$ne":1}}', b'{"name":"x","name":"y"}',
]  # fmt: skip
ENDING = {
    ("POST", "/users/logout"),
    ("POST", "/users/{user_id}/sessions/revoke/all"),
    ("POST", "/users/sessions/revoke/all"),
}


def world(people: People) -> dict[str, str]:
    """Return ids that make requests reach the rules, by the names of path variables."""
    return {
        "user_id": people.member.id, "channel_id": people.channel["id"], "team_id": people.team["id"],
        "team_name": "seagulls", "channel_name": "harbour", "username": "member", "email": "member@example.org",
        "category": "theme", "preference_name": "x", "role_name": "system_user", "emoji_name": "smile",
    }  # fmt: skip


def fill(path: str, ids: dict[str, str]) -> str:
    """Return the path with its variables filled."""
    return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], "x" * 26), path)


def check(answer: Any, what: object) -> None:
    """Fail on a 5xx (but 501) and on an error that is not in the contract's shape."""
    assert answer.status_code < 500 or answer.status_code == 501, (what, answer.text)
    silent = ("/users/login/type", "/brand/image")
    if answer.status_code == 404 and not answer.content and answer.url.path.endswith(silent):
        return  # Mattermost API v4: no body where there are no magic links, or no image
    if answer.request.method == "HEAD":
        return  # it has no body
    if answer.status_code == 429:
        return  # Mattermost API v4, rate limits: plain text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/json", what
        body = answer.json()
        assert body.keys() == {"id", "message", "detailed_error", "request_id", "status_code"}, what
        assert body["status_code"] == answer.status_code
        assert body["detailed_error"] == ""


async def test_malformed_bodies_at_every_route(people: People) -> None:
    ids = world(people)
    for method, path in ROUTES:
        if method == "GET" or (method, path) in ENDING or method == "DELETE":
            continue
        for body in BODIES:
            check(
                await people.member.request(method, fill(path, ids), content=body), (method, path, body[:40])
            )


async def test_malformed_ids_at_every_route(people: People) -> None:
    ids = world(people)
    for method, path in ROUTES:
        for variable in re.findall(r"\{(\w+_id)\}", path):
            for bad in ("short", "x" * 27, "x" * 25 + "-", "%00" * 26, "..", "x" * 1500, "%C3%BC" * 26):
                url = fill(path, {**ids, variable: bad})
                answer = await people.member.request(method, url, content=b"{}")
                if ".." not in bad:
                    check(answer, (method, path, bad))
                    assert answer.status_code in (400, 404, 414), (method, path, bad, answer.text)


async def test_odd_words_in_paths_and_queries(people: People) -> None:
    odd = [
        "%00",
        "%FF%FE",
        "a%20b",
        "'%3B--",
        "%25",
        "%F0%9F%90%A6",
        "x" * 1900,
        "%5C",
        "{}",
        "*",
        "%7Bname%7D",
    ]
    paths = [
        "/users/username/{}", "/users/email/{}", "/teams/name/{}", "/teams/name/{}/exists", "/roles/name/{}",
        "/users/me/preferences/{}", "/users/me/preferences/a/name/{}", "/teams/name/{}/channels/name/x",
        "/users?in_team={}", "/users?role={}", "/users?sort={}", "/users?page={}", "/users?per_page={}",
        "/users/me/teams/unread?exclude_team={}", "/users/me/channels?include_deleted=true&last_delete_at={}",
        "/users/me/channel_members?page={}", "/license/client?format={}",
    ]  # fmt: skip
    for path in paths:
        for word in odd:
            check(await people.member.request("GET", path.format(word)), (path, word))
    for page in ("9" * 15, "-1", "1e9", "0x10", "١"):
        check(await people.member.request("GET", f"/users?page={page}&per_page={page}"), page)


async def test_bodies_over_the_limit_are_413(people: People) -> None:
    limit = people.api.settings.api.body_limit_bytes
    body = b'{"login_id":"' + b"x" * limit + b'"}'

    async def in_pieces() -> Any:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    for content in (body, in_pieces()):
        answer = await people.anonymous.request("POST", "/users/login", content=content)
        assert answer.status_code == 413
        assert answer.json()["id"] == "api.context.request_body_too_large.app_error"
    assert (await people.anonymous.request("GET", "/users?x=" + "x" * 3000)).status_code == 414


async def test_a_body_that_nobody_reads_does_not_cost_the_connection(people: People) -> None:
    for path, status in (
        ("/nothing", 404),
        ("/posts/" + "x" * 26 + "/pin", 404),
        ("/channels/x/members", 400),
    ):
        for _ in range(30):
            answer = await people.member.request("POST", path, content=b"x" * 500_000)
            assert answer.status_code == status, path


async def test_every_string_that_is_taken_comes_back(people: People) -> None:
    odd = "\u202e ünï 🐦 ' \" ; -- % _ \\ <b> \u0001 \uffff"[:60]
    me = people.member
    assert (await me.put("/users/me/patch", {"nickname": odd}))["nickname"] == odd
    assert (await me.get("/users/me"))["nickname"] == odd
    item = {"user_id": me.id, "category": odd[:32], "name": odd[:32], "value": odd}
    await me.put("/users/me/preferences", [item])
    assert await me.get("/users/me/preferences") == [item]
    changed = await me.put(f"/channels/{people.channel['id']}/patch", {"header": odd, "display_name": odd})
    assert (changed["header"], changed["display_name"]) == (odd, odd)


NAMES = (
    "id user_id team_id channel_id name display_name type header purpose message root_id props metadata file_ids "
    "username email password nickname locale timezone notify_props roles category value user_ids prev_channel_id "
    "session_id login_id token pending_post_id emoji_name post_id is_pinned create_at"
)
names = st.sampled_from(NAMES.split(" "))
words = st.one_of(
    st.text(max_size=30), st.sampled_from(["", "O", "P", "x" * 26, "town-square", "\0", "\ud7ff", "🐦"])
)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), words
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(names, words), inner, max_size=4)
    ),
    max_leaves=12,
)
bodies = st.one_of(
    st.dictionaries(names, st.one_of(values, words), max_size=8), st.lists(words, max_size=4), values
)


async def test_arbitrary_json_at_every_route(people: People) -> None:
    """A property: whatever JSON comes, at whatever route, by whoever, the answer is no 500."""
    routes = sorted(key for key in ROUTES if key not in ENDING)
    known = [*world(people).values(), people.owner.id, people.private["id"], "x" * 26, "me"]
    callers = [people.anonymous, people.stranger, people.member, people.owner, people.admin]
    loop = asyncio.get_running_loop()

    async def send(caller: Client, method: str, path: str, body: Any, ids: dict[str, str]) -> None:
        content = json.dumps(body).encode("utf-8", "surrogatepass")
        check(await caller.request(method, fill(path, ids), content=content), (method, path, body))

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        caller=st.sampled_from(callers),
        route=st.sampled_from(routes),
        body=bodies,
        swap=st.dictionaries(st.sampled_from(sorted(world(people))), st.sampled_from(known), max_size=2),
    )
    def run(caller: Client, route: tuple[str, str], body: Any, swap: dict[str, str]) -> None:
        ids = {**world(people), **swap}
        asyncio.run_coroutine_threadsafe(send(caller, *route, body, ids), loop).result(60)

    await asyncio.to_thread(run)
