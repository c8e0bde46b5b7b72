"""The OAuth provider: the whole flow, what is refused on its way, and what apps may be.

Source: RFC 6749, RFC 7636, RFC 9700; Mattermost API v4.
"""

import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.fixtures.api import PASSWORD, Client
from tests.integration.accounts.oauth_client import (
    APP,
    CALLBACK,
    CODE,
    VERIFIER,
    OAuthClient,
    answer_of,
    browser_of,
    challenge_of,
    fields_of,
    in_query,
)
from tests.integration.accounts.office import Office
from tidewire.actions import oauth_tokens

pytestmark = pytest.mark.asyncio(loop_scope="package")
AJAX = {"X-Requested-With": "XMLHttpRequest"}
NO = "api.context.permissions.app_error"
CREDENTIALS = "api.oauth.get_access_token.credentials.app_error"
PKCE = "model.authorize.validate_pkce."


async def test_from_an_app_s_link_to_its_token_and_back(office: Office) -> None:
    """The flow of a browser: log in on the way, agree, use, renew, look at it, take it back."""
    people = office.crew.people
    client = await OAuthClient.register(office)
    stranger = office.api.anonymous()
    sent = await stranger.http.get(in_query(client.asks))
    login = urlsplit(sent.headers["Location"])
    assert (sent.status_code, login.scheme, login.netloc, login.path) == (302, "", "", "/oauth/login")
    page = await stranger.http.get(sent.headers["Location"])
    form = fields_of(page.text) | {"login_id": "member", "password": PASSWORD}
    came = await stranger.http.post("/oauth/login", data=form)
    assert came.status_code == 303
    back = came.headers["Location"]
    assert {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()} == client.asks

    browser, stranger = stranger, office.api.anonymous()
    page = await browser.http.get(back)
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert "Tide &amp; &lt;b&gt;Tables" in page.text
    assert "@member" in page.text
    assert "<script" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    agreed = await browser.http.post("/oauth/authorize", data=fields_of(page.text) | {"answer": "allow"})
    assert agreed.status_code == 303
    told = answer_of(agreed.headers["Location"])
    assert told.pop("state") == client.asks["state"]
    [code] = told.values()

    basic = (client.id, client.app["client_secret"])
    form = client.form(code, client_secret="", client_id="")
    granted = await client.post(form, auth=basic)
    assert (granted.status_code, granted.headers["Cache-Control"]) == (200, "no-store")
    assert granted.headers["Content-Type"] == "application/json"
    tokens = granted.json()
    assert tokens.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("bearer", 720 * 3600, "user")

    caller = office.bearer(tokens["access_token"])
    assert (await caller.get("/users/me"))["id"] == people.member.id
    by_url = await stranger.request("GET", f"/users/me?access_token={tokens['access_token']}")
    assert by_url.json()["username"] == "member"
    body = {"channel_id": people.channel["id"], "message": "by an app", "props": {"from_oauth_app": "no"}}
    assert (await caller.post("/posts", body))["props"]["from_oauth_app"] == "true"
    assert "from_oauth_app" not in (await people.member.post("/posts", body))["props"]
    sessions = [one for one in await people.member.get("/users/me/sessions") if one["is_oauth"]]
    [session] = [one for one in sessions if one["props"]["oauth_app_id"] == client.id]
    assert (session["token"], session["props"]["platform"]) == ("", APP["name"])

    authorized = await people.member.get("/users/me/oauth/apps/authorized")
    [listed] = [one for one in authorized if one["id"] == client.id]
    assert listed["client_secret"] == ""
    preference = f"/users/me/preferences/oauth_app/name/{client.id}"
    assert (await people.member.get(preference))["value"] == "user"

    renewed = (await client.post(client.refresh_form(tokens["refresh_token"]))).json()
    assert renewed.keys() == tokens.keys()
    assert not {renewed["access_token"], renewed["refresh_token"]} & set(map(str, tokens.values()))
    await caller.get("/users/me", expect=401)
    caller = office.bearer(renewed["access_token"])
    await caller.get("/users/me")

    audits = await people.admin.get(f"/users/{people.member.id}/audits?per_page=200")
    done = [(one["action"], one["extra_info"]) for one in audits if one["action"].startswith("/oauth/")]
    assert {("/oauth/authorize", "success"), ("/oauth/access_token", "success")} <= set(done)
    taken_back = await people.member.http.post("/oauth/deauthorize", json={"client_id": client.id})
    assert taken_back.json() == {"status": "OK"}
    await caller.get("/users/me", expect=401)
    assert (await client.post(client.refresh_form(renewed["refresh_token"]))).json()[
        "error"
    ] == "invalid_grant"
    authorized = await people.member.get("/users/me/oauth/apps/authorized")
    assert client.id not in [one["id"] for one in authorized]
    await people.member.get(preference, expect=404)


async def test_the_log_in_page_leads_to_an_app_s_question_only(office: Office) -> None:
    """Where no web client is served. A wrong password and other ways on log nobody in."""
    client, browser = await OAuthClient.register(office), office.api.anonymous()
    back = in_query(client.asks)
    shown = await browser.http.get("/oauth/login", params={"redirect_to": back})
    form = fields_of(shown.text) | {"login_id": "member", "password": PASSWORD}
    wrong = await browser.http.post("/oauth/login", data=form | {"password": "<wrong>"})
    assert (wrong.status_code, fields_of(wrong.text)) == (401, fields_of(shown.text))
    for other in (
        "https://evil.example/oauth/authorize?",
        "//evil.example",
        "/",
        "",
        "/oauth/authorize?\r\nA: b",
    ):
        answer = await browser.http.post("/oauth/login", data=form | {"redirect_to": other})
        assert (answer.status_code, "Location" in answer.headers) == (400, False), other
        assert (await browser.http.get("/oauth/login", params={"redirect_to": other})).status_code == 400
    assert set(browser.http.cookies) == {"TWLOGIN"}
    answer = await browser.http.post("/oauth/login", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, back)
    assert set(browser.http.cookies) == {"MMAUTHTOKEN", "MMUSERID", "MMCSRF", "TWLOGIN"}


async def test_a_public_app_shows_by_pkce_who_it_is(office: Office) -> None:
    member = office.crew.people.member
    client = await OAuthClient.register(office, is_public=True)
    assert client.app["client_secret"] == ""
    tokens = await client.tokens(member)
    assert "refresh_token" not in tokens  # nothing would tell it from whoever found that
    await office.bearer(tokens["access_token"]).get("/users/me")
    faults: list[tuple[dict[str, str], str]] = [
        ({"code_verifier": ""}, PKCE + "verifier_required.app_error"),
        ({"code_verifier": "w" * 43}, PKCE + "verification_failed.app_error"),
        ({"code_verifier": VERIFIER[1:]}, PKCE + "verification_failed.app_error"),
        ({"code_verifier": "ü" * 43}, PKCE + "verification_failed.app_error"),
        ({"client_secret": "x"}, "model.oauth.validate_grant.public_client_secret.app_error"),
    ]
    code = await client.code(member)
    for change, error_id in faults:
        answer = await client.post(client.form(code, **change))
        assert (answer.status_code, answer.json()["id"]) == (400, error_id), change
    assert (await client.post(client.form(code))).status_code == 200
    answer = await client.post(client.refresh_form("x" * 50))
    assert answer.json()["id"] == "model.oauth.validate_grant.public_client_refresh_token.app_error"


async def test_what_an_app_may_not_ask(office: Office) -> None:
    """What is wrong about the app or its address is told to the user, all else to the app."""
    client = await OAuthClient.register(office)
    public = await OAuthClient.register(office, is_public=True)
    browser = await browser_of(office, "member")
    for change, status in [
        ({"client_id": "x" * 26}, 404), ({"client_id": "x"}, 400), ({"client_id": ""}, 400),
        ({"redirect_uri": ""}, 400), ({"redirect_uri": CALLBACK + "&"}, 400), ({"redirect_uri": CALLBACK[:-1]}, 400),
        ({"redirect_uri": CALLBACK.replace("https", "http")}, 400), ({"redirect_uri": "https://evil.example"}, 400),
        ({"redirect_uri": "HTTPS://app.example.org/done?from=chat"}, 400), ({"state": "x" * 1025}, 400),
        ({"state": "\0"}, 400), ({"client_id": client.id + "&client_id=" + public.id}, 400),
    ]:  # fmt: skip
        url = in_query(client.asks | change).replace("%26client_id%3D", "&client_id=")
        answer = await browser.http.get(url)
        assert (answer.status_code, "Location" in answer.headers) == (status, False), change
        assert answer.headers["Content-Type"].startswith("text/html")
    table: list[tuple[OAuthClient, dict[str, str], str]] = [
        (client, {"response_type": "token"}, "unsupported_response_type"),
        (client, {"response_type": ""}, "unsupported_response_type"),
        (client, {"scope": "x" * 129}, "invalid_scope"),
        (client, {"code_challenge_method": "S256"}, "invalid_request"),
        (client, {"code_challenge": VERIFIER}, "invalid_request"),
        (client, {"code_challenge": VERIFIER, "code_challenge_method": "plain"}, "invalid_request"),
        (client, {"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        (public, {"code_challenge": "", "code_challenge_method": ""}, "invalid_request"),
    ]
    for who, change, error in table:
        answer = await browser.http.get(in_query(who.asks | change))
        told = answer_of(answer.headers["Location"])
        assert (answer.status_code, told["error"], told["state"]) == (302, error, who.asks["state"]), change
        assert "code" not in told
        by_json = await office.crew.people.member.http.post("/oauth/authorize", json=who.asks | change)
        assert (by_json.status_code, by_json.json()["error"]) == (400, error), change


async def test_nobody_agrees_for_another(office: Office) -> None:
    """A foreign page's form, another's or a changed one gets no code; nor does a cookie alone."""
    client = await OAuthClient.register(office)
    other = await OAuthClient.register(office, is_trusted=True)
    browser, owner = await browser_of(office, "member"), await browser_of(office, "owner")
    fields = fields_of((await browser.http.get(in_query(client.asks))).text)
    fields["answer"] = "allow"
    forged: list[tuple[Client, dict[str, str]]] = [
        (browser, client.asks | {"answer": "allow"}),
        (browser, fields | {"proof": "x"}),
        (browser, fields | {"client_id": other.id}),
        (browser, fields | {"scope": "admin"}),
        (browser, fields | {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}),
        (owner, fields),
    ]
    for who, form in forged:
        answer = await who.http.post("/oauth/authorize", data=form)
        assert (answer.status_code, "Location" in answer.headers) == (403, False), form
    answer = await office.api.anonymous().http.post("/oauth/authorize", data=fields)
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/oauth/login")
    answer = await browser.http.post("/oauth/authorize", data=fields | {"answer": "deny"})
    assert answer_of(answer.headers["Location"]) == {"error": "access_denied", "state": client.asks["state"]}
    kept = {"Cookie": f"MMAUTHTOKEN={browser.http.cookies['MMAUTHTOKEN']}"}  # a refusal clears a browser's
    for headers, status in (({}, 401), ({"X-CSRF-Token": "x"}, 401), (AJAX, 200)):
        browser = office.api.anonymous(**kept)
        answer = await browser.http.post("/oauth/authorize", json=client.asks, headers=headers)
        assert answer.status_code == status
    for headers, status in (({}, 401), (AJAX, 200)):
        browser = office.api.anonymous(**kept)
        answer = await browser.http.post("/oauth/deauthorize", json={"client_id": client.id}, headers=headers)
        assert answer.status_code == status
    # Nobody is asked about an app that an administrator trusts.
    at_once = await browser.http.get(in_query(other.asks))
    assert at_once.status_code == 302
    assert "code" in answer_of(at_once.headers["Location"])


async def test_what_redeems_nothing(office: Office) -> None:
    """Codes and secrets of others, changed requests: refused in both error shapes, and the code still works after."""
    member = office.crew.people.member
    client, other = await OAuthClient.register(office), await OAuthClient.register(office)
    code, tokens = await client.code(member), await client.tokens(member)
    refresh = tokens["refresh_token"]
    uri, bad = (
        "api.oauth.get_access_token.redirect_uri.app_error",
        "api.oauth.get_access_token.refresh_token.app_error",
    )
    table: list[tuple[dict[str, str], int, str, str]] = [
        (client.form(code, grant_type="password"), 400, "unsupported_grant_type",
         "api.oauth.get_access_token.bad_grant.app_error"),
        (client.form(code, grant_type=""), 400, "unsupported_grant_type",
         "api.oauth.get_access_token.bad_grant.app_error"),
        (client.form(""), 400, "invalid_request", "api.oauth.get_access_token.missing_code.app_error"),
        (client.form(code, client_id="x"), 400, "invalid_request",
         "api.oauth.get_access_token.bad_client_id.app_error"),
        (client.form(code, client_id="x" * 26), 401, "invalid_client", CREDENTIALS),
        (client.form(code, client_secret="x" * 26), 401, "invalid_client", CREDENTIALS),
        (client.form(code, client_secret=""), 401, "invalid_client", CREDENTIALS),
        (client.form(code, client_secret=other.app["client_secret"]), 401, "invalid_client", CREDENTIALS),
        (other.form(code), 400, "invalid_grant", CODE),
        (client.form("x" * 52), 400, "invalid_grant", CODE),
        (client.form(code, redirect_uri="https://evil.example"), 400, "invalid_grant", uri),
        (client.form(code, redirect_uri=""), 400, "invalid_grant", uri),
        (client.form(code, code_verifier=VERIFIER), 400, "invalid_grant", PKCE + "not_used_in_auth.app_error"),
        (client.refresh_form(""), 400, "invalid_request",
         "api.oauth.get_access_token.missing_refresh_token.app_error"),
        (client.refresh_form("x" * 50), 400, "invalid_grant", bad),
        (client.refresh_form(refresh[:26] + "x" * 24), 400, "invalid_grant", bad),
        (client.refresh_form(tokens["access_token"]), 400, "invalid_grant", bad),
        (other.refresh_form(refresh), 400, "invalid_grant", bad),
        (client.refresh_form(refresh, scope="user admin"), 400, "invalid_scope",
         "api.oauth.get_access_token.scope.app_error"),
    ]  # fmt: skip
    for form, status, error, error_id in table:
        answer = await client.post(form)
        found = answer.json()
        assert (answer.status_code, found["error"], found["id"]) == (status, error, error_id), form
        assert found["status_code"] == status
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    unreadable = "api.oauth.invalid_request.app_error"
    good = client.form(code)
    raw: list[dict[str, Any]] = [
        {"content": b"code=%ff", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"code=a&code=b", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": b"a=%00", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"data": good, "auth": (client.id, client.app["client_secret"])},
        {"data": client.form(code, client_secret=""), "auth": (other.id, other.app["client_secret"])},
        {"data": client.form(code, client_secret=""), "headers": {"Authorization": "Basic ü".encode()}},
    ]
    http = office.crew.people.anonymous.http
    for request in raw:
        answer = await http.post("/oauth/access_token", **request)
        assert (answer.status_code, answer.json()["id"]) == (400, unreadable), request
    assert (await client.post(good)).status_code == 200
    assert (await client.post(client.refresh_form(refresh, scope="user"))).status_code == 200


async def test_an_app_is_not_the_account_s_owner(office: Office) -> None:
    """It changes no e-mail, password or second factor, makes no token, agrees to no app and moves no workspace."""
    admin = office.crew.people.admin
    client = await OAuthClient.register(office)
    caller = await client.caller(admin)
    app = f"/oauth/apps/{client.id}"
    brought = {"filename": "a.zip", "file_size": 1, "type": "import"}
    begun = await admin.post("/uploads", brought, expect=201)
    refused: list[tuple[str, str, Any]] = [
        ("PUT", "/users/me/patch", {"email": "new@example.org", "password": PASSWORD}),
        ("PUT", f"/users/{office.bot.id}/patch", {"email": "new@example.org"}),
        ("PUT", "/users/me/password", {"current_password": PASSWORD, "new_password": PASSWORD}),
        ("PUT", f"/users/{office.crew.people.member.id}/password", {"new_password": PASSWORD}),
        ("PUT", "/users/me/mfa", {"activate": False}),
        ("POST", "/users/me/mfa/generate", {}),
        ("POST", "/users/me/tokens", {"description": "x"}),
        ("POST", "/oauth/apps", {**APP, "callback_urls": [CALLBACK]}),
        ("GET", "/oauth/apps", None), ("GET", app, None), ("PUT", app, client.app), ("DELETE", app, None),
        ("POST", app + "/regen_secret", None),
        ("POST", "/jobs", {"type": "export_process"}), ("POST", "/jobs", {"type": "import_process"}),
        ("GET", "/exports", None), ("GET", "/exports/a.zip", None), ("DELETE", "/exports/a.zip", None),
        ("POST", "/uploads", brought), ("POST", f"/uploads/{begun['id']}", None),
        ("GET", "/imports", None), ("DELETE", "/imports/a.zip", None),
    ]  # fmt: skip
    for method, path, body in refused:
        await office.fails(caller, method, path, body, 403, NO)
    assert await admin.get("/jobs") == []
    await office.fails(caller, "PUT", "/users/sessions/device", {"device_id": "x"}, 400,
                       "api.context.invalid_body_param.app_error")  # fmt: skip
    for path, body in (("/oauth/authorize", client.asks), ("/oauth/deauthorize", {"client_id": client.id})):
        answer = await caller.http.post(path, json=body)
        assert (answer.status_code, answer.json()["id"]) == (403, NO)
    assert (await caller.http.get(in_query(client.asks))).status_code == 403
    await caller.get(f"/oauth/apps/{client.id}/info")
    await caller.put("/users/me/patch", {"position": "x"})


async def test_one_s_own_apps_and_everybody_s(office: Office) -> None:
    """manage_oauth is for one's own apps, manage_system_wide_oauth for all; only a system admin trusts one."""
    admin, user = office.crew.people.admin, await office.newcomer("oauth_maker")
    foreign = await OAuthClient.register(office)
    role = await admin.get("/roles/name/system_user")
    try:
        await admin.put(f"/roles/{role['id']}/patch", {"permissions": [*role["permissions"], "manage_oauth"]})
        own = await OAuthClient.register(office, user, is_trusted=True, creator_id=admin.id, id="x" * 26)
        assert (own.app["is_trusted"], own.app["creator_id"]) == (False, user.id)
        assert await user.get("/oauth/apps") == [own.app]
        assert await user.get(f"/oauth/apps/{own.id}") == own.app
        for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/regen_secret")):
            body = foreign.app if method == "PUT" else None
            await office.fails(user, method, f"/oauth/apps/{foreign.id}{path}", body, 403, NO)
        await office.fails(user, "GET", f"/users/{admin.id}/oauth/apps/authorized", None, 403, NO)
        for trusted, by, then in ((True, user, False), (True, admin, True), (False, user, True)):
            changed = await by.put(f"/oauth/apps/{own.id}", {**own.app, "is_trusted": trusted, "name": "New"})
            assert (changed["is_trusted"], changed["name"]) == (then, "New")
            assert changed["client_secret"] == own.app["client_secret"]
        assert {foreign.id, own.id} <= {app["id"] for app in await admin.get("/oauth/apps?per_page=200")}
        assert await admin.get("/oauth/apps?page=0&per_page=1") != await admin.get(
            "/oauth/apps?page=1&per_page=1"
        )
        renewed = await user.post(f"/oauth/apps/{own.id}/regen_secret")
        assert renewed["client_secret"] not in ("", own.app["client_secret"])
        assert (await own.post(own.form("x"))).json()["id"] == CREDENTIALS
        await user.delete(f"/oauth/apps/{own.id}")
        await office.fails(
            user, "GET", f"/oauth/apps/{own.id}", None, 404, "app.oauth.get_app.find.app_error"
        )
    finally:
        await admin.put(f"/roles/{role['id']}/patch", {"permissions": role["permissions"]})


async def test_no_secret_lies_open(office: Office) -> None:
    client, member, db = await OAuthClient.register(office), office.crew.people.member, office.crew.town.db
    code, tokens = await client.code(member), await client.tokens(member)
    rows = []
    for table in (
        "oauth_apps",
        "oauth_codes",
        "oauth_grants",
        "oauth_authorized",
        "sessions",
        "audits",
        "preferences",
    ):
        rows += [str(dict(row)) for row in await db.fetch(f"SELECT * FROM {table}")]
    kept = "\n".join(rows)
    assert client.id in kept
    for secret in (client.app["client_secret"], code, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in kept
    info = await member.get(f"/oauth/apps/{client.id}/info")
    assert (info["client_secret"], info["name"]) == ("", APP["name"])


async def test_too_many_requests(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await OAuthClient.register(office)
    monkeypatch.setattr(oauth_tokens, "REQUESTS_PER_MINUTE", 0)
    answer = await client.post(client.form("x"))
    assert (answer.status_code, answer.text) == (429, "limit exceeded\n")


async def test_hostile_apps(office: Office) -> None:
    """What an app may not be. Callback URLs end up in headers, so they are plain."""
    admin = office.crew.people.admin
    good = {**APP, "callback_urls": [CALLBACK]}
    bad: list[tuple[str, Any, str]] = [
        ("name", "", "name"), ("name", " ", "name"), ("name", "x" * 65, "name"),
        ("description", "x" * 513, "description"), ("homepage", "", "homepage"), ("homepage", "x", "homepage"),
        ("homepage", "https://" + "x" * 250 + ".org", "homepage"), ("homepage", "javascript:alert(1)", "homepage"),
        ("icon_url", "data:x", "icon_url"), ("icon_url", "https://x.org/" + "x" * 500, "icon_url"),
        ("callback_urls", [], "callback"), ("callback_urls", [CALLBACK] * 21, "callback"),
        ("callback_urls", ["https://x.org/" + "x" * 1100], "callback"), ("callback_urls", ["x"], "callback"),
        ("callback_urls", ["https://x.org/#f"], "callback"), ("callback_urls", ["https://a@x.org/"], "callback"),
        ("callback_urls", ["https://x.org/\r\nA: b"], "callback"), ("callback_urls", ["javascript:x"], "callback"),
        ("callback_urls", ["https://x.org/ü"], "callback"), ("callback_urls", [CALLBACK, ""], "callback"),
    ]  # fmt: skip
    for name, value, rule in bad:
        error_id = f"model.oauth.is_valid.{rule}.app_error"
        await office.fails(admin, "POST", "/oauth/apps", {**good, name: value}, 400, error_id)
    for value in (None, 5, {}, [1], "x" * 30):
        answer = await admin.request(
            "POST", "/oauth/apps", content=json.dumps({**good, "callback_urls": value})
        )
        assert answer.status_code == 400


async def test_apps_that_register_themselves(office: Office) -> None:
    anonymous, member, path = office.api.anonymous(), office.crew.people.member, "/oauth/apps/register"
    off = "api.oauth.register_oauth_client.disabled.app_error"
    await office.fails(anonymous, "POST", path, {"redirect_uris": [CALLBACK]}, 501, off)
    await office.configure(ServiceSettings__EnableDynamicClientRegistration=True)
    try:
        bad = "api.oauth.register_oauth_client.invalid.app_error"
        for wrong in (
            {}, {"redirect_uris": ["x"]}, {"redirect_uris": [CALLBACK], "client_name": "x" * 65},
            {"redirect_uris": [CALLBACK], "client_uri": "javascript:x"},
            {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt"},
        ):  # fmt: skip
            await office.fails(anonymous, "POST", path, wrong, 400, bad)
        told = await anonymous.post(
            path, {"redirect_uris": [CALLBACK], "client_name": "Self", "scope": "all"}, expect=201
        )
        asks = {
            "client_id": told["client_id"],
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "state": "s",
        }
        client = OAuthClient(office, {"id": told["client_id"], "client_secret": told["client_secret"]}, asks)
        await (await client.caller(member)).get("/users/me")
        browser = await browser_of(office, "member")
        assert "registered itself" in (await browser.http.get(in_query(asks))).text
        answer = await browser.http.get(in_query(asks | {"response_type": "token"}))  # no way to send users anywhere
        assert (answer.status_code, "Location" in answer.headers) == (400, False)
        kept = await office.crew.people.admin.get(f"/oauth/apps/{client.id}")
        assert (kept["is_dynamically_registered"], kept["creator_id"], kept["is_trusted"]) == (
            True,
            "",
            False,
        )
        await office.crew.people.admin.put(f"/oauth/apps/{client.id}", kept)
        body = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
        public = await anonymous.post(path, body, expect=201)
        assert "client_secret" not in public
        assert public["grant_types"] == ["authorization_code"]
        statuses = [(await anonymous.request("POST", path, json=body)).status_code for _ in range(19)]
        assert statuses == [201] * 18 + [429]
    finally:
        await office.configure(ServiceSettings__EnableDynamicClientRegistration=None)


async def test_hostile_requests_beside_the_api(office: Office) -> None:
    """Whatever comes, it is the sender's fault, and never more than was asked for."""
    client, member = await OAuthClient.register(office), await browser_of(office, "member")
    bodies = [
        b"", b"{", b"[]", b"null", b'{"client_id":5}', b'{"client_id":null,"state":null}', b'{"client_id":"\\ud800"}',
        b'{"client_id":"\\u0000"}', b"[" * 50_000, b"x" * 300_001, b"a=1&" * 40, b"%", b"client_id=%ff%fe", b"\xff",
        b"client_id=%00", b"redirect_to=%2Foauth%2Fauthorize%3F%00", b"redirect_to=%2Foauth%2Fauthorize%3F%ed%a0%80",
        f"client_id={client.id}&redirect_uri={quote(CALLBACK, safe='')}&state=%ed%a0%80".encode(),
        f"client_id={client.id}&redirect_uri={quote(CALLBACK, safe='')}&proof=%C3%BC&answer=allow".encode(),
        b"grant_type=authorization_code&code=" + b"x" * 200_000 + f"&client_id={client.id}".encode(),
    ]  # fmt: skip
    for path in ("/oauth/authorize", "/oauth/access_token", "/oauth/deauthorize", "/oauth/login"):
        for kind in ("application/x-www-form-urlencoded", "application/json", ""):
            for body in bodies:
                answer = await member.http.post(path, content=body, headers={**AJAX, "Content-Type": kind})
                assert 400 <= answer.status_code < 500, (path, kind, body[:60], answer.text)
    for query in ("", "client_id=%ed%a0%80", "state=%00", "&" * 2000, "access_token=x", "redirect_to=%00"):
        for path in ("/oauth/authorize", "/oauth/login"):
            answer = await office.api.anonymous().http.get(f"{path}?{query}")
            assert 400 <= answer.status_code < 500, (path, query)
