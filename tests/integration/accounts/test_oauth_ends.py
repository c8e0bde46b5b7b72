"""What ends that an OAuth app was granted: time, a second use, the user, the administrator, the switch.

Source: RFC 6749, RFC 9700; Mattermost API v4.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.fixtures.api import Client
from tests.integration.accounts.oauth_client import APP, CALLBACK, CODE, OAuthClient, in_query
from tests.integration.accounts.office import Office
from tidewire.actions import oauth_tokens

pytestmark = pytest.mark.asyncio(loop_scope="package")
ENDED = "api.context.session_expired.app_error"


async def test_codes_are_for_ten_minutes_and_for_the_login_that_agreed(office: Office) -> None:
    client, user, db = (
        await OAuthClient.register(office),
        await office.newcomer("oauth_late"),
        office.crew.town.db,
    )
    await client.code(user)
    left = await db.fetchval("SELECT expires_at FROM oauth_codes ORDER BY expires_at DESC LIMIT 1")
    now = await db.fetchval("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    assert 590_000 < left - now <= 600_000
    code = await client.code(user)
    await db.execute("UPDATE oauth_codes SET expires_at = $1", now - 1)
    assert (await client.post(client.form(code))).json()["id"] == CODE
    code = await client.code(user)
    await user.post("/users/logout")
    assert (await client.post(client.form(code))).json()["id"] == CODE
    # An access token of the user's own may agree too, and a code for a callback that is gone is for nothing.
    member = office.crew.people.member
    code = await client.code(member)
    await office.crew.people.admin.put(
        f"/oauth/apps/{client.id}", client.app | {"callback_urls": ["https://x.example"]}
    )
    assert (await client.post(client.form(code))).json()[
        "id"
    ] == "api.oauth.get_access_token.redirect_uri.app_error"


async def test_of_many_who_redeem_one_has_it_and_the_second_ends_it(office: Office) -> None:
    client, member = await OAuthClient.register(office), office.crew.people.member
    form = client.form(await client.code(member))
    answers = await asyncio.gather(*(client.post(form) for _ in range(20)))
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    await office.bearer(won["access_token"]).get("/users/me", expect=401)
    assert (await client.post(client.refresh_form(won["refresh_token"]))).status_code == 400

    tokens = await client.tokens(member)
    form = client.refresh_form(tokens["refresh_token"])
    answers = await asyncio.gather(*(client.post(form) for _ in range(20)))
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    for token in (tokens, won):
        await office.bearer(token["access_token"]).get("/users/me", expect=401)


async def deauthorize(office: Office, user: Client, client: OAuthClient) -> None:
    answer = await user.http.post("/oauth/deauthorize", json={"client_id": client.id})
    assert answer.status_code == 200


async def delete_the_app(office: Office, user: Client, client: OAuthClient) -> None:
    await office.crew.people.admin.delete(f"/oauth/apps/{client.id}")


async def revoke_the_session(office: Office, user: Client, client: OAuthClient) -> None:
    [session] = [one for one in await user.get("/users/me/sessions") if one["is_oauth"]]
    await user.post("/users/me/sessions/revoke", {"session_id": session["id"]})


async def log_out_by_itself(office: Office, user: Client, client: OAuthClient) -> None:
    await user.post("/users/me/sessions/revoke/all")


async def deactivate(office: Office, user: Client, client: OAuthClient) -> None:
    await office.crew.people.admin.put(f"/users/{user.id}/active", {"active": False})


ENDS = [deauthorize, delete_the_app, revoke_the_session, log_out_by_itself, deactivate]


@pytest.mark.parametrize("end", ENDS)
async def test_what_ends_an_app_s_sessions(
    office: Office, end: Callable[[Office, Client, OAuthClient], Awaitable[None]]
) -> None:
    """Tokens, refresh tokens and sockets end together."""
    client, user = await OAuthClient.register(office), await office.newcomer("oe_" + end.__name__)
    tokens = await client.tokens(user)
    by_header = await office.crew.town.open(tokens["access_token"])
    by_url = await office.crew.town.open(query=f"?access_token={tokens['access_token']}")
    for socket in (by_header, by_url):
        assert (await socket.event("hello"))["broadcast"]["user_id"] == user.id
    caller = office.bearer(tokens["access_token"])
    await caller.get("/users/me")  # every worker may have it in memory
    await end(office, user, client)
    await caller.get("/users/me", expect=401)
    for socket in (by_header, by_url):
        assert (await socket.closed())[0] == 1008
    answer = await client.post(client.refresh_form(tokens["refresh_token"]))
    assert answer.status_code in (400, 401)
    assert (
        await office.crew.town.db.fetchval("SELECT count(*) FROM oauth_grants WHERE user_id = $1", user.id)
        == 0
    )
    if end in (deauthorize, delete_the_app):
        rows = await office.crew.town.db.fetchval(
            "SELECT count(*) FROM oauth_authorized WHERE app_id = $1", client.id
        )
        assert rows == 0
        assert await user.get("/users/me/preferences/oauth_app", expect=404)


async def test_the_user_s_devices_hear_what_he_grants(office: Office) -> None:
    """What they keep of preferences stays what a new one would get."""
    client, user = await OAuthClient.register(office), await office.newcomer("oauth_told")
    socket = await office.crew.socket(user)
    mine = f"/users/me/preferences/oauth_app/name/{client.id}"
    code = await client.code(user)
    told = json.loads((await socket.event("preferences_changed"))["data"]["preferences"])
    assert told == [await user.get(mine)]
    await deauthorize(office, user, client)
    gone = json.loads((await socket.event("preferences_deleted"))["data"]["preferences"])
    assert [(one["category"], one["name"]) for one in gone] == [("oauth_app", client.id)]
    await user.get(mine, expect=404)
    assert (await client.post(client.form(code))).json()["id"] == CODE


async def test_a_refresh_token_outlives_its_access_token_but_not_for_ever(office: Office) -> None:
    client, user, db = (
        await OAuthClient.register(office),
        await office.newcomer("oauth_old"),
        office.crew.town.db,
    )
    tokens = await client.tokens(user)
    await db.execute("UPDATE sessions SET expires_at = 1 WHERE user_id = $1 AND is_oauth", user.id)
    await office.api.anonymous().log_in("oauth_old")  # what expired goes on such an occasion
    renewed = (await client.post(client.refresh_form(tokens["refresh_token"]))).json()
    await office.bearer(renewed["access_token"]).get("/users/me")
    await db.execute("UPDATE oauth_grants SET refresh_until = 1 WHERE user_id = $1", user.id)
    assert (await client.post(client.refresh_form(renewed["refresh_token"]))).status_code == 400


async def test_a_user_s_devices_are_many_but_not_without_end(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth_tokens, "SESSIONS_KEPT", 2)
    client, user = await OAuthClient.register(office), await office.newcomer("oauth_many")
    callers = [await client.caller(user) for _ in range(3)]
    statuses = [(await caller.request("GET", "/users/me")).status_code for caller in callers]
    assert statuses == [401, 200, 200]


async def test_switched_off(office: Office) -> None:
    admin, client = office.crew.people.admin, await OAuthClient.register(office)
    tokens = await client.tokens(office.crew.people.member)
    caller, code = office.bearer(tokens["access_token"]), await client.code(office.crew.people.member)
    socket = await office.crew.town.open(tokens["access_token"])
    await socket.event("hello")
    off = "api.oauth.allow_oauth.turn_off.app_error"
    metadata = "/.well-known/oauth-authorization-server"
    assert (await admin.http.get(metadata)).json()["issuer"] == "https://chat.example.org"
    await office.configure(ServiceSettings__EnableOAuthServiceProvider=False)
    try:
        body = {**APP, "callback_urls": [CALLBACK]}
        await office.fails(
            admin, "POST", "/oauth/apps", body, 501, "api.oauth.register_oauth_app.turn_off.app_error"
        )
        app = f"/oauth/apps/{client.id}"
        for method, path in (
            ("GET", "/oauth/apps"), ("GET", app), ("PUT", app), ("DELETE", app), ("GET", app + "/info"),
            ("POST", app + "/regen_secret"), ("GET", "/users/me/oauth/apps/authorized"),
        ):  # fmt: skip
            await office.fails(admin, method, path, client.app if method == "PUT" else None, 501, off)
        assert (await client.post(client.form(code))).json()["id"] == off
        assert (await admin.http.get(in_query(client.asks))).status_code == 501
        assert (await admin.http.get(metadata)).status_code == 501
        answer = await caller.request("GET", "/users/me")
        assert (answer.status_code, answer.json()["id"]) == (401, ENDED)
        assert (await socket.closed())[0] == 1008
        shown = await admin.get("/config/client?format=old")
        assert shown["EnableOAuthServiceProvider"] == "false"
    finally:
        await office.configure(ServiceSettings__EnableOAuthServiceProvider=None)
    await caller.get("/users/me")
    assert (await client.post(client.form(code))).status_code == 200


async def test_an_app_goes_while_it_is_used(office: Office) -> None:
    """Deleting, agreeing, redeeming, renewing, taking back and logging out at once: no 5xx, and nothing is left."""
    admin, db = office.crew.people.admin, office.crew.town.db
    users = [await office.newcomer(f"oauth_busy{number}") for number in range(4)]
    client = await OAuthClient.register(office)
    codes = [await client.code(user) for user in users]
    tokens = [await client.tokens(user) for user in users]
    acts: list[Awaitable[Any]] = []
    for user, code, token in zip(users, codes, tokens, strict=True):
        acts += [client.post(client.form(code)) for _ in range(2)]
        acts += [client.post(client.refresh_form(token["refresh_token"])) for _ in range(2)]
        acts += [user.http.post("/oauth/authorize", json=client.asks)]
        acts += [office.bearer(token["access_token"]).request("POST", "/users/logout")]
    acts += [users[0].http.post("/oauth/deauthorize", json={"client_id": client.id})]
    acts += [
        users[1].request("POST", "/users/me/sessions/revoke/all"),
        users[2].request("POST", "/users/logout"),
    ]
    acts += [admin.request("DELETE", f"/oauth/apps/{client.id}") for _ in range(2)]
    answers = await asyncio.gather(*acts)
    assert {answer.status_code for answer in answers} <= {200, 400, 401, 404}
    for table in ("oauth_grants", "oauth_codes", "oauth_authorized"):
        assert await db.fetchval(f"SELECT count(*) FROM {table} WHERE app_id = $1", client.id) == 0
    ids = [user.id for user in users]
    assert not await db.fetchval("SELECT count(*) FROM sessions WHERE is_oauth AND user_id = ANY($1)", ids)
    await office.fails(
        users[3], "GET", f"/oauth/apps/{client.id}/info", None, 404, "app.oauth.get_app.find.app_error"
    )
