"""What is compressed on its way through the balancer, and what never is; for runs with and without TLS."""

import zlib
from typing import Any

import httpx

from tests.serve.talk import log_in, make_user

HEAD = {"Accept-Encoding": "gzip, deflate, br, zstd"}  # what browsers send


def raw(answer: httpx.Response) -> bytes:
    """Return the bytes as they came."""
    return b"".join(answer.iter_raw())


class Browser:
    """One who is logged in. `ask` returns (answer, its body as it came)."""

    def __init__(self, url: str, **options: Any) -> None:
        token = log_in(url, **options).headers["Token"]
        self.http = httpx.Client(
            base_url=url + "/api/v4", headers={"Authorization": f"Bearer {token}"} | HEAD, timeout=30, **options
        )

    def ask(self, path: str, method: str = "GET", **options: Any) -> tuple[httpx.Response, bytes]:
        request = self.http.build_request(method, path, **options)
        answer = self.http.send(request, stream=True)
        body = raw(answer)
        answer.close()
        return answer, body


def check_packed(browser: Browser) -> None:
    """Check that an answer is compressed for those who take that."""
    packed, body = browser.ask("/config/client?format=old")
    plain, text = browser.ask("/config/client?format=old", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert zlib.decompress(body, 31) == text
    assert len(body) < len(text) / 2
    for answer in (packed, plain):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["vary"] == "Accept-Encoding"
    other, _ = browser.ask("/config/client?format=old", headers={"Accept-Encoding": "br, gzip;q=0"})
    assert "content-encoding" not in other.headers


def check_compression(url: str) -> None:
    """Check it against a run that nobody has used yet: the first user is its administrator."""
    make_user(url)
    browser = Browser(url)
    check_packed(browser)
    # Less than a packet is left alone, and so is what holds a secret.
    assert "content-encoding" not in browser.ask("/users/me")[0].headers
    section = {"ServiceSettings": {"EnableMultifactorAuthentication": True}}
    browser.ask("/config/patch", "PUT", json=section)
    secret, _ = browser.ask("/users/me/mfa/generate", "POST")
    assert (secret.status_code, secret.headers.get("vary")) == (200, None)
    # The stream of memberships, and an answer with an ETag, which the browser sends back as it got it.
    _, made = browser.ask("/teams", "POST", json={"name": "gulls", "display_name": "Gulls", "type": "O"})
    team = httpx.Response(200, content=made).json()["id"]
    lines, body = browser.ask("/users/me/channel_members?page=-1")
    assert (lines.headers["content-encoding"], lines.headers["content-type"]) == ("gzip", "application/x-ndjson")
    assert zlib.decompress(body, 31).count(b"\n") >= 1
    path = f"/users/me/teams/{team}/channels"
    first, body = browser.ask(path)
    assert first.headers["content-encoding"] == "gzip"
    again, body = browser.ask(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, body) == (304, b"")
    bare, _ = browser.ask(path, headers={"Accept-Encoding": "identity"})
    again, _ = browser.ask(path, headers={"If-None-Match": bare.headers["etag"]})
    assert again.status_code == 304
    for mode, page in (("uncompressed", 200), ("disabled", 404)):
        browser.ask("/config/patch", "PUT", json={"ServiceSettings": {"WebserverMode": mode}})
        answer, _ = browser.ask("/config/client?format=old")
        assert "content-encoding" not in answer.headers
        assert httpx.get(url + "/login", timeout=30).status_code == page
    browser.ask("/config/patch", "PUT", json={"ServiceSettings": {"WebserverMode": "gzip"}})
    assert browser.ask("/config/client?format=old")[0].headers["content-encoding"] == "gzip"
