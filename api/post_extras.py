"""What stands beside posts: old versions, saved ones, reminders, ephemeral ones. Source: Mattermost API v4, posts."""

from msgspec import Struct

from api.call import Call
from api.routing import OK, Created, route
from tidewire.actions import ephemeral, permissions, post_info, post_lists, post_versions, reminders
from tidewire.actions.ephemeral import NewEphemeral
from tidewire.actions.post_info import PostInfo
from tidewire.wire.errors import AppError
from tidewire.wire.models import Post, PostList


class ReminderTime(Struct):
    """When to remind, s since 1970."""

    target_time: int = 0


@route("POST", "/posts/ephemeral")
async def create_ephemeral(call: Call) -> Created:
    """Show a post to one user, without keeping it."""
    new: NewEphemeral = await call.body(NewEphemeral)
    return Created(await ephemeral.do_create(call.services, call.login, new))


@route("GET", "/posts/{post_id}/edit_history")
async def get_edit_history(call: Call) -> list[Post]:
    """List the versions that edits replaced, newest first; for the author."""
    return await post_versions.list_versions(call.services, call.login, call.path_id("post_id"))


@route("POST", "/posts/{post_id}/restore/{restore_version_id}")
async def restore_version(call: Call) -> Post:
    """Give a post the words of an old version."""
    post_id, version_id = call.path_id("post_id"), call.path_id("restore_version_id")
    return await post_versions.do_restore(call.services, call.login, post_id, version_id)


@route("GET", "/posts/{post_id}/info")
async def get_info(call: Call) -> PostInfo:
    """Tell where a post stands and whether the caller is there."""
    return await post_info.get_info(call.services, call.login, call.path_id("post_id"))


@route("GET", "/users/{user_id}/posts/flagged")
async def get_saved(call: Call) -> PostList:
    """List the posts that a user saved, newest first, of a team or a channel where named."""
    user_id, team_id, channel_id = call.path_id("user_id"), call.query("team_id"), call.query("channel_id")
    permissions.check_self(call.login, user_id)
    page, per_page = call.paging()
    return await post_lists.get_saved(
        call.services, call.login, user_id, team_id=team_id, channel_id=channel_id, page=page, per_page=per_page
    )


@route("POST", "/users/{user_id}/posts/{post_id}/reminder")
async def set_reminder(call: Call) -> bytes:
    """Remind the user of a post at a time."""
    user_id, post_id = call.path_id("user_id"), call.path_id("post_id")
    at: ReminderTime = await call.body(ReminderTime)
    await reminders.do_set_reminder(call.services, call.login, user_id, post_id, at.target_time)
    return OK


@route("POST", "/posts/schedule")
async def schedule_post(call: Call) -> Created:
    """Posts are not scheduled here; the answer is that of a server without a licence."""
    raise _not_scheduled()


@route("PUT", "/posts/schedule/{scheduled_post_id}")
async def update_scheduled_post(call: Call) -> Created:
    """Posts are not scheduled here."""
    raise _not_scheduled()


@route("DELETE", "/posts/schedule/{scheduled_post_id}")
async def delete_scheduled_post(call: Call) -> Created:
    """Posts are not scheduled here."""
    raise _not_scheduled()


def _not_scheduled() -> AppError:
    return AppError("api.scheduled_posts.license_error", 400, "Posts cannot be scheduled on this server.")
