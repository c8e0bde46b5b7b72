"""The sidebar's three built-in categories, computed. Own categories and their order are not kept by this server."""

from msgspec import Struct

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.store import channels, preferences
from tidewire.wire.models import Session

FAVORITE = "favorite_channel"  # the preference that marks one, by channel id
_BUILT_IN = [
    ("favorites", "Favorites", ""),
    ("channels", "Channels", ""),
    ("direct_messages", "Direct Messages", "recent"),
]


class Category(Struct):
    """One section of a user's sidebar in one team. Source: Mattermost API v4, SidebarCategoryWithChannels."""

    id: str
    user_id: str
    team_id: str
    sort_order: int
    sorting: str
    type: str
    display_name: str
    channel_ids: list[str]
    muted: bool = False
    collapsed: bool = False


class Categories(Struct):
    """All sections, and their ids in order."""

    categories: list[Category]
    order: list[str]


async def get_categories(services: Services, session: Session, user_id: str, team_id: str) -> Categories:
    """Return a user's sidebar in a team: each of his channels in exactly one category. Raises: 403."""
    permissions.check_self(session, user_id)
    await permissions.check_team(services, session, team_id, "view_team")
    mine = await channels.of_user(services.db, user_id, team_id)
    marked = await preferences.of_user(services.db, user_id, FAVORITE)
    favorites = {item.name for item in marked if item.value == "true"}
    ids: dict[str, list[str]] = {kind: [] for kind, _, _ in _BUILT_IN}
    for channel in mine:
        kind = "channels" if channel.team_id else "direct_messages"
        ids["favorites" if channel.id in favorites else kind].append(channel.id)
    found = [
        Category(f"{kind}_{user_id}_{team_id}", user_id, team_id, 10 * place, sorting, kind, name, ids[kind])
        for place, (kind, name, sorting) in enumerate(_BUILT_IN)
    ]
    return Categories(found, [category.id for category in found])
