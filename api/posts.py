"""Posts and their lists. Source: Mattermost API v4, posts."""

from api.call import PER_PAGE_DEFAULT, PER_PAGE_MAX, Call
from api.post_tags import NOT_MODIFIED, tagged
from api.routing import OK, Created, Raw, route
from tidewire.actions import post_emojis, post_lists, posts
from tidewire.actions.permissions import check_self
from tidewire.actions.post_lists import ThreadPage, View
from tidewire.actions.post_rules import NewPostBody, PostChange
from tidewire.wire.errors import AppError, body_param, url_param
from tidewire.wire.models import Post, PostList

_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def _view(call: Call) -> View:
    return View(
        call.flag("collapsedThreads"), call.flag("collapsedThreadsExtended"), call.flag("include_deleted")
    )


@route("POST", "/posts")
async def create_post(call: Call) -> Created:
    """Create a post."""
    body: NewPostBody = await call.body(NewPostBody, "post")
    online = call.query("set_online") not in _FALSE
    post = await posts.do_create_post(call.services, call.login, body, set_online=online)
    await call.extend_session()
    return Created(post)


@route("GET", "/posts/{post_id}")
async def get_post(call: Call) -> Post | Raw:
    """Get a post."""
    deleted = call.flag("include_deleted")
    emojis = await post_emojis.version(call.services)  # before the post: it may be newer than its tag, never older
    post = await post_lists.get_post(call.services, call.login, call.path_id("post_id"), deleted=deleted)
    # A root does not change when a reply goes, but for how many it has.
    tag = f"{call.services.version_id}.{post.id}.{post.update_at}.{post.reply_count}.{emojis}"
    seen = call.not_modified(tag)
    return NOT_MODIFIED if seen else tagged(call, post, [post])


@route("POST", "/posts/ids")
async def get_posts(call: Call) -> list[Post]:
    """Get posts by a list of ids."""
    try:
        ids = await call.id_list()
    except AppError as error:
        if error.status == 400:
            error = AppError(
                "api.post.posts_by_ids.invalid_body.request_error", 400, "Invalid list of post ids."
            )
        raise error from None
    return await post_lists.get_posts(call.services, call.login, ids)


@route("PUT", "/posts/{post_id}")
async def update_post(call: Call) -> Post:
    """Update a post as a whole."""
    change: PostChange = await call.body(PostChange, "post")
    post_id = call.path_id("post_id")
    if change.id != post_id:
        raise body_param("id")
    return await posts.do_edit_post(call.services, call.login, post_id, change)


@route("PUT", "/posts/{post_id}/patch")
async def patch_post(call: Call) -> Post:
    """Update parts of a post."""
    change: PostChange = await call.body(PostChange, "post")
    return await posts.do_edit_post(call.services, call.login, call.path_id("post_id"), change)


@route("DELETE", "/posts/{post_id}")
async def delete_post(call: Call) -> bytes:
    """Delete a post; with a root its replies too."""
    post_id = call.path_id("post_id")
    if call.flag("permanent"):
        raise AppError(
            "api.post.delete_post.not_enabled.app_error", 501, "Posts are not deleted permanently here."
        )
    await posts.do_delete_post(call.services, call.login, post_id)
    return OK


@route("POST", "/posts/{post_id}/pin")
async def pin_post(call: Call) -> bytes:
    """Pin a post to its channel."""
    await posts.do_pin_post(call.services, call.login, call.path_id("post_id"), pinned=True)
    return OK


@route("POST", "/posts/{post_id}/unpin")
async def unpin_post(call: Call) -> bytes:
    """Unpin a post."""
    await posts.do_pin_post(call.services, call.login, call.path_id("post_id"), pinned=False)
    return OK


@route("GET", "/channels/{channel_id}/posts")
async def get_channel_posts(call: Call) -> PostList | Raw:
    """List a channel: since a time, after a post, before a post or by page, tested in this order."""
    services, session, channel_id, view = call.services, call.login, call.path_id("channel_id"), _view(call)
    page, per_page = call.paging()
    per_page = per_page or PER_PAGE_DEFAULT
    since, after, before = (call.query(name) for name in ("since", "after", "before"))
    await post_lists.access_list(services, session, channel_id, view)
    if since and (at := _time(since, "since")) > 0:
        return await post_lists.get_since(services, session, channel_id, view, at)
    if after:
        post_lists.check_cursor(after, "after")
    elif before:
        post_lists.check_cursor(before, "before")
    if await _seen(call, channel_id, view):
        return NOT_MODIFIED
    if after:
        found = await post_lists.get_after(services, session, channel_id, view, after, page, per_page)
    elif before:
        found = await post_lists.get_before(services, session, channel_id, view, before, page, per_page)
    else:
        found = await post_lists.get_page(services, session, channel_id, view, page, per_page)
    return tagged(call, found, found.posts.values())


@route("GET", "/users/{user_id}/channels/{channel_id}/posts/unread")
async def get_unread_posts(call: Call) -> PostList | Raw:
    """List a channel around a member's first unread post; the latest page where there is none."""
    services, session, view = call.services, call.login, _view(call)
    user_id, channel_id = call.path_id("user_id"), call.path_id("channel_id")
    before = call.number("limit_before", PER_PAGE_DEFAULT, high=PER_PAGE_MAX)
    after = call.number("limit_after", PER_PAGE_DEFAULT, high=PER_PAGE_MAX)
    if not after:
        raise url_param("limit_after")
    check_self(session, user_id)
    view.deleted = False
    await post_lists.access_list(services, session, channel_id, view)
    found = await post_lists.get_unread(services, session, channel_id, user_id, view, before, after)
    if found is not None:
        return found
    if await _seen(call, channel_id, view):
        return NOT_MODIFIED
    found = await post_lists.get_page(services, session, channel_id, view, 0, before)
    return tagged(call, found, found.posts.values())


@route("GET", "/posts/{post_id}/thread")
async def get_thread(call: Call) -> PostList | Raw:
    """Get a thread or a stretch of it."""
    post_id, view, page = call.path_id("post_id"), _view(call), _thread_page(call)
    services, session = call.services, call.login
    post, channel = await posts.access_post(services, session, post_id, deleted=view.deleted)
    if await _seen(call, channel.id, view):
        return NOT_MODIFIED
    found = await post_lists.get_thread(services, session, post, view, page)
    return tagged(call, found, found.posts.values())


def _thread_page(call: Call) -> ThreadPage:
    """Return the stretch of a thread that a query names. Raises: 400 for a bad cursor."""
    direction, from_post = call.query("direction"), call.query("fromPost")
    if direction not in ("", "up", "down"):
        raise body_param("direction")
    created, updated = (
        _time(call.query("fromCreateAt"), "fromCreateAt"),
        _time(call.query("fromUpdateAt"), "fromUpdateAt"),
    )
    if from_post:
        post_lists.check_cursor(from_post, "fromPost")
        if not created and not updated:
            raise body_param("fromPost")
    if created and updated:
        raise body_param("fromCreateAt")
    updates_only, up = call.flag("updatesOnly"), direction == "up"
    if updates_only and (up or not updated):
        raise body_param("updatesOnly")
    # Going up from a time without a post starts below all posts of that time, going down above them.
    edge = "" if up else "~"
    at = updated if updates_only else created
    return ThreadPage(
        limit=call.number("perPage", 0, high=PER_PAGE_MAX) or None,
        position=(at, from_post or edge) if at else None,
        up=up,
        updates=updates_only,
        alone=call.flag("skipFetchThreads"),
    )


def _time(text: str, name: str) -> int:
    """Return a time of a query in ms, 0 if it is not there or negative. Raises: 400 if it is no whole number."""
    digits = text.removeprefix("-")
    if not text:
        return 0
    if len(digits) > 16 or not (digits.isascii() and digits.isdigit()):
        raise body_param(name)
    return max(0, int(text))


async def _seen(call: Call, channel_id: str, view: View) -> bool:
    """Tell whether the client has this very list. Participants as users change without the channel: no tag then."""
    if view.extended:
        return False
    return call.not_modified(await post_lists.version(call.services, call.login, channel_id, view))
