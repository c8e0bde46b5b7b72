"""https and wss with a given certificate: a private CA, as in many companies."""

import asyncio
import http.cookiejar
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
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
PATIENCE_S = 120.0
BROWSER = {"X-Requested-With": "XMLHttpRequest"}


class Secure:
    """A run with a certificate, who signs it, and what a client needs to trust it."""

    def __init__(self, run: Serve, signer: trustme.CA, folder: Path) -> None:
        self.run, self.authority = run, folder / "ca.pem"
        self._signer, self._folder = signer, folder
        authority = self.authority
        self.context = ssl.create_default_context(cafile=str(authority))
        self.url = run.url
        self.socket_url = self.url.replace("https", "wss") + "/api/v4/websocket"

    def renew(self) -> str:
        """Write another certificate over the one that is there, key first; return it, PEM."""
        return issue(self._signer, self._folder)

    def shown(self) -> str:
        """Return the certificate that a new client is shown, PEM."""
        port = int(self.url.rpartition(":")[2])
        with (
            socket.create_connection(("localhost", port), 30) as plain,
            self.context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            shown = tls.getpeercert(binary_form=True)
        assert shown is not None
        return ssl.DER_cert_to_PEM_cert(shown)


def issue(signer: trustme.CA, folder: Path) -> str:
    certificate = signer.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode()))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issue(authority, folder)
    flags = ["--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")]
    with Serve(*flags) as run:
        run.wait_ready()
        yield Secure(run, authority, folder)


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

    with connect(secure.url) as client:
        assert json.loads(client.recv(timeout=30))["event"] == "hello"
    with pytest.raises(websockets.InvalidStatus) as refused:
        connect("https://evil.example")
    assert refused.value.response.status_code == 403


def test_a_stranger_is_not_trusted(secure: Secure) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(secure.url, timeout=30)


def eventually(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_renewed_certificate_is_taken_and_sockets_stay(secure: Secure) -> None:
    make_user(secure.url, "renewer", verify=secure.context)
    token = log_in(secure.url, "renewer", verify=secure.context).headers["Token"]
    headers = {"Authorization": f"Bearer {token}"}
    with websockets.sync.client.connect(
        secure.socket_url, ssl=secure.context, additional_headers=headers, open_timeout=30
    ) as client:
        assert json.loads(client.recv(timeout=30))["event"] == "hello"
        renewed = secure.renew()
        eventually(lambda: secure.shown() == renewed, "the new certificate is shown")
        eventually(lambda: "certificate read again" in secure.run.log, "the log says so")
        (secure.authority.parent / "cert.pem").write_text("half of one")
        eventually(lambda: "the certificate stays as it was" in secure.run.log, "the log says why")
        assert secure.shown() == renewed
        client.send(json.dumps({"action": "ping", "seq": 1}))
        while (answer := json.loads(client.recv(timeout=30))).get("seq_reply") != 1:
            pass
        assert answer["status"] == "OK"
    renewed = secure.renew()
    eventually(lambda: secure.shown() == renewed, "a good one after a bad one is shown")
    assert secure.run.restarts()["caddy"] == 0
