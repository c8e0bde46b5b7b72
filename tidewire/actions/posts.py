"""Posts: create, edit, pin, delete. Lists are in tidewire.actions.post_lists; what a post may hold in post_rules.

Who changes a post holds its row from reading to commit and tells the channel in the same transaction, so the last
announcement of a post is always its row.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from msgspec import structs

from tidewire.actions import (
    action_rows,
    collapsed_threads,
    files,
    link_shown,
    mentions,
    post_emojis,
    post_events,
    post_priority,
    post_refs,
    post_rules,
)
from tidewire.actions.mentions import Audience, Root
from tidewire.actions.permissions import (
    access_channel_for_post,
    access_channel_for_read,
    acting_as,
    has_channel,
    has_system,
)
from tidewire.actions.post_rules import NewPostBody, PostChange
from tidewire.actions.post_writer import Refused, Repeated
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.bus.envelope import channel_key
from tidewire.store import acknowledgements, reactions
from tidewire.store import posts as store
from tidewire.store.db import Transaction
from tidewire.store.post_batch import NewPost
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Channel, Post, Session

# Roots that this worker has seen alive. A root stays one until it is deleted, and that the group commit checks itself;
# this only keeps most bad ones from getting there.
_ROOTS = 10_000
_ROOT_NAMED = 64  # users that a kept root may name; whom a larger one names is read again with each reply
_roots: OrderedDict[str, Root] = OrderedDict()


async def do_create_post(
    services: Services, session: Session, body: NewPostBody, *, set_online: bool = True
) -> Post:
    """Store a post and tell its channel. A pending_post_id repeated within 30 s returns the first post.

    Raises: 400 for a bad body, root or archived channel; 403; Unavailable.
    Cost: on cache hits no query of its own but its share of the group commit.
    Source: Mattermost API v4, "Create a post".
    """
    post_rules.check_new_post(body)
    channel = await access_channel_for_post(services, session, body.channel_id)
    if channel.delete_at:
        raise _archived("api.post.create_post.can_not_post_to_deleted.error")
    root = await check_root(services, channel.id, body.root_id) if body.root_id else None
    priority = None
    if body.metadata is not None and body.metadata.priority is not None:
        priority = post_priority.check(services, body.metadata.priority, is_reply=bool(body.root_id))
    user = await get_user(services, session.user_id)
    now = now_ms()
    post = Post(
        id=new_id(now),
        channel_id=channel.id,
        user_id=session.user_id,
        create_at=now,
        update_at=now,
        root_id=body.root_id,
        message=body.message,
        type=body.type,
        props=post_rules.client_props(body.props) if body.props else {},
        hashtags=hashtags_of(services, body.message),
        pending_post_id=body.pending_post_id,
    )
    if priority is not None:
        post.metadata.priority = priority
    if body.file_ids:
        post.file_ids = files.check_ids(body.file_ids)
        try:
            found = await files.check_attachable(services.db, session, channel.id, post.file_ids)
        except AppError as error:  # of a post sent again, they are attached already
            return await _first_or_raise(services, session, post, error)
        post.metadata.files = [files.attached(file, post) for file in found]
    if user.is_bot:
        post.props["from_bot"] = "true"
    if session.is_oauth:
        post.props["from_oauth_app"] = "true"
    if "attachments" in post.props:
        await action_rows.keep(services, post, action_rows.take(post.props))
    written = await do_write(services, session, channel, post, user.username, root=root, set_online=set_online)
    if written is post:
        services.hooks.posted(post, channel, user.username)
    return written


async def do_write(
    services: Services,
    session: Session,
    channel: Channel,
    post: Post,
    sender: str,
    *,
    root: Root | None,
    set_online: bool = False,
) -> Post:
    """Store a checked post of the session's user, in one share of the group commit, and tell the channel.

    sender: the author's username. root: of a reply. Returns the first post for a repeated pending_post_id.
    Raises: 400 for a channel or root that is gone meanwhile; Unavailable.
    """
    audience = await mentions.audience_of(services, session, channel, post, root)
    wanted = link_shown.begin(services, post)
    looks = services.links.takes(wanted)
    if post_emojis.may_name(post):
        await post_emojis.add_to_posts(services, services.db, [post])
    found = None
    if post_refs.may_refer(post):
        found = await post_refs.refer(services, services.db, session, channel, post)
    envelope = post_events.posted(
        services,
        post,
        channel,
        sender,
        system=False,
        set_online=set_online,
        audience=audience,
        found=found,
    )
    new = NewPost(
        post,
        envelope,
        views=mentions.speaks_for_itself(post),
        reads_channel=root is not None and not await collapsed_threads.is_on(services, post.user_id),
        auto_follow=services.config.flag("ServiceSettings.ThreadAutoFollow"),
        mentions=audience.mentions,
        followers=audience.followers,
        awaits_preview=looks,
        committed=None if root is None else partial(services.news.replied, post, audience.mentions),
    )
    if root is None:
        mentions.note_new_root(services, post.id)
    try:
        await services.posts.write(new)
    except Repeated as repeated:
        return await _first_post(services, session, post, repeated.post_id)
    except Refused:
        return await _why_refused(services, session, post)
    if root is None:
        _note_root(post.id, _root(post, audience.mentions if channel.type not in "DG" else None))
    if found is not None:
        post_refs.put(services, [post], found)
    if looks:
        services.links.written(post.id, post.create_at, wanted)
    return post


async def do_system_post(
    services: Services,
    channel: Channel,
    user_id: str,
    type: str,
    message: str,
    props: dict[str, Any],
    *,
    root_id: str = "",
) -> None:
    """Store a post of the server about what user_id did, and tell the channel. Archived channels get theirs too.

    root_id: the root of the channel in whose thread it stands, or "".

    Raises: Unavailable. Source: Mattermost API v4, system post types and which of them are counted.
    """
    user = await get_user(services, user_id)
    now = now_ms()
    post = Post(
        new_id(now), channel.id, user_id, now, now, root_id=root_id, message=message, type=type, props=props
    )
    named = mentions.mentioned_by_system(post)
    link_shown.begin(services, post)
    found = await post_refs.refer(services, services.db, acting_as(services, user), channel, post)
    envelope = post_events.posted(
        services,
        post,
        channel,
        user.username,
        system=True,
        set_online=False,
        audience=Audience(named),
        found=found,
    )
    counted = type not in post_rules.UNCOUNTED
    new = NewPost(post, envelope, counted=counted, mentions=named, needs_live_channel=False)
    try:
        await services.posts.write(new)
    except Refused:
        if not root_id:
            raise
        # The thread was deleted meanwhile: the channel is told all the same.
        await do_system_post(services, channel, user_id, type, message, props)


async def check_root(services: Services, channel_id: str, root_id: str) -> Root:
    known = _roots.get(root_id)
    if known is None:
        rows = await store.load(services.db, [root_id])
        if not rows or rows[0].root_id:
            raise post_rules.bad_root()
        known = _root(rows[0], None)
        _note_root(root_id, known)
    if known.channel_id != channel_id:
        raise post_rules.bad_root()
    return known


def _root(post: Post, named: list[str] | None) -> Root:
    """Return what to remember of a root. named: whom it mentions by its words, if that is known."""
    kept = tuple(named) if named is not None and len(named) <= _ROOT_NAMED else None
    return Root(post.channel_id, post.user_id, kept)


def _note_root(root_id: str, root: Root) -> None:
    _roots[root_id] = root
    if len(_roots) > _ROOTS:
        _roots.popitem(last=False)


async def _first_post(services: Services, session: Session, post: Post, first_id: str) -> Post:
    rows = await store.load(services.db, [first_id])
    if not rows:
        raise AppError("api.post.deduplicate_create_post.failed_to_get", 404, "The post was deleted.")
    await files.add_to_posts(services.db, rows)
    await acknowledgements.add_to_posts(services.db, rows)
    await link_shown.add_to_posts(services, services.db, rows)
    await post_emojis.add_to_posts(services, services.db, rows)
    await post_refs.add_to_posts(services, services.db, session, rows)
    return structs.replace(rows[0], pending_post_id=post.pending_post_id)


async def _why_refused(services: Services, session: Session, post: Post) -> Post:
    """Return the first post of a repeated pending id, else raise what was wrong with this one."""
    error = _archived("api.post.create_post.can_not_post_to_deleted.error")
    try:
        if post.root_id:
            _roots.pop(post.root_id, None)
            await check_root(services, post.channel_id, post.root_id)
        if post.file_ids:
            await files.check_attachable(services.db, session, post.channel_id, post.file_ids)
    except AppError as found:
        error = found
    return await _first_or_raise(services, session, post, error)


async def _first_or_raise(services: Services, session: Session, post: Post, error: AppError) -> Post:
    """Return the post that the author's pending id became, else raise the error."""
    if post.pending_post_id:
        first_id = await services.posts.first_post_id(post.user_id, post.pending_post_id)
        if first_id is not None:
            return await _first_post(services, session, post, first_id)
    raise error


# -- one post that is there ----------------------------------------------------------------------------------------


async def access_post(
    services: Services, session: Session, post_id: str, *, deleted: bool = False
) -> tuple[Post, Channel]:
    """Return a post, without reactions, and its channel, if the caller may read it.

    deleted: a deleted one too, for system admins.
    Raises: 404, also for what he may not read: the two look the same.
    """
    if deleted and not has_system(session, "manage_system"):
        raise forbidden()
    rows = await store.load(services.db, [post_id], deleted=deleted)
    channel = await readable_channel(services, session, rows[0].channel_id) if rows else None
    if channel is None:
        raise post_missing()
    return rows[0], channel


async def readable_channel(services: Services, session: Session, channel_id: str) -> Channel | None:
    """Return a channel if the caller may read its posts, else None."""
    try:
        return await access_channel_for_read(services, session, channel_id)
    except AppError:
        return None


async def do_edit_post(services: Services, session: Session, post_id: str, change: PostChange) -> Post:
    """Change a post and tell its channel. A changed message sets edit_at and keeps the old version.

    Raises: 400 for a bad change, a system post, an archived channel or a text that is too old to change; 403; 404.
    Source: Mattermost API v4, "Patch a post" and "Update a post".
    """
    post, channel = await access_post(services, session, post_id)
    permission = "edit_post" if post.user_id == session.user_id else "edit_others_posts"
    await _check_change(
        services, session, channel, permission, "api.post.update_post.can_not_update_post_in_deleted.error"
    )
    if post.type.startswith("system_"):
        raise AppError(
            "api.post.update_post.system_message.app_error", 400, "Unable to update system message."
        )
    if change.message is not None:
        post_rules.check_message(change.message)
    wanted = None if change.file_ids is None else files.check_ids(change.file_ids)
    if change.message not in (None, post.message) or wanted not in (None, post.file_ids):
        limit_s = services.config.number("ServiceSettings.PostEditTimeLimit")
        if limit_s >= 0 and now_ms() > post.create_at + limit_s * 1000:
            raise AppError(
                "api.post.update_post.permissions_time_limit.app_error",
                400,
                f"Post edit is only allowed for {limit_s} seconds.",
            )
    if change.props is not None:
        post_rules.check_props(change.props)
        await action_rows.keep(services, post, action_rows.take(change.props))

    async def edit(tx: Transaction, post: Post, now: int) -> bool:
        edited = change.message is not None and change.message != post.message
        if change.message is not None and edited:
            post.message = change.message
            post.hashtags = hashtags_of(services, change.message)
        if wanted is not None and await files.do_change(tx, session, post, wanted, now):
            edited = True
        if edited:
            post.edit_at = now
        if change.props is not None:
            post.props = post_rules.client_props(change.props, post.props)
        if change.is_pinned is not None:
            post.is_pinned = change.is_pinned
        if edited or change.props is not None:
            await post_refs.refer(services, tx, session, channel, post)
        return edited

    return await do_change(services, post_id, edit, session=session)


async def do_pin_post(services: Services, session: Session, post_id: str, *, pinned: bool) -> None:
    """Pin or unpin a post and tell its channel. Raises: 400 in an archived channel; 403; 404."""
    _, channel = await access_post(services, session, post_id)
    await _check_change(
        services,
        session,
        channel,
        "read_channel_content",
        "api.post.update_post.can_not_update_post_in_deleted.error",
    )

    async def pin(tx: Transaction, post: Post, now: int) -> bool:
        post.is_pinned = pinned
        return False

    await do_change(services, post_id, pin, session=session)


async def do_delete_post(services: Services, session: Session, post_id: str) -> None:
    """Delete a post, and with a root its replies, and tell the channel. The rows stay, with delete_at.

    Raises: 400 in an archived channel; 403; 404.
    """
    post, channel = await access_post(services, session, post_id)
    permission = "delete_post" if post.user_id == session.user_id else "delete_others_posts"
    await _check_change(
        services, session, channel, permission, "api.post.delete_post.can_not_delete_post_in_deleted.error"
    )
    async with services.db.transaction() as tx:
        locked = await store.lock(tx, post_id)
        if locked is None:
            raise post_missing()
        now = max(now_ms(), locked.update_at + 1)
        told = await store.delete(tx, locked, now, session.user_id)
        locked.delete_at = locked.update_at = now
        tx.announce(channel_key(locked.channel_id), post_events.deleted(locked, session.user_id, told))
        if locked.root_id:
            tx.news.append(locked.root_id)
    if locked.root_id:
        services.news.removed(locked, tx.outbox_id)


async def _check_change(
    services: Services, session: Session, channel: Channel, permission: str, archived_id: str
) -> None:
    if not await has_channel(services, session, channel.id, permission):
        raise forbidden()
    if channel.delete_at:
        raise _archived(archived_id)


async def do_change(
    services: Services,
    post_id: str,
    change: Callable[[Transaction, Post, int], Awaitable[bool]],
    *,
    session: Session | None = None,
) -> Post:
    """Lock a post, let `change` edit it (it tells whether the old version is to be kept), write and announce it.

    Returns it as the session may see it, without one as those who can read nothing that it refers to.
    """
    async with services.db.transaction() as tx:
        post = await store.lock(tx, post_id)
        if post is None:
            raise post_missing()
        # Clients keep the state with the later update_at: it must grow with every change, whatever the clocks say.
        post.update_at = max(now_ms(), post.update_at + 1)
        before = link_shown.wanted_of(services, post)
        keep = await change(tx, post, post.update_at)
        wanted = await link_shown.do_rename(services, tx, before, post)
        await store.update(tx, post, keep=keep)
        if post.has_reactions:
            post.metadata.reactions = await reactions.of_locked(tx, post_id)
        await files.add_to_posts(tx, [post])
        await acknowledgements.add_to_posts(tx, [post])
        await link_shown.add_to_posts(services, tx, [post])
        await post_emojis.add_to_posts(services, tx, [post])
        found = await post_refs.look_up(services, tx, session, [post])
        tx.announce(channel_key(post.channel_id), post_events.edited(services, post, found))
    if found is not None:
        post_refs.put(services, [post], found)
    if wanted is not None:
        services.links.written(post.id, post.update_at, wanted)
    return post


def post_missing() -> AppError:
    """Return the 404 for a post that is not there, or not for the caller."""
    return AppError("app.post.get.app_error", 404, "Unable to get the post.")


def hashtags_of(services: Services, message: str) -> str:
    """Return a message's hashtags, as the configuration counts them."""
    shortest = services.config.number("ServiceSettings.MinimumHashtagLength")
    return post_rules.find_hashtags(message, shortest=shortest)


def _archived(error_id: str) -> AppError:
    return AppError(error_id, 400, "The channel is archived.")
