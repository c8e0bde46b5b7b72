"""Lists of people: by team, channel and role, by the beginning of a name. What each row shows is decided by users.py.

Guests find only those they share a channel with; nobody finds by what he may not see (addresses, full names).
"""

import re
from typing import Any

from msgspec import Struct, field

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.actions.users import view_for
from tidewire.actions.visibility import sees_only_shared
from tidewire.store import people
from tidewire.store.people import Filter, Words
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id
from tidewire.wire.models import Session
from tidewire.wire.views import UserView

SEARCH_DEFAULT, SEARCH_MAX = 100, 1000
TERM_MAX, WORDS_MAX = 256, 8  # characters of a search, words of it that are looked at
KNOWN_MAX = 50_000  # ids, 1.4 MB: no client can show more
ROLES_MAX = 20
SORTS = {"": ("",), "last_activity_at": ("team",), "create_at": ("team",), "status": ("channel",),
         "admin": ("channel",), "display_name": ("team", "channel")}  # fmt: skip
_ROLE = re.compile(r"[a-z0-9_]{1,64}\Z")


class UserSearch(Struct):
    """What to search. Groups are not offered by this server."""

    term: str = ""
    team_id: str = ""
    not_in_team_id: str = ""
    in_channel_id: str = ""
    not_in_channel_id: str = ""
    in_group_id: str = ""
    not_in_group_id: str = ""
    group_constrained: bool = False
    allow_inactive: bool = False
    without_team: bool = False
    limit: int = 0
    role: str = ""
    roles: list[str] = field(default_factory=list)
    channel_roles: list[str] = field(default_factory=list)
    team_roles: list[str] = field(default_factory=list)


class Autocompleted(Struct, omit_defaults=True):
    """Members of the channel or team first; the others of the team apart."""

    users: list[UserView]
    out_of_channel: list[UserView] = field(default_factory=list)


def no_groups() -> AppError:
    """Return the 501 for a filter by group."""
    return AppError("api.ldap_groups.license_error", 501, "This server has no groups.")


def are_roles(roles: list[str]) -> bool:
    """Tell whether these can be names of roles."""
    return len(roles) <= ROLES_MAX and all(_ROLE.match(role) for role in roles)


def may_sort(wanted: Filter, sort: str) -> bool:
    """Tell whether the list can be sorted so. Source: Mattermost API v4, "Get users": each sort has its scope."""
    if sort not in SORTS:
        return False
    scopes = {"team": wanted.in_team and not wanted.in_channel, "channel": wanted.in_channel, "": True}
    others = wanted.not_in_team or wanted.not_in_channel or wanted.without_team
    return any(scopes[scope] for scope in SORTS[sort]) and not (sort and others)


async def _check_scopes(services: Services, session: Session, wanted: Filter) -> None:
    for team_id in filter(None, (wanted.in_team, wanted.not_in_team)):
        await permissions.check_team(services, session, team_id, "view_team")
    for channel_id in filter(None, (wanted.in_channel, wanted.not_in_channel)):
        if not await permissions.has_channel(services, session, channel_id, "read_channel"):
            raise forbidden()
    if wanted.without_team:
        permissions.check_system(session, "list_users_without_team")


def _seen_by(session: Session, wanted: Filter) -> Filter:
    return wanted._replace(viewer=sees_only_shared(session))


async def list_people(
    services: Services, session: Session, wanted: Filter, *, sort: str, limit: int, offset: int
) -> list[UserView]:
    """Return a page of accounts as the caller may see them. Raises: 403 for a team or channel that he may not read."""
    await _check_scopes(services, session, wanted)
    found = await people.page(services.db, _seen_by(session, wanted), sort=sort, limit=limit, offset=offset)
    return [view_for(services, session, user) for user in found]


def _words(services: Services, session: Session, term: str, *, emails: bool) -> Words:
    config, admin = services.config, permissions.is_admin(session)
    words = term.strip().lstrip("@")[:TERM_MAX].split()[:WORDS_MAX]
    full_names = admin or config.flag("PrivacySettings.ShowFullName")
    return Words(words, full_names, emails and (admin or config.flag("PrivacySettings.ShowEmailAddress")))


async def search(services: Services, session: Session, wanted: UserSearch) -> list[UserView]:
    """Return people whose name or address begins with the words of the term, by username.

    Raises: 400 without a term, for what is no id, role or limit; 403 as list_people; 501 for a group.
    """
    if not wanted.term.strip():
        raise body_param("term")
    for name in ("team_id", "not_in_team_id", "in_channel_id", "not_in_channel_id"):
        if (value := getattr(wanted, name)) and not is_id(value):
            raise body_param(name)
    if wanted.not_in_channel_id and not wanted.team_id:
        raise body_param("team_id")
    if wanted.in_group_id or wanted.not_in_group_id:
        raise no_groups()
    limit = wanted.limit or SEARCH_DEFAULT
    if not 1 <= limit <= SEARCH_MAX:
        raise body_param("limit")
    for name in ("roles", "team_roles", "channel_roles"):
        if not are_roles(getattr(wanted, name)):
            raise body_param(name)
    scope = Filter(
        in_team=wanted.team_id,
        not_in_team=wanted.not_in_team_id,
        in_channel=wanted.in_channel_id,
        not_in_channel=wanted.not_in_channel_id,
        without_team=wanted.without_team,
        active=not wanted.allow_inactive,
        role=wanted.role,
        roles=wanted.roles,
        team_roles=wanted.team_roles,
        channel_roles=wanted.channel_roles,
    )
    await _check_scopes(services, session, scope)
    return await _find(services, session, scope, _words(services, session, wanted.term, emails=True), limit)


async def _find(
    services: Services, session: Session, scope: Filter, words: Words, limit: int
) -> list[UserView]:
    found = await people.search(services.db, _seen_by(session, scope), words, limit=limit)
    return [view_for(services, session, user) for user in found]


async def autocomplete(
    services: Services, session: Session, name: str, *, team_id: str, channel_id: str, limit: int
) -> Autocompleted:
    """Return active people whose name begins so: of the channel, and apart the others of its team.

    Without a channel those of the team, without both of the whole server. Raises: 403, 404 as list_people; 400 for a
    channel of another team.
    """
    words = _words(services, session, name, emails=False)
    scope = Filter(in_team=team_id, in_channel=channel_id, active=True)
    await _check_scopes(services, session, scope)
    if not channel_id:
        return Autocompleted(await _find(services, session, scope, words, limit))
    channel = await permissions.access_channel(services, session, channel_id, "read_channel")
    if channel.team_id and team_id not in ("", channel.team_id):
        raise AppError("api.user.autocomplete_users.invalid_team_id", 400, "The channel is not of this team.")
    inside = await _find(services, session, scope._replace(in_team=""), words, limit)
    team = team_id or channel.team_id
    if not team or not await permissions.has_team(services, session, team, "view_team"):
        return Autocompleted(inside)
    rest = Filter(in_team=team, not_in_channel=channel_id, active=True)
    return Autocompleted(inside, await _find(services, session, rest, words, limit))


async def list_known(services: Services, session: Session) -> list[str]:
    """Return ids of the others whom the caller shares a channel with."""
    return await people.known(services.db, session.user_id, KNOWN_MAX)


async def count(services: Services, session: Session) -> dict[str, Any]:
    """Return how many active accounts the caller may see."""
    return {"total_users_count": await people.count(services.db, sees_only_shared(session))}
