"""Old versions of a post: its author reads and restores them. Source: Mattermost API v4, posts."""

from tidewire.actions import files, posts
from tidewire.actions.permissions import has_channel
from tidewire.actions.post_rules import PostChange
from tidewire.actions.services import Services
from tidewire.store import post_extras as store
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.models import Post, Session

VERSIONS_MAX = 200  # that are shown


async def list_versions(services: Services, session: Session, post_id: str) -> list[Post]:
    """Return the versions that edits replaced, the newest first. Raises: 403 for others than the author; 404."""
    await _access(services, session, post_id)
    found = await store.versions(services.db, post_id, VERSIONS_MAX)
    if not found:
        raise posts.post_missing()
    await files.add_to_posts(services.db, found, deleted=True)
    return found


async def do_restore(services: Services, session: Session, post_id: str, version_id: str) -> Post:
    """Give a post the words and files of an old version, by an edit. Raises: as do_edit_post; 400 for none of its."""
    await _access(services, session, post_id)
    old = await store.version(services.db, post_id, version_id)
    if old is None:
        text = "This is no earlier version of the post."
        raise AppError("app.post.restore_post_version.not_an_history_item.app_error", 400, text)
    return await posts.do_edit_post(services, session, post_id, PostChange(message=old.message, file_ids=old.file_ids))


async def _access(services: Services, session: Session, post_id: str) -> None:
    post, channel = await posts.access_post(services, session, post_id)
    if post.user_id != session.user_id or not await has_channel(services, session, channel.id, "edit_post"):
        raise forbidden()
