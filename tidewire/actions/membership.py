"""Who is in which channel: joining and leaving, one announcement per channel, in that channel's order.

The transaction parts only; checks, system posts and the team's side are with their callers.
"""

from collections.abc import Iterable

from tidewire.actions import mention_map
from tidewire.actions.copies import announce, to_channel, to_user
from tidewire.actions.mentions import followers_key
from tidewire.bus.envelope import Copy, JoinChannel, LeaveChannel, channel_key, team_key
from tidewire.store import members, sidebar, threads
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.events import as_text
from tidewire.wire.models import Channel, ChannelMember, TeamMember


def member_key(channel_id: str, user_id: str) -> str:
    """Return the cache key of a membership's roles."""
    return f"member:{channel_id}:{user_id}"


def team_member_key(team_id: str, user_id: str) -> str:
    """Return the cache key of a team membership's roles."""
    return f"tmember:{team_id}:{user_id}"


def announce_joined(
    tx: Transaction, channel: Channel, user_ids: Iterable[str], copies: Iterable[Copy]
) -> None:
    """Announce new members of a channel: gateways let them in before the copies go out."""
    joined = list(user_ids)
    announce(
        tx,
        channel_key(channel.id),
        copies,
        effects=[JoinChannel(user_id, channel.id) for user_id in joined],
        invalidates=[mention_map.key(channel.id), *(member_key(channel.id, user_id) for user_id in joined)],
    )


async def add_to_channel(tx: Transaction, channel: Channel, user_ids: list[str], *, at: int) -> list[str]:
    """Make users members of an O or P channel and tell: `user_added` to the channel and to each of them.

    Return those who were none before. What they may is the caller's check; so is that they stay in the team meanwhile
    (store.teams.hold_members).
    """
    joined = await members.join(tx, channel.id, user_ids, at=at, notify_props=defaults.CHANNEL_NOTIFY_PROPS)
    for user_id in joined:
        data = {"user_id": user_id, "team_id": channel.team_id}
        copies = [
            to_channel("user_added", data, channel.id, omit=[user_id]),
            to_user("user_added", data, user_id, channel_id=channel.id),
        ]
        announce_joined(tx, channel, [user_id], copies)
    return joined


async def remove_from_channel(tx: Transaction, channel: Channel, user_id: str, *, remover_id: str) -> bool:
    """End a membership and tell: `user_removed` to those who stay and to the one who goes. False if there was none."""
    unfollowed = await threads.forget(tx, user_id, [channel.id])
    if not await members.leave(tx, channel.id, user_id):
        return False
    await sidebar.forget(tx, user_id, [channel.id])
    announce_left(tx, channel.id, user_id, remover_id, unfollowed=unfollowed.get(channel.id, ()))
    return True


def announce_member_updated(tx: Transaction, member: ChannelMember) -> None:
    """Tell a member his own new row, which the transaction has locked.

    In the channel's order: the row holds counters, and a post that comes later must be told later.
    """
    data = {"channelMember": as_text(member)}
    announce(
        tx,
        channel_key(member.channel_id),
        [to_user("channel_member_updated", data, member.user_id)],
        invalidates=[mention_map.key(member.channel_id), member_key(member.channel_id, member.user_id)],
    )


def announce_team_roles(tx: Transaction, member: TeamMember) -> None:
    """Tell a member of a team his own new row, of which the roles changed."""
    announce(
        tx,
        team_key(member.team_id),
        [to_user("memberrole_updated", {"member": as_text(member)}, member.user_id)],
        invalidates=[team_member_key(member.team_id, member.user_id)],
    )


def announce_left(
    tx: Transaction,
    channel_id: str,
    user_id: str,
    remover_id: str,
    *,
    unfollowed: Iterable[str] = (),
    quiet: bool = False,
) -> None:
    """Announce that a user is out of a channel. unfollowed: roots of the threads that he followed there.

    quiet: without his own copy, where another event tells him.
    """
    copies = [to_channel("user_removed", {"user_id": user_id, "remover_id": remover_id}, channel_id)]
    if not quiet:
        copies.append(to_user("user_removed", {"channel_id": channel_id, "remover_id": remover_id}, user_id))
    announce(
        tx,
        channel_key(channel_id),
        copies,
        effects=[LeaveChannel(user_id, channel_id)],
        invalidates=[
            mention_map.key(channel_id),
            member_key(channel_id, user_id),
            *(followers_key(root_id) for root_id in unfollowed),
        ],
    )
