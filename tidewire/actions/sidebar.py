"""The sidebar of a user in a team: read, create, change, order and delete categories; told to all of his devices.

What stands where is tidewire.actions.sidebar_layout. Every writer locks the user's row first, so changes come one
after another. Rows are made at the first change: until then everybody has the three built-in categories.
"""

from msgspec import Struct

from tidewire.actions import permissions
from tidewire.actions.copies import announce, to_user
from tidewire.actions.membership import announce_member_updated
from tidewire.actions.preferences import FAVORITE, announce_changed
from tidewire.actions.services import Services
from tidewire.actions.sidebar_layout import (
    CATEGORIES_MAX,
    STEP,
    CategoryBody,
    arrange,
    changed_by,
    check_body,
    find,
    invalid,
    muted_by_channel,
    places_of,
    with_built_in,
)
from tidewire.bus.envelope import user_key
from tidewire.store import members, preferences, teams, users
from tidewire.store import sidebar as store
from tidewire.store.db import Transaction
from tidewire.store.holds import hold
from tidewire.store.sidebar import Place, Placed, Source
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.events import as_text
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Preference, Session, SidebarCategory


class Categories(Struct):
    """All sections, and their ids in order. Source: Mattermost API v4, OrderedSidebarCategories."""

    categories: list[SidebarCategory]
    order: list[str]


class _Sidebar(Struct):
    """A user's sidebar as its rows say."""

    categories: list[SidebarCategory]
    channels: list[Placed]
    stored: bool

    def arranged(self) -> list[SidebarCategory]:
        return arrange(self.categories, self.channels)


async def _check(services: Services, session: Session, user_id: str, team_id: str) -> None:
    permissions.check_self(session, user_id)
    await permissions.access_team(services, session, team_id, "view_team")


async def _load(source: Source, user_id: str, team_id: str) -> _Sidebar:
    rows = await store.categories(source, user_id, team_id)
    channels = await store.placed(source, user_id, team_id)
    return _Sidebar(with_built_in(rows, user_id, team_id), channels, bool(rows))


async def _lock(tx: Transaction, user_id: str, team_id: str) -> _Sidebar:
    # Whoever leaves the team meanwhile waits, and then takes all rows of the sidebar with him.
    await teams.hold_members(tx, team_id, [user_id])
    if not await hold(tx, teams=[team_id]) or await users.lock(tx, user_id) is None:
        raise forbidden()
    found = await _load(tx, user_id, team_id)
    if not found.stored:
        await store.put(tx, user_id, team_id, found.categories)
    return found


async def get_categories(services: Services, session: Session, user_id: str, team_id: str) -> Categories:
    """Return a user's sidebar in a team: each of his channels in exactly one category. Raises: 403."""
    await _check(services, session, user_id, team_id)
    found = (await _load(services.db, user_id, team_id)).arranged()
    return Categories(found, [category.id for category in found])


async def get_category(
    services: Services, session: Session, user_id: str, team_id: str, category_id: str
) -> SidebarCategory:
    """Return one category. Raises: 403, also for one that is not his."""
    found = await get_categories(services, session, user_id, team_id)
    return find(found.categories, category_id)


async def do_create_category(
    services: Services, session: Session, user_id: str, team_id: str, body: CategoryBody
) -> SidebarCategory:
    """Make a category of one's own below Favorites, with some of one's channels, tell the user. Raises: 403, 400."""
    await _check(services, session, user_id, team_id)
    check_body(body, user_id, team_id, named=True)
    new = SidebarCategory(
        new_id(),
        user_id,
        team_id,
        0,
        body.sorting,
        "custom",
        body.display_name.strip(),
        body.muted,
        body.collapsed,
    )
    async with services.db.transaction() as tx:
        before = await _lock(tx, user_id, team_id)
        if len(before.categories) >= CATEGORIES_MAX:
            raise invalid()
        place = 1 if before.categories[0].type == "favorites" else 0
        after = _numbered([*before.categories[:place], new, *before.categories[place:]])
        await store.put(tx, user_id, team_id, after)
        places = places_of([(new, body.channel_ids or [])], before.channels)
        await _place(tx, before, user_id, team_id, [new.id], places)
        _tell(tx, "sidebar_category_created", {"category_id": new.id}, user_id, team_id)
        found = (await _load(tx, user_id, team_id)).arranged()
    await _mute(services, user_id, team_id, before.arranged(), found)
    return find(found, new.id)


def _numbered(categories: list[SidebarCategory]) -> list[SidebarCategory]:
    for number, category in enumerate(categories):
        category.sort_order = STEP * number
    return categories


async def do_update_categories(
    services: Services, session: Session, user_id: str, team_id: str, bodies: list[CategoryBody]
) -> list[SidebarCategory]:
    """Change categories and what is in them; tell the user which did. Return those asked for.

    A channel that no list names any more goes back to its built-in category. Raises: 403 for one that is not his; 400.
    """
    await _check(services, session, user_id, team_id)
    if not 1 <= len(bodies) <= CATEGORIES_MAX or len({body.id for body in bodies}) < len(bodies):
        raise invalid()
    async with services.db.transaction() as tx:
        before = await _lock(tx, user_id, team_id)
        old = before.arranged()
        wanted = [
            (changed_by(find(before.categories, body.id), body), body.channel_ids or []) for body in bodies
        ]
        await store.put(tx, user_id, team_id, [category for category, _ in wanted])
        places = places_of(wanted, before.channels)
        await _place(tx, before, user_id, team_id, [category.id for category, _ in wanted], places)
        new = (await _load(tx, user_id, team_id)).arranged()
        asked, was = {body.id for body in bodies}, {category.id: category for category in old}
        told = [
            category for category in new if category.id in asked or category != was.get(category.id)
        ]
        _tell(tx, "sidebar_category_updated", {"updatedCategories": as_text(told)}, user_id, team_id)
    await _mute(services, user_id, team_id, old, new)
    return [find(new, body.id) for body in bodies]


async def _place(
    tx: Transaction,
    before: _Sidebar,
    user_id: str,
    team_id: str,
    category_ids: list[str],
    places: dict[str, Place],
) -> None:
    """Fill these categories; what enters or leaves Favorites is marked so by its preference, and that is told."""
    favorites = next(category.id for category in before.categories if category.type == "favorites")
    await store.place(tx, user_id, team_id, category_ids, list(places.values()))
    marked = {channel.channel_id for channel in before.channels if channel.favorite}
    chosen = {channel_id for channel_id, place in places.items() if place.category_id == favorites}
    left = marked & places.keys() - chosen
    if favorites in category_ids:
        left = marked - chosen
    await _mark(tx, user_id, sorted(chosen - marked), sorted(left))


async def _mark(tx: Transaction, user_id: str, added: list[str], removed: list[str]) -> None:
    if added:
        items = [Preference(user_id, FAVORITE, channel_id, "true") for channel_id in added]
        await preferences.put(tx, user_id, items)
        announce_changed(tx, user_id, items)
    if removed:
        items = [Preference(user_id, FAVORITE, channel_id, "true") for channel_id in removed]
        await preferences.delete(tx, user_id, items)
        announce_changed(tx, user_id, items, event="preferences_deleted")


async def _mute(
    services: Services,
    user_id: str,
    team_id: str,
    before: list[SidebarCategory],
    after: list[SidebarCategory],
) -> None:
    """Mute the channels that came into a muted category, unmute those that came out of one, and tell each.

    In a transaction of its own: memberships are locked before the user's row, see store.db. What counts is where the
    channels are once their memberships are locked, so of two changes at once the last one decides, whoever mutes first.
    """
    was, now = muted_by_channel(before), muted_by_channel(after)
    ids = sorted(key for key, muted in now.items() if was.get(key, False) != muted)
    if not ids:
        return
    async with services.db.transaction() as tx:
        await members.lock_own(tx, user_id, ids)
        now = muted_by_channel((await _load(tx, user_id, team_id)).arranged())
        for muted in (True, False):
            changed = [key for key in ids if now.get(key, False) == muted]
            props = {"mark_unread": "mention" if muted else "all"}
            for member in await members.set_notify_props(tx, user_id, changed, props, at=now_ms()):
                announce_member_updated(tx, member)


def _tell(tx: Transaction, event: str, data: dict[str, object], user_id: str, team_id: str) -> None:
    announce(tx, user_key(user_id), [to_user(event, data, user_id, team_id=team_id)])


async def do_order_categories(
    services: Services, session: Session, user_id: str, team_id: str, order: list[str]
) -> list[str]:
    """Put the categories in this order, which names all of them, tell the user. Raises: 403, 400."""
    await _check(services, session, user_id, team_id)
    async with services.db.transaction() as tx:
        by_id = {category.id: category for category in (await _lock(tx, user_id, team_id)).categories}
        if len(order) != len(by_id) or set(order) != by_id.keys():
            raise invalid()
        await store.put(tx, user_id, team_id, _numbered([by_id[category_id] for category_id in order]))
        _tell(tx, "sidebar_category_order_updated", {"order": order}, user_id, team_id)
    return order


async def do_delete_category(
    services: Services, session: Session, user_id: str, team_id: str, category_id: str
) -> None:
    """Delete a category of one's own; its channels go to the built-in ones. Tell the user.

    Raises: 403 for one that is not his; 400 for a built-in one.
    """
    await _check(services, session, user_id, team_id)
    async with services.db.transaction() as tx:
        before = await _lock(tx, user_id, team_id)
        if find(before.categories, category_id).type != "custom":
            raise AppError(
                "app.channel.sidebar_categories.app_error", 400, "Built-in categories cannot be deleted."
            )
        await store.delete(tx, user_id, team_id, category_id)
        _tell(tx, "sidebar_category_deleted", {"category_id": category_id}, user_id, team_id)
        after = (await _load(tx, user_id, team_id)).arranged()
    await _mute(services, user_id, team_id, before.arranged(), after)
