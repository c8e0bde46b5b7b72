"""Searches posts and files in the channels of which the caller is a member.

Source: Mattermost API v4, "Search for posts" and "Search files".
"""

from msgspec import Struct

from tidewire.actions import permissions, search_terms
from tidewire.actions.post_lists import View, list_of
from tidewire.actions.search_terms import Names, Terms
from tidewire.actions.services import Services
from tidewire.store import search as store
from tidewire.store import users
from tidewire.store.search import Question
from tidewire.wire.errors import AppError
from tidewire.wire.files import FileInfo
from tidewire.wire.models import Post, Session

PER_PAGE, PER_PAGE_MAX, PAGES_MAX = 60, 200, 1000
TIMEOUT_MS = 3000


class Search(Struct):
    """What is asked for. Source: Mattermost API v4, SearchParameter."""

    terms: str = ""
    is_or_search: bool = False
    time_zone_offset: int = 0
    page: int = 0
    per_page: int = PER_PAGE
    include_deleted_channels: bool = False


class PostsFound(Struct, omit_defaults=False):
    """A PostList with what matched in it, which this index does not tell."""

    order: list[str]
    posts: dict[str, Post]
    next_post_id: str = ""
    prev_post_id: str = ""
    first_inaccessible_post_time: int = 0
    matches: dict[str, list[str]] | None = None


class FilesFound(Struct, omit_defaults=False):
    """Files, newest first."""

    order: list[str]
    file_infos: dict[str, FileInfo]
    next_file_info_id: str = ""
    prev_file_info_id: str = ""
    first_inaccessible_file_time: int = 0


async def search_posts(services: Services, session: Session, team_id: str, search: Search) -> PostsFound:
    """Return a page of posts, newest first. team_id "": of all teams. Raises: 400, 403, 501; Unavailable."""
    if not services.config.flag("ServiceSettings.EnablePostSearch"):
        raise AppError("store.sql_post.search.disabled", 501, "Searching has been disabled on this server.")
    terms = await _terms(services, session, team_id, search)
    question = await _question(services, session, team_id, search, terms)
    if question is None:
        return PostsFound([], {})
    limit, offset = _page(search)
    found = await store.find_posts(services.db, question, limit, offset, timeout_ms=TIMEOUT_MS)
    listed = await list_of(services, session, found, View())
    return PostsFound(listed.order, {post_id: listed.posts[post_id] for post_id in listed.order})


async def search_files(services: Services, session: Session, team_id: str, search: Search) -> FilesFound:
    """Return a page of files of posts, by name and content, newest first. Raises: as search_posts."""
    if not services.config.flag("ServiceSettings.EnableFileSearch"):
        raise AppError("store.sql_file_info.search.disabled", 501, "Searching files has been disabled on this server.")
    terms = await _terms(services, session, team_id, search)
    question = await _question(services, session, team_id, search, terms)
    if question is None:
        return FilesFound([], {})
    limit, offset = _page(search)
    found = await store.find_files(
        services.db,
        question,
        terms.extensions.wanted or None,
        terms.extensions.unwanted or None,
        limit,
        offset,
        timeout_ms=TIMEOUT_MS,
    )
    return FilesFound([file.id for file in found], {file.id: file.info() for file in found})


async def _terms(services: Services, session: Session, team_id: str, search: Search) -> Terms:
    if team_id:
        await permissions.check_team(services, session, team_id, "view_team")
    if not search.terms.strip():
        raise AppError("api.context.invalid_body_param.app_error", 400, "Invalid or missing terms in request body.")
    return search_terms.read(search.terms, any_word=search.is_or_search, offset_s=search.time_zone_offset)


def _page(search: Search) -> tuple[int, int]:
    limit = min(search.per_page, PER_PAGE_MAX) if search.per_page > 0 else PER_PAGE
    return limit, max(0, min(search.page, PAGES_MAX)) * limit


async def _question(
    services: Services, session: Session, team_id: str, search: Search, terms: Terms
) -> Question | None:
    """Return what to ask the store; None where nothing can be found."""
    if terms.empty:
        return None
    channels = await _ids(services, session, team_id, terms.channels, "channels")
    people = await _ids(services, session, team_id, terms.users, "users")
    if channels[0] == [] or people[0] == []:
        return None  # a name that nobody has, or that is not the caller's to know
    return Question(
        services.settings.search.language,
        terms.words,
        terms.hashtags,
        search.is_or_search,
        terms.unwanted,
        session.user_id,
        team_id,
        search.include_deleted_channels,
        channels[0],
        channels[1],
        people[0],
        people[1],
        terms.since,
        terms.until,
        [begin for begin, _ in terms.days_without] or None,
        [end for _, end in terms.days_without] or None,
    )


async def _ids(
    services: Services, session: Session, team_id: str, names: Names, kind: str
) -> tuple[list[str] | None, list[str] | None]:
    """Return the ids of what is wanted and of what is not; None where nothing was named."""

    async def found(words: list[str]) -> list[str] | None:
        if not words:
            return None
        if kind == "users":
            return [user.id for user in await users.by_usernames(services.db, words)]
        people = await users.by_usernames(services.db, words)  # in:someone is the direct channel with him
        direct = ["__".join(sorted((session.user_id, user.id))) for user in people]
        return await store.channels_by_names(services.db, session.user_id, [*words, *direct], team_id)

    return await found(names.wanted), await found(names.unwanted)
