"""A thread as its followers see it, and the events about it. Each is for one user and ordered with his others.

Source: Mattermost API v4, ThreadResponse, thread_updated, thread_read_changed.
"""

from typing import Any

from msgspec import Raw, Struct, json, structs

from tidewire.actions import files, link_shown, post_emojis, post_refs, post_variants
from tidewire.actions.copies import to_user
from tidewire.actions.post_variants import MarkedPost
from tidewire.actions.services import Services
from tidewire.bus.envelope import Copy
from tidewire.store import acknowledgements, posts, reactions, users
from tidewire.store.db import Transaction
from tidewire.store.threads import ThreadState
from tidewire.wire.models import Post
from tidewire.wire.views import profile_view

_encode = json.Encoder().encode


class ThreadResponse(Struct):
    """A thread as one user has it. participants, post: as the answer or the event holds them."""

    id: str
    reply_count: int
    last_reply_at: int
    last_viewed_at: int
    participants: Any
    post: Any
    unread_replies: int
    unread_mentions: int
    is_urgent: bool = False
    delete_at: int = 0


class ThreadView(Struct):
    """What followers see of a thread, encoded once. marked: its post, if not all may know what that refers to."""

    participants: Raw
    post: Raw
    is_urgent: bool
    marked: MarkedPost | None = None


def response(state: ThreadState, participants: Any, post: Any, *, is_urgent: bool) -> ThreadResponse:
    """Return the thread of one user."""
    return ThreadResponse(
        id=state.root_id,
        reply_count=state.reply_count,
        last_reply_at=state.last_reply_at,
        last_viewed_at=state.last_viewed_at,
        participants=participants,
        post=post,
        unread_replies=state.unread_replies,
        unread_mentions=state.unread_mentions,
        is_urgent=is_urgent,
        delete_at=state.delete_at,
    )


async def load_views(services: Services, tx: Transaction, roots: list[str]) -> dict[str, ThreadView]:
    """Return what followers see of those of the threads that live, their participants as profiles."""
    found = await posts.load(tx, roots)
    await files.add_to_posts(tx, found)
    await acknowledgements.add_to_posts(tx, found)
    await link_shown.add_to_posts(services, tx, found)
    if reacted := [post for post in found if post.has_reactions]:
        known = await reactions.of_posts(tx, [post.id for post in reacted])
        for post in reacted:
            post.metadata.reactions = known.get(post.id, [])
    await post_emojis.add_to_posts(services, tx, found)
    ids = list({user.id for post in found for user in post.participants or ()})
    show_email = services.config.flag("PrivacySettings.ShowEmailAddress")
    show_full_name = services.config.flag("PrivacySettings.ShowFullName")
    profiles = {
        user.id: Raw(_encode(profile_view(user, show_email=show_email, show_full_name=show_full_name)))
        for user in (await users.by_ids(tx, ids) if ids else ())
    }
    referred = await post_refs.look_up(services, tx, None, found)
    views = {}
    for post in found:
        post.is_following = True  # of all who are told
        people = _encode([profiles[user.id] for user in post.participants or () if user.id in profiles])
        marked = None
        if referred is not None and post.refs is not None:
            marked = post_variants.mark(services, post, referred)
        shown = _encode(post) if marked is None else marked.text
        views[post.id] = ThreadView(Raw(people), Raw(shown), post.is_urgent, marked)
    return views


def updated(
    view: ThreadView, user_id: str, state: ThreadState, previous: tuple[int, int] | None = None
) -> Copy:
    """Return `thread_updated` for a follower. previous: his unread replies and mentions before, if that is known."""
    thread = _encode(response(state, view.participants, view.post, is_urgent=view.is_urgent))
    data: dict[str, Any] = {}
    if previous is not None:
        data["previous_unread_replies"], data["previous_unread_mentions"] = previous
    if view.marked is None:
        return to_user("thread_updated", {**data, "thread": thread.decode()}, user_id, team_id=state.team_id)
    begun = to_user("thread_updated", data, user_id, team_id=state.team_id)
    body, variants = post_variants.append(begun.body, "thread", thread, view.marked)
    return structs.replace(begun, body=body, variants=variants)


def read_changed(user_id: str, before: ThreadState, after: ThreadState) -> Copy:
    """Return `thread_read_changed` for a user who moved his read state in one thread."""
    data = {
        "thread_id": after.root_id,
        "timestamp": after.last_viewed_at,
        "unread_mentions": after.unread_mentions,
        "unread_replies": after.unread_replies,
        "previous_unread_mentions": before.unread_mentions,
        "previous_unread_replies": before.unread_replies,
        "channel_id": after.channel_id,
    }
    return to_user("thread_read_changed", data, user_id, team_id=after.team_id)


def channel_read(user_id: str, channel_id: str, at: int) -> Copy:
    """Return `thread_read_changed` for a user who has read all threads of a channel."""
    return to_user("thread_read_changed", {"timestamp": at}, user_id, channel_id=channel_id)


def team_read(user_id: str, team_id: str) -> Copy:
    """Return `thread_read_changed` for a user who has read all threads of a team."""
    return to_user("thread_read_changed", {}, user_id, team_id=team_id)


def follow_changed(user_id: str, team_id: str, root: Post, *, following: bool) -> Copy:
    """Return `thread_follow_changed`."""
    data = {"thread_id": root.id, "state": following, "reply_count": root.reply_count}
    return to_user("thread_follow_changed", data, user_id, team_id=team_id)
