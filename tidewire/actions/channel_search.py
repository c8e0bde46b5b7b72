"""Finding channels: lists, autocompletion and search. What a caller may not know of is never in an answer."""

from msgspec import Struct, field

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.store import channel_search as store
from tidewire.store.channel_search import Anywhere, Wanted
from tidewire.store.text import TERM_MAX
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.ids import is_id
from tidewire.wire.models import Channel, ChannelWithTeam, Session

FOUND_MAX = 50  # channels that a search without pages finds; Mattermost API v4
TEAMS_MAX = 1000  # team ids of one search


class ChannelSearch(Struct):
    """What to look for. Source: Mattermost API v4, ChannelSearch; what needs a licence is ignored."""

    term: str = ""
    team_ids: list[str] = field(default_factory=list)
    group_constrained: bool = False
    exclude_default_channels: bool = False
    public: bool = False
    private: bool = False
    include_deleted: bool = False
    deleted: bool = False
    include_search_by_id: bool = False
    page: int | None = None
    per_page: int | None = None


class ChannelPage(Struct):
    """A page of channels, and how many there are."""

    channels: list[ChannelWithTeam]
    total_count: int


async def list_public(
    services: Services, session: Session, team_id: str, *, limit: int, offset: int
) -> list[Channel]:
    """Return a page of a team's live public channels. Raises: 403."""
    await permissions.access_team(services, session, team_id, "list_team_channels")
    return await store.in_team(services.db, team_id, "", Wanted(public=True), limit=limit, offset=offset)


async def list_archived(
    services: Services, session: Session, team_id: str, *, limit: int, offset: int
) -> list[Channel]:
    """Return a page of a team's archived channels: public ones and the caller's; all of them for a system admin.

    Raises: 403.
    """
    await permissions.access_team(services, session, team_id, "list_team_channels")
    everything = permissions.has_system(session, "manage_system")
    return await store.archived_in_team(
        services.db, team_id, session.user_id, everything=everything, limit=limit, offset=offset
    )


async def get_public_by_ids(
    services: Services, session: Session, team_id: str, ids: list[str]
) -> list[Channel]:
    """Return the live public channels of a team among these ids; those who may not read all of them get their own.

    Raises: 403; 404 if there is none.
    """
    await permissions.access_team(services, session, team_id, "view_team")
    reads_all = await permissions.has_team(services, session, team_id, "read_public_channel")
    found = await store.public_by_ids(services.db, team_id, ids, only_of="" if reads_all else session.user_id)
    if not found:
        raise AppError("app.channel.get_channels_by_ids.not_found.app_error", 404, "No channel found.")
    return found


async def autocomplete(services: Services, session: Session, team_id: str, term: str) -> list[Channel]:
    """Return the caller's and the public channels of a team that fit, archived ones too. Raises: 403."""
    await permissions.access_team(services, session, team_id, "list_team_channels")
    wanted = Wanted(session.user_id, public=True, own=True, archived=True)
    return await store.in_team(services.db, team_id, _term(term), wanted, limit=FOUND_MAX)


async def autocomplete_for_search(
    services: Services, session: Session, team_id: str, term: str
) -> list[Channel]:
    """Return the caller's own channels of a team, and D and G, that fit."""
    return await store.own_matching(services.db, session.user_id, team_id, term, FOUND_MAX)


async def search_team(
    services: Services, session: Session, team_id: str, wanted: ChannelSearch
) -> list[Channel]:
    """Return the public channels of a team that fit, archived ones too; to a guest his own.

    Raises: 403; 404 for one who is not in the team.
    """
    own = Wanted(session.user_id, own=True, archived=True)
    if await permissions.has_team(services, session, team_id, "list_team_channels"):
        own = Wanted(public=True, archived=True)
    elif not await permissions.team_roles(services, team_id, session.user_id):
        text = "No team member found for that user and team."
        raise AppError("app.team.get_member.missing.app_error", 404, text)
    return await store.in_team(services.db, team_id, _term(wanted.term), own, limit=FOUND_MAX)


async def search_groups(services: Services, session: Session, term: str) -> list[Channel]:
    """Return the caller's group channels whose members fit."""
    return await store.own_groups_matching(services.db, session.user_id, _term(term), FOUND_MAX)


async def search_all(
    services: Services, session: Session, search: ChannelSearch, *, for_console: bool
) -> list[ChannelWithTeam] | ChannelPage:
    """Return channels of all teams that fit, paged where both numbers are given.

    for_console: as the system console asks; otherwise only what the caller can find in his teams.
    Raises: 403.
    """
    if for_console and not any(
        permissions.has_system(session, f"sysconsole_{name}")
        for name in (
            "read_compliance_data_retention_policy",
            "read_user_management_channels",
            "write_user_management_groups",
        )
    ):
        raise forbidden()
    either = search.public or search.private
    wanted = Anywhere(
        search.team_ids[:TEAMS_MAX],
        public=search.public or not either,
        private=search.private or not either,
        live=not search.deleted,
        archived=search.deleted or search.include_deleted,
        no_defaults=search.exclude_default_channels,
        seen_by="" if for_console else session.user_id,
    )
    term = _term(search.term)
    by_id = term if search.include_search_by_id and is_id(term) else ""
    paged = search.page is not None and search.per_page is not None
    limit = max(0, min(search.per_page or 0, 200)) if paged else FOUND_MAX
    offset = max(0, min(search.page or 0, 10**6)) * limit if paged else 0
    found: list[ChannelWithTeam] = []
    total = 0
    if not search.group_constrained:  # no channel of this server is
        found, total = await store.anywhere(services.db, term, by_id, wanted, limit=limit, offset=offset)
    return ChannelPage(found, total) if paged else found


def _term(text: str) -> str:
    return text.strip()[: TERM_MAX]


async def count_members(services: Services, session: Session, ids: list[str]) -> dict[str, int]:
    """Return channel id → active members. Raises: 403 unless the caller may know of all of them."""
    seen_by = "" if permissions.has_system(session, "manage_system") else session.user_id
    found = await store.member_counts(services.db, ids, seen_by=seen_by)
    if seen_by and len(found) < len(ids):
        raise forbidden()
    return found


async def list_timezones(services: Services, session: Session, channel_id: str) -> list[str]:
    """Return the distinct time zones of a channel's members. Raises: 403, 404."""
    await permissions.access_channel(services, session, channel_id, "read_channel")
    return await store.timezones(services.db, channel_id)
