"""The one place where errors become answers, in the contract's body. Nothing of the inside is shown."""

from collections import Counter
from collections.abc import Callable
from math import inf
from time import monotonic

import msgspec
import structlog

from tidewire.wire.errors import TEXTS, AppError, Unavailable, why
from tidewire.wire.oauth import OAuthFault

TELL_S = 1.0
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


class Complaints:
    """Says that a service is away, and why: at once, then once in TELL_S with how many requests it concerned."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def add(self, error: Unavailable, route: str, request_id: str) -> None:
        """Take note of a request that was answered 503."""
        now, service = self._clock(), error.service
        if now - self._told_at.get(service, -inf) < TELL_S:
            self._untold[service] += 1
            return
        self._told_at[service] = now
        log.warning(
            "unavailable",
            service=service,
            why=why(error),
            route=route,
            request_id=request_id,
            others_since=self._untold.pop(service, 0),
        )


_complaints = Complaints()


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
        _complaints.add(error, route, request_id)
        busy = "api.context.server_busy.app_error"
        return ErrorBody(busy, TEXTS[busy], "", request_id, 503), error.retry_after_s
    log.error("request failed", route=route, request_id=request_id, exc_info=error)
    return ErrorBody("api.context.internal.app_error", "Internal server error.", "", request_id, 500), 0
