"""A built web client is served from a folder: its page everywhere, its files below /static/, nothing else."""

import asyncio
import gzip
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from api.webapp import KEEP_BYTES, WebApp, sub_path
from tests.fixtures.api import Api, new_settings

PAGE = """<!doctype html><title>Mattermost</title><script id="publicPathInWindowScript"></script>
<script src="/static/main.abc.js"></script>"""
SCRIPT = "console.log('gull');\n" * 100


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A client's folder; beside it a file that is nobody's business."""
    folder = tmp_path / "dist"
    (folder / "i18n").mkdir(parents=True)
    (folder / "root.html").write_text(PAGE)
    (folder / "main.abc.js").write_text(SCRIPT)
    (folder / "main.css").write_text("a{background:url(/static/x.png)}")
    (folder / "remote_entry.js").write_text("1")
    (folder / "unsupported_browser.js").write_text("2")
    (folder / "i18n" / "de.json").write_text("{}")
    (folder / "large.bin").write_bytes(b"0123456789abcdef" * ((KEEP_BYTES >> 4) + 1))
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "escape.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "out").symlink_to(tmp_path)
    return folder


@pytest_asyncio.fixture
async def web(database_url: str, redis_url: str, dist: Path) -> AsyncIterator[Api]:
    """An API that serves the folder."""
    server = Api(new_settings(database_url, redis_url, web={"directory": str(dist)}))
    await server.start()
    yield server
    await server.stop()


async def get(web: Api, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """Send a request to a path of the site."""
    return await web.anonymous().http.request(
        method, path, headers={"Accept-Encoding": "identity", **headers}
    )


async def test_the_page_is_everywhere_but_below_api_and_static(web: Api) -> None:
    for path in ("/", "/login", "/team/channels/town-square", "/landing?x=1"):
        answer = await get(web, path)
        assert answer.status_code == 200
        assert "<title>Tidewire</title>" in answer.text
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["cache-control"] == "no-cache, max-age=31556926, public"
        assert answer.headers["content-security-policy"] == "frame-ancestors 'self'; script-src 'self'"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "expires" not in answer.headers
        head = await get(web, path, "HEAD")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]
        again = await get(web, path, **{"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    for path in ("/api/v4/nothing", "/api/nothing"):
        missing = await get(web, path)
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/json")
    assert (await get(web, "/", "POST")).status_code == 404
    assert "Disallow" in (await get(web, "/robots.txt")).text
    assert (await get(web, "/unsupported_browser.js")).text == "2"


async def test_files(web: Api, dist: Path) -> None:
    script = await get(web, "/static/main.abc.js")
    assert script.text == SCRIPT
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "max-age=31556926, public"
    assert "content-encoding" not in script.headers
    packed = await web.anonymous().http.get("/static/main.abc.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == SCRIPT
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT.encode(), 6, mtime=0))
    assert packed.headers["vary"] == "Accept-Encoding"
    again = await get(web, "/static/main.abc.js", **{"If-None-Match": f'"x", W/{script.headers["etag"]}'})
    assert again.status_code == 304
    assert (
        (await get(web, "/static/remote_entry.js")).headers["cache-control"].startswith("no-cache, max-age")
    )
    # Exactly: the client takes a translation only so.
    assert (await get(web, "/static/i18n/de.json")).headers["content-type"] == "application/json"
    large = await get(web, "/static/large.bin")
    assert large.content == (dist / "large.bin").read_bytes()
    head = await get(web, "/static/large.bin", "HEAD")
    assert (head.content, int(head.headers["content-length"])) == (b"", len(large.content))
    assert (
        await get(web, "/static/large.bin", **{"If-None-Match": large.headers["etag"]})
    ).status_code == 304


async def raw_get(web: Api, path: str) -> tuple[int, bytes]:
    """Return status and answer of a GET whose path nobody tidies up on its way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(web.url.rpartition(":")[2]))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer


async def test_nothing_else_is_served(web: Api) -> None:
    for path in (
        "/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static/..%2fsecret.txt", "/static/escape.txt",
        "/static/i18n/../../secret.txt", "/static/out/secret.txt", "/static//etc/passwd", "/static/%2fetc/passwd",
        "/static/i18n", "/static/i18n/", "/static/", "/static/x%00.js", "/static/..%5csecret.txt",
        "/static/" + "x" * 2000, "/static/main.abc.js/x", "/static/%ff",
    ):  # fmt: skip
        status, answer = await raw_get(web, path)
        assert status == 404, path
        assert b"secret" not in answer and b"root:" not in answer, path
    assert (await raw_get(web, "/static/main.abc.js"))[0] == 200


async def test_a_new_build_is_seen_without_a_restart(web: Api, dist: Path) -> None:
    assert (await get(web, "/static/new.js")).status_code == 404
    (dist / "new.js").write_text("new")
    assert (await get(web, "/static/new.js")).text == "new"


async def test_below_a_sub_path_addresses_are_moved(web: Api) -> None:
    admin = await web.user("admin")
    sections = {
        "ServiceSettings": {"SiteURL": "https://example.org/chat/"},
        "TeamSettings": {"SiteName": "<Gulls>"},
    }
    await admin.put("/config/patch", sections)
    page = await get(web, "/chat/team")
    script = "window.publicPath='/chat/static/'"
    assert f'<script id="publicPathInWindowScript">{script}</script>' in page.text
    assert 'src="/chat/static/main.abc.js"' in page.text
    assert "<title>&lt;Gulls&gt;</title>" in page.text
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert page.headers["content-security-policy"].endswith(f"script-src 'self' 'sha256-{digest}'")
    assert (await get(web, "/chat/static/main.css")).text == "a{background:url(/chat/static/x.png)}"
    assert sub_path("https://example.org/a'b") == ""
    # The page's script calls below the sub-path; others may go on without.
    for path in ("/chat/api/v4/users/me", "/api/v4/users/me"):
        answer = await admin.http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), path
    for path in ("/chat/api/v4/nothing", "/chat/chat/api/v4/users/me", "/other/api/v4/users/me"):
        answer = await admin.http.get(path)
        assert answer.headers["content-type"] != "application/json" or answer.status_code == 404, path


def test_a_folder_without_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no root"):
        WebApp(str(tmp_path))


async def test_an_app_s_question_comes_after_the_client_s_log_in(web: Api) -> None:
    """Whoever is not logged in is sent to the client's page, below the site's path, and back from there."""
    admin = await web.user("boss")
    new = {"name": "Tables", "homepage": "https://app.example.org", "callback_urls": ["https://app.example.org/done"]}
    app = await admin.post("/oauth/apps", new, expect=201)
    await admin.put("/config/patch", {"ServiceSettings": {"SiteURL": "https://example.org/chat"}})
    query = f"client_id={app['id']}&response_type=code&redirect_uri=https%3A%2F%2Fapp.example.org%2Fdone"
    asked = "/chat/oauth/authorize?" + query
    answer = await get(web, asked)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/chat/login?redirect_to=" + quote(asked, safe="")
