"""Each row of the contract's tables "who is mentioned" and "push decision" is a row here."""

from typing import Any

import pytest

from push.decide_rules import (
    ACTIVE_MS,
    Case,
    Mention,
    Presence,
    Props,
    Verdict,
    comment_mention,
    decide,
    status_allows,
    wants,
    wants_reply,
)
from tidewire.actions.collapsed_threads import sees

NOW = 1_000_000
YES, NO, CRT = Verdict(True), Verdict(False), Verdict(True, True)
HERE, ELSEWHERE = "this channel", "another"


def case(props: dict[str, str] | None = None, **changes: Any) -> Case:
    """A mention by name in an ordinary channel, of somebody who is away from everything."""
    ordinary = Case(
        Props(**(props or {})), Presence(), Mention.KEYWORD, channel_id=HERE, channel_type="O", now_ms=NOW
    )
    return ordinary._replace(**changes)


@pytest.mark.parametrize(
    ("props", "changes", "mentioned", "expected"),
    [
        # the user's level
        ({"push": "none"}, {}, True, False),
        ({"push": "mention"}, {}, True, True),
        ({"push": "mention"}, {}, False, False),
        ({"push": "all"}, {}, False, True),
        # the channel's level wins
        ({"push": "none", "channel_push": "all"}, {}, False, True),
        ({"push": "all", "channel_push": "none"}, {}, True, False),
        ({"push": "all", "channel_push": "mention"}, {}, False, False),
        ({"push": "all", "channel_push": "mention"}, {}, True, True),
        ({"push": "none", "channel_push": "mention"}, {}, True, True),
        # in a group the user's "mention" is "all", the channel's is not
        ({"push": "mention"}, {"channel_type": "G"}, False, True),
        ({"push": "none"}, {"channel_type": "G"}, False, False),
        ({"channel_push": "mention"}, {"channel_type": "G"}, False, False),
        # muted, or the server's words
        ({"push": "all", "mark_unread": "mention"}, {}, True, False),
        ({"push": "all"}, {"is_system": True}, True, False),
    ],
)
def test_rule_a(props: dict[str, str], changes: dict[str, Any], mentioned: bool, expected: bool) -> None:
    assert wants(case(props, **changes), mentioned=mentioned) is expected


LATELY, LONG_AGO = NOW - ACTIVE_MS, NOW - ACTIVE_MS - 1


@pytest.mark.parametrize(
    ("push_status", "presence", "as_crt", "expected"),
    [
        ("online", Presence("dnd", ELSEWHERE, LATELY), False, False),
        ("offline", Presence("ooo"), False, False),
        ("online", Presence("dnd", ELSEWHERE, LATELY), True, False),
        ("online", Presence("online", HERE, LATELY), False, False),
        ("online", Presence("online", HERE, LONG_AGO), False, True),
        ("online", Presence("online", ELSEWHERE, LATELY), False, True),
        ("online", Presence("online", HERE, LATELY), True, True),
        ("online", Presence("online", "", LATELY), False, True),
        ("", Presence("online", HERE, LATELY), False, False),  # behaves as "online"
        ("", Presence("online", ELSEWHERE, LATELY), False, True),
        ("away", Presence("online", ELSEWHERE, LONG_AGO), False, False),
        ("away", Presence("away"), False, True),
        ("away", Presence("offline"), False, True),
        ("away", Presence("online", ELSEWHERE, LONG_AGO), True, False),
        ("offline", Presence("online"), False, False),
        ("offline", Presence("away"), False, False),
        ("offline", Presence("offline"), False, True),
        ("offline", Presence(), False, True),  # a missing status is offline
    ],
)
def test_rule_b(push_status: str, presence: Presence, as_crt: bool, expected: bool) -> None:
    assert status_allows(case({"push_status": push_status}, presence=presence), as_crt=as_crt) is expected


@pytest.mark.parametrize(
    ("props", "mentioned", "expected"),
    [
        ({"push": "none"}, True, False),
        ({"push": "mention", "push_threads": "mention"}, True, True),
        ({"push": "mention", "push_threads": "mention"}, False, False),
        ({"push": "mention", "push_threads": "all"}, False, True),
        ({"push": "all", "push_threads": "mention"}, False, True),
        ({"channel_push": "none", "push": "all"}, True, False),
        ({"channel_push": "mention", "push": "none"}, True, True),
        ({"channel_push": "mention", "push": "all"}, False, False),
        ({"channel_push": "mention", "channel_push_threads": "all"}, False, True),
        ({"channel_push": "mention", "channel_push_threads": "all", "push_threads": "mention"}, False, False),
        ({"channel_push": "all", "push_threads": "mention"}, False, True),
    ],
)
def test_rule_c(props: dict[str, str], mentioned: bool, expected: bool) -> None:
    mention = Mention.KEYWORD if mentioned else Mention.NONE
    assert wants_reply(case(props, mention=mention)) is expected


REPLY = {"is_reply": True, "crt": True, "follows": True}


@pytest.mark.parametrize(
    ("props", "changes", "expected"),
    [
        # list 1: mentioned
        ({}, {}, YES),
        ({}, {"mention": Mention.CHANNEL}, YES),
        ({}, {"mention": Mention.DM, "channel_type": "D"}, YES),
        ({}, {"mention": Mention.GM, "channel_type": "G"}, YES),
        ({"channel_push": "mention"}, {"mention": Mention.GM, "channel_type": "G"}, NO),
        ({"channel_push": "mention"}, {"mention": Mention.KEYWORD, "channel_type": "G"}, YES),
        ({"push": "none"}, {"mention": Mention.DM, "channel_type": "D"}, NO),
        ({}, {"mention": Mention.COMMENT, "is_reply": True}, YES),
        # list 2: every post
        ({"push": "all"}, {"mention": Mention.NONE}, YES),
        ({"channel_push": "all"}, {"mention": Mention.NONE}, YES),
        ({}, {"mention": Mention.NONE}, NO),
        ({"push": "all"}, {"mention": Mention.NONE, "channel_type": "D"}, NO),
        ({"push": "all"}, {"mention": Mention.NONE, "is_system": True}, NO),
        ({"push": "all"}, {"mention": Mention.NONE, "is_reply": True}, YES),
        ({"push": "all"}, {"mention": Mention.NONE, "is_reply": True, "crt": True}, NO),
        # list 3: followers of a thread
        ({}, {**REPLY, "mention": Mention.NONE}, CRT),
        ({}, REPLY, CRT),
        ({}, {**REPLY, "mention": Mention.DM, "channel_type": "D"}, CRT),
        ({}, {**REPLY, "follows": False, "mention": Mention.NONE}, NO),
        ({}, {**REPLY, "crt": False, "mention": Mention.NONE}, NO),
        ({"push": "none"}, {**REPLY, "mention": Mention.NONE}, NO),
        ({"push": "none"}, REPLY, NO),  # not selected by rule C, so list 1 looks again
        ({"mark_unread": "mention"}, {**REPLY, "mention": Mention.NONE}, CRT),  # muting is rule A's
        # whoever he is
        ({"push": "all"}, {"is_bot": True}, NO),
        ({}, {"presence": Presence("dnd")}, NO),
        ({}, {**REPLY, "presence": Presence("dnd")}, Verdict(False, True)),
        # a test message: only bots are left out
        ({"push": "none", "mark_unread": "mention"}, {"forced": True, "presence": Presence("dnd")}, YES),
        ({}, {"forced": True, "is_bot": True}, NO),
    ],
)
def test_the_decision(props: dict[str, str], changes: dict[str, Any], expected: Verdict) -> None:
    assert decide(case(props, **changes)) == expected


@pytest.mark.parametrize(
    ("mode", "chosen", "expected"),
    [
        ("always_on", "off", True),
        ("disabled", "on", False),
        ("default_on", "", True),
        ("default_on", "off", False),
        ("default_off", "", False),
        ("default_off", "on", True),
    ],
)
def test_who_sees_collapsed_threads(mode: str, chosen: str, expected: bool) -> None:
    assert sees(mode, chosen) is expected


@pytest.mark.parametrize(
    ("comments", "took_part", "own_root", "expected"),
    [
        ("never", True, True, Mention.NONE),
        ("any", True, False, Mention.THREAD),
        ("any", False, True, Mention.COMMENT),
        ("any", False, False, Mention.NONE),
        ("root", True, False, Mention.NONE),
        ("root", False, True, Mention.COMMENT),
    ],
)
def test_replies_without_collapsed_threads(
    comments: str, took_part: bool, own_root: bool, expected: Mention
) -> None:
    assert comment_mention(Props(comments=comments), took_part=took_part, own_root=own_root) is expected


def test_the_weights_rise_as_in_the_contract() -> None:
    assert Mention.NONE < Mention.GM < Mention.THREAD < Mention.CHANNEL < Mention.DM < Mention.KEYWORD
