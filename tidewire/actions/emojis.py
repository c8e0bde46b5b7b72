"""Custom emojis: made from a picture, found by name, deleted. Source: Mattermost API v4, emojis."""

import re
from collections.abc import Sequence

from tidewire.actions.copies import announce, to_all
from tidewire.actions.permissions import has_system, own_team_roles, permits
from tidewire.actions.post_emojis import VERSION_KEY
from tidewire.actions.services import Services
from tidewire.bus.envelope import user_key
from tidewire.pictures.squares import NotAPicture, TooManyPixels
from tidewire.store import emojis as store
from tidewire.wire.emoji_names import is_system_emoji
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.events import as_text
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Emoji, Session

IMAGE_BYTES = 512 << 10  # Mattermost API v4, Emoji notes
SIDE_MAX = 1028  # of a square: a picture of more pixels is refused
FOUND_MAX, COMPLETED_MAX = 200, 100  # that a search, and a completion, give
_NAME = re.compile(r"[a-z0-9_+-]{1,64}\Z")


def check_enabled(services: Services) -> None:
    """Raise 501 where custom emojis are switched off."""
    if not services.config.flag("ServiceSettings.EnableCustomEmoji"):
        raise AppError("api.emoji.disabled.app_error", 501, "Custom emojis have been disabled on this server.")


async def access_creation(services: Services, session: Session) -> None:
    """Return if the caller may make emojis: by his system roles, or in one of his teams. Raises: 403, 501."""
    check_enabled(services)
    if not await _may(services, session, "create_emojis"):
        raise forbidden()


async def _may(services: Services, session: Session, permission: str) -> bool:
    if has_system(session, permission):
        return True
    roles = await own_team_roles(services, session.user_id)
    return any(permits(services, one, permission) for one in roles.values())


async def do_create(services: Services, session: Session, name: str, creator_id: str, path: str) -> Emoji:
    """Make an emoji of an uploaded file and tell everybody. After access_creation().

    Raises: 400 for a bad or taken name and for a file that is no picture or too large a one; 403 for another creator.
    """
    if creator_id != session.user_id:
        raise AppError("api.emoji.create.other_user.app_error", 403, "The creator is another user.")
    check_name(name)
    check_no_system_name(name)
    try:
        image = await services.workshop.make_emoji(path, SIDE_MAX * SIDE_MAX)
    except TooManyPixels as error:
        raise AppError("api.emoji.upload.large_image.too_large.app_error", 400, "The image is too large.") from error
    except NotAPicture as error:
        raise AppError("api.emoji.upload.image.app_error", 400, "The file is no GIF, PNG or JPEG.") from error
    now = now_ms()
    emoji = Emoji(new_id(now), now, now, 0, session.user_id, name)
    async with services.db.transaction() as tx:
        if not await store.insert(tx, emoji, image.type, image.data):
            raise AppError("api.emoji.create.duplicate.app_error", 400, "The name is taken by another emoji.")
        copies = [to_all("emoji_added", {"emoji": as_text(emoji)})]
        announce(tx, user_key(session.user_id), copies, invalidates=[VERSION_KEY])
    return emoji


def check_name(name: str) -> None:
    """Raise 400 for what cannot be an emoji's name."""
    if not _NAME.match(name):
        raise AppError("model.emoji.name.app_error", 400, "A name is 1 to 64 of a-z, 0-9, _, + and -.")


def check_no_system_name(name: str) -> None:
    """Raise 400 for a name that clients know without us."""
    if is_system_emoji(name):
        raise AppError("model.emoji.system_emoji_name.app_error", 400, "There is a system emoji of this name.")


async def check_known(services: Services, name: str) -> None:
    """Return if the name is a system emoji's or a custom one's. Raises: 404; 501 where there are no custom ones."""
    if not is_system_emoji(name):
        await get_by_name(services, name)


async def get(services: Services, emoji_id: str) -> Emoji:
    """Return an emoji. Raises: 404, 501."""
    check_enabled(services)
    found = await store.by_id(services.db, emoji_id)
    if found is None:
        raise AppError("app.emoji.get.no_result", 404, "There is no such emoji.")
    return found


async def get_by_name(services: Services, name: str) -> Emoji:
    """Return an emoji by its name. Raises: 404, 501."""
    found = await by_names(services, [name])
    if not found:
        raise AppError("app.emoji.get_by_name.no_result", 404, "There is no such emoji.")
    return found[0]


async def by_names(services: Services, names: Sequence[str]) -> list[Emoji]:
    """Return the emojis of these names; unknown ones are left out. Raises: 501."""
    check_enabled(services)
    return await store.by_names(services.db, [name for name in names if _NAME.match(name)])


async def list_page(services: Services, page: int, per_page: int, *, by_name: bool) -> list[Emoji]:
    """Return a page of all emojis. Raises: 501."""
    check_enabled(services)
    return await store.page(services.db, per_page, page * per_page, by_name=by_name)


async def search(services: Services, term: str, *, prefix_only: bool, limit: int = FOUND_MAX) -> list[Emoji]:
    """Return emojis whose names contain a term, or begin with it. Raises: 501."""
    check_enabled(services)
    literal = re.sub(r"([\\%_])", r"\\\1", term.lower())
    return await store.search(services.db, ("" if prefix_only else "%") + literal + "%", limit)


async def image(services: Services, emoji_id: str) -> tuple[str, bytes]:
    """Return (media type, bytes) of an emoji. Raises: 404, 501."""
    check_enabled(services)
    found = await store.image(services.db, emoji_id)
    if found is None:
        raise AppError("app.emoji.get.no_result", 404, "There is no such emoji.")
    return found


async def do_delete(services: Services, session: Session, emoji_id: str) -> None:
    """Delete an emoji; posts and reactions that name it keep the name. Raises: 403, 404, 501."""
    emoji = await get(services, emoji_id)
    if not await _may(services, session, "delete_emojis"):
        raise forbidden()
    if emoji.creator_id != session.user_id and not await _may(services, session, "delete_others_emojis"):
        raise forbidden()
    async with services.db.transaction() as tx:
        if not await store.delete(tx, emoji_id, max(now_ms(), emoji.update_at + 1)):
            raise AppError("app.emoji.get.no_result", 404, "There is no such emoji.")
        announce(tx, user_key(session.user_id), invalidates=[VERSION_KEY])
