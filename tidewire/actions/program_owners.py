"""In whose name a program writes: a webhook's or a command's owner."""

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.actions.users import get_user, missing
from tidewire.wire.errors import forbidden
from tidewire.wire.models import Session


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
