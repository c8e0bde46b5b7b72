"""An OAuth 2.0 client as a program writes one: by the letter of RFC 6749 and RFC 7636, over plain HTTP."""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from tests.fixtures.api import PASSWORD, Client
from tests.integration.accounts.office import Office

CALLBACK = "https://app.example.org/done?from=chat"
VERIFIER = "v" * 43
CODE = "api.oauth.get_access_token.expired_code.app_error"
APP = {"name": "Tide & <b>Tables</b>", "description": "d", "homepage": "https://app.example.org"}


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def in_query(asks: dict[str, str]) -> str:
    """Return where an app sends a browser to."""
    return "/oauth/authorize?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in asks.items())


def answer_of(location: str) -> dict[str, str]:
    """Return what an app is told by the query of its redirect URI, which is checked."""
    assert location.startswith(CALLBACK + "&"), location
    told = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert told.pop("from") == "chat"
    return told


@dataclass
class OAuthClient:
    """A registered app. asks: what it sends to /oauth/authorize."""

    office: Office
    app: dict[str, Any]
    asks: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def register(cls, office: Office, owner: Client | None = None, **more: Any) -> "OAuthClient":
        """Register an app, by the admin if nobody is named; a public one uses PKCE."""
        body = {**APP, "callback_urls": [CALLBACK], **more}
        app = await (owner or office.crew.people.admin).post("/oauth/apps", body, expect=201)
        asks = {"client_id": app["id"], "response_type": "code", "redirect_uri": CALLBACK, "state": "s+ &"}
        if more.get("is_public"):
            asks |= {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
        return cls(office, app, asks)

    @property
    def id(self) -> str:
        """The client id."""
        found: str = self.app["id"]
        return found

    async def code(self, user: Client, **more: str) -> str:
        """Return a code that a user agreed to, as the web client says so."""
        answer = await user.http.post("/oauth/authorize", json=self.asks | more)
        assert answer.status_code == 200, answer.text
        told = answer_of(answer.json()["redirect"])
        assert told["state"] == self.asks["state"]
        return told["code"]

    async def post(self, form: Any, **options: Any) -> httpx.Response:
        """Send a form to the token endpoint."""
        return await self.office.crew.people.anonymous.http.post("/oauth/access_token", data=form, **options)

    def form(self, code: str, **more: str) -> dict[str, str]:
        """Return the form that redeems a code. more: members in other words; "" leaves one out."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.id,
            "code": code,
            "redirect_uri": CALLBACK,
        }
        form["client_secret"] = self.app["client_secret"]
        if "code_challenge" in self.asks:
            form["code_verifier"] = VERIFIER
        return {name: value for name, value in (form | more).items() if value}

    def refresh_form(self, token: str, **more: str) -> dict[str, str]:
        """Return the form that redeems a refresh token."""
        form = {"grant_type": "refresh_token", "client_id": self.id, "refresh_token": token}
        return {**form, "client_secret": self.app["client_secret"], **more}

    async def tokens(self, user: Client) -> dict[str, Any]:
        """Return what the token endpoint answers for a user who agrees."""
        answer = await self.post(self.form(await self.code(user)))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def caller(self, user: Client) -> Client:
        """Return a caller by a new access token."""
        made = self.office.bearer((await self.tokens(user))["access_token"])
        made.me = user.me
        return made


async def browser_of(office: Office, name: str) -> Client:
    """Return a caller who is logged in by cookies, as browsers are."""
    browser = office.api.anonymous()
    body = {"login_id": name, "password": PASSWORD}
    answer = await browser.request(
        "POST", "/users/login", json=body, headers={"X-Requested-With": "XMLHttpRequest"}
    )
    browser.me = answer.json()
    return browser


def fields_of(page: str) -> dict[str, str]:
    """Return the hidden fields of the page that asks."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}
