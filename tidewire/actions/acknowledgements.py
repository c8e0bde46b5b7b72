"""Acknowledgements of posts that ask for them: give one, take it back. Each change bumps the post's update_at.

Source: Mattermost API v4, "Acknowledge a post", "Delete a post acknowledgement".
"""

from tidewire.actions import permissions, post_events
from tidewire.actions.posts import access_post, post_missing
from tidewire.actions.services import Services
from tidewire.bus.envelope import channel_key
from tidewire.store import acknowledgements as store
from tidewire.store import posts
from tidewire.wire.errors import AppError, forbidden, url_param
from tidewire.wire.ids import now_ms
from tidewire.wire.models import PostAcknowledgement, Session

TAKE_BACK_MS = 5 * 60 * 1000  # Mattermost API v4: how long one may take it back


async def do_acknowledge(
    services: Services, session: Session, user_id: str, post_id: str
) -> PostAcknowledgement:
    """Store a user's acknowledgement and tell the channel; one that is there is returned and not told again.

    Raises: 400 for a post that asks for none; 403, also in an archived channel; 404.
    """
    permissions.check_self(session, user_id)
    post, channel = await access_post(services, session, post_id)
    if channel.delete_at:
        raise _archived("save")
    if not post.asks_acknowledgement:
        raise url_param("post_id")
    async with services.db.transaction() as tx:
        if not await posts.hold(tx, post_id):
            raise post_missing()
        new = PostAcknowledgement(user_id, post_id, now_ms(), channel.id)
        if not await store.add(tx, new):
            found = await store.find(tx, post_id, user_id)
            if found is None:  # the post's row is held: it is his account that is gone
                raise forbidden()
            return found
        tx.announce(channel_key(channel.id), post_events.acknowledgement("post_acknowledgement_added", new))
    return new


async def do_take_back(services: Services, session: Session, user_id: str, post_id: str) -> None:
    """Delete a user's acknowledgement and tell the channel.

    Raises: 400 after 5 minutes; 403, also in an archived channel; 404, also where there is none.
    """
    permissions.check_self(session, user_id)
    _, channel = await access_post(services, session, post_id)
    if channel.delete_at:
        raise _archived("delete")
    async with services.db.transaction() as tx:
        if not await posts.hold(tx, post_id):
            raise post_missing()
        found = await store.find(tx, post_id, user_id)
        if found is None:
            raise AppError("app.acknowledgement.get.app_error", 404, "The post is not acknowledged.")
        now = now_ms()
        if now - found.acknowledged_at > TAKE_BACK_MS:
            text = "The acknowledgement is older than 5 minutes."
            raise AppError("api.acknowledgement.delete.deadline.app_error", 400, text)
        await store.remove(tx, post_id, user_id, now)
        tx.announce(
            channel_key(channel.id), post_events.acknowledgement("post_acknowledgement_removed", found)
        )


def _archived(what: str) -> AppError:
    return AppError(f"api.acknowledgement.{what}.archived_channel.app_error", 403, "The channel is archived.")
