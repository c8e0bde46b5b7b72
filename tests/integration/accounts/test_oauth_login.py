"""The OAuth provider's own log-in page: what logs a browser in, and what a foreign page cannot."""

from typing import Any

import pytest

from tests.fixtures.api import PASSWORD
from tests.integration.accounts.oauth_client import OAuthClient, fields_of, in_query
from tests.integration.accounts.office import Office

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_only_the_log_in_page_logs_a_browser_in(office: Office, config: dict[str, Any]) -> None:
    """Whatever a browser says of where a form is from, over plain HTTP too: a foreign page's form is refused."""
    client, other = await OAuthClient.register(office), await OAuthClient.register(office)
    back, path, own = in_query(client.asks), "/oauth/login", office.api.url
    login = {"login_id": "member", "password": PASSWORD}
    browsers = [office.api.anonymous() for _ in range(2)]
    pages = [await browser.http.get(path, params={"redirect_to": back}) for browser in browsers]
    given = pages[0].headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", f"Path={path}"} <= set(given.split("; "))
    assert "Secure" not in given  # that browser came by plain HTTP
    assert pages[0].headers["Referrer-Policy"] == "same-origin"
    form, foreign = (fields_of(page.text) | login for page in pages)
    secret = browsers[0].http.cookies["TWLOGIN"]
    assert form.keys() == {"redirect_to", "proof", *login} and secret not in pages[0].text
    again = await browsers[0].http.get(path, params={"redirect_to": in_query(other.asks)})
    assert "Set-Cookie" not in again.headers  # a second tab does not end the first one's form
    third = fields_of(again.text)

    async def sent(data: dict[str, str], cookie: str = secret, **headers: str) -> int:
        caller = office.api.anonymous(**({"Cookie": f"TWLOGIN={cookie}"} if cookie else {}))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await caller.http.post(path, data=data, headers=named)
        assert ("MMAUTHTOKEN" in caller.http.cookies) == (answer.status_code == 303), (data, headers)
        return answer.status_code

    forged: list[tuple[dict[str, str], str]] = [
        ({"redirect_to": back, **login}, secret),  # what a foreign page can write
        (form, ""),  # and what its form is sent with: SameSite keeps the cookie back
        (foreign, secret),
        (form, browsers[1].http.cookies["TWLOGIN"]),
        (form | {"proof": third["proof"]}, secret),
        (form | {"proof": "ü"}, secret),
        ({**form, "proof": secret}, secret),
        (form, "short"),
    ]
    for data, cookie in forged:
        for headers in ({}, {"Origin": own}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}, {"Origin": "null"}):
            assert await sent(data, cookie, **headers) == 403, (data, cookie, headers)
    where = own.partition("://")[2]
    for origin in ("https://evil.example", f"http://evil.{where}", f"{own}0", "http://", "null.example"):
        assert await sent(form, Origin=origin) == 403, origin
    for fetched in ("cross-site", "same-site", "none"):
        assert await sent(form, Sec_Fetch_Site=fetched) == 403
        assert await sent(form, Sec_Fetch_Site=fetched, Origin=own) == 403
    for right in (
        {},
        {"Origin": own},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "same-origin", "Origin": own},
    ):
        assert await sent(form, **right) == 303, right
    # Behind a proxy that does not pass the Host on.
    config["ServiceSettings.SiteURL"] = "https://chat.example.org:8443"
    assert await sent(form, Origin="https://chat.example.org:8443") == 303
    assert await sent(form, Origin="https://chat.example.org") == 403
