"""The one place where errors become answers, in the contract's body. Nothing of the inside is shown."""

import msgspec
import structlog

from tidewire.wire.errors import TEXTS, AppError, Unavailable
from tidewire.wire.oauth import OAuthFault

LIMITED_RETRY_S = 1  # Mattermost API v4: seconds until a limited caller may try again
log = structlog.get_logger("api")


class ErrorBody(msgspec.Struct):
    """Mattermost API v4, error body."""

    id: str
    message: str
    detailed_error: str
    request_id: str
    status_code: int


class OAuthErrorBody(ErrorBody):
    """The same with what OAuth clients read (RFC 6749 5.2)."""

    error: str
    error_description: str


class ErrorView(msgspec.Struct):
    """An error beside others in a list: AppError's shape without a request of its own."""

    id: str
    message: str
    detailed_error: str
    status_code: int


def view_of(error: AppError | None) -> ErrorView | None:
    """Return an error as a member of a list, or None."""
    return None if error is None else ErrorView(error.id, error.message, "", error.status)


def describe(error: Exception, request_id: str, route: str) -> tuple[ErrorBody, int]:
    """Return (body, seconds for Retry-After or 0).

    What is neither the caller's nor a dependency's fault is our bug: logged, 500.
    """
    if isinstance(error, OAuthFault):
        body = OAuthErrorBody(error.id, error.message, "", request_id, error.status, error.code, error.message)
        return body, 0
    if isinstance(error, AppError):
        wait_s = LIMITED_RETRY_S if error.status == 429 else 0
        return ErrorBody(error.id, error.message, "", request_id, error.status), wait_s
    if isinstance(error, Unavailable):
        log.warning("unavailable", service=error.service, route=route, request_id=request_id)
        busy = "api.context.server_busy.app_error"
        return ErrorBody(busy, TEXTS[busy], "", request_id, 503), error.retry_after_s
    log.error("request failed", route=route, request_id=request_id, exc_info=error)
    return ErrorBody("api.context.internal.app_error", "Internal server error.", "", request_id, 500), 0
