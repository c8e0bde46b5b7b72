"""Deleting an account for good: it is deactivated and out of everything first, which is told; then its rows go."""

from msgspec import structs

from tidewire.actions import bots, mention_map
from tidewire.actions.copies import announce, to_all
from tidewire.actions.membership import announce_left
from tidewire.actions.services import Services
from tidewire.actions.sessions import end_all_sessions
from tidewire.actions.team_members import announce_left_team
from tidewire.actions.users import announce_updated, get_user, missing
from tidewire.bus.envelope import user_key
from tidewire.store import permanent, statuses, users
from tidewire.wire.ids import first_id, now_ms
from tidewire.wire.models import Session

LATE_MS = 10_000  # so much older than its commit a post's id may be, other nodes' clocks included


async def do_delete_user(services: Services, session: Session, user_id: str) -> None:
    """Delete an account and all of its own: posts and the threads they began, reactions, memberships, keys, audits.

    The right to it is the caller's check. It can be asked again where it was cut off. Counters of channels and what
    others have read stay as they are, and nobody is told post by post. Raises: 404.
    Source: Mattermost API v4, "Deactivate a user account", permanent.
    """
    await get_user(services, user_id)
    begun_at = now_ms()
    async with services.db.transaction() as tx:
        left = await permanent.leave_everything(tx, user_id)
        await permanent.lock_accounts(tx, [user_id])
        user = await users.lock(tx, user_id)
        if user is None:
            raise missing()
        at = max(now_ms(), user.update_at + 1)
        stale = [mention_map.key(channel_id) for channel_id in left.channel_ids]
        if not user.delete_at:
            user = structs.replace(user, delete_at=at, update_at=at)
            await users.set_active(tx, user_id, delete_at=at, at=at)
        await announce_updated(services, tx, user, stale=stale)
        announce(tx, user_key(user_id), [to_all("user_activation_status_change", {})])
        for channel_id in left.channel_ids:
            roots = left.roots.get(channel_id, ())
            announce_left(tx, channel_id, user_id, session.user_id, unfollowed=roots, quiet=True)
        for team_id in left.team_ids:
            announce_left_team(tx, team_id, user_id)
        await statuses.forget(tx, [user_id])
        await bots.do_disable_bots_of(tx, services, user_id, at=at)
        await end_all_sessions(tx, [user_id])
    await permanent.delete_posts_by(services.db, user_id)
    await permanent.delete_reactions_by(services.db, user_id)
    await permanent.delete_own(services.db, [user_id])
    async with services.db.transaction() as tx:
        await permanent.delete_accounts(tx, [user_id])
        if session.user_id != user_id:  # by the caller's key: the user's own row is gone
            announce(tx, user_key(session.user_id), invalidates=["user:" + user_id])
    services.cache.drop(["user:" + user_id])
    # What was just being written: its ids may be below others that the walk came by.
    await permanent.delete_posts_by(services.db, user_id, after=first_id(begun_at - LATE_MS))
