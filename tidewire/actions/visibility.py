"""Whom one sees at all: everybody with `view_members`, others (guests) only those they share a channel with.

Source: Mattermost API v4, permission view_members.
"""

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.store import members
from tidewire.wire.errors import forbidden
from tidewire.wire.models import Session, User


def sees_only_shared(session: Session) -> str:
    """Return the caller's id if he sees only whom he shares a channel with, else ""."""
    return "" if permissions.has_system(session, "view_members") else session.user_id


async def visible(services: Services, session: Session, user_ids: list[str]) -> set[str]:
    """Return the ids among these that the caller may see, himself included."""
    viewer = sees_only_shared(session)
    if not viewer:
        return set(user_ids)
    return await members.sharing_channel(services.db, viewer, user_ids) | ({viewer} & set(user_ids))


async def check_visible(services: Services, session: Session, user_ids: list[str]) -> None:
    """Raise 403 unless the caller may see all of them."""
    if len(await visible(services, session, user_ids)) < len(set(user_ids)):
        raise forbidden()


async def access_user(services: Services, session: Session, user_id: str) -> User:
    """Return an account that the caller may see.

    Raises: 404; 403 for a guest, the same for one who does not exist and one whom he may not see.
    """
    await check_visible(services, session, [user_id])
    return await get_user(services, user_id)
