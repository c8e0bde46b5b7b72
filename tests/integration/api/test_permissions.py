"""Who may do what: a table of requests and the status for each kind of caller.

Callers, in the table's order: anonymous, stranger (in another team), teammate (in the team, not in the channel),
member (in the channel), owner (team and channel admin), admin (system admin, in neither).
"""

import re
from typing import Any

from api.routing import ROUTES
from tests.fixtures.api import Client, People

IDS = {"channel": "channel", "private": "private", "team": "team"}

READS = [
    # path, and the statuses of: anonymous, stranger, teammate, member, owner, admin
    ("/users/{member}", 401, 200, 200, 200, 200, 200),
    ("/users/{member}/sessions", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/preferences", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/channels", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/channel_members", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/teams", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/teams/members", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/teams/unread", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/teams/{team}/unread", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/teams/{team}/threads", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/teams/{team}/channels", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/teams/{team}/channels/members", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/channels/{channel}/unread", 401, 403, 403, 200, 403, 200),
    ("/users/{member}/status", 401, 200, 200, 200, 200, 200),
    ("/teams/{team}", 401, 403, 200, 200, 200, 200),
    ("/teams/{team}/members", 401, 403, 200, 200, 200, 200),
    ("/teams/{team}/members/{member}", 401, 403, 200, 200, 200, 200),
    ("/teams/{team}/stats", 401, 403, 200, 200, 200, 200),
    ("/teams/{team}/channels", 401, 403, 200, 200, 200, 200),
    ("/teams/{team}/channels/name/harbour", 401, 404, 200, 200, 200, 200),
    ("/teams/{team}/channels/name/hidden", 401, 404, 404, 200, 200, 200),
    ("/channels/{channel}", 401, 403, 200, 200, 200, 200),
    ("/channels/{private}", 401, 403, 403, 200, 200, 200),
    ("/channels/{channel}/stats", 401, 403, 403, 200, 200, 200),
    ("/channels/{private}/members", 401, 403, 403, 200, 200, 200),
    ("/channels/{private}/members/{member}", 401, 403, 403, 200, 200, 200),
    ("/channels/{unknown}/stats", 401, 403, 403, 403, 403, 404),
    ("/channels/{unknown}/members", 401, 403, 403, 403, 403, 404),
    ("/teams/{unknown}/members", 401, 403, 403, 403, 403, 404),
    ("/teams/{unknown}/channels", 401, 403, 403, 403, 403, 404),
    ("/config/client", 200, 200, 200, 200, 200, 200),
    ("/users", 401, 200, 200, 200, 200, 200),
]

WRITES: list[tuple[str, str, Any, tuple[int, ...]]] = [
    # Callers go in this order, so each row says what the ones before left.
    ("PUT", "/users/{member}/patch", {"position": "x"}, (401, 403, 403, 200, 403, 200)),
    ("PUT", "/channels/{channel}/patch", {"header": "x"}, (401, 403, 403, 200, 200, 200)),
    ("PUT", "/channels/{private}/patch", {"header": "x"}, (401, 403, 403, 200, 200, 200)),
    ("PUT", "/channels/{unknown}/patch", {"header": "x"}, (401, 403, 403, 403, 403, 404)),
    ("POST", "/channels/{private}/members", {"user_id": "{teammate}"}, (401, 403, 403, 201, 201, 201)),
    ("DELETE", "/channels/{private}/members/{teammate}", None, (401, 403, 200, 404, 404, 404)),
    ("POST", "/channels/{channel}/members", {"user_id": "{teammate}"}, (401, 403, 201, 201, 201, 201)),
    ("POST", "/teams/{team}/members", {"user_id": "{teammate}"}, (401, 403, 201, 201, 201, 201)),
    ("DELETE", "/teams/{team}/members/{owner}", None, (401, 403, 403, 403, 200, 404)),
    ("POST", "/channels", {"team_id": "{team}", "name": "n", "type": "P"}, (401, 403, 201, 400, 403, 400)),
    ("DELETE", "/channels/{private}", None, (401, 403, 403, 200, 403, 400)),
    ("DELETE", "/channels/{unknown}", None, (401, 403, 403, 403, 403, 404)),
    ("POST", "/users/{member}/sessions/revoke/all", None, (401, 403, 403, 200, 403, 200)),
]


def callers(people: People) -> list[Client]:
    """Return the callers in the tables' order."""
    return [people.anonymous, people.stranger, people.teammate, people.member, people.owner, people.admin]


def names(people: People) -> dict[str, str]:
    """Return what the tables' braces stand for."""
    ids = {"channel": people.channel["id"], "private": people.private["id"], "team": people.team["id"]}
    for name in ("member", "teammate", "owner", "stranger"):
        ids[name] = getattr(people, name).id
    return {**ids, "unknown": "x" * 26}


def put_in(value: Any, ids: dict[str, str]) -> Any:
    """Return a body with its braces filled."""
    if isinstance(value, dict):
        return {key: put_in(one, ids) for key, one in value.items()}
    return value.format(**ids) if isinstance(value, str) else value


async def test_reads(people: People) -> None:
    ids = names(people)
    for path, *expected in READS:
        found = [(await caller.request("GET", path.format(**ids))).status_code for caller in callers(people)]
        assert found == expected, path


async def test_writes(people: People) -> None:
    ids = names(people)
    for method, path, body, expected in WRITES:
        found = []
        for caller in callers(people):
            json = {} if body is None else {"json": put_in(body, ids)}
            found.append((await caller.request(method, path.format(**ids), **json)).status_code)
        assert tuple(found) == expected, (method, path)


async def test_nothing_but_open_routes_answers_a_stranger(people: People) -> None:
    opened = {(method, path) for (method, path), route in ROUTES.items() if not route.session}
    assert opened == {
        ("POST", "/users"), ("POST", "/users/login"), ("POST", "/users/logout"), ("GET", "/system/ping"),
        ("GET", "/config/client"), ("GET", "/license/client"), ("GET", "/plugins/webapp"),
        ("GET", "/teams/invite/{invite_id}"), ("POST", "/users/login/type"), ("POST", "/users/login/switch"),
        ("POST", "/users/email/verify"), ("POST", "/users/email/verify/send"), ("POST", "/users/password/reset"),
        ("POST", "/users/password/reset/send"), ("POST", "/logs"), ("GET", "/openapi.json"),
        ("GET", "/brand/image"), ("GET", "/files/{file_id}/public"), ("HEAD", "/files/{file_id}/public"),
        ("POST", "/actions/dialogs/open"), ("POST", "/oauth/apps/register"),
    }  # fmt: skip
    forged = people.api.anonymous(Authorization="Bearer " + "x" * 26)
    for method, path in set(ROUTES) - opened:
        url = re.sub(r"\{[^}]*\}", "x" * 26, path)
        for caller in (people.anonymous, forged):
            answer = await caller.request(method, url, content=b"[]")
            assert answer.status_code == 401, (method, path)
            if method != "HEAD":
                assert answer.json()["id"] == "api.context.session_expired.app_error"


async def test_unknown_and_foreign_channels_look_the_same(people: People) -> None:
    """Where a route takes a channel or a team, one without rights learns nothing; except from the two plain GETs,

    which say 404 and 403 as the reference does: ids cannot be guessed (82 random bits beside the time).
    """
    plain = {("GET", "/channels/{channel_id}"), ("GET", "/teams/{team_id}")}
    foreign = {"channel_id": people.private["id"], "team_id": people.team["id"]}
    bodies = {"POST": b'{"user_id":"%b"}' % people.stranger.id.encode(), "PUT": b'{"header":"x"}'}
    for method, path in ROUTES:
        variables = set(re.findall(r"\{(\w+)\}", path))
        if not variables & foreign.keys() or (method, path) in plain:
            continue
        answers = []
        for ids in (foreign, dict.fromkeys(foreign, "x" * 26)):
            url = re.sub(r"\{(\w+)\}", lambda found, ids=ids: ids.get(found[1], people.stranger.id), path)
            answer = await people.stranger.request(method, url, content=bodies.get(method, b""))
            answers.append((answer.status_code, answer.json() and dict(answer.json(), request_id="")))
        assert answers[0] == answers[1], (method, path)
