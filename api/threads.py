"""Threads of a user. Rules are in tidewire.actions.threads. Source: Mattermost API v4, threads."""

from api.call import PER_PAGE_MAX, Call
from api.routing import OK, route
from tidewire.actions import threads
from tidewire.actions.post_lists import check_cursor
from tidewire.actions.thread_events import ThreadResponse
from tidewire.actions.threads import ThreadQuery, Threads
from tidewire.store.threads import ThreadFilter
from tidewire.wire.errors import AppError, url_param

PAGE = 30  # Mattermost API v4: threads of a page unless the client says otherwise


def _time(text: str, name: str) -> int:
    """Return a time (ms) of a path or query. Raises: 400 if it is no whole number."""
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise url_param(name)
    return int(text)


def _query(call: Call) -> ThreadQuery:
    before, after, since = (call.query(name) for name in ("before", "after", "since"))
    totals_only, threads_only = call.flag("totalsOnly"), call.flag("threadsOnly")
    for first, second, name in (
        (before, after, "before or after"),
        (totals_only, threads_only, "totalsOnly"),
    ):
        if first and second:
            raise AppError("api.context.invalid_url_param.app_error", 400, name=name)
    for name, cursor in (("before", before), ("after", after)):
        if cursor:
            check_cursor(cursor, name)
    return ThreadQuery(
        ThreadFilter(
            call.flag("excludeDirect"),
            call.flag("deleted"),
            call.flag("unread"),
            _time(since, "since") if since else 0,
        ),
        before=before,
        after=after,
        limit=call.number("per_page", PAGE, high=PER_PAGE_MAX) or PAGE,
        extended=call.flag("extended"),
        totals_only=totals_only,
        threads_only=threads_only,
    )


@route("GET", "/users/{user_id}/teams/{team_id}/threads")
async def list_threads(call: Call) -> Threads:
    """A page of the threads that a user follows, newest reply first, and sums over all of them."""
    user_id, team_id = call.path_id("user_id"), call.path_id("team_id")
    return await threads.list_threads(call.services, call.login, user_id, team_id, _query(call))


@route("PUT", "/users/{user_id}/teams/{team_id}/threads/read")
async def read_all(call: Call) -> bytes:
    """Mark all threads of a team as read."""
    user_id, team_id = call.path_id("user_id"), call.path_id("team_id")
    await threads.do_read_team(call.services, call.login, user_id, team_id)
    return OK


@route("GET", "/users/{user_id}/teams/{team_id}/threads/{thread_id}")
async def get_thread(call: Call) -> ThreadResponse:
    """One thread that a user follows."""
    user_id, thread_id = _ids(call)
    extended = call.flag("extended")
    return await threads.get_thread(call.services, call.login, user_id, thread_id, extended=extended)


@route("PUT", "/users/{user_id}/teams/{team_id}/threads/{thread_id}/read/{timestamp}")
async def read_thread(call: Call) -> ThreadResponse:
    """Mark a thread as read up to a time."""
    user_id, thread_id = _ids(call)
    at = _time(call.param("timestamp"), "timestamp")
    return await threads.do_read(call.services, call.login, user_id, thread_id, at)


@route("POST", "/users/{user_id}/teams/{team_id}/threads/{thread_id}/set_unread/{post_id}")
async def set_unread(call: Call) -> ThreadResponse:
    """Mark a thread as unread from one of its posts on."""
    user_id, thread_id = _ids(call)
    post_id = call.path_id("post_id")
    return await threads.do_set_unread(call.services, call.login, user_id, thread_id, post_id)


@route("PUT", "/users/{user_id}/teams/{team_id}/threads/{thread_id}/following")
async def follow(call: Call) -> bytes:
    """Follow a thread."""
    user_id, thread_id = _ids(call)
    await threads.do_follow(call.services, call.login, user_id, thread_id, following=True)
    return OK


@route("DELETE", "/users/{user_id}/teams/{team_id}/threads/{thread_id}/following")
async def unfollow(call: Call) -> bytes:
    """Stop following a thread."""
    user_id, thread_id = _ids(call)
    await threads.do_follow(call.services, call.login, user_id, thread_id, following=False)
    return OK


def _ids(call: Call) -> tuple[str, str]:
    """Return the user's and the thread's id; the team's must be one, whatever the thread's is."""
    call.path_id("team_id")
    return call.path_id("user_id"), call.path_id("thread_id")
