"""Lists of posts as clients page through them. Reads only; a list costs a fixed number of queries, however long it is.

Source: Mattermost API v4, PostList: `order` newest first, `posts` also holds the roots of replies; "" in
`next_post_id` or `prev_post_id` says that this end is reached. Threads are in reading direction, their root first.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from msgspec import Struct

from tidewire.actions import files, link_shown, post_emojis, post_refs
from tidewire.actions.permissions import has_system
from tidewire.actions.post_rules import blank
from tidewire.actions.posts import access_post, readable_channel
from tidewire.actions.services import Services
from tidewire.actions.users import get_users, view_for
from tidewire.store import acknowledgements, post_extras, reactions, threads
from tidewire.store import posts as store
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.models import Channel, Post, PostList, Session

SINCE_POSTS = 1000  # Mattermost API v4: the most a `since` list holds
PINNED_POSTS = 1000  # the contract names no pages for them
# Text and props of a list without pages: one post may have 300,000, and a thousand of them took all of the memory.
LIST_BYTES = 16 << 20
FEW = 200  # as many as a page may have: they need not be measured first


class View(Struct):
    """How a list is wanted: replies left out (collapsed threads), participants as users, deleted posts too."""

    roots_only: bool = False
    extended: bool = False
    deleted: bool = False


class ThreadPage(Struct):
    """A stretch of a thread. limit None: all of it, up to LIST_BYTES. A position is (create_at, id); up: newest first.

    updates: what was changed after the position, which is (update_at, id), in the order of these changes.
    alone: the post itself and nothing else of its thread.
    """

    limit: int | None = None
    position: tuple[int, str] | None = None
    up: bool = False
    updates: bool = False
    alone: bool = False


async def access_list(services: Services, session: Session, channel_id: str, view: View) -> Channel:
    """Return a channel whose posts the caller may list so. Raises: 403."""
    channel = await readable_channel(services, session, channel_id)
    if channel is None or (view.deleted and not has_system(session, "read_deleted_posts")):
        raise forbidden()
    return channel


async def version(services: Services, session: Session, channel_id: str, view: View) -> str:
    """Return an ETag for lists of a channel: nearly every change of what they show is a numbered event of it.

    Which threads the caller follows, as collapsed ones say, changes with his own events too; which words are custom
    emojis, with those. Ask before loading the list: it may be newer than its tag, never older.
    """
    n, own_n = await store.event_numbers(services.db, channel_id, session.user_id if view.roots_only else "")
    own = f".{own_n}" if view.roots_only else ""
    emojis = await post_emojis.version(services)
    return f"{services.version_id}.{channel_id}.{n}.{int(view.roots_only)}{int(view.deleted)}.{emojis}{own}"


async def get_page(
    services: Services, session: Session, channel_id: str, view: View, page: int, per_page: int
) -> PostList:
    """Return a page of a channel, 0 being the newest."""

    def load(limit: int, offset: int) -> Awaitable[list[Post]]:
        return store.page(
            services.db, channel_id, limit, offset, deleted=view.deleted, roots_only=view.roots_only
        )

    found, newer, older = await _stretch(services, channel_id, view, load, page, per_page)
    return await list_of(services, session, found, view, newer, older)


async def get_since(
    services: Services, session: Session, channel_id: str, view: View, since: int
) -> PostList:
    """Return what changed after `since` (ms), the latest changes of LIST_BYTES; deleted posts come blank."""
    found = await store.since(
        services.db, channel_id, since, SINCE_POSTS, most_bytes=LIST_BYTES, roots_only=view.roots_only
    )
    return await list_of(services, session, found, view)


async def get_before(
    services: Services, session: Session, channel_id: str, view: View, cursor: str, page: int, per_page: int
) -> PostList:
    """Return a page of the posts before the post `cursor`."""
    position = await store.position_of(services.db, channel_id, cursor)

    async def load(limit: int, offset: int) -> list[Post]:
        if position is None:
            return []
        return await store.before(
            services.db,
            channel_id,
            limit,
            offset,
            position,
            deleted=view.deleted,
            roots_only=view.roots_only,
        )

    found, newer, older = await _stretch(services, channel_id, view, load, page, per_page)
    return await list_of(services, session, found, view, newer if page else cursor, older)


async def get_after(
    services: Services, session: Session, channel_id: str, view: View, cursor: str, page: int, per_page: int
) -> PostList:
    """Return a page of the posts that follow the post `cursor`."""
    found: list[Post] = []
    position = await store.position_of(services.db, channel_id, cursor)
    if position is not None:
        found = await store.after(
            services.db,
            channel_id,
            per_page,
            page * per_page,
            position,
            deleted=view.deleted,
            roots_only=view.roots_only,
        )
    newer, older = await _ends(services, channel_id, view, found)
    return await list_of(services, session, found, view, newer, older if page else cursor)


async def get_pinned(services: Services, session: Session, channel_id: str) -> PostList:
    """Return the pinned posts of a channel, newest first, at most PINNED_POSTS and LIST_BYTES."""
    found = await store.pinned(services.db, channel_id, PINNED_POSTS, most_bytes=LIST_BYTES)
    return await list_of(services, session, found, View())


async def get_saved(
    services: Services,
    session: Session,
    user_id: str,
    *,
    team_id: str,
    channel_id: str,
    page: int,
    per_page: int,
) -> PostList:
    """Return a page of the posts that a user saved, newest first, where he is still a member."""
    found = await post_extras.saved(
        services.db, user_id, team_id=team_id, channel_id=channel_id, limit=per_page, offset=page * per_page
    )
    return await list_of(services, session, found, View())


async def get_unread(
    services: Services,
    session: Session,
    channel_id: str,
    user_id: str,
    view: View,
    limit_before: int,
    limit_after: int,
) -> PostList | None:
    """Return the posts around a member's first unread one, which limit_after counts; None if there is none to show.

    Raises: 404 for one who is no member.
    """
    viewed_at = await store.viewed_at(services.db, channel_id, user_id)
    if viewed_at is None:
        raise AppError(
            "app.channel.get_member.missing.app_error", 404, "The user is no member of the channel."
        )
    if not viewed_at:
        return None
    position = await store.first_unread(services.db, channel_id, viewed_at, roots_only=view.roots_only)
    if position is None:
        return None
    # From the end of the millisecond before: what follows begins with the first unread post.
    below = position[0] - 1, "~"
    found = await store.after(services.db, channel_id, limit_after, 0, below, roots_only=view.roots_only)
    if limit_before:
        found += await store.before(
            services.db, channel_id, limit_before, 0, position, roots_only=view.roots_only
        )
    newer, older = await _ends(services, channel_id, view, found)
    return await list_of(services, session, found, view, newer, older)


async def get_thread(
    services: Services, session: Session, post: Post, view: View, page: ThreadPage
) -> PostList:
    """Return the thread of a root or a reply from access_post: the root, then replies in the direction of reading."""
    if page.alone:
        return await list_of(services, session, [post], view)
    roots = await store.load(services.db, [post.root_id], deleted=view.deleted) if post.root_id else [post]
    root = roots[0] if roots else post
    asked: dict[str, Any] = {
        "up": page.up,
        "position": page.position,
        "updates": page.updates,
        "deleted": view.deleted,
    }
    if page.limit is None and root.reply_count > FEW:
        ids = await store.reply_ids(services.db, root.id, **asked)
        replies = await _load_many(services, ids, deleted=view.deleted)
        has_next = len(replies) < len(ids)
    else:
        most = None if page.limit is None else page.limit + 1
        replies = await store.replies(services.db, root.id, **asked, limit=most)
        has_next = page.limit is not None and len(replies) > page.limit
    answer = await list_of(services, session, [root, *replies[: page.limit]], view)
    answer.has_next = has_next
    return answer


async def get_posts(services: Services, session: Session, ids: Sequence[str]) -> list[Post]:
    """Return the posts of these ids that the caller may read, in their order; the first LIST_BYTES of them."""
    readable: dict[str, bool] = {}
    found = await _load_many(services, ids)
    for channel_id in {post.channel_id for post in found}:
        readable[channel_id] = await readable_channel(services, session, channel_id) is not None
    found = [post for post in found if readable[post.channel_id]]
    await _add_metadata(services, session, found)
    return found


async def _load_many(services: Services, ids: Sequence[str], *, deleted: bool = False) -> list[Post]:
    """Return posts in the order of their ids; where there are many, the first LIST_BYTES of them."""
    if len(ids) > FEW:
        ids = await store.first_of(services.db, ids, most_bytes=LIST_BYTES)
    return await store.load(services.db, ids, deleted=deleted)


async def get_post(services: Services, session: Session, post_id: str, *, deleted: bool) -> Post:
    """Return a post with its reactions. Raises: 403 for deleted ones without the right to them; 404."""
    post, _ = await access_post(services, session, post_id, deleted=deleted)
    await _add_metadata(services, session, [post])
    return post


def check_cursor(value: str, name: str) -> str:
    """Return the id of a query, or raise 400 invalid_body_param, as the contract does for bad cursors."""
    if len(value) != 26 or not value.isalnum() or not value.isascii():
        raise body_param(name)
    return value


async def _stretch(
    services: Services,
    channel_id: str,
    view: View,
    load: Callable[[int, int], Awaitable[list[Post]]],
    page: int,
    per_page: int,
) -> tuple[list[Post], str, str]:
    """Return a page, newest first, and the ids next to it: (newer, older), "" where there is none.

    load: returns posts by limit and offset. One more at each end needs no query of its own; a list with deleted posts
    does, for the ends never are.
    """
    ahead = 1 if page else 0
    found = await load(ahead + per_page + 1, page * per_page - ahead)
    here, beyond = found[ahead : ahead + per_page], found[ahead + per_page :]
    if view.deleted or not here:
        return here, *await _ends(services, channel_id, view, here)
    return here, found[0].id if ahead else "", beyond[0].id if beyond else ""


async def _ends(services: Services, channel_id: str, view: View, found: Sequence[Post]) -> tuple[str, str]:
    """Return the ids next to a list: (newer, older)."""
    if not found:
        return "", ""
    newest, oldest = found[0], found[-1]
    return await store.neighbours(
        services.db,
        channel_id,
        (newest.create_at, newest.id),
        (oldest.create_at, oldest.id),
        roots_only=view.roots_only,
    )


async def list_of(
    services: Services, session: Session, found: Sequence[Post], view: View, newer: str = "", older: str = ""
) -> PostList:
    """Return posts with the roots of the replies among them, reactions and files. newer, older: ids at the ends."""
    by_id = {post.id: post for post in found}
    roots = {post.root_id for post in found if post.root_id and not post.delete_at} - by_id.keys()
    by_id.update((post.id, post) for post in await _load_many(services, sorted(roots)))
    await complete(services, session, by_id.values(), extended=view.extended)
    if view.roots_only:
        await _add_following(services, session, by_id.values())
    shown = {key: blank(post) if post.delete_at and not view.deleted else post for key, post in by_id.items()}
    return PostList([post.id for post in found], shown, newer, older)


async def complete(services: Services, session: Session, posts: Collection[Post], *, extended: bool) -> None:
    """Add to posts what clients need to draw them, as the caller may see it; extended: participants as users too."""
    await _add_metadata(services, session, posts)
    if extended:
        await _add_participants(services, session, posts)


async def _add_following(services: Services, session: Session, posts: Collection[Post]) -> None:
    """Say of roots whether the caller follows their threads. Source: Mattermost API v4, is_following."""
    roots = [post for post in posts if not post.root_id]
    followed = (
        await threads.followed(services.db, session.user_id, [post.id for post in roots]) if roots else ()
    )
    for post in roots:
        post.is_following = post.id in followed


async def _add_metadata(services: Services, session: Session, posts: Collection[Post]) -> None:
    await files.add_to_posts(services.db, posts)
    await acknowledgements.add_to_posts(services.db, posts)
    reacted = [post for post in posts if post.has_reactions and not post.delete_at]
    if reacted:
        found = await reactions.of_posts(services.db, [post.id for post in reacted])
        for post in reacted:
            post.metadata.reactions = found.get(post.id, [])
    await link_shown.add_to_posts(services, services.db, posts)
    await post_emojis.add_to_posts(services, services.db, posts)
    await post_refs.add_to_posts(services, services.db, session, posts)


async def _add_participants(services: Services, session: Session, posts: Collection[Post]) -> None:
    ids = {user.id for post in posts for user in post.participants or ()}
    users = (
        {user.id: view_for(services, session, user) for user in await get_users(services, list(ids))}
        if ids
        else {}
    )
    for post in posts:
        if post.participants:
            post.participants = [users[user.id] for user in post.participants if user.id in users]
