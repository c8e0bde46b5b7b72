"""What administrators ask and do beside the configuration: figures, logs, tests, onboarding, the cluster."""

from typing import Any
from zoneinfo import available_timezones

import structlog
from msgspec import Struct

from api.call import Call
from api.routing import OK, route
from tidewire import log
from tidewire.actions import console, file_store_trial, permissions, statistics
from tidewire.actions.statistics import AnalyticsRow
from tidewire.wire.ancillary import with_ancillary
from tidewire.wire.config import flatten
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id

LOGS_PER_PAGE = 10_000
CLIENT_MESSAGE_MAX = 400
_log = structlog.get_logger("client")


class SystemValue(Struct):
    """Mattermost API v4, System."""

    name: str
    value: str


class ClientLog(Struct):
    """What a client wants to have logged."""

    level: str = ""
    message: str = ""


class SiteUrl(Struct):
    """Which address to try."""

    site_url: str = ""


@route("GET", "/system/timezones")
async def timezones(call: Call) -> list[str]:
    """Names of time zones, as the time zone database has them."""
    return _ZONES


_ZONES = sorted(
    name for name in available_timezones() if "/" in name and not name.startswith(("posix/", "right/"))
)


@route("PUT", "/system/notices/view")
async def notices_viewed(call: Call) -> bytes:
    """There are no notices: nothing is to be remembered."""
    await call.id_list()
    return OK


@route("GET", "/system/onboarding/complete")
async def onboarding(call: Call) -> SystemValue:
    """Whether the first administrator has finished the tour."""
    return SystemValue(console.ONBOARDING, await console.is_onboarded(call.services, call.login))


@route("POST", "/system/onboarding/complete")
async def onboarded(call: Call) -> bytes:
    """The tour is finished. There are no plugins to install."""
    await call.body(dict[str, Any])
    await console.do_onboard(call.services, call.login)
    return OK


@route("GET", "/analytics/old")
async def analytics(call: Call) -> list[AnalyticsRow]:
    """Figures of a team or of everything."""
    team_id = call.query("team_id")
    if team_id and not is_id(team_id):
        raise body_param("team_id")
    return await statistics.get_analytics(call.services, call.login, call.query("name", "standard"), team_id)


@route("GET", "/usage/posts")
async def usage_posts(call: Call) -> dict[str, int]:
    """About how many posts there are."""
    return {"count": await statistics.rough_posts(call.services)}


@route("GET", "/usage/storage")
async def usage_storage(call: Call) -> dict[str, int]:
    """How many bytes the files have together."""
    return {"bytes": await statistics.storage_bytes(call.services)}


@route("GET", "/logs")
async def logs(call: Call) -> list[str]:
    """The last log lines of the worker that answers, oldest first; other processes keep their own."""
    permissions.check_system(call.login, "get_logs")
    per_page = call.number("logs_per_page", LOGS_PER_PAGE, high=LOGS_PER_PAGE)
    end = len(log.tail) - call.number("page", 0) * per_page
    return list(log.tail)[max(0, end - per_page) : max(0, end)]


@route("POST", "/logs", session=False)
async def client_log(call: Call) -> ClientLog:
    """Log what a client says, one line, shortened; strangers may only while developers are at work."""
    if call.session is None and not call.services.config.flag("ServiceSettings.EnableDeveloper"):
        raise forbidden()
    said: ClientLog = await call.body(ClientLog)
    said.level, said.message = said.level[:16], said.message[:CLIENT_MESSAGE_MAX]
    admin = call.session is not None and permissions.has_system(call.session, "manage_system")
    # Only an administrator's client can make the log cry.
    write = _log.error if admin and said.level.upper() == "ERROR" else _log.info
    write("client says", level_said=said.level, said=said.message)
    return said


@route("POST", "/caches/invalidate")
async def invalidate_caches(call: Call) -> bytes:
    """Make every worker forget its cached rows."""
    await console.do_invalidate_caches(call.services, call.login)
    return OK


@route("POST", "/email/test")
async def test_email(call: Call) -> bytes:
    """Send the caller a message by the given mail server, or by the one that is configured."""
    permissions.check_system(call.login, "test_email")
    await console.do_test_email(call.services, call.login, await _given(call))
    return OK


async def _given(call: Call) -> dict[str, Any]:
    """Return the configuration of the body, flat. Raises: 400."""
    given = await call.body(dict[str, Any], "config")
    try:
        return flatten(given)
    except ValueError as error:
        raise body_param("config") from error


@route("POST", "/file/s3_test")
async def test_s3(call: Call) -> bytes:
    """Try the S3 of the given configuration, or with an empty body the one that is configured."""
    permissions.check_system(call.login, "test_s3")
    empty = not call.req.content_length and not call.header("Transfer-Encoding")
    given = {} if empty else await _given(call)
    await file_store_trial.do_test_s3(call.services, call.login, given)
    return OK


@route("POST", "/site_url/test")
async def test_site_url(call: Call) -> bytes:
    """Try whether this server is found at an address."""
    wanted = await call.body(SiteUrl)
    if not wanted.site_url:
        raise body_param("site_url")
    await console.do_test_site_url(call.login, wanted.site_url)
    return OK


@route("GET", "/cluster/status")
async def cluster_status(call: Call) -> list[str]:
    """Nodes do not know each other: none is named."""
    permissions.check_system(call.login, "sysconsole_read_environment_high_availability")
    return []


@route("GET", "/data_retention/policy")
async def retention_policy(call: Call) -> None:
    """Posts are kept."""
    raise AppError("ent.data_retention.generic.license.error", 501, "Posts are kept for ever.")


@route("POST", "/permissions/ancillary")
async def ancillary(call: Call) -> list[str]:
    """The permissions, with those that the console needs beside them."""
    return with_ancillary(await call.id_list())
