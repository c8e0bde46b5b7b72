"""Rows of acknowledgements. Who writes one holds the post's row, so that they are announced in their order."""

from collections.abc import Collection

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.models import Post, PostAcknowledgement

_Q = sql.load("acknowledgements")


async def add_to_posts(source: Database | Transaction, posts: Collection[Post]) -> None:
    """Put acknowledgements, oldest first, into the metadata of live posts that ask for them: one query, or none."""
    asking = {post.id: post for post in posts if post.asks_acknowledgement and not post.delete_at}
    if asking:
        for row in await source.fetch(_Q["of_posts"], list(asking)):
            asking[row["post_id"]].metadata.acknowledgements.append(PostAcknowledgement(*row))


async def add(tx: Transaction, new: PostAcknowledgement) -> bool:
    """Insert one and bring the locked post's update_at up to date; False if there is one already, or no such user."""
    at = await tx.fetchval(_Q["add"], new.user_id, new.post_id, new.acknowledged_at, new.channel_id)
    if at is not None:
        await tx.execute(_Q["touch_post"], new.post_id, new.acknowledged_at)
    return at is not None


async def find(tx: Transaction, post_id: str, user_id: str) -> PostAcknowledgement | None:
    """Return a user's acknowledgement of a post, or None."""
    row = await tx.fetchrow(_Q["find"], post_id, user_id)
    return None if row is None else PostAcknowledgement(*row)


async def remove(tx: Transaction, post_id: str, user_id: str, at_ms: int) -> None:
    """Delete a user's acknowledgement of a locked post and bring its update_at up to date."""
    await tx.execute(_Q["remove"], post_id, user_id)
    await tx.execute(_Q["touch_post"], post_id, at_ms)
