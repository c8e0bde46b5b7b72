"""Lists of accounts for administrators, sorted and filtered. Source: Mattermost API v4, "Get users for reporting".

The posts of each are not counted: members that the contract leaves out where they are unknown.
"""

from msgspec.structs import asdict

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.store import reports, users
from tidewire.store.reports import Reported
from tidewire.wire.errors import AppError
from tidewire.wire.models import Session
from tidewire.wire.views import UserView, admin_view

PERMISSION = "sysconsole_read_user_management_users"
SIZE_DEFAULT, SIZE_MAX = 50, 100
COLUMNS = frozenset({"CreateAt", "Username", "FirstName", "LastName", "Nickname", "Email", "Roles"})
DATE_RANGES = frozenset({"", "alltime", "last30days", "previousmonth", "last6months"})
TERM_MAX = 256


class UserReport(UserView, omit_defaults=True):
    """An account as administrators see it, and when it was last seen."""

    last_status_at: int = 0


async def list_users(
    services: Services,
    session: Session,
    wanted: Reported,
    *,
    column: str,
    after: tuple[str, str],
    down: bool,
    back: bool,
    size: int,
    date_range: str,
) -> list[UserReport]:
    """Return the accounts behind one; back: those before it, nearest last, as they stand on a page.

    Raises: 400 for an unknown column or range of dates, or a size that is none; 403.
    """
    permissions.check_system(session, PERMISSION)
    if not 1 <= size <= SIZE_MAX:
        raise AppError(
            "api.getUsersForReporting.invalid_page_size", 400, "Page size is invalid or too large."
        )
    if date_range not in DATE_RANGES:
        raise AppError("model.reporting_base_options.is_valid.bad_date_range", 400, "Invalid date range.")
    if column not in COLUMNS:
        raise AppError("model.user_report_options.is_valid.invalid_sort_column", 400, "Invalid sort column.")
    found = await reports.page(services.db, wanted, column=column, after=after, down=down != back, limit=size)
    known = {user.id: user for user in await users.by_ids(services.db, [user_id for user_id, _ in found])}
    page = [
        UserReport(**asdict(admin_view(known[user_id])), last_status_at=seen)
        for user_id, seen in found
        if user_id in known
    ]
    return page[::-1] if back else page


async def count_users(services: Services, session: Session, wanted: Reported) -> int:
    """Return how many accounts the filter lets through. Raises: 403."""
    permissions.check_system(session, PERMISSION)
    return await reports.count(services.db, wanted)


def term(text: str) -> str:
    """Return what is searched for."""
    return text.strip().lstrip("@").lower()[:TERM_MAX]
