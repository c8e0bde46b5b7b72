"""Who may do what, what comes back, and every error that the contract lists: one table each.

Callers, in the table's order: anonymous, other (in another team), guest, self (whose account it is), admin (system
admin), bot (by an access token), gone (deactivated after his login).
"""

from typing import Any

import pytest

from tests.fixtures.api import PASSWORD, Client
from tests.integration.accounts.oauth_client import CALLBACK, OAuthClient
from tests.integration.accounts.office import Office

pytestmark = pytest.mark.asyncio(loop_scope="package")

OK = {"status"}
TOKEN = {"id", "user_id", "description", "is_active"}
BOT = {"user_id", "username", "owner_id", "create_at", "update_at", "delete_at", "display_name"}
SESSION = {
    "id", "token", "create_at", "expires_at", "last_activity_at", "user_id", "device_id", "roles", "is_oauth",
    "expired_notify", "props", "team_members", "local",
}  # fmt: skip
AUDIT = {"id", "create_at", "user_id", "action", "extra_info", "ip_address", "session_id"}
TERMS = {"id", "create_at", "user_id", "text"}
APP = {
    "id", "creator_id", "create_at", "update_at", "client_secret", "name", "description", "icon_url", "callback_urls",
    "homepage", "is_trusted", "mattermost_app_id",
}  # fmt: skip
NEW_APP = {"name": "Tables", "description": "d", "homepage": "https://app.example.org", "callback_urls": [CALLBACK]}
ONLY_ADMIN = (401, 403, 403, 403, 200, 403, 401)
SELF_OR_ADMIN = (401, 403, 403, 200, 200, 403, 401)

# Method, path, body, statuses of the callers, members of the (first) thing that comes back. Each row is asked by all
# callers before the next one, so it says what the ones before left.
ROWS: list[tuple[str, str, Any, tuple[int, ...], set[str]]] = [
    ("GET", "/users/{self}/sessions", None, SELF_OR_ADMIN, SESSION),
    ("GET", "/users/{self}/audits", None, SELF_OR_ADMIN, AUDIT),
    ("GET", "/audits", None, ONLY_ADMIN, AUDIT),
    ("POST", "/users/{self}/sessions/revoke", {"session_id": "x" * 26}, (401, 403, 403, 400, 400, 403, 401), OK),
    ("PUT", "/users/sessions/device", {"mobile_version": "2.30.0"}, (401, 200, 200, 200, 200, 200, 401), OK),
    ("POST", "/users/{self}/tokens", {"description": "x"}, ONLY_ADMIN, TOKEN | {"token"}),
    ("GET", "/users/{self}/tokens", None, ONLY_ADMIN, TOKEN),
    ("GET", "/users/tokens", None, ONLY_ADMIN, TOKEN),
    ("GET", "/users/tokens/{token}", None, ONLY_ADMIN, TOKEN),
    ("POST", "/users/tokens/search", {"term": "self"}, ONLY_ADMIN, TOKEN),
    ("POST", "/users/tokens/disable", {"token_id": "{token}"}, ONLY_ADMIN, OK),
    ("POST", "/users/tokens/enable", {"token_id": "{token}"}, ONLY_ADMIN, OK),
    ("POST", "/users/tokens/revoke", {"token_id": "{token}"}, ONLY_ADMIN, OK),
    ("POST", "/users/{self}/mfa/generate", None, SELF_OR_ADMIN, {"secret", "qr_code"}),
    ("PUT", "/users/{self}/mfa", {"activate": True, "code": "1"}, (401, 403, 403, 401, 401, 403, 401), OK),
    ("PUT", "/users/{self}/mfa", {"activate": False}, SELF_OR_ADMIN, OK),
    ("POST", "/bots", {"username": "beep", "display_name": "B"}, (401, 403, 403, 403, 201, 403, 401), BOT),
    ("GET", "/bots", None, ONLY_ADMIN, BOT),
    ("GET", "/bots/{spare}", None, (401, 404, 404, 404, 200, 404, 401), BOT),
    ("PUT", "/bots/{spare}", {"description": "d"}, (401, 404, 404, 404, 200, 404, 401), BOT | {"description"}),
    ("POST", "/bots/{spare}/disable", None, (401, 404, 404, 404, 200, 404, 401), BOT | {"description"}),
    ("GET", "/bots/{spare}", None, (401, 404, 404, 404, 404, 404, 401), set()),
    ("POST", "/bots/{spare}/enable", None, (401, 404, 404, 404, 200, 404, 401), BOT | {"description"}),
    ("POST", "/bots/{spare}/assign/{self}", None, ONLY_ADMIN, BOT | {"description"}),
    ("POST", "/oauth/apps", NEW_APP, (401, 403, 403, 403, 201, 403, 401), APP),
    ("GET", "/oauth/apps", None, ONLY_ADMIN, APP),
    ("GET", "/oauth/apps/{app}", None, ONLY_ADMIN, APP),
    ("PUT", "/oauth/apps/{app}", {**NEW_APP, "id": "{app}"}, ONLY_ADMIN, APP),
    ("POST", "/oauth/apps/{app}/regen_secret", None, ONLY_ADMIN, APP),
    ("GET", "/oauth/apps/{app}/info", None, (401, 200, 200, 200, 200, 200, 401), APP),
    ("GET", "/users/{self}/oauth/apps/authorized", None, SELF_OR_ADMIN, APP),
    ("DELETE", "/oauth/apps/{app}", None, ONLY_ADMIN, OK),
    ("GET", "/terms_of_service", None, (401, 404, 404, 404, 404, 404, 401), set()),
    ("POST", "/terms_of_service", {"text": "Be kind."}, ONLY_ADMIN, TERMS),
    ("GET", "/terms_of_service", None, (401, 200, 200, 200, 200, 200, 401), TERMS),
    ("GET", "/users/{self}/terms_of_service", None, (401, 403, 403, 404, 403, 403, 401), set()),
    ("POST", "/users/{self}/reset_failed_attempts", None, ONLY_ADMIN, OK),
    ("POST", "/users/login/type", {"login_id": "x"}, (404,) * 7, set()),
    ("POST", "/users/email/verify/send", {"email": "x@example.org"}, (200,) * 7, OK),
    ("POST", "/users/password/reset/send", {"email": "x@example.org"}, (200,) * 7, OK),
    ("PUT", "/users/{self}/password", {"current_password": PASSWORD, "new_password": PASSWORD}, SELF_OR_ADMIN, OK),
    ("POST", "/users/{self}/sessions/revoke/all", None, (401, 403, 403, 401, 200, 403, 401), OK),
]  # fmt: skip

# Caller, method, path, body, status, id.
BODY, LINK = "api.context.invalid_body_param.app_error", "api.context.invalid_url_param.app_error"
ERRORS: list[tuple[str, str, str, Any, int, str]] = [
    ("self", "POST", "/users/login/switch", {"current_service": "email", "new_service": "gitlab"}, 501,
     "api.user.authorize_oauth_user.unsupported.app_error"),
    ("self", "POST", "/users/login/switch", {}, 400, BODY),
    ("self", "POST", "/users/email/verify", {"token": "x" * 64}, 400, "api.user.verify_email.bad_link.app_error"),
    ("self", "POST", "/users/email/verify", {}, 400, "api.user.verify_email.bad_link.app_error"),
    ("self", "POST", "/users/email/verify/send", {}, 400, BODY),
    ("self", "POST", "/users/password/reset/send", {}, 400, BODY),
    ("self", "POST", "/users/password/reset", {"token": "x", "new_password": PASSWORD}, 400, BODY),
    ("self", "POST", "/users/password/reset", {"token": "x" * 64, "new_password": PASSWORD}, 400,
     "api.user.reset_password.invalid_link.app_error"),
    ("self", "POST", "/users/password/reset", {"token": "x" * 64, "new_password": "x"}, 400,
     "model.user.is_valid.pwd_min_length.app_error"),
    ("self", "PUT", "/users/{self}/password", {"current_password": "wrong", "new_password": PASSWORD}, 400,
     "api.user.update_password.incorrect.app_error"),
    ("self", "PUT", "/users/{self}/password", {"new_password": PASSWORD}, 400, BODY),
    ("self", "PUT", "/users/{self}/password", {"current_password": PASSWORD}, 400, BODY),
    ("self", "PUT", "/users/{self}/password", {"current_password": PASSWORD, "new_password": "x" * 73}, 400,
     "model.user.is_valid.pwd_max_length.app_error"),
    ("admin", "PUT", "/users/{bot}/password", {"new_password": PASSWORD}, 400,
     "api.user.update_password.oauth.app_error"),
    ("admin", "PUT", "/users/{unknown}/password", {"new_password": PASSWORD}, 404,
     "app.user.missing_account.const"),
    ("self", "PUT", "/users/{self}/mfa", {}, 400, BODY),
    ("self", "PUT", "/users/{self}/mfa", {"activate": True}, 400, BODY),
    ("self", "PUT", "/users/{self}/mfa", {"activate": True, "code": "000000"}, 401, "mfa.activate.bad_token.app_error"),
    ("self", "PUT", "/users/sessions/device", {"device_notification_disabled": "maybe"}, 400, BODY),
    ("self", "PUT", "/users/sessions/device", {"mobile_version": "two"}, 400, BODY),
    ("self", "PUT", "/users/sessions/device", {"device_id": "x" * 600}, 400, BODY),
    ("self", "POST", "/users/{self}/sessions/revoke", {}, 400, BODY),
    ("admin", "POST", "/users/{self}/tokens", {}, 400, BODY),
    ("admin", "POST", "/users/{self}/tokens", {"description": "x" * 256}, 400, BODY),
    ("admin", "POST", "/users/{unknown}/tokens", {"description": "x"}, 404, "app.user.missing_account.const"),
    ("admin", "POST", "/users/tokens/search", {}, 400, BODY),
    ("admin", "POST", "/users/tokens/revoke", {}, 400, BODY),
    ("admin", "POST", "/users/tokens/revoke", {"token_id": "x" * 26}, 404,
     "app.user_access_token.get_by_token.app_error"),
    ("admin", "GET", "/users/tokens/{unknown}", None, 404, "app.user_access_token.get_by_token.app_error"),
    ("admin", "GET", "/users/tokens/short", None, 400, LINK),
    ("admin", "POST", "/bots", {}, 400, "model.bot.is_valid.username.app_error"),
    ("admin", "POST", "/bots", {"username": "Robot"}, 400, "app.user.save.username_exists.app_error"),
    ("admin", "POST", "/bots", {"username": "b1", "description": "x" * 1025}, 400,
     "model.bot.is_valid.description.app_error"),
    ("admin", "POST", "/bots", {"username": "b1", "display_name": "x" * 65}, 400,
     "model.user.is_valid.first_name.app_error"),
    ("admin", "GET", "/bots/{self}", None, 404, "store.sql_bot.get.missing.app_error"),
    ("admin", "PUT", "/bots/{bot}", {"username": "no good"}, 400, "model.bot.is_valid.username.app_error"),
    ("admin", "PUT", "/bots/{bot}", {"username": "member"}, 400, "app.user.save.username_exists.app_error"),
    ("admin", "POST", "/bots/{bot}/assign/{unknown}", None, 404, "app.user.missing_account.const"),
    ("admin", "POST", "/bots/{bot}/assign/{bot}", None, 403, "api.context.permissions.app_error"),
    ("admin", "POST", "/terms_of_service", {"text": " "}, 400, "api.create_terms_of_service.empty_text.app_error"),
    ("self", "POST", "/users/{self}/terms_of_service", {"termsOfServiceId": "x" * 26, "accepted": True}, 404,
     "app.terms_of_service.get.no_rows.app_error"),
    ("self", "POST", "/users/{self}/terms_of_service", {}, 400, BODY),
    ("self", "GET", "/oauth/apps", None, 403, "api.command.admin_only.app_error"),
    ("admin", "POST", "/oauth/apps", {}, 400, "model.oauth.is_valid.name.app_error"),
    ("admin", "GET", "/oauth/apps/{unknown}", None, 404, "app.oauth.get_app.find.app_error"),
    ("admin", "GET", "/oauth/apps/{unknown}/info", None, 404, "app.oauth.get_app.find.app_error"),
    ("admin", "PUT", "/oauth/apps/{unknown}", {"id": "{unknown}"}, 404, "app.oauth.get_app.find.app_error"),
    ("admin", "PUT", "/oauth/apps/{public}", {"id": "{unknown}"}, 400, BODY),
    ("admin", "PUT", "/oauth/apps/{public}", {"id": "{public}", "name": "x"}, 400,
     "model.oauth.is_valid.callback.app_error"),
    ("admin", "DELETE", "/oauth/apps/{unknown}", None, 404, "app.oauth.get_app.find.app_error"),
    ("admin", "POST", "/oauth/apps/{public}/regen_secret", None, 400,
     "api.oauth.regenerate_secret.public_client.app_error"),
]  # fmt: skip


def put_in(value: Any, ids: dict[str, str]) -> Any:
    """Return a body with its braces filled."""
    if isinstance(value, dict):
        return {key: put_in(one, ids) for key, one in value.items()}
    return value.format(**ids) if isinstance(value, str) else value


async def ask(caller: Client, method: str, path: str, body: Any, ids: dict[str, str]) -> Any:
    """Return the answer to a row's request."""
    json = {} if body is None else {"json": put_in(body, ids)}
    return await caller.request(method, path.format(**ids), **json)


async def test_who_may_do_what(office: Office) -> None:
    people = office.crew.people
    self = await office.newcomer("selfsame")
    await office.crew.town.db.execute("DELETE FROM terms_of_service")  # other tests' ones
    spare = await people.admin.post("/bots", {"username": "spare", "display_name": "S"}, expect=201)
    token = await people.admin.post(f"/users/{self.id}/tokens", {"description": "x"})
    app = await OAuthClient.register(office)
    await app.code(self)
    ids = {"self": self.id, "spare": spare["user_id"], "token": token["id"], "bot": office.bot.id, "app": app.id}
    callers = [
        people.anonymous, people.stranger, office.crew.guest, self, people.admin, office.bot, office.crew.gone,
    ]  # fmt: skip
    for method, path, body, expected, members in ROWS:
        answers = [await ask(caller, method, path, body, ids) for caller in callers]
        assert tuple(answer.status_code for answer in answers) == expected, (method, path)
        for answer in answers:
            if answer.status_code in (200, 201):
                found = answer.json()
                if isinstance(found, list):  # perhaps with what other tests left
                    found = next((one for one in found if one.get("id") in ids.values()), found[0])
                assert found.keys() == members, (method, path)
            elif answer.content:
                assert answer.json().keys() == {
                    "id", "message", "detailed_error", "request_id", "status_code",
                }  # fmt: skip


async def test_every_error(office: Office) -> None:
    people = office.crew.people
    self = await office.newcomer("erring")
    callers = {"self": self, "admin": people.admin}
    public = await OAuthClient.register(office, is_public=True)
    ids = {"self": self.id, "bot": office.bot.id, "unknown": "x" * 26, "public": public.id}
    for name, method, path, body, status, error_id in ERRORS:
        answer = await ask(callers[name], method, path, body, ids)
        assert (answer.status_code, answer.json()["id"]) == (status, error_id), (method, path, body)
