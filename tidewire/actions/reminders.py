"""Reminders of posts: asked for by users, given by the server's own account when their time has come.

Source: Mattermost API v4, "Set a post reminder", posts of type `reminder`.
"""

import asyncio
from time import gmtime, strftime

import structlog

from tidewire.actions import channels, ephemeral, permissions, posts, system_bot
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.loops import again
from tidewire.store import post_extras as store
from tidewire.store import posts as post_store
from tidewire.store.post_extras import Reminder
from tidewire.wire.errors import AppError, Unavailable, body_param
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Post, Session

REMINDERS_MAX = 1000  # of one user
TARGET_MAX = 1 << 40  # s
SWEEP_S = 5.0  # how late a reminder may come
AT_ONCE = 50
# Below the 30 s for which a pending_post_id is remembered: one who takes over a dead worker's reminder repeats nothing.
CLAIM_MS = 20_000

log = structlog.get_logger()


async def do_set_reminder(
    services: Services, session: Session, user_id: str, post_id: str, target_time: int
) -> None:
    """Remember to remind the user of a post at target_time (s), and show him that this was understood.

    Raises: 400, 403; 404 for a post that he may not read.
    """
    permissions.check_self(session, user_id)
    if not now_ms() // 1000 < target_time < TARGET_MAX:
        raise body_param("target_time")
    post, channel = await posts.access_post(services, session, post_id)
    if not await store.put_reminder(
        services.db, Reminder(user_id, post.id, target_time), most=REMINDERS_MAX
    ):
        await posts.access_post(services, session, post_id)  # it may have gone meanwhile
        text = f"More than {REMINDERS_MAX} reminders."
        raise AppError("app.post.set_post_reminder.too_many.app_error", 400, text)
    author = await get_user(services, post.user_id)
    team = await permissions.load_team(services, channel.team_id) if channel.team_id else None
    when = strftime("%d %b %y %H:%M UTC", gmtime(target_time))
    props = {
        "target_time": target_time,
        "team_name": team.name if team else "",
        "post_id": post.id,
        "username": author.username,
        "type": "reminder",
    }
    text = f"You will be reminded of this message from @{author.username} at {when}."
    await ephemeral.show(
        services, user_id, channel.id, text, root_id=post.root_id or post.id, props=props
    )


class ReminderSweep:
    """Gives the reminders that are due. One in each API worker; each reminder is given by one of them."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self, services: Services) -> None:
        """Sweep, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(
            again("reminders", lambda: self._sweep_all(services), SWEEP_S, rest_first=True)
        )

    async def close(self) -> None:
        """Stop sweeping; what was under way is given by another worker."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _sweep_all(self, services: Services) -> None:
        while await sweep(services) == AT_ONCE:
            pass


async def sweep(services: Services) -> int:
    """Give some reminders that are due; return how many. Raises: Unavailable."""
    now = now_ms()
    due = await store.claim_reminders(services.db, now_ms=now, until_ms=now + CLAIM_MS, limit=AT_ONCE)
    for reminder in due:
        try:
            await _give(services, reminder)
        except AppError as error:
            log.warning("a reminder was not given", user_id=reminder.user_id, error_id=error.id)
        except Unavailable:
            raise
        except Exception:  # a bug of ours: this reminder would be the first of each later sweep
            log.exception("a reminder was not given", user_id=reminder.user_id, post_id=reminder.post_id)
        await store.delete_reminder(services.db, reminder)
    return len(due)


async def _give(services: Services, reminder: Reminder) -> None:
    """Write to the user, unless the post or his right to it is gone."""
    found = await post_store.load(services.db, [reminder.post_id])
    user = await get_user(services, reminder.user_id)
    if not found or user.delete_at:
        return
    if not await permissions.channel_roles(services, found[0].channel_id, user.id):
        return
    channel = await permissions.load_channel(services, found[0].channel_id)
    team = await permissions.load_team(services, channel.team_id) if channel and channel.team_id else None
    author = await get_user(services, found[0].user_id)
    team_name = team.name if team else ""
    place = f"/{team_name}" if team_name else ""
    link = f"{services.config.text('ServiceSettings.SiteURL').rstrip('/')}{place}/pl/{found[0].id}"
    bot = await system_bot.get_system_bot(services)
    home = await channels.open_direct(services, bot.id, [bot.id, user.id])
    now = now_ms()
    post = Post(
        new_id(now),
        home.id,
        bot.id,
        now,
        now,
        message=f"Here is your reminder of this message from @{author.username}: {link}",
        type="reminder",
        props={"username": author.username, "team_name": team_name, "post_id": found[0].id},
        pending_post_id=f"{reminder.post_id}:{reminder.target_time}",  # of a worker that died: not again
    )
    session = permissions.acting_as(services, bot)
    await posts.do_write(services, session, home, post, bot.username, root=None)
