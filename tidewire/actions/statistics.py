"""What administrators see of an installation's size. Source: Mattermost API v4, "Get analytics"."""

from math import log10

from msgspec import Struct

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.store import statistics
from tidewire.wire.errors import body_param
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session

DAY_MS = 86_400_000
BY_DAY = frozenset({"post_counts_day", "user_counts_with_posts_day", "bot_post_counts_day"})
UNCOUNTED = -1  # the contract's value for what a large installation does not count


class AnalyticsRow(Struct):
    """One figure; `name` is what is counted, or a day."""

    name: str
    value: int


async def get_analytics(services: Services, session: Session, name: str, team_id: str) -> list[AnalyticsRow]:
    """Return the figures of one kind. team_id: "" is the whole installation. Raises: 400 for an unknown kind, 403."""
    permissions.check_system(session, "get_analytics")
    now = now_ms()
    if name in BY_DAY:
        bots_only = name == "bot_post_counts_day"
        days = await statistics.posts_by_day(services.db, team_id, now - 31 * DAY_MS, bots_only=bots_only)
        return [AnalyticsRow(day, users if name.startswith("user") else posts) for day, posts, users in days]
    if name not in ("standard", "extra_counts"):
        raise body_param("name")
    places = await statistics.places(services.db, team_id, now)
    people = await statistics.people(services.db, team_id, now - DAY_MS, now - 30 * DAY_MS)
    small = people["users"] <= services.config.number("AnalyticsSettings.MaxUsersForStatistics")
    if name == "extra_counts":
        with_files, with_hashtags = (
            await statistics.posts_with(services.db, team_id) if small else (UNCOUNTED, UNCOUNTED)
        )
        programs = await statistics.integrations(services.db, team_id)
        extra = {
            "file_post_count": with_files,
            "hashtag_post_count": with_hashtags,
            "incoming_webhook_count": programs["incoming"],
            "outgoing_webhook_count": programs["outgoing"],
            "command_count": programs["commands"],
            "session_count": places["sessions"],
        }
        return [AnalyticsRow(key, value) for key, value in extra.items()]
    posts = await statistics.posts(services.db, team_id) if small else UNCOUNTED
    figures = {
        "channel_open_count": places["open_channels"],
        "channel_private_count": places["private_channels"],
        "post_count": posts,
        "unique_user_count": people["users"],
        "team_count": places["teams"],
        "total_websocket_connections": UNCOUNTED,
        "total_master_db_connections": services.settings.database.connections,
        "total_read_db_connections": 0,
        "daily_active_users": people["daily"],
        "monthly_active_users": people["monthly"],
        "inactive_user_count": people["inactive"],
    }
    return [AnalyticsRow(key, value) for key, value in figures.items()]


async def rough_posts(services: Services) -> int:
    """Return about how many posts there are, one digit and zeros."""
    count = await statistics.post_estimate(services.db)
    step = 10 ** int(log10(count)) if count else 1
    return count // step * step


async def storage_bytes(services: Services) -> int:
    """Return how many bytes the files have together, at most some seconds old: everybody may ask."""
    size = await services.cache.get("storage in use", lambda: statistics.storage(services.db))
    return size or 0
