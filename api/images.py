"""Images from elsewhere. Source: Mattermost API v4, "Get an image by url"."""

from api.call import Call
from api.downloads import POLICY
from api.routing import Raw, Stream, route
from tidewire.actions import image_proxy

CACHE = "max-age=86400, private"


@route("GET", "/image", csrf=False)
async def image(call: Call) -> Raw | Stream:
    """An image of another site, or the way there if there is no proxy."""
    found = await image_proxy.get(call.services, call.query("url"), call.login.user_id)
    if isinstance(found, str):
        call.set_header("Location", found)
        return Raw(b"", "text/plain", 302)
    call.set_header("Cache-Control", CACHE)
    call.set_header("Content-Security-Policy", POLICY)
    call.set_header("X-Frame-Options", "DENY")
    if call.req.method == "HEAD":  # nobody would read it to its end
        await found.close()
        return Raw(b"", found.media_type)
    return Stream(found, found.media_type)
