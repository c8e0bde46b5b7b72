"""Threads of a user: lists, what is unread in them, following. Who follows by writing is tidewire.actions.mentions.

Source: Mattermost API v4, threads (collapsed reply threads).
"""

from msgspec import Struct

from tidewire.actions import mention_counts, permissions, push_targets
from tidewire.actions.copies import announce
from tidewire.actions.mentions import followers_key
from tidewire.actions.post_lists import complete
from tidewire.actions.post_rules import blank
from tidewire.actions.posts import access_post
from tidewire.actions.services import Services
from tidewire.actions.thread_events import ThreadResponse, follow_changed, read_changed, response, team_read
from tidewire.bus.envelope import BadgePush, Push, ReadPush, user_key
from tidewire.store import posts, threads
from tidewire.store.threads import ThreadFilter, ThreadState
from tidewire.wire.errors import AppError
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Channel, Post, Session


class Threads(Struct):
    """A page of threads and the sums over all. Source: Mattermost API v4, Threads."""

    total: int = 0
    total_unread_threads: int = 0
    total_unread_mentions: int = 0
    total_unread_urgent_mentions: int = 0
    threads: list[ThreadResponse] | None = None


class ThreadQuery(Struct):
    """Which page of which threads, how: participants as profiles; sums or threads only."""

    wanted: ThreadFilter
    before: str = ""
    after: str = ""
    limit: int = 30
    extended: bool = False
    totals_only: bool = False
    threads_only: bool = False


def thread_missing() -> AppError:
    """Return the 404 for a thread that the user does not follow."""
    return AppError("app.user.get_thread_membership_for_user.not_found", 404, "The thread is not followed.")


async def list_threads(
    services: Services, session: Session, user_id: str, team_id: str, query: ThreadQuery
) -> Threads:
    """Return a page of a user's threads in a team, and of D and G. Raises: 403, 404."""
    permissions.check_self(session, user_id)
    await permissions.access_team(services, session, team_id, "view_team")
    answer = Threads()
    if not query.threads_only:
        sums = await threads.totals(services.db, user_id, team_id, query.wanted)
        answer.total, answer.total_unread_threads, answer.total_unread_mentions = sums[:3]
        answer.total_unread_urgent_mentions = sums.unread_urgent_mentions
    if not query.totals_only:
        page = await threads.page(
            services.db,
            user_id,
            team_id,
            query.wanted,
            before=query.before,
            after=query.after,
            limit=query.limit,
        )
        answer.threads = await _responses(services, session, page, query)
    return answer


async def _responses(
    services: Services, session: Session, page: list[ThreadState], query: ThreadQuery
) -> list[ThreadResponse]:
    found = await posts.load(services.db, [state.root_id for state in page], deleted=query.wanted.deleted)
    await complete(services, session, found, extended=query.extended)
    roots = {post.id: blank(post) if post.delete_at else post for post in found}
    return [_response(state, roots[state.root_id]) for state in page if state.root_id in roots]


def _response(state: ThreadState, root: Post) -> ThreadResponse:
    root.is_following = state.following
    return response(state, root.participants or [], root, is_urgent=root.is_urgent)


async def get_thread(
    services: Services, session: Session, user_id: str, root_id: str, *, extended: bool
) -> ThreadResponse:
    """Return a thread that a user follows. Raises: 403; 404 also where he does not follow it."""
    root, _ = await _access(services, session, user_id, root_id)
    state = await threads.state(services.db, root.id, user_id)
    if state is None or not state.following:
        raise thread_missing()
    await complete(services, session, [root], extended=extended)
    return _response(state, root)


async def _access(services: Services, session: Session, user_id: str, root_id: str) -> tuple[Post, Channel]:
    """Return a root that the caller may read for a user, himself or as an admin. Raises: 403, 404; 400 for a reply."""
    permissions.check_self(session, user_id)
    root, channel = await access_post(services, session, root_id)
    if root.root_id:
        raise AppError("api.context.invalid_url_param.app_error", 400, name="thread_id")
    if user_id != session.user_id and not await permissions.channel_roles(services, channel.id, user_id):
        raise thread_missing()
    return root, channel


async def do_follow(
    services: Services, session: Session, user_id: str, root_id: str, *, following: bool
) -> None:
    """Follow a thread from now on, or no more, and tell the user's devices. Raises: 403, 404."""
    root, channel = await _access(services, session, user_id, root_id)
    async with services.db.transaction() as tx:
        at = max(now_ms(), root.last_reply_at)
        if not await threads.set_following(tx, root.id, user_id, channel.id, following=following, at=at):
            raise thread_missing()
        copy = follow_changed(user_id, channel.team_id, root, following=following)
        announce(tx, user_key(user_id), [copy], invalidates=[followers_key(root.id)])


async def do_read(
    services: Services, session: Session, user_id: str, root_id: str, timestamp: int
) -> ThreadResponse:
    """Say that a user has read a thread up to a time (ms), and tell his devices; he follows it then.

    A time in the future counts as now: what is written later has not been read. Raises: 403, 404.
    """
    root, channel = await _access(services, session, user_id, root_id)
    at = now_ms()
    viewed_at = min(timestamp, max(at, root.last_reply_at))
    has_device = await push_targets.may_reach(services, user_id)
    async with services.db.transaction() as tx:
        await threads.hold(tx, root.id, user_id, channel.id, at=at)
        before = await threads.state(tx, root.id, user_id)
        if before is None:  # no member of the channel
            raise thread_missing()
        mentions = await mention_counts.count_in_thread(tx, channel, user_id, root.id, viewed_at)
        await threads.set_read(tx, root.id, user_id, viewed_at=viewed_at, mentions=mentions, at=at)
        after = await threads.state(tx, root.id, user_id)
        assert after is not None, "his row is locked"
        copy = read_changed(user_id, before, after)
        stale: list[str] = [] if before.following else [followers_key(root.id)]
        push: Push | None = None
        if has_device and not after.unread_replies:
            push = ReadPush(user_id, session.id, [channel.id], root_id=root.id)
        elif has_device:
            push = BadgePush(user_id)
        announce(tx, user_key(user_id), [copy], invalidates=stale, push=push)
    await complete(services, session, [root], extended=False)
    return _response(after, root)


async def do_set_unread(
    services: Services, session: Session, user_id: str, root_id: str, post_id: str
) -> ThreadResponse:
    """Mark a thread as unread from one of its posts on. Raises: 403, 404; 400 for a post of another thread."""
    post, _ = await access_post(services, session, post_id)
    if root_id not in (post.id, post.root_id):
        raise AppError("api.context.invalid_url_param.app_error", 400, name="post_id")
    return await do_read(services, session, user_id, root_id, post.create_at - 1)


async def do_read_team(services: Services, session: Session, user_id: str, team_id: str) -> None:
    """Mark all of a user's threads in a team, and in D and G, read and tell his devices. Raises: 403, 404."""
    permissions.check_self(session, user_id)
    await permissions.access_team(services, session, team_id, "view_team")
    has_device = await push_targets.may_reach(services, user_id)
    async with services.db.transaction() as tx:
        roots = await threads.hold_unread_of_team(tx, user_id, team_id)
        await threads.read(tx, user_id, roots, at=now_ms())
        push = BadgePush(user_id) if has_device else None
        announce(tx, user_key(user_id), [team_read(user_id, team_id)], push=push)
