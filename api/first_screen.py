"""Short true answers that a web app asks for, about what this server does not offer."""

from typing import Any

from api.call import Call
from api.routing import OK, Raw, route
from tidewire.actions import permissions


@route("GET", "/posts/scheduled/team/{team_id}")
async def scheduled_posts(call: Call) -> dict[str, list[str]]:
    """Nothing is scheduled."""
    team_id = call.path_id("team_id")
    await permissions.check_team(call.services, call.login, team_id, "view_team")
    return {team_id: [], "directChannels": []} if call.flag("includeDirectChannels") else {team_id: []}


@route("GET", "/custom_profile_attributes/fields")
async def profile_attributes(call: Call) -> list[str]:
    """Profiles have no more fields than the usual ones."""
    return []


@route("POST", "/client_perf", csrf=False)
async def client_performance(call: Call) -> bytes:
    """Take a client's measurements, which nobody asked for (EnableClientMetrics is off), and forget them."""
    await call.body(dict[str, Any])
    return OK


@route("GET", "/redirect_location", csrf=False)
async def redirect_location(call: Call) -> dict[str, str]:
    """Where a link leads is found out by whoever follows it: the server asks no strangers."""
    return {"location": ""}


@route("GET", "/brand/image", session=False, csrf=False)
async def brand_image(call: Call) -> Raw:
    """There is no image of a brand."""
    return Raw(b"", "text/plain", 404)
