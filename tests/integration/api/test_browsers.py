"""Headers and cookies that the configuration decides, and limits that it sets: each is in force at once."""

from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx

from tests.fixtures.api import PASSWORD, People

AJAX = {"X-Requested-With": "XMLHttpRequest"}
APP = "https://app.example"
LOGIN = {"login_id": "member", "password": PASSWORD}


async def configure(people: People, **service: Any) -> None:
    await people.admin.put("/config/patch", {"ServiceSettings": service})


def cookies(answer: httpx.Response) -> dict[str, Morsel[str]]:
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        jar.load(line)
    return dict(jar)


async def test_only_listed_origins_may_call(people: People) -> None:
    asks = {
        "Origin": APP,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "x-csrf-token",
    }
    preflight = "/users/me/patch"
    closed = await people.member.request("GET", "/users/me", headers={"Origin": APP})
    assert not [name for name in closed.headers if name.startswith("access-control")]
    refused = await people.anonymous.request("OPTIONS", preflight, headers=asks)
    assert (refused.status_code, refused.json()["id"]) == (404, "api.context.404.app_error")

    await configure(
        people, AllowCorsFrom=f"https://other.example {APP}", CorsExposedHeaders="X-Version-ID Token"
    )
    told = await people.member.request("GET", "/users/me", headers={"Origin": APP})
    assert told.headers["access-control-allow-origin"] == APP
    assert told.headers["access-control-expose-headers"] == "X-Version-ID, Token"
    assert told.headers["vary"] == "Origin, Accept-Encoding"
    assert "access-control-allow-credentials" not in told.headers
    for origin in ("https://app.example.evil.com", "http://app.example", "null", APP + ":444"):
        answer = await people.member.request("GET", "/users/me", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers, origin
        answer = await people.anonymous.request("OPTIONS", preflight, headers=asks | {"Origin": origin})
        assert answer.status_code == 404, origin
    allowed = await people.anonymous.request("OPTIONS", preflight, headers=asks)
    assert allowed.status_code == 204
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    assert allowed.headers["access-control-allow-headers"] == "x-csrf-token"
    # An error can be read too, or the page would not know what was wrong.
    failed = await people.anonymous.request("GET", "/users/me", headers={"Origin": APP})
    assert (failed.status_code, failed.headers["access-control-allow-origin"]) == (401, APP)

    await configure(people, AllowCorsFrom="*", CorsAllowCredentials=True)
    anyone = await people.member.request("GET", "/users/me", headers={"Origin": "https://any.example"})
    assert anyone.headers["access-control-allow-origin"] == "*"
    assert anyone.headers["access-control-allow-credentials"] == "true"


async def test_strict_transport(people: People) -> None:
    assert "strict-transport-security" not in (await people.anonymous.request("GET", "/system/ping")).headers
    await configure(people, TLSStrictTransport=True, TLSStrictTransportMaxAge=600)
    for path in ("/system/ping", "/users/me"):
        answer = await people.anonymous.request("GET", path)
        assert answer.headers["strict-transport-security"] == "max-age=600"


async def test_cookies_go_where_the_site_is(people: People) -> None:
    await configure(people, SiteURL="https://chat.example.org/sub", AllowCookiesForSubdomains=True)
    jar = cookies(await people.anonymous.request("POST", "/users/login", json=LOGIN, headers=AJAX))
    assert {(one["path"], one["domain"], one["samesite"]) for one in jar.values()} == {
        ("/sub", "chat.example.org", "")
    }
    # What makes the browser forget it names the same place.
    for answer in (
        await people.anonymous.request("POST", "/users/logout"),
        await people.anonymous.request("GET", "/users/me", headers={"Cookie": "MMAUTHTOKEN=x"}),
    ):
        gone = cookies(answer)["MMAUTHTOKEN"]
        assert (gone["path"], gone["domain"], gone["max-age"]) == ("/sub", "chat.example.org", "-1")
    await configure(people, SiteURL="https://chat.example.org", AllowCookiesForSubdomains=False)
    jar = cookies(await people.anonymous.request("POST", "/users/login", json=LOGIN, headers=AJAX))
    assert {(one["path"], one["domain"]) for one in jar.values()} == {("/", "")}


async def test_strict_csrf_takes_the_token_only(people: People) -> None:
    jar = cookies(await people.anonymous.request("POST", "/users/login", json=LOGIN, headers=AJAX))
    browser = people.api.anonymous(Cookie=f"MMAUTHTOKEN={jar['MMAUTHTOKEN'].value}")
    patch: dict[str, Any] = {"json": {"nickname": "x"}}
    assert (await browser.request("PUT", "/users/me/patch", headers=AJAX, **patch)).status_code == 200
    await configure(people, ExperimentalStrictCSRFEnforcement=True)
    assert (await browser.request("PUT", "/users/me/patch", headers=AJAX, **patch)).status_code == 401
    token = {"X-CSRF-Token": jar["MMCSRF"].value}
    assert (await browser.request("PUT", "/users/me/patch", headers=token, **patch)).status_code == 200


async def test_limits_of_requests(people: People) -> None:
    async def too_long() -> int:
        return (await people.anonymous.request("GET", "/system/ping?device_id=" + "x" * 400)).status_code

    assert await too_long() == 200
    await configure(people, MaximumURLLength=300, MaximumPayloadSizeBytes=2000)
    assert await too_long() == 414
    large = await people.member.put("/users/me/patch", {"nickname": "x" * 3000}, expect=413)
    assert large["id"] == "api.context.request_body_too_large.app_error"


async def test_a_text_can_be_too_old_to_change(people: People) -> None:
    post = await people.member.post("/posts", {"channel_id": people.channel["id"], "message": "first"})
    path = f"/posts/{post['id']}/patch"
    await people.member.put(path, {"message": "second"})
    await configure(people, PostEditTimeLimit=0)
    refused = await people.member.put(path, {"message": "third"}, expect=400)
    assert refused["id"] == "api.post.update_post.permissions_time_limit.app_error"
    await people.member.put(path, {"message": "second", "is_pinned": True})  # the text stays
