"""Every operation's documented error statuses: provoked at the route or by a row of the tables, or named as not coming.

What is tried at each route by a system admin: an id that is malformed, ids that nobody has, a body that is no JSON.
"""

import re
from pathlib import Path
from typing import Any

from api.routing import ROUTES
from tests.contract_errors import LISTED
from tests.fixtures.api import People
from tests.integration.accounts.test_table import ROWS as OF_ACCOUNTS
from tests.integration.api.test_bad_input import ENDING, fill, world
from tests.integration.api.test_permissions import READS, WRITES
from tests.integration.people.table import MAY
from tests.integration.teams.more_rows import MORE
from tests.integration.teams.program_rows import PROGRAMS
from tests.integration.teams.rows import PERMISSIONS
from tests.unit.test_contract_tables import Key, provoked, route_of

STATUSES = Path(__file__).parents[2] / "contract_statuses.tsv"
URL, BODY = "api.context.invalid_url_param.app_error", "api.context.invalid_body_param.app_error"
UNKNOWN = "x" * 26

# Routes that answer a body which is none with an id of their own: the status and the id.
OWN_BODY: dict[Key, tuple[int, str]] = {
    ("POST", "/emoji"): (400, "api.emoji.create.parse.app_error"),
    ("POST", "/files"): (400, URL),  # of a query that names no file
    ("POST", "/uploads/{upload_id}"): (404, "app.upload.get.app_error"),
    ("POST", "/posts/ids"): (400, "api.post.posts_by_ids.invalid_body.request_error"),
    ("POST", "/teams/members/invite"): (400, "api.team.add_user_to_team.missing_parameter.app_error"),
    ("POST", "/teams/{team_id}/image"): (400, "api.team.set_team_icon.parse.app_error"),
    ("POST", "/users/{user_id}/image"): (400, "api.user.upload_profile_user.parse.app_error"),
}
# Routes that read no body.
NO_BODY = frozenset(
    {
        "/bots/{bot_user_id}/assign/{user_id}", "/bots/{bot_user_id}/disable", "/bots/{bot_user_id}/enable",
        "/caches/invalidate", "/channels/{channel_id}/restore", "/config/reload", "/notifications/test",
        "/jobs/{job_id}/cancel",
        "/oauth/apps/{app_id}/regen_secret",
        "/commands/{command_id}/regen_token", "/hooks/outgoing/{hook_id}/regen_token",
        "/posts/{post_id}/pin", "/posts/{post_id}/unpin", "/posts/{post_id}/restore/{restore_version_id}",
        "/teams/{team_id}/regenerate_invite_id", "/teams/{team_id}/restore", "/users/{user_id}/demote",
        "/users/{user_id}/promote", "/users/{user_id}/email/verify/member", "/users/{user_id}/mfa/generate",
        "/users/{user_id}/posts/{post_id}/ack", "/users/{user_id}/reset_failed_attempts",
        "/users/{user_id}/teams/{team_id}/threads/{thread_id}/set_unread/{post_id}",
        "/users/{user_id}/teams/{team_id}/threads/read",
        "/users/{user_id}/teams/{team_id}/threads/{thread_id}/following",
        "/users/{user_id}/teams/{team_id}/threads/{thread_id}/read/{timestamp}",
    }
)  # fmt: skip
# Posts are not scheduled: one answer to everything.
SCHEDULED = "/posts/schedule"

# Documented statuses that do not come: the status, why, and of which operations.
NOT_COMING: list[tuple[int, str, str]] = [
    (403, "whatever one may not read looks as if it were not there: 404", """
        GET /posts/{post_id}/files/info, GET /posts/{post_id}/reactions, GET /posts/{post_id}/thread,
        POST /posts/{post_id}/actions/{action_id},
        POST /posts/{post_id}/pin, POST /posts/{post_id}/unpin, GET /teams/{team_id}/channels/name/{channel_name},
        GET /teams/name/{team_name}/channels/name/{channel_name}, GET /bots/{bot_user_id}, PUT /bots/{bot_user_id},
        POST /bots/{bot_user_id}/disable, POST /bots/{bot_user_id}/enable, POST /teams/{team_id}/channels/search"""),
    (403, "what the caller may not see is left out of the answer", """
        POST /posts/ids, POST /posts/ids/reactions, GET /config/environment, POST /teams/search,
        GET /teams/{team_id}/channels/search_autocomplete"""),
    (403, "every account may do this", """
        GET /emoji, GET /emoji/autocomplete, GET /emoji/{emoji_id}/image, POST /emoji/search, POST /files/search,
        GET /limits/server, GET /users/stats, POST /client_perf, POST /notifications/test, GET /trial-license/prev"""),
    (403, "the refusal is a 400 with an id of its own, as the list of errors has it", """
        GET /jobs, GET /jobs/type/{job_type}, PUT /posts/{post_id}"""),
    (403, "posts are not scheduled: 400", """
        POST /posts/schedule, PUT /posts/schedule/{scheduled_post_id}, DELETE /posts/schedule/{scheduled_post_id}"""),
    (403, "retention needs a licence: 501", "GET /data_retention/policy"),
    (403, "nobody needs a right for it who has no session yet", """
        POST /users/login, POST /users/login/switch, POST /users/logout, POST /users/password/reset,
        POST /users/password/reset/send, GET /plugins/webapp"""),
    (401, "they need no session", """
        POST /users/login/switch, POST /users/password/reset, POST /users/password/reset/send, GET /plugins/webapp,
        GET /files/{file_id}/public"""),
    (400, "nothing in such a request can be wrong: pages and words that are none count as the default", """
        GET /analytics/old, GET /bots, GET /config, GET /config/environment, GET /exports, GET /imports,
        GET /limits/server, GET /oauth/apps,
        GET /plugins/webapp,
        GET /roles, GET /teams, GET /teams/name/{team_name}, GET /teams/name/{team_name}/exists, GET /terms_of_service,
        GET /trial-license/prev, GET /users/email/{email}, GET /users/stats, GET /users/tokens, POST /users/logout,
        GET /users/username/{username}, POST /config/reload, GET /hooks/incoming, GET /hooks/outgoing"""),
    (404, "what is not there is an empty list, or false", """
        GET /teams/name/{team_name}/exists, GET /teams/{team_id}/channels/search_autocomplete, GET /users/stats,
        GET /users/{user_id}/channel_members, GET /users/{user_id}/channels, GET /users/{user_id}/teams/members,
        POST /channels/{channel_id}/members/ids, POST /roles/names, POST /teams/search, GET /redirect_location,
        GET /imports"""),
    (404, "an account that does not switch says nothing of who has one", "POST /users/login/switch"),
    (404, "preferences need no row of the account", "PUT /users/{user_id}/preferences"),
    (404, "a team that is not there is one in which nobody may do anything: 403", """
        GET /hooks/outgoing, POST /hooks/outgoing"""),
    (404, "uploads are for their user only, whoever else there is: 403", "GET /users/{user_id}/uploads"),
    (501, "files are always kept somewhere; attachments that are switched off are a 403 here", """
        POST /files, GET /files/{file_id}, GET /files/{file_id}/info, GET /files/{file_id}/link,
        GET /files/{file_id}/preview, GET /files/{file_id}/thumbnail, GET /files/{file_id}/public,
        GET /uploads/{upload_id}"""),
    (501, "pictures are rows of the database, whatever stores files", """
        DELETE /teams/{team_id}/image, DELETE /users/{user_id}/image, GET /teams/{team_id}/image,
        GET /users/{user_id}/image, GET /users/{user_id}/image/default, POST /teams/{team_id}/image,
        POST /users/{user_id}/image, GET /brand/image"""),
    (501, "it is built, and cannot be switched off", """
        POST /posts/{post_id}/restore/{restore_version_id}, GET /license/client, GET /plugins/webapp"""),
    (413, "a body that is too large is refused at every route, tried at one", "POST /teams/{team_id}/invite/email"),
]


def documented() -> dict[Key, set[int]]:
    """Return operation → its documented error statuses."""
    found = {}
    for line in STATUSES.read_text().splitlines():
        if not line.startswith("#"):
            method, path, statuses = line.split("\t")
            found[method, path] = {int(status) for status in statuses.split()}
    return found


STATUSES_OF = documented()


def by_rows() -> dict[Key, set[int]]:
    """Return operation → the statuses that the tables' rows and the tests named in LISTED provoke."""
    found: dict[Key, set[int]] = {}
    for path, *statuses in READS:
        found.setdefault(route_of("GET", str(path)), set()).update(int(one) for one in statuses)
    for rows in (PERMISSIONS, MORE, PROGRAMS, MAY, WRITES, OF_ACCOUNTS):
        for row in rows:
            found.setdefault(route_of(row[0], row[1]), set()).update(row[3])
    for key, status, _ in provoked():
        found.setdefault(key, set()).add(status)
    for method, path, status, _, shown in LISTED:
        if not shown.startswith("no: "):
            found.setdefault((method, path), set()).add(status)
    return found


async def programs(people: People) -> dict[str, dict[str, str]]:
    """Return ids for paths that begin so: of webhooks and a command, whose bodies are read once they are found."""
    team = {"team_id": people.team["id"]}
    incoming = await people.owner.post("/hooks/incoming", {"channel_id": people.channel["id"]})
    outgoing = {**team, "trigger_words": ["x"], "callback_urls": ["http://x.example/"]}
    outgoing = await people.owner.post("/hooks/outgoing", outgoing)
    command = {**team, "trigger": "x", "method": "P", "url": "http://x.example/"}
    command = await people.owner.post("/commands", command)
    return {
        "/hooks/incoming": {"hook_id": incoming["id"]},
        "/hooks/outgoing": {"hook_id": outgoing["id"]},
        "/commands": {"command_id": command["id"]},
    }


async def test_every_documented_status_comes_or_is_named(people: People) -> None:
    come = by_rows()
    own = await programs(people)
    for (method, path), route in ROUTES.items():
        ids = world(people)
        for beginning, more in own.items():
            ids |= more if path.startswith(beginning) else {}
        found = come.setdefault((method, path), set())
        if route.session:
            found.add(401)  # test_permissions tries them all
        names = re.findall(r"\{(\w+_id)\}", path)
        if (method, path) not in STATUSES_OF:
            continue
        for change in ({names[0]: "x"}, dict.fromkeys(names, UNKNOWN)) if names else ():
            answer = await people.admin.request(method, fill(path, ids | change), content=b"{}")
            found.add(answer.status_code)
            if "x" in change.values() and not path.startswith(SCHEDULED + "/{"):
                assert (answer.status_code, error_of(answer)) == (400, URL), (method, path)
        if method in ("POST", "PUT") and path not in NO_BODY and (method, path) not in ENDING:
            expected = OWN_BODY.get((method, path), (400, BODY))
            if path.startswith(SCHEDULED):
                expected = 400, "api.scheduled_posts.license_error"
            answer = await people.admin.request(method, fill(path, ids), content=b"{")
            found.add(answer.status_code)
            assert (answer.status_code, error_of(answer)) == expected, (method, path)
    named = set()
    for status, _, some in NOT_COMING:
        for one in some.split(","):
            method, path = one.split()
            named.add((method, path, status))
    missing = {
        (method, path, status)
        for (method, path), statuses in STATUSES_OF.items()
        for status in statuses - come[method, path]
    }
    assert missing == named


def error_of(answer: Any) -> str:
    """Return an answer's error id."""
    found: str = answer.json().get("id", "")
    return found
