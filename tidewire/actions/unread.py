"""Read state: channels viewed, marked as read or unread, and what waits for a user.

Source: Mattermost API v4, "counters and read state". Threads have their own, in tidewire.actions.threads.
"""

from msgspec import Struct

from tidewire.actions import mention_counts, permissions, post_rules, push_targets, status, thread_events
from tidewire.actions.channel_members import member_missing
from tidewire.actions.copies import announce, to_user
from tidewire.actions.mentions import followers_key
from tidewire.actions.posts import access_post
from tidewire.actions.services import Services
from tidewire.bus.envelope import BadgePush, ReadPush, user_key
from tidewire.store import members, threads, unread
from tidewire.store.db import Transaction
from tidewire.store.members import Viewed
from tidewire.store.unread import ChannelUnreadAt
from tidewire.wire.errors import body_param
from tidewire.wire.ids import is_id, now_ms
from tidewire.wire.models import Channel, Post, Session


class ChannelView(Struct):
    """Which channel a client opened, and which one it left. Without collapsed threads it sees replies there too."""

    channel_id: str = ""
    prev_channel_id: str = ""
    collapsed_threads_supported: bool = False


class UnreadFrom(Struct):
    """How a client shows what it marks as unread."""

    collapsed_threads_supported: bool = False


async def do_view_channel(
    services: Services, session: Session, user_id: str, view: ChannelView
) -> dict[str, int]:
    """Mark the opened channel, and the one left, read and tell the user's other devices.

    Return channel id → last_post_at of those that the user is in. Raises: 403; 400 for a malformed id.
    """
    ids = list(dict.fromkeys(filter(None, (view.channel_id, view.prev_channel_id))))
    times = await do_mark_read(
        services, session, user_id, ids, with_threads=not view.collapsed_threads_supported
    )
    if await push_targets.may_reach(services, user_id):  # nobody else asks what is open
        await status.note_viewed(services.redis, user_id, view.channel_id)
    return times


async def do_mark_read(
    services: Services, session: Session, user_id: str, channel_ids: list[str], *, with_threads: bool = False
) -> dict[str, int]:
    """Mark channels read, as do_view_channel. with_threads: and all threads in them."""
    permissions.check_self(session, user_id)
    for channel_id in channel_ids:
        if not is_id(channel_id):
            raise body_param("channel_id")
    if not channel_ids:
        return {}
    has_device = await push_targets.may_reach(services, user_id)
    async with services.db.transaction() as tx:
        roots = await threads.hold_unread_of_channels(tx, user_id, channel_ids) if with_threads else []
        at = now_ms()
        await threads.read(tx, user_id, roots, at=at)
        viewed = await members.view(tx, user_id, channel_ids, at=at)
        times = {one.channel_id: one.last_post_at for one in viewed}
        if times:
            copies = []
            if services.config.flag("ServiceSettings.EnableChannelViewedMessages"):
                data = {"channel_times": times}
                copies.append(to_user("multiple_channels_viewed", data, user_id, droppable=True))
            if with_threads:
                copies += [thread_events.channel_read(user_id, channel_id, at) for channel_id in times]
            push = _clear(session, user_id, viewed) if has_device else None
            if copies or push:
                announce(tx, user_key(user_id), copies, push=push)
    return times


def _clear(session: Session, user_id: str, viewed: list[Viewed]) -> ReadPush | None:
    """Return what tells a user's other devices that channels were read, if they can show something of them."""
    mentioned = [one.channel_id for one in viewed if one.mentioned]
    unread = [one.channel_id for one in viewed if one.unread and not one.mentioned]
    return ReadPush(user_id, session.id, mentioned, unread) if mentioned or unread else None


async def do_set_unread(
    services: Services, session: Session, user_id: str, post_id: str, how: UnreadFrom
) -> ChannelUnreadAt:
    """Mark a channel as unread from a post on, and tell the user's devices.

    For a client without collapsed threads a reply marks its thread as unread too, which is followed then; as the root
    counts are for clients with them, it leaves none. Raises: 403, 404.
    """
    permissions.check_self(session, user_id)
    post, channel = await access_post(services, session, post_id)
    viewed_at, at = post.create_at - 1, now_ms()
    reply_alone = bool(post.root_id) and not how.collapsed_threads_supported
    has_device = await push_targets.may_reach(services, user_id)
    async with services.db.transaction() as tx:
        if reply_alone:
            await threads.hold(tx, post.root_id, user_id, channel.id, at=at)
        if not await unread.lock_member(tx, channel.id, user_id):
            raise member_missing()
        if reply_alone:
            await _unread_thread(services, tx, channel, post, user_id, at)
        after = await unread.count_after(
            tx, channel.id, post.create_at, user_id, uncounted=post_rules.UNCOUNTED
        )
        if channel.type in "DG":
            mentions, mentions_root, urgent = after.by_others, after.roots_by_others, after.urgent_by_others
        else:
            mentions, mentions_root, urgent = await mention_counts.count_from(
                tx, channel, user_id, post.create_at
            )
        state = await unread.set_unread(
            tx,
            channel.id,
            user_id,
            read=max(0, after.total - after.posts),
            read_root=max(0, after.total_roots - (0 if reply_alone else after.roots)),
            mentions=mentions,
            mentions_root=0 if reply_alone else mentions_root,
            urgent=0 if reply_alone else urgent,
            viewed_at=viewed_at,
            at=at,
        )
        names = (
            "msg_count", "msg_count_root", "mention_count", "mention_count_root", "urgent_mention_count",
            "last_viewed_at",
        )  # fmt: skip
        data = {name: getattr(state, name) for name in names} | {"post_id": post_id}
        copy = to_user("post_unread", data, user_id, channel_id=channel.id, team_id=channel.team_id)
        announce(tx, user_key(user_id), [copy], push=BadgePush(user_id) if has_device else None)
    return state


async def _unread_thread(
    services: Services, tx: Transaction, channel: Channel, post: Post, user_id: str, at: int
) -> None:
    viewed_at = post.create_at - 1
    mentions = await mention_counts.count_in_thread(tx, channel, user_id, post.root_id, viewed_at)
    await threads.set_read(tx, post.root_id, user_id, viewed_at=viewed_at, mentions=mentions, at=at)
    view = (await thread_events.load_views(services, tx, [post.root_id])).get(post.root_id)
    state = await threads.state(tx, post.root_id, user_id)
    if view is not None and state is not None:
        copy = thread_events.updated(view, user_id, state)
        announce(tx, user_key(user_id), [copy], invalidates=[followers_key(post.root_id)])


async def count_badge(services: Services, user_id: str) -> int:
    """Return the number that a phone shows on the app: mentions in channels and, of replies, in followed threads."""
    return await unread.badge(services.db, user_id)
