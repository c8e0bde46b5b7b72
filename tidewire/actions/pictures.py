"""Profile pictures and team icons: set, reset, found. How pixels are made is tidewire.pictures.

A user always has a picture: his own, or his initial on a colour. A team has an icon or none.
"""

from typing import NamedTuple

from msgspec import structs

from tidewire.actions import permissions
from tidewire.actions.change_user import check_may_change
from tidewire.actions.copies import announce, to_team
from tidewire.actions.services import Services
from tidewire.actions.users import announce_updated, get_user
from tidewire.bus.envelope import team_key
from tidewire.pictures import initials
from tidewire.pictures.squares import NotAPicture, TooManyPixels
from tidewire.store import pictures, users
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.events import as_text
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session, Team, User
from tidewire.wire.views import team_view

OF_USER, OF_TEAM = "api.user.upload_profile_user", "api.team.set_team_icon"  # families of error ids


class Picture(NamedTuple):
    """PNG bytes; version changes when they do; own: not made up from the name."""

    version: str
    png: bytes
    own: bool


async def _square(services: Services, path: str, family: str) -> bytes:
    try:
        return await services.workshop.make_square(path, services.config.number("FileSettings.MaxImageResolution"))
    except TooManyPixels as error:
        raise AppError(
            f"{family}.check_image_limits.app_error", 400, "The picture has too many pixels."
        ) from error
    except NotAPicture as error:
        raise AppError(f"{family}.decode.app_error", 400, "Could not decode the picture.") from error


async def access_user_for_picture(services: Services, session: Session, user_id: str) -> User:
    """Return a user whose picture the caller may set. Raises: 403, 404."""
    await check_may_change(services, session, user_id)
    return await get_user(services, user_id)


async def do_set_user_picture(services: Services, user: User, path: str) -> None:
    """Make an uploaded file the user's picture and tell. User must come from access_user_for_picture().

    Raises: 400 for a file that is no picture or too large a one; 404; Unavailable.
    """
    await _put_user_picture(services, user.id, await _square(services, path, OF_USER))


async def do_reset_user_picture(services: Services, user: User) -> None:
    """Let the user have the picture of one who has none, and tell. User must come from access_user_for_picture()."""
    await _put_user_picture(services, user.id, None)


async def _put_user_picture(services: Services, user_id: str, png: bytes | None) -> None:
    async with services.db.transaction() as tx:
        user = await users.lock(tx, user_id)
        if user is None:
            raise AppError("app.user.missing_account.const", 404, "Unable to find the user.")
        at = max(now_ms(), user.update_at + 1, abs(user.last_picture_update) + 1)
        # Below zero for "none any more": clients merge what they hear into what they know, and a zero is not sent.
        picture_at = at if png is not None else -at
        await pictures.set_user_time(tx, user_id, picture_at, at)
        await pictures.put(tx, user_id, at, png)
        user = structs.replace(user, last_picture_update=picture_at, update_at=at)
        await announce_updated(services, tx, user)


async def user_picture(services: Services, user: User) -> Picture:
    """Return the user's picture: there always is one."""
    stored = await pictures.of_owner(services.db, user.id) if user.last_picture_update > 0 else None
    if stored is None:
        return default_picture(user)
    return Picture(str(stored.at), stored.png, True)


def default_picture(user: User) -> Picture:
    """Return the picture that a user has who never set one."""
    version, png = initials.picture_for(user.username, user.id)
    return Picture(version, png, False)


async def access_team_for_icon(services: Services, session: Session, team_id: str) -> Team:
    """Return a team whose icon the caller may set. Raises: 403, 404."""
    return await permissions.access_team(services, session, team_id, "manage_team")


async def do_set_team_icon(services: Services, team: Team, path: str | None) -> None:
    """Make an uploaded file the team's icon, or with None remove it, and tell. Team: from access_team_for_icon().

    Raises: as do_set_user_picture.
    """
    png = None if path is None else await _square(services, path, OF_TEAM)
    async with services.db.transaction() as tx:
        # The time of the icon is its name to clients, so no two may be equal.
        at = max(now_ms(), team.last_team_icon_update + 1)
        changed = await pictures.set_team_time(tx, team.id, at if png is not None else 0, at)
        if changed is None:
            raise permissions.team_missing()
        await pictures.put(tx, team.id, at, png)
        shown = as_text(team_view(changed, manages=False, invites=False))
        announce(
            tx,
            team_key(team.id),
            [to_team("update_team", {"team": shown}, team.id)],
            invalidates=["team:" + team.id],
        )


async def team_icon(services: Services, session: Session, team_id: str) -> Picture:
    """Return a team's icon, for its members and where the team is open to all. Raises: 403, 404."""
    team = await permissions.load_team(services, team_id)
    is_open = team is not None and team.type == "O" and team.allow_open_invite
    if not is_open and not await permissions.has_team(services, session, team_id, "view_team"):
        raise forbidden()
    if team is None:
        raise permissions.team_missing()
    stored = await pictures.of_owner(services.db, team_id) if team.last_team_icon_update else None
    if stored is None:
        raise AppError("api.team.get_team_icon.read_file.app_error", 404, "The team has no icon.")
    return Picture(str(stored.at), stored.png, True)
