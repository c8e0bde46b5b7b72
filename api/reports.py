"""Reports on accounts for administrators. Rules are in tidewire.actions.reports."""

from api.call import Call
from api.routing import route
from tidewire.actions import people, reports
from tidewire.actions.reports import SIZE_DEFAULT, UserReport
from tidewire.store.reports import Reported
from tidewire.wire.errors import url_param
from tidewire.wire.ids import is_id


def _wanted(call: Call) -> Reported:
    team_id, role = call.query("team_filter"), call.query("role_filter")
    if team_id and not is_id(team_id):
        raise url_param("team_filter")
    if role and not people.are_roles([role]):
        raise url_param("role_filter")
    active, inactive = call.flag("hide_inactive"), call.flag("hide_active")
    if active and inactive:
        raise url_param("hide_active")
    return Reported(
        role, team_id, call.flag("has_no_team"), active, inactive, reports.term(call.query("search_term"))
    )


@route("GET", "/reports/users")
async def report_users(call: Call) -> list[UserReport]:
    """Accounts by a column, a page behind or before one of them."""
    from_id, size = call.query("from_id"), call.query("page_size")
    if from_id and not is_id(from_id):
        raise url_param("from_id")
    return await reports.list_users(
        call.services,
        call.login,
        _wanted(call),
        column=call.query("sort_column") or "Username",
        after=(call.query("from_column_value"), from_id),
        down=call.query("sort_direction") == "desc",
        back=call.query("direction") == "prev",
        size=call.number("page_size", -1) if size else SIZE_DEFAULT,
        date_range=call.query("date_range"),
    )


@route("GET", "/reports/users/count")
async def count_users(call: Call) -> int:
    """How many accounts there are of those."""
    return await reports.count_users(call.services, call.login, _wanted(call))
