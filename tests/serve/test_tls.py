"""https and wss with a given certificate: a private CA, as in many companies."""

import asyncio
import http.cookiejar
import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
import websockets
import websockets.sync.client
from websockets.typing import Origin

from tests.conformance.test_node_client import NODE, STEPS
from tests.fixtures.serve import Serve
from tests.serve.compression import Browser, check_packed
from tests.serve.talk import log_in, make_user

# Mattermost API v4, "Log in": only who says that he is a browser gets cookies.
BROWSER = {"X-Requested-With": "XMLHttpRequest"}


class Secure:
    """A run with a certificate, and what a client needs to trust it."""

    def __init__(self, run: Serve, authority: Path) -> None:
        self.run, self.authority = run, authority
        self.context = ssl.create_default_context(cafile=str(authority))
        self.url = run.url
        self.socket_url = self.url.replace("https", "wss") + "/api/v4/websocket"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(folder / "cert.pem"), append=True)
    flags = ["--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")]
    with Serve(*flags) as run:
        run.wait_ready()
        yield Secure(run, folder / "ca.pem")


async def test_the_official_client_chats_over_tls(secure: Secure) -> None:
    """First of this file: the first user it makes becomes the administrator."""
    process = await asyncio.create_subprocess_exec(
        "node", "chat.cjs", secure.url,
        cwd=NODE, env={**os.environ, "NODE_EXTRA_CA_CERTS": str(secure.authority)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await asyncio.wait_for(process.communicate(), 120)
    lines = printed.decode().splitlines()
    assert process.returncode == 0, "\n".join(lines)
    assert len([line for line in lines if line.startswith("ok ")]) == STEPS


def test_cookies_are_secure(secure: Secure) -> None:
    assert secure.url.startswith("https://localhost:")
    make_user(secure.url, verify=secure.context)
    answer = log_in(secure.url, verify=secure.context, headers=BROWSER)
    assert answer.status_code == 200
    check_packed(Browser(secure.url, verify=secure.context))
    jar: http.cookiejar.CookieJar = answer.cookies.jar
    cookies = {cookie.name: cookie for cookie in jar}
    assert set(cookies) >= {"MMAUTHTOKEN", "MMUSERID", "MMCSRF"}
    assert all(cookie.secure for cookie in cookies.values())


def test_http_on_the_same_port_is_sent_to_https(secure: Secure) -> None:
    plain = secure.url.replace("https", "http")
    answer = httpx.get(f"{plain}/api/v4/system/ping?a=b", timeout=30)
    assert answer.status_code in (301, 308)
    assert answer.headers["Location"] == f"{secure.url}/api/v4/system/ping?a=b"


def test_sockets_take_the_cookie_from_the_own_origin_only(secure: Secure) -> None:
    cookies = log_in(secure.url, verify=secure.context, headers=BROWSER).cookies
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}

    def connect(origin: str) -> websockets.sync.client.ClientConnection:
        return websockets.sync.client.connect(
            secure.socket_url,
            ssl=secure.context,
            additional_headers=headers,
            origin=Origin(origin),
            open_timeout=30,
        )

    with connect(secure.url) as socket:
        assert json.loads(socket.recv(timeout=30))["event"] == "hello"
    with pytest.raises(websockets.InvalidStatus) as refused:
        connect("https://evil.example")
    assert refused.value.response.status_code == 403


def test_a_stranger_is_not_trusted(secure: Secure) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(secure.url, timeout=30)
