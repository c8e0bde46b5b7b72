"""Which channel is in which category: pure rules over a user's rows.

Source: Mattermost API v4, sidebar categories: each of a user's channels is in exactly one; what has no place is in
Channels or Direct Messages, what is marked as favourite in Favorites.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from tidewire.store.sidebar import Place, Placed
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.models import SidebarCategory

CATEGORIES_MAX = 200  # of one user in one team
NAME_MAX = 64  # characters
SORTINGS = frozenset({"", "manual", "recent", "alpha"})
STEP = 10  # between two sort_orders
_BUILT_IN = [
    ("favorites", "Favorites", ""),
    ("channels", "Channels", ""),
    ("direct_messages", "Direct Messages", "recent"),
]


class CategoryBody(Struct):
    """A category as a client sends it."""

    id: str = ""
    user_id: str = ""
    team_id: str = ""
    sorting: str = ""
    display_name: str = ""
    muted: bool = False
    collapsed: bool = False
    channel_ids: list[str] | None = None


def built_in(user_id: str, team_id: str) -> list[SidebarCategory]:
    """Return the three categories that everybody has, empty."""
    return [
        SidebarCategory(f"{kind}_{user_id}_{team_id}", user_id, team_id, STEP * place, sorting, kind, name)
        for place, (kind, name, sorting) in enumerate(_BUILT_IN)
    ]


def with_built_in(rows: list[SidebarCategory], user_id: str, team_id: str) -> list[SidebarCategory]:
    """Return the stored categories, and those built-in ones that are not stored, in order."""
    stored = {row.type for row in rows}
    missing = [one for one in built_in(user_id, team_id) if one.type not in stored]
    return sorted([*rows, *missing], key=lambda row: row.sort_order) if missing else rows


def arrange(categories: Sequence[SidebarCategory], channels: Iterable[Placed]) -> list[SidebarCategory]:
    """Return the categories with their channels: those with a place in its order, then the others as they come."""
    ids = {category.id: category.id for category in categories if category.type == "custom"}
    by_type = {category.type: category.id for category in categories if category.type != "custom"}
    found: dict[str, list[tuple[bool, int, str]]] = {category.id: [] for category in categories}
    for channel in channels:
        home = by_type["channels" if channel.team_id else "direct_messages"]
        chosen = by_type["favorites"] if channel.favorite else ids.get(channel.category_id or "", home)
        here = channel.category_id == chosen
        found[chosen].append((not here, channel.sort_order or 0 if here else 0, channel.channel_id))
    return [
        structs.replace(
            category,
            channel_ids=[row[2] for row in sorted(found[category.id], key=lambda row: row[:2])],
        )
        for category in categories
    ]


def check_body(body: CategoryBody, user_id: str, team_id: str, *, named: bool) -> None:
    """Check what a client sends. named: its name counts. Raises: 400."""
    if body.user_id not in ("", user_id) or body.team_id not in ("", team_id):
        raise body_param("category")
    if body.sorting not in SORTINGS:
        raise body_param("sorting")
    if named and not 1 <= len(body.display_name.strip()) <= NAME_MAX:
        raise body_param("display_name")


def invalid() -> AppError:
    """Return the 400 for what cannot be done to categories."""
    return AppError("app.channel.sidebar_categories.app_error", 400, "Invalid sidebar categories.")


def changed_by(known: SidebarCategory, body: CategoryBody) -> SidebarCategory:
    """Return a category with what the body may change. Raises: 400."""
    check_body(body, known.user_id, known.team_id, named=known.type == "custom")
    return structs.replace(
        known,
        sorting=body.sorting,
        collapsed=body.collapsed,
        muted=body.muted and known.type != "direct_messages",
        display_name=body.display_name.strip() if known.type == "custom" else known.display_name,
    )


def find(categories: Iterable[SidebarCategory], category_id: str) -> SidebarCategory:
    """Return the category of an id. Raises: 403, as for another user's."""
    for category in categories:
        if category.id == category_id:
            return category
    raise forbidden()


def places_of(
    wanted: Sequence[tuple[SidebarCategory, list[str]]], channels: Iterable[Placed]
) -> dict[str, Place]:
    """Return channel id → place for what the lists name, of the user's own channels; the last category wins.

    Channels goes without D and G, Direct Messages with nothing else.
    """
    team_of = {channel.channel_id: channel.team_id for channel in channels}
    places: dict[str, Place] = {}
    for category, channel_ids in wanted:
        for number, channel_id in enumerate(dict.fromkeys(channel_ids)):
            if channel_id not in team_of:
                continue
            if category.type == "channels" and not team_of[channel_id]:
                continue
            if category.type == "direct_messages" and team_of[channel_id]:
                continue
            places[channel_id] = Place(channel_id, category.id, STEP * number)
    return places


def muted_by_channel(categories: Iterable[SidebarCategory]) -> dict[str, bool]:
    """Return channel id → its category is muted."""
    return {channel_id: category.muted for category in categories for channel_id in category.channel_ids}
