"""What the log says while a service is away: the cause, and a count instead of a line for each request."""

from structlog.testing import capture_logs

from api.errors import TELL_S, Complaints
from tidewire.wire.errors import Unavailable


def away(service: str) -> Unavailable:
    try:
        try:
            raise Unavailable(service) from OSError(28, "No space left on device")
        except Unavailable as below:
            raise Unavailable(service) from below
    except Unavailable as above:
        return above


def test_a_line_a_second_with_the_cause_and_a_count() -> None:
    now = 100.0
    complaints = Complaints(lambda: now)
    with capture_logs() as lines:
        for number in range(50):
            complaints.add(away("database"), "/api/v4/posts", f"r{number}")
        complaints.add(Unavailable("redis"), "/api/v4/posts", "r50")
        now += TELL_S
        complaints.add(away("database"), "/api/v4/users/me", "r51")
    told = [(line["service"], line["request_id"], line["others_since"]) for line in lines]
    assert told == [("database", "r0", 0), ("redis", "r50", 0), ("database", "r51", 49)]
    assert [line["why"] for line in lines][:2] == ["[Errno 28] No space left on device", "no answer in time"]


def test_a_cause_without_words_is_named() -> None:
    complaints = Complaints()
    with capture_logs() as lines:
        try:
            raise Unavailable("redis") from ConnectionResetError()
        except Unavailable as error:
            complaints.add(error, "/api/v4/posts", "r1")
    assert lines[0]["why"] == "ConnectionResetError"
