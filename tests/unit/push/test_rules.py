"""Breaker, back-off, ages, throttle, guard: rules without a clock of their own."""

from uuid import RFC_4122, UUID

import pytest

from push.breaker import FIRST_REST_S, LONGEST_REST_S, PAUSE_S, TRIP_AFTER, Breaker
from push.policy import Ages, backoff_s
from push.providers.apns import GUARD_DEVICES, GUARD_LEAST, Guard
from push.throttle import Throttle
from tidewire.wire.push import Notification, new_job


def test_a_breaker_opens_after_failures_in_a_row_and_closes_after_one_success() -> None:
    breaker = Breaker()
    for _ in range(TRIP_AFTER - 1):
        assert not breaker.failed(0)
    assert not breaker.ok()
    for _ in range(TRIP_AFTER - 1):
        assert not breaker.failed(0)
    assert breaker.room(0, 3, 10) == 7
    assert breaker.failed(0)
    assert not breaker.closed and breaker.room(0.5, 0, 10) == 0
    assert breaker.room(FIRST_REST_S, 0, 10) == 1  # a probe …
    assert breaker.room(FIRST_REST_S, 1, 10) == 0  # … and one only
    assert breaker.ok() and breaker.closed and breaker.wait_s(FIRST_REST_S) == 0


def test_a_probe_that_fails_doubles_the_rest_up_to_a_limit() -> None:
    breaker, now, rests = Breaker(), 0.0, []
    for _ in range(TRIP_AFTER):
        breaker.failed(now)
    for _ in range(8):
        rests.append(breaker.wait_s(now))
        now += rests[-1]
        assert breaker.failed(now)
        assert not breaker.failed(now)  # what began before does not count
    assert rests == [1, 2, 4, 8, 16, LONGEST_REST_S, LONGEST_REST_S, LONGEST_REST_S]


def test_a_pause_opens_at_once() -> None:
    breaker = Breaker()
    assert breaker.pause(5) and not breaker.pause(6)
    assert breaker.room(5 + PAUSE_S - 0.1, 0, 10) == 0 and breaker.room(6 + PAUSE_S, 0, 10) == 1


def test_backoff_grows_with_jitter_up_to_five_minutes() -> None:
    for attempt, longest in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (1000, 300)]:
        waits = {backoff_s(attempt) for _ in range(50)}
        assert all(longest / 2 <= wait <= longest for wait in waits) and len(waits) > 10


@pytest.mark.parametrize(
    ("kind", "delay_s", "may"),
    [("message", 3599, True), ("message", 3601, False), ("clear", 299, True), ("clear", 301, False),
     ("update_badge", 301, False), ("session", 3599, True), ("test", 0, False)],
)  # fmt: skip
def test_what_may_be_tried_again(kind: str, delay_s: float, may: bool) -> None:
    job = new_job(Notification(type=kind, platform="apple"), provider="apns")
    assert Ages().may_retry(job, delay_s, job.created_at) is may


def test_a_caller_gets_his_rate_and_his_burst() -> None:
    throttle = Throttle(10, 4, 100)
    answers = [throttle.take("a", 100.0) for _ in range(7)]
    assert [answer.remaining for answer in answers] == [4, 3, 2, 1, 0, 0, 0]
    assert [answer.wait_s > 0 for answer in answers] == [False] * 5 + [True] * 2
    assert not throttle.take("b", 100.0).wait_s
    assert not throttle.take("a", 100.0 + answers[-1].wait_s).wait_s
    allowed = sum(not throttle.take("a", 101 + n / 1000).wait_s for n in range(1000))
    assert 10 <= allowed <= 15


def test_callers_are_forgotten_not_collected() -> None:
    throttle = Throttle(1, 0, 10)
    for caller in range(1000):
        throttle.take(str(caller), 0)
    assert len(throttle._full_at) == 10


def test_the_guard_counts_devices_not_answers() -> None:
    guard = Guard()
    assert not any(guard.holds("one dead phone", bad=True) for _ in range(1000))
    held = [guard.holds(f"d{n}", bad=True) for n in range(GUARD_LEAST + 5)]
    assert not any(held[: GUARD_LEAST - 2]) and all(held[GUARD_LEAST:])
    for n in range(GUARD_DEVICES):
        guard.holds(f"good{n}", bad=False)
    assert not guard.holds("x", bad=True) and len(guard._devices) == GUARD_DEVICES


def test_pushes_are_named_by_random_uuids() -> None:
    names = {new_job(Notification(type="message"), provider="apns").apns_id for _ in range(1000)}
    assert len(names) == 1000
    assert {str(UUID(name)) for name in names} == names
    assert {(UUID(name).version, UUID(name).variant) for name in names} == {(4, RFC_4122)}
