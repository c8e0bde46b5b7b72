"""In whose name a program writes: a webhook's or a command's owner, and for how long it may.

A program outlives its owner's rights: it is asked anew at each use what he may, as he would be himself.
"""

from collections.abc import Iterable

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.actions.users import get_user, get_users, missing
from tidewire.store import teams
from tidewire.store.db import Transaction
from tidewire.store.holds import hold
from tidewire.wire.errors import forbidden
from tidewire.wire.models import Channel, Session


async def access_owner(services: Services, session: Session, team_id: str, wanted: str, others: str) -> str:
    """Return the id of the owner of a new program in a team: the caller, or another whom he named.

    others: the permission to make programs for others. Only for members of the team: everybody may found a team and
    manage the programs there, and would let any account of the server speak, in its direct channels too.
    Raises: 403; 404 for one who is no member, as for an unknown one.
    """
    if wanted in ("", session.user_id):
        return session.user_id
    if not await permissions.has_team(services, session, team_id, others):
        raise forbidden()
    owner = await get_user(services, wanted)
    if not await permissions.team_roles(services, team_id, owner.id):
        raise missing()
    return owner.id


async def check_kept(tx: Transaction, *, team_id: str = "", channel_id: str = "", user_id: str = "") -> None:
    """Keep what a program belongs to until the transaction ends; "": nothing. Before its row is locked. Raises: 404."""
    channels, teams_, users = ([one] if one else [] for one in (channel_id, team_id, user_id))
    if not await hold(tx, channels=channels, teams=teams_, users=users):
        raise permissions.channel_missing() if channel_id else permissions.team_missing()


async def owner_in_team(services: Services, owner_id: str, team_id: str) -> Session | None:
    """Return a session of a program's owner; None once he is inactive, or out of the team and no admin."""
    found = await get_users(services, [owner_id])
    if not found or found[0].delete_at:
        return None
    session = permissions.acting_as(services, found[0])
    return session if await permissions.has_team(services, session, team_id, "view_team") else None


async def may_speak(services: Services, owner: Session, channel: Channel) -> bool:
    """Tell whether a program may write in its owner's name: he reads the channel and, as a member, may post there.

    A public channel of his team need not be his. Source: Mattermost API v4, incoming webhooks.
    """
    if not await permissions.reads_channel(services, owner, channel):
        return False
    if not await permissions.channel_roles(services, channel.id, owner.user_id):
        return True
    return await permissions.has_channel(services, owner, channel.id, "create_post")


async def in_force(services: Services, team_id: str, owner_ids: Iterable[str]) -> set[str]:
    """Return those owners whose commands a team has: active, and in the team as more than a guest.

    A command is told what is typed in every channel of the team; a guest sees few of them. Two queries at most.
    """
    ids = list(set(owner_ids))
    active = [user for user in await get_users(services, ids) if not user.delete_at] if ids else []
    members = await teams.members(services.db, team_id, [user.id for user in active]) if active else []
    roles = {member.user_id: member.roles for member in members if not member.delete_at}
    needed = "read_public_channel"
    return {
        user.id
        for user in active
        if permissions.has_system(permissions.acting_as(services, user), needed)
        or permissions.permits(services, roles.get(user.id, ""), needed)
    }
