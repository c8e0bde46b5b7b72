"""The order of keys: old numbers fall, early ones wait, missing ones make their audience load anew."""

import pytest

from tests.unit.gateway.crowd import Crowd
from tidewire.actions.typists import TypingLimit, Typists
from tidewire.bus.contract import Entry
from tidewire.bus.envelope import Copy, EndSessions, Envelope, JoinChannel, LeaveChannel, Resync, encode


def post(text: str, channel: str = "x") -> Copy:
    return Copy(text.encode(), channel_id=channel)


def test_numbers_are_applied_in_order_and_once() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=4)
    for n in (4, 5, 5, 7, 6, 8, 6, 7):
        crowd.say("c:x", n, post(str(n)))
    assert crowd.got(1) == ["5", "6", "7", "8"]
    assert crowd.relay.repeated == 4
    assert not crowd.gaps


def test_a_number_that_never_comes_makes_the_audience_load_anew() -> None:
    crowd = Crowd(hold_ms=1000)
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob", c_y=0)
    crowd.say("c:x", 2, post("2"))
    crowd.now = 0.9
    crowd.relay.tick(crowd.now)
    assert not crowd.gaps
    crowd.now = 1.1
    crowd.relay.tick(crowd.now)
    assert crowd.gaps == [{"ann"}]
    assert crowd.got(1) == []
    crowd.say("c:x", 3, post("3"))
    assert crowd.got(1) == ["3"]
    assert crowd.got(2) == []


def test_a_given_up_number_that_comes_late_still_admits_whom_it_names() -> None:
    crowd = Crowd(hold_ms=1000)
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob")
    crowd.say("c:x", 2, post("2"))
    crowd.now = 1.1
    crowd.relay.tick(crowd.now)
    crowd.say("c:x", 1, effects=[JoinChannel("bob", "x")])
    assert crowd.gaps == [{"ann"}, {"bob"}]
    crowd.say("c:x", 1, effects=[JoinChannel("bob", "x")])
    assert len(crowd.gaps) == 2


def test_effects_of_skipped_announcements_make_those_they_name_load_anew() -> None:
    crowd = Crowd(hold_ms=1000)
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob")
    crowd.say("c:x", 2, effects=[JoinChannel("bob", "x")])
    crowd.now = 1.1
    crowd.relay.tick(crowd.now)
    assert crowd.gaps == [{"ann", "bob"}]


def test_who_is_told_to_load_anew_does_so_in_turn_and_once() -> None:
    crowd = Crowd(hold_ms=1000)
    crowd.enter(1, "ann")
    crowd.enter(2, "bob")
    crowd.say("u:ann", 2, effects=[Resync("ann"), Resync("nobody")])
    assert not crowd.gaps
    crowd.say("u:ann", 1, Copy(b"first", user_id="ann"))
    crowd.say("u:ann", 2, effects=[Resync("ann")])
    assert crowd.gaps == [{"ann"}]
    assert crowd.got(1) == ["first"]
    assert not crowd.got(2)


def test_ended_sessions_do_not_wait_for_their_turn() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann")
    crowd.say("u:ann", 3, effects=[EndSessions("ann", ["s"])])
    assert crowd.ended == [("ann", ["s"])]
    crowd.say("u:zoe", 9, effects=[EndSessions("zoe", [])])
    assert crowd.ended[-1] == ("zoe", [])


def test_nobody_gets_what_follows_his_removal() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob", c_x=0)
    gone = Copy(b"user_removed", user_id="ann")
    crowd.say("c:x", 1, post("1"))
    crowd.say("c:x", 2, post("removed"), gone, effects=[LeaveChannel("ann", "x")])
    crowd.say("c:x", 3, post("3"))
    assert crowd.got(1) == ["1", "user_removed"]
    assert crowd.got(2) == ["1", "removed", "3"]


def test_a_first_announcement_of_an_unheard_key_is_applied_at_once() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann")
    crowd.say("c:new", 1, post("1", "new"), effects=[JoinChannel("ann", "new")])
    crowd.say("c:new", 2, post("2", "new"))
    assert crowd.got(1) == ["1", "2"]


def test_an_unheard_key_settles_before_its_order_is_taken_for_granted() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann")
    crowd.say("c:x", 6, post("6"), effects=[LeaveChannel("ann", "x")])  # concerns ann: two workers raced
    crowd.say("c:x", 5, post("5"), effects=[JoinChannel("ann", "x")])
    assert crowd.got(1) == []
    crowd.now = 0.2
    crowd.relay.tick(crowd.now)
    assert crowd.got(1) == ["5"]
    assert not crowd.hub.hears("ann", "c:x")


def test_what_concerns_nobody_leaves_no_trace() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann")
    crowd.say("c:x", 6, post("6"), effects=[JoinChannel("bob", "x")])
    assert crowd.relay.lines.keys() == {"u:ann"}


def test_events_for_everyone_keep_their_order() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann")
    for n in (8, 7, 9, 8):
        crowd.say("u:bob", n, Copy(str(n).encode(), everyone=True))
    crowd.now = 0.2
    crowd.relay.tick(crowd.now)
    crowd.say("u:bob", 10, Copy(b"10", everyone=True))
    assert crowd.got(1) == ["7", "8", "9", "10"]


def test_a_late_event_for_everyone_makes_everyone_load_anew() -> None:
    crowd = Crowd(hold_ms=1000)
    crowd.enter(1, "ann")
    crowd.say("u:bob", 1, Copy(b"1", everyone=True))
    crowd.say("u:bob", 3, Copy(b"3", everyone=True))
    crowd.now = 1.1
    crowd.relay.tick(crowd.now)
    assert crowd.got(1) == ["1", "3"]
    assert not crowd.gaps
    crowd.say("u:bob", 2, Copy(b"2", everyone=True))
    assert crowd.gaps == [{"ann"}]


def test_idle_keys_are_forgotten() -> None:
    crowd = Crowd()
    ann = crowd.enter(1, "ann", c_x=3)
    crowd.hub.remove(ann)
    assert set(crowd.dropped) == {"c:x", "u:ann"}
    crowd.relay.tick(50)
    assert "c:x" in crowd.relay.lines
    crowd.relay.tick(100)
    assert not crowd.relay.lines


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01\x02\x03"])
def test_unreadable_entries_count_as_missing(data: bytes) -> None:
    crowd = Crowd(hold_ms=1000)
    crowd.enter(1, "ann", c_x=0)
    crowd.relay.offer("c:x", 1, data, 0.0)
    crowd.say("c:x", 2, post("2"))
    crowd.now = 1.1
    crowd.relay.tick(crowd.now)
    assert crowd.relay.unreadable == 1
    assert crowd.gaps == [{"ann"}]


def test_what_nobody_here_hears_is_dropped_unread_and_the_rest_is_not() -> None:
    crowd = Crowd()
    mine, other = "m" * 26, "o" * 26
    crowd.enter(1, "ann", **{f"c_{mine}": 0})
    body = b"x" * 300

    def entry(channel: str, n: int, *copies: Copy, effects: list[JoinChannel] | None = None) -> Entry:
        return f"c:{channel}", n, encode(Envelope(f"c:{channel}", list(effects or []), list(copies)))

    entries = [
        entry(other, 1, Copy(body, channel_id=other)),
        entry(mine, 1, Copy(body, channel_id=mine)),
        entry(other, 2, Copy(body, user_id="ann", channel_id=other)),  # for her alone, wherever she is
        entry(other, 3, effects=[JoinChannel("ann", other)]),
        entry(other, 4, Copy(body, channel_id=other)),
    ]
    applied = crowd.relay.applied
    assert crowd.relay.offer_from(entries, 0, lambda: crowd.now, 1.0) == len(entries)
    crowd.relay.tick(crowd.now + 0.2)  # the first number seen of a key was waiting for an older one
    assert crowd.relay.applied - applied == 4
    assert len(crowd.got(1)) == 3


def test_offering_ends_with_its_time_after_what_was_applied() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    entries = [("c:x", n, encode(Envelope("c:x", [], [post(str(n))]))) for n in (1, 2, 3)]
    clock = iter([0.0, 0.0, 5.0, 9.0, 9.0])
    assert crowd.relay.offer_from(entries, 0, lambda: next(clock), 1.0) == 1
    assert crowd.relay.offer_from(entries, 1, lambda: crowd.now, 1.0) == 3
    assert crowd.got(1) == ["1", "2", "3"]


def test_what_nobody_hears_is_recorded_all_the_same() -> None:
    crowd = Crowd()
    other = "o" * 26
    recording = crowd.relay.record(10_000)
    entries = [(f"c:{other}", 1, encode(Envelope(f"c:{other}", [], [Copy(b"x" * 300, channel_id=other)])))]
    crowd.relay.offer_from(entries, 0, lambda: crowd.now, 1.0)
    assert recording.entries == entries


def test_typing_is_told_once_in_an_interval_whichever_processes_it_comes_from() -> None:
    crowd = Crowd()
    crowd.relay._typing = TypingLimit(lambda: crowd.now, interval_s=0.8, per_channel=2)
    crowd.enter(1, "ann", c_x=0)
    copies: list[bytes] = []
    desks = [Typists(copies.extend, lambda: crowd.now, min_interval_ms=1000, per_channel=20) for _ in range(3)]
    told = []
    for tick in range(50):  # all three report ten times a second
        crowd.now = tick / 10
        for desk in desks:
            desk.typing("x", "", "bob")
            desk.typing("z", "", "bob")
        for data in copies:
            crowd.relay.offer_ephemeral(data)
        copies.clear()
        told += [crowd.now] * (len(crowd.got(1)) - len(told))
    assert told == [0, 1, 2, 3, 4]
    crowd.now = 6
    for user in "abc":
        desks[0].typing("x", "", user)
    for data in copies:
        crowd.relay.offer_ephemeral(data)
    assert len(crowd.got(1)) == len(told) + 2
    assert crowd.relay._typing.dropped == 2 * len(told) + 1  # of z, which nobody hears here, nothing is kept


def test_one_that_cannot_be_applied_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob", c_y=0)
    deliver = crowd.hub.deliver

    def stumble(copy: Copy) -> None:
        if copy.body == b"poison":
            raise KeyError("a bug")
        deliver(copy)

    monkeypatch.setattr(crowd.hub, "deliver", stumble)
    entries: list[Entry] = [
        (key, n, encode(Envelope(key, [], [post(text, key[2:])])))
        for key, n, text in (("c:x", 1, "poison"), ("c:y", 1, "1"), ("c:x", 2, "2"))
    ]
    assert crowd.relay.offer_from(entries, 0, lambda: 0.0, 1.0) == 3
    assert crowd.gaps == [{"ann"}] and crowd.relay.unreadable == 1
    assert (crowd.got(1), crowd.got(2)) == (["2"], ["1"])
