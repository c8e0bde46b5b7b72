"""`GET /image`: images of other sites through the server, or the way to them."""

import asyncio
import hmac
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fixtures.api import People
from tests.integration.files.shelf import drawn
from tests.integration.links.site import Site, moved, reply
from tidewire.actions import image_proxy
from tidewire.outbound import Outbound

pytestmark = pytest.mark.asyncio(loop_scope="module")
GONE = (404, "api.image.get.app_error")


async def test_without_a_proxy_the_client_goes_there(people: People, site: Site, config: dict[str, Any]) -> None:
    me = people.member
    answer = await me.request("GET", "/image", params={"url": "https://example.org/a.png?b=c"})
    assert (answer.status_code, answer.headers["location"]) == (302, "https://example.org/a.png?b=c")
    answer = await me.request("GET", "/image?url=/static/a.png")
    assert (answer.status_code, answer.headers["location"]) == (302, "/static/a.png")
    for wrong in ("static/a.png", "//example.org/a.png", "/a%0d%0ab", "/\\example.org"):
        assert (await me.get("/image?url=" + wrong, expect=400))["id"] == "api.image.get.app_error"
    config["ServiceSettings.SiteURL"] = "https://chat.example/sub/"
    for path in ("/static/a.png", "https://chat.example/static/a.png"):
        answer = await me.request("GET", "/image", params={"url": path})
        assert answer.headers["location"] == "https://chat.example/static/a.png"
    await people.anonymous.get("/image?url=https://example.org/a.png", expect=401)
    assert site.asked == []


async def test_images_come_through(people: People, site: Site, config: dict[str, Any]) -> None:
    config["ImageProxySettings.Enable"] = True
    me = people.member
    for form, kind in (("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp"), ("BMP", "bmp")):
        image = drawn(form)
        site.pages["/i"] = reply(image, "text/html")  # what the server calls it does not matter
        answer = await me.request("GET", "/image", params={"url": site.url + "/i"})
        assert (answer.status_code, answer.content) == (200, image)
        assert answer.headers["content-type"] == f"image/{kind}"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "max-age=86400, private"
    site.pages["/moved"] = moved("/i")
    assert (await me.request("GET", "/image", params={"url": site.url + "/moved"})).status_code == 200


async def test_only_images_of_others_come_through(
    people: People, site: Site, inside: Site, config: dict[str, Any]
) -> None:
    config["ImageProxySettings.Enable"] = True
    me = people.member

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + drawn())
        while not writer.is_closing():
            writer.write(b"\0" * 65536)
            await writer.drain()

    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    inside.pages["/i"] = reply(drawn(), "image/png")
    site.pages |= {
        "/svg": reply(svg, "image/svg+xml"),
        "/html": reply(b"<script>alert(1)</script>", "image/png"),
        "/short": reply(b"\x89PNG", "image/png"),
        "/error": reply(drawn(), "image/png", status="403 No"),
        "/in": moved(inside.url + "/i"),
        "/endless": endless,
    }
    wrong = [site.url + path for path in ("/svg", "/html", "/short", "/error", "/in", "/missing")]
    wrong += [inside.url + "/i", "http://[::1]/i", "http://169.254.169.254/latest", "http://nowhere.invalid/i.png"]
    for url in wrong:
        answer = await me.request("GET", "/image", params={"url": url})
        assert (answer.status_code, answer.json()["id"]) == GONE, url
    assert inside.asked == []
    for url in ("file:///etc/passwd", "gopher://127.0.0.1/", "data:image/png;base64,AAAA"):
        assert (await me.request("GET", "/image", params={"url": url})).status_code == 400
    # An image without end is cut off.
    with pytest.raises(Exception, match=r"peer closed|incomplete|Server disconnected"):
        await me.request("GET", "/image", params={"url": site.url + "/endless"})
    await all_given_back()


async def all_given_back() -> None:
    """Wait until nobody has a place."""
    async with asyncio.timeout(30):
        while image_proxy._room._value < image_proxy.AT_ONCE:
            await asyncio.sleep(0.01)


async def test_a_place_is_given_back_though_nobody_reads(
    people: People, site: Site, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config["ImageProxySettings.Enable"] = True
    image = drawn()
    site.pages["/i"] = reply(image, "image/png")
    answer = await people.member.request("HEAD", "/image", params={"url": site.url + "/i"})
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/png", b"")
    await all_given_back()
    monkeypatch.setattr(image_proxy, "TIMEOUT_S", 1.5)
    asks: Any = SimpleNamespace(outbound=Outbound(lambda: "127.0.0.1", lambda: False))
    found = await image_proxy._open(asks, site.url + "/i", people.member.id)
    assert image_proxy._room._value == image_proxy.AT_ONCE - 1
    await all_given_back()
    await found.close()
    assert image_proxy._room._value == image_proxy.AT_ONCE
    assert not asks.outbound.shares._shares
    await asks.outbound.close()


async def test_another_proxy(people: People, config: dict[str, Any]) -> None:
    config |= {
        "ImageProxySettings.Enable": True,
        "ImageProxySettings.ImageProxyType": "atmos/camo",
        "ImageProxySettings.RemoteImageProxyURL": "https://camo.example",
        "ImageProxySettings.RemoteImageProxyOptions": "key",
    }
    url = "http://example.org/a.png"
    answer = await people.member.request("GET", "/image", params={"url": url})
    signed = hmac.digest(b"key", url.encode(), "sha1").hex()
    assert answer.headers["location"] == f"https://camo.example/{signed}/{url.encode().hex()}"


async def test_clients_are_told(people: People) -> None:
    told = await people.member.get("/config/client?format=old")
    assert (told["HasImageProxy"], told["EnableLinkPreviews"]) == ("false", "true")
    await people.admin.put("/config/patch", {"ImageProxySettings": {"Enable": True}})
    assert (await people.member.get("/config/client?format=old"))["HasImageProxy"] == "true"
