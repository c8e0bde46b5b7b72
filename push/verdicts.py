"""What a provider's answer means for a push: one table per provider, and the rules that read them. No I/O, no clock.

Every answer ends in one of four: sent, retry, remove the device, an operator must act. What no row names is decided by
its status: 5xx and 429 are tried again, everything else needs an operator.
"""

from dataclasses import dataclass
from enum import Enum

import msgspec


class Action(Enum):
    """What becomes of a push."""

    SENT = "sent"
    RETRY = "retry"
    REMOVE = "remove"
    OPERATOR = "operator"  # nothing that we do alone helps: it goes to the dead letters, or the target pauses


@dataclass(frozen=True)
class Verdict:
    """reason: the provider's word, a metric's label and safe to show. answer: its text, for dead letters.

    after_s: not before; 0: as the back-off says. pause: the target is broken, not the push: it stays queued and the
    target rests. renew: the credentials are stale. ill: counts against the provider's health. shorten: the push is too
    large. removed_at: ms; the device was gone by then. unanswered: no answer came at all; `answer` says why.
    """

    action: Action
    reason: str = ""
    answer: str = ""
    after_s: float = 0.0
    pause: bool = False
    renew: bool = False
    ill: bool = False
    shorten: bool = False
    removed_at: int = 0
    unanswered: bool = False


@dataclass(frozen=True)
class Row:
    """A verdict without what comes from the answer itself."""

    action: Action
    after_s: float = 0.0
    pause: bool = False
    renew: bool = False
    ill: bool = False
    shorten: bool = False

    def verdict(self, reason: str, answer: str = "", after_s: float = 0.0, removed_at: int = 0) -> Verdict:
        """Return the verdict. after_s: what the provider asks for; it wins."""
        return Verdict(
            self.action,
            reason,
            answer[:500],
            after_s or self.after_s,
            self.pause,
            self.renew,
            self.ill,
            self.shorten,
            removed_at,
        )


SENT = Verdict(Action.SENT)
_REMOVE = Row(Action.REMOVE)
_FAULT = Row(Action.OPERATOR)  # of this push: dead letter
_BROKEN = Row(Action.OPERATOR, pause=True)  # of the target: it rests, and nothing is lost
_LATER = Row(Action.RETRY)
_ILL = Row(Action.RETRY, ill=True)

# By reason; a reason means one thing whatever its status. Source: Apple, "Handling notification responses from APNs".
APNS = {
    "BadDeviceToken": _REMOVE,
    "DeviceTokenNotForTopic": _REMOVE,
    "MissingDeviceToken": _REMOVE,
    "Unregistered": _REMOVE,
    "ExpiredToken": _REMOVE,
    "BadCollapseId": _FAULT,
    "BadExpirationDate": _FAULT,
    "BadMessageId": _FAULT,
    "BadPath": _FAULT,
    "BadPriority": _FAULT,
    "BadTopic": _FAULT,
    "DuplicateHeaders": _FAULT,
    "InvalidPushType": _FAULT,
    "MethodNotAllowed": _FAULT,
    "MissingTopic": _FAULT,
    "PayloadEmpty": _FAULT,
    "PayloadTooLarge": Row(Action.OPERATOR, shorten=True),
    "TopicDisallowed": _FAULT,
    "IdleTimeout": _LATER,
    "ExpiredProviderToken": Row(Action.RETRY, renew=True),
    "InvalidProviderToken": _BROKEN,
    "MissingProviderToken": _BROKEN,
    "BadCertificate": _BROKEN,
    "BadCertificateEnvironment": _BROKEN,
    "Forbidden": _BROKEN,
    "BadEnvironmentKeyIdInToken": _BROKEN,
    "UnrelatedKeyIdInToken": _BROKEN,
    "TooManyRequests": Row(Action.RETRY, after_s=10),  # for this device alone
    "TooManyProviderTokenUpdates": Row(Action.RETRY, after_s=30, ill=True),
    "InternalServerError": _ILL,
    "ServiceUnavailable": _ILL,
    "Shutdown": _ILL,
}

# By FcmError's errorCode, else by error.status. Source: Google, "FCM error codes".
FCM = {
    "UNREGISTERED": _REMOVE,
    "SENDER_ID_MISMATCH": _REMOVE,
    "INVALID_ARGUMENT": _FAULT,
    # Google: without a Retry-After wait a minute.
    "QUOTA_EXCEEDED": Row(Action.RETRY, after_s=60),
    "RESOURCE_EXHAUSTED": Row(Action.RETRY, after_s=60),
    "UNAVAILABLE": Row(Action.RETRY, after_s=10, ill=True),
    "INTERNAL": Row(Action.RETRY, after_s=10, ill=True),
    "UNAUTHENTICATED": Row(Action.RETRY, renew=True),
    "THIRD_PARTY_AUTH_ERROR": _BROKEN,
    "PERMISSION_DENIED": _BROKEN,
    "NOT_FOUND": _BROKEN,  # the project; a device that is gone is UNREGISTERED
}

# By status. Source: RFC 8030 5, 7.3; RFC 8292 4.2; services' own documents.
WEBPUSH = {
    404: _REMOVE,
    410: _REMOVE,
    400: _FAULT,
    401: _FAULT,  # of one subscription, made for another key: other endpoints work
    403: _FAULT,
    413: Row(Action.OPERATOR, shorten=True),
    429: Row(Action.RETRY, after_s=10),
}


class _ApnsError(msgspec.Struct):
    reason: str = ""
    timestamp: int = 0


class _Violation(msgspec.Struct):
    field: str = ""


class _Detail(
    msgspec.Struct, rename={"type": "@type", "error_code": "errorCode", "violations": "fieldViolations"}
):
    type: str = ""
    error_code: str = ""
    violations: list[_Violation] = []


class _Status(msgspec.Struct):
    status: str = ""
    message: str = ""
    details: list[_Detail] = []


class _FcmError(msgspec.Struct):
    error: _Status = msgspec.field(default_factory=_Status)


_read_apns = msgspec.json.Decoder(_ApnsError).decode
_read_fcm = msgspec.json.Decoder(_FcmError).decode


def of_status(status: int) -> Row:
    """Return what a status means when nothing else is known."""
    if 500 <= status < 600:
        return _ILL
    return _LATER if status == 429 else _FAULT


def unreachable(reason: str, why: str = "") -> Verdict:
    """Return the verdict on a push that got no answer: reset, refused, timed out."""
    return Verdict(Action.RETRY, reason, why, ill=True, unanswered=True)


def apns(status: int, body: bytes, retry_after: str | None) -> Verdict:
    """Return Apple's verdict."""
    if status == 200:
        return SENT
    try:
        error = _read_apns(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _ApnsError()
    row = APNS.get(error.reason) or of_status(status)
    # Apple's words are labels of metrics: what is not one of them must not become one.
    reason = error.reason if error.reason in APNS else f"HTTP {status}"
    return row.verdict(reason, _text(body), _seconds(retry_after), error.timestamp if status == 410 else 0)


def fcm(status: int, body: bytes, retry_after: str | None) -> Verdict:
    """Return Google's verdict."""
    if status == 200:
        return SENT
    try:
        error = _read_fcm(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Status()
    code = next((detail.error_code for detail in error.details if detail.error_code), error.status)
    row = FCM.get(code) or of_status(status)
    if code == "INVALID_ARGUMENT" and any(
        violation.field == "message.token" for detail in error.details for violation in detail.violations
    ):
        row = _REMOVE
    return row.verdict(code if code in FCM else f"HTTP {status}", _text(body), _seconds(retry_after))


def webpush(status: int, body: bytes, retry_after: str | None) -> Verdict:
    """Return a push service's verdict. Source: RFC 8030 5: 201, or 202 and 200 of older services."""
    if status in (200, 201, 202):
        return SENT
    row = WEBPUSH.get(status) or of_status(status)
    return row.verdict(f"HTTP {status}", _text(body), _seconds(retry_after))


class _ProxyAnswer(msgspec.Struct):
    status: str = ""
    error: str = ""


_read_proxy = msgspec.json.Decoder(_ProxyAnswer).decode


def proxy(status: int, body: bytes, retry_after: str | None) -> Verdict:
    """Return the verdict of another push proxy. Source: mattermost-push-proxy, answers of /api/v1/send_push."""
    try:
        answer = _read_proxy(body) if status == 200 else _ProxyAnswer()
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = _ProxyAnswer()
    if answer.status == "OK":
        return SENT
    if answer.status == "REMOVE":
        return _REMOVE.verdict("REMOVE")
    if answer.status == "FAIL":
        # It has tried itself, and does not say whether trying again would help; a wrong target does not get right.
        return _FAULT.verdict("FAIL", answer.error)
    row = of_status(status) if status != 200 else _FAULT
    return row.verdict(f"HTTP {status}", _text(body), _seconds(retry_after))


# Two hours: who asks for more is ill, and our age limits end the push before.
_LONGEST_S = 7_200


def _seconds(retry_after: str | None) -> float:
    """Return Retry-After's seconds; 0 for none and for a date, which no provider here sends."""
    if retry_after is None or not retry_after.strip().isdecimal() or len(retry_after) > 9:
        return 0.0
    return float(min(int(retry_after), _LONGEST_S))


def _text(body: bytes) -> str:
    return body[:500].decode(errors="replace")
