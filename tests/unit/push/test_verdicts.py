"""Each row of the tables: what a provider's answer means."""

import json

import pytest

from push import verdicts
from push.verdicts import APNS, FCM, WEBPUSH, Action, Verdict

SENT, RETRY, REMOVE, OPERATOR = Action.SENT, Action.RETRY, Action.REMOVE, Action.OPERATOR
PAUSE = "pause"

# status, reason, action, what else it says
APPLE = [
    (400, "BadDeviceToken", REMOVE, ""),
    (400, "DeviceTokenNotForTopic", REMOVE, ""),
    (400, "MissingDeviceToken", REMOVE, ""),
    (410, "Unregistered", REMOVE, ""),
    (410, "ExpiredToken", REMOVE, ""),
    (400, "BadCollapseId", OPERATOR, ""),
    (400, "BadExpirationDate", OPERATOR, ""),
    (400, "BadMessageId", OPERATOR, ""),
    (404, "BadPath", OPERATOR, ""),
    (400, "BadPriority", OPERATOR, ""),
    (400, "BadTopic", OPERATOR, ""),
    (400, "DuplicateHeaders", OPERATOR, ""),
    (400, "InvalidPushType", OPERATOR, ""),
    (405, "MethodNotAllowed", OPERATOR, ""),
    (400, "MissingTopic", OPERATOR, ""),
    (400, "PayloadEmpty", OPERATOR, ""),
    (413, "PayloadTooLarge", OPERATOR, "shorten"),
    (400, "TopicDisallowed", OPERATOR, ""),
    (400, "IdleTimeout", RETRY, ""),
    (403, "ExpiredProviderToken", RETRY, "renew"),
    (403, "InvalidProviderToken", OPERATOR, PAUSE),
    (403, "MissingProviderToken", OPERATOR, PAUSE),
    (403, "BadCertificate", OPERATOR, PAUSE),
    (403, "BadCertificateEnvironment", OPERATOR, PAUSE),
    (403, "Forbidden", OPERATOR, PAUSE),
    (403, "BadEnvironmentKeyIdInToken", OPERATOR, PAUSE),
    (403, "UnrelatedKeyIdInToken", OPERATOR, PAUSE),
    (429, "TooManyRequests", RETRY, ""),
    (429, "TooManyProviderTokenUpdates", RETRY, "ill"),
    (500, "InternalServerError", RETRY, "ill"),
    (503, "ServiceUnavailable", RETRY, "ill"),
    (503, "Shutdown", RETRY, "ill"),
]
GOOGLE = [
    (404, "UNREGISTERED", REMOVE, ""),
    (403, "SENDER_ID_MISMATCH", REMOVE, ""),
    (400, "INVALID_ARGUMENT", OPERATOR, ""),
    (429, "QUOTA_EXCEEDED", RETRY, ""),
    (429, "RESOURCE_EXHAUSTED", RETRY, ""),
    (503, "UNAVAILABLE", RETRY, "ill"),
    (500, "INTERNAL", RETRY, "ill"),
    (401, "UNAUTHENTICATED", RETRY, "renew"),
    (401, "THIRD_PARTY_AUTH_ERROR", OPERATOR, PAUSE),
    (403, "PERMISSION_DENIED", OPERATOR, PAUSE),
    (404, "NOT_FOUND", OPERATOR, PAUSE),
]
BROWSERS = [
    (200, SENT, ""),
    (201, SENT, ""),
    (202, SENT, ""),
    (404, REMOVE, ""),
    (410, REMOVE, ""),
    (400, OPERATOR, ""),
    (401, OPERATOR, ""),
    (403, OPERATOR, ""),
    (413, OPERATOR, "shorten"),
    (429, RETRY, ""),
    (500, RETRY, "ill"),
    (503, RETRY, "ill"),
    (301, OPERATOR, ""),
]


def also(verdict: Verdict) -> str:
    return " ".join(name for name in ("pause", "renew", "ill", "shorten") if getattr(verdict, name))


@pytest.mark.parametrize(("status", "reason", "action", "more"), APPLE)
def test_apple(status: int, reason: str, action: Action, more: str) -> None:
    body = json.dumps({"reason": reason, "timestamp": 5}).encode()
    verdict = verdicts.apns(status, body, "7")
    assert (verdict.action, verdict.reason, also(verdict)) == (action, reason, more)
    assert verdict.after_s >= 7 and reason in verdict.answer
    assert verdict.removed_at == (5 if status == 410 else 0)


@pytest.mark.parametrize(("status", "code", "action", "more"), GOOGLE)
def test_google(status: int, code: str, action: Action, more: str) -> None:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    detailed = {"error": {"status": "OTHER", "details": [{"@type": kind, "errorCode": code}]}}
    plain = {"error": {"status": code}}
    for error in (detailed, plain):
        verdict = verdicts.fcm(status, json.dumps(error).encode(), None)
        assert (verdict.action, verdict.reason, also(verdict)) == (action, code, more)


@pytest.mark.parametrize(("status", "action", "more"), BROWSERS)
def test_browsers(status: int, action: Action, more: str) -> None:
    verdict = verdicts.webpush(status, b"", None)
    assert (verdict.action, also(verdict)) == (action, more)


def test_each_row_is_tested() -> None:
    assert {reason for _, reason, _, _ in APPLE} == set(APNS)
    assert {code for _, code, _, _ in GOOGLE} == set(FCM)
    assert {status for status, _, _ in BROWSERS} >= set(WEBPUSH)


@pytest.mark.parametrize(
    ("status", "action", "more"),
    [(500, RETRY, "ill"), (429, RETRY, ""), (400, OPERATOR, ""), (302, OPERATOR, "")],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"reason": "New"}', b'{"error": {"status": "NEW"}}', b"\xff"]
)
def test_what_no_row_names_goes_by_its_status(status: int, action: Action, more: str, body: bytes) -> None:
    for verdict in (verdicts.apns(status, body, None), verdicts.fcm(status, body, None)):
        assert (verdict.action, also(verdict), verdict.reason) == (action, more, f"HTTP {status}")


def test_a_malformed_token_of_google_is_removed() -> None:
    violation = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "message.token"}],
    }
    error = {"error": {"status": "INVALID_ARGUMENT", "details": [violation]}}
    assert verdicts.fcm(400, json.dumps(error).encode(), None).action is REMOVE


def test_googles_own_time_wins_over_the_minute() -> None:
    body = json.dumps({"error": {"status": "QUOTA_EXCEEDED"}}).encode()
    assert verdicts.fcm(429, body, None).after_s == 60
    assert verdicts.fcm(429, body, "3").after_s == 3


@pytest.mark.parametrize(
    ("status", "body", "action", "reason"),
    [
        (200, b'{"status":"OK"}\n', SENT, ""),
        (200, b'{"status":"REMOVE"}', REMOVE, "REMOVE"),
        (200, b'{"status":"FAIL","error":"no target"}', OPERATOR, "FAIL"),
        (200, b"<html>a login page", OPERATOR, "HTTP 200"),
        (429, b"limit exceeded", RETRY, "HTTP 429"),
        (503, b"", RETRY, "HTTP 503"),
        (404, b"", OPERATOR, "HTTP 404"),
    ],
)
def test_another_proxy(status: int, body: bytes, action: Action, reason: str) -> None:
    verdict = verdicts.proxy(status, body, "4")
    assert (verdict.action, verdict.reason) == (action, reason)


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, 0), ("5", 5), ("-1", 0), ("9" * 12, 0), ("x", 0), ("99999", 7200)]
)
def test_retry_after_is_bounded(header: str | None, seconds: float) -> None:
    assert verdicts.webpush(503, b"", header).after_s == seconds
