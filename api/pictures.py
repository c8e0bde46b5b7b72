"""Profile pictures and team icons. Rules are in tidewire.actions.pictures."""

from api.call import Call
from api.routing import OK, Raw, route
from api.uploads import uploaded
from tidewire.actions import pictures, visibility
from tidewire.actions.pictures import OF_TEAM, OF_USER, Picture

OWN_S, MADE_UP_S = 86_400, 300  # Mattermost API v4: how long clients keep a picture


@route("POST", "/users/{user_id}/image")
async def set_user_picture(call: Call) -> bytes:
    """Upload a profile picture, as `image` of a multipart form."""
    user = await pictures.access_user_for_picture(call.services, call.login, call.path_id("user_id"))
    async with uploaded(call, "image", OF_USER) as path:
        await pictures.do_set_user_picture(call.services, user, path)
    return OK


@route("DELETE", "/users/{user_id}/image")
async def reset_user_picture(call: Call) -> bytes:
    """Go back to the picture of one who has none."""
    user = await pictures.access_user_for_picture(call.services, call.login, call.path_id("user_id"))
    await pictures.do_reset_user_picture(call.services, user)
    return OK


@route("GET", "/users/{user_id}/image", csrf=False)
async def get_user_picture(call: Call) -> Raw:
    """A user's picture; who has none gets one from his name."""
    user = await visibility.access_user(call.services, call.login, call.path_id("user_id"))
    return _answer(call, await pictures.user_picture(call.services, user))


@route("GET", "/users/{user_id}/image/default", csrf=False)
async def get_default_picture(call: Call) -> Raw:
    """The picture from a user's name."""
    user = await visibility.access_user(call.services, call.login, call.path_id("user_id"))
    return _answer(call, pictures.default_picture(user))


@route("POST", "/teams/{team_id}/image")
async def set_team_icon(call: Call) -> bytes:
    """Upload a team's icon, as `image` of a multipart form."""
    team = await pictures.access_team_for_icon(call.services, call.login, call.path_id("team_id"))
    async with uploaded(call, "image", OF_TEAM, too_large=400) as path:
        await pictures.do_set_team_icon(call.services, team, path)
    return OK


@route("DELETE", "/teams/{team_id}/image")
async def delete_team_icon(call: Call) -> bytes:
    """Remove a team's icon."""
    team = await pictures.access_team_for_icon(call.services, call.login, call.path_id("team_id"))
    await pictures.do_set_team_icon(call.services, team, None)
    return OK


@route("GET", "/teams/{team_id}/image", csrf=False)
async def get_team_icon(call: Call) -> Raw:
    """A team's icon."""
    return _answer(call, await pictures.team_icon(call.services, call.login, call.path_id("team_id")))


def _answer(call: Call, picture: Picture) -> Raw:
    call.set_header("Cache-Control", f"max-age={OWN_S if picture.own else MADE_UP_S}, private")
    if call.not_modified(picture.version):
        return Raw(b"", "image/png", 304)
    return Raw(picture.png, "image/png")
