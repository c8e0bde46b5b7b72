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
UNCOUNTED = -1  # the contract's value for what a large installation does not count


class AnalyticsRow(Struct):
    """One figure; `name` is what is counted, or a day."""

    name: str
    value: int


async def get_analytics(services: Services, session: Session, name: str, team_id: str) -> list[AnalyticsRow]:
    """Return the figures of one kind. team_id: "" is the whole installation. Raises: 400 for an unknown kind, 403."""
    permissions.check_system(session, "get_analytics")
    now = now_ms()
    if name in ("post_counts_day", "user_counts_with_posts_day"):
        days = await statistics.posts_by_day(services.db, team_id, now - 31 * DAY_MS)
        return [
            AnalyticsRow(day, posts if name == "post_counts_day" else users) for day, posts, users in days
        ]
    if name not in ("standard", "extra_counts"):
        raise body_param("name")
    places = await statistics.places(services.db, team_id, now)
    if name == "extra_counts":
        nothing = ("file_post_count", "hashtag_post_count", "incoming_webhook_count", "outgoing_webhook_count",
                   "command_count")  # fmt: skip
        return [*(AnalyticsRow(key, 0) for key in nothing), AnalyticsRow("session_count", places["sessions"])]
    people = await statistics.people(services.db, team_id, now - DAY_MS, now - 30 * DAY_MS)
    small = people["users"] <= services.config.number("AnalyticsSettings.MaxUsersForStatistics")
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
