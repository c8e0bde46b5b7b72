"""Files of posts: who may see them, and what posts may hold them. How they come in is file_uploads.

A file belongs to its uploader until a post of the same channel holds it; from then on, to all who can read the channel.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from msgspec import structs

from tidewire.actions.permissions import access_channel_for_read, has_system, is_admin
from tidewire.actions.services import Services
from tidewire.pictures.previews import PNG
from tidewire.store import files as store
from tidewire.store.db import Database, Transaction
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.file_types import harmless
from tidewire.wire.files import FileInfo, StoredFile
from tidewire.wire.ids import is_id
from tidewire.wire.models import Post, Session

PER_POST = 10  # Mattermost API v4, Post notes


class Shown(NamedTuple):
    """An object to send. size: None if no row knows it; inline: a browser may show it; at: when it was made, ms."""

    key: str
    size: int | None
    type: str
    name: str
    inline: bool
    version: str
    at: int


def missing() -> AppError:
    """Return the 404 for a file that is not there."""
    return AppError("app.file_info.get.app_error", 404, "Unable to get the file info.")


async def access_file(services: Services, session: Session, file_id: str) -> StoredFile:
    """Return a live file that the caller may see. Raises: 403, 404."""
    file = (await store.by_ids(services.db, [file_id])).get(file_id)
    if file is None:
        raise missing()
    own = file.user_id == session.user_id or is_admin(session)
    if not (file.post_id or own):
        raise forbidden()
    await access_channel_for_read(services, session, file.channel_id)
    return file


async def of_post(services: Services, session: Session, post: Post, *, deleted: bool) -> list[FileInfo]:
    """Return the files of a post that the caller may read, in its order. deleted: also deleted ones, for admins.

    Raises: 403.
    """
    if deleted and not has_system(session, "manage_system"):
        raise forbidden()
    found = await store.of_post(services.db, post.id, deleted=deleted)
    order = {file_id: place for place, file_id in enumerate(post.file_ids)}
    return [file.info() for file in sorted(found, key=lambda file: order.get(file.id, len(order)))]


async def add_to_posts(
    db: Database | Transaction, posts: Collection[Post], *, deleted: bool = False
) -> None:
    """Put the files of live posts into their metadata: one query, and none where no post has files.

    deleted: those of deleted posts, and deleted files, too.
    """
    holders = [post for post in posts if post.file_ids and (deleted or not post.delete_at)]
    if holders:
        found = await store.by_ids(db, {one for post in holders for one in post.file_ids}, deleted=deleted)
        for post in holders:
            post.metadata.files = [found[one].info() for one in post.file_ids if one in found]


def check_ids(file_ids: Iterable[str]) -> list[str]:
    """Return the ids that a post is to hold, each once. Raises: 400 for what cannot be one, or for too many."""
    wanted = list(dict.fromkeys(file_ids))
    if len(wanted) > PER_POST:
        raise AppError("model.post.is_valid.file_ids.app_error", 400, "A post holds at most 10 files.")
    if not all(is_id(file_id) for file_id in wanted):
        raise body_param("file_ids")
    return wanted


async def check_attachable(
    db: Database | Transaction, session: Session, channel_id: str, file_ids: Sequence[str]
) -> list[StoredFile]:
    """Return the files that the caller may attach to a new post of a channel, in the order of ids.

    Raises: 403 for what is unknown or another's; 400 for an own one of another channel or of another post.
    """
    found = await store.by_ids(db, file_ids)
    if any(one not in found or found[one].user_id != session.user_id for one in file_ids):
        raise forbidden()
    files = [found[one] for one in file_ids]
    if any(file.channel_id != channel_id or file.post_id for file in files):
        raise body_param("file_ids")
    return files


def attached(file: StoredFile, post: Post) -> FileInfo:
    """Return a file as it is once a new post holds it."""
    return structs.replace(file, post_id=post.id, update_at=post.create_at).info()


async def do_change(tx: Transaction, session: Session, post: Post, wanted: Sequence[str], at_ms: int) -> bool:
    """Let a locked post hold these files: new ones are attached, others deleted. Return whether that is a change.

    One that the post held before comes back. Raises: as check_attachable.
    """
    if wanted == post.file_ids:
        return False
    added = [one for one in wanted if one not in post.file_ids]
    removed = [one for one in post.file_ids if one not in wanted]
    if added:
        back = await store.restore(tx, added, post.id, at_ms)
        fresh = [one for one in added if one not in back]
        await check_attachable(tx, session, post.channel_id, fresh)
        owner = {"post_id": post.id, "user_id": session.user_id, "channel_id": post.channel_id}
        if fresh and not await store.attach(tx, fresh, **owner, at_ms=at_ms):
            raise body_param("file_ids")
    if removed:
        await store.detach(tx, removed, post.id, at_ms)
    post.file_ids = list(wanted)
    return True


def whole(file: StoredFile) -> Shown:
    """Return what is sent of a file itself."""
    kind = file.shown_as or harmless(file.mime_type)
    return Shown(file.key, file.size, kind, file.name, bool(file.shown_as), file.id, file.create_at)


def thumbnail(file: StoredFile) -> Shown:
    """Return what is sent of its thumbnail. Raises: 400 without one."""
    if not file.thumbnail:
        error_id = "api.file.get_file_thumbnail.no_thumbnail.app_error"
        raise AppError(error_id, 400, "File does not have a thumbnail image.")
    return _small(file, file.thumbnail_key, file.thumbnail)


def preview(file: StoredFile) -> Shown:
    """Return what is sent of its preview. Raises: 400 without one."""
    if not file.preview:
        error_id = "api.file.get_file_preview.no_preview.app_error"
        raise AppError(error_id, 400, "File does not have a preview image.")
    return _small(file, file.preview_key, file.preview)


def _small(file: StoredFile, key: str, kind: str) -> Shown:
    stem = file.name.removesuffix("." + file.name.rpartition(".")[2])
    name = f"{stem}.{'png' if kind == PNG else 'jpg'}"
    return Shown(key, None, kind, name, True, key.rpartition("/")[2], file.create_at)


def public_link(services: Services, file: StoredFile, site_url: str) -> str:
    """Return the address at which anybody gets a file. Raises: 400 for one that no post holds; 403 if switched off."""
    check_public_links(services)
    if not file.post_id:
        raise AppError(
            "api.file.get_public_link.no_post.app_error", 400, "Unable to get public link for a file of no post."
        )
    return f"{site_url.rstrip('/')}/files/{file.id}/public?h={services.files.sign(file.id)}"


def check_public_links(services: Services) -> None:
    """Raise 403 where public links are switched off."""
    if not services.config.flag("FileSettings.EnablePublicLink"):
        raise AppError("api.file.get_public_link.disabled.app_error", 403, "Public links have been disabled.")


async def access_public_file(services: Services, file_id: str, signature: str) -> StoredFile:
    """Return a file by its public link. Raises: 400 for a wrong link; 403; 404 once its post is deleted."""
    check_public_links(services)
    if not services.files.is_signed(file_id, signature):
        error_id = "api.file.get_file.public_invalid.app_error"
        raise AppError(error_id, 400, "The public link does not appear to be valid.")
    file = (await store.by_ids(services.db, [file_id])).get(file_id)
    if file is None or not file.post_id:
        raise missing()
    return file
