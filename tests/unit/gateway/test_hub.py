"""Audiences: who is an event for, with which tail."""

import pytest

from gateway.connection import State
from gateway.hub import could_reach
from hotpath import ACK, ADMIN, FOLLOW, GUEST, MENTION, POSTED_ACK
from tests.unit.gateway.crowd import Crowd
from tidewire.bus.envelope import Copy, Envelope, JoinTeam, LeaveTeam, Only, Roles


def taken(crowd: Crowd, copy: Copy) -> set[int]:
    crowd.room.got.clear()
    crowd.hub.deliver(copy)
    return set(crowd.room.got)


def test_audiences() -> None:
    crowd = Crowd()
    ann = crowd.enter(1, "ann", c_x=0, t_t=0)
    crowd.enter(2, "ann")
    crowd.enter(3, "bob", c_x=0)
    crowd.enter(4, "cat", t_t=0)
    assert taken(crowd, Copy(b"", channel_id="x")) == {1, 2, 3}
    assert taken(crowd, Copy(b"", team_id="t")) == {1, 2, 4}
    assert taken(crowd, Copy(b"", everyone=True)) == {1, 2, 3, 4}
    assert taken(crowd, Copy(b"", user_id="bob", channel_id="x")) == {3}
    assert taken(crowd, Copy(b"", user_id="cat", channel_id="x")) == {4}
    assert taken(crowd, Copy(b"", channel_id="x", omit_users=["ann"])) == {3}
    assert taken(crowd, Copy(b"", connection_id=ann.connection_id)) == {1}
    assert taken(crowd, Copy(b"", user_id="bob", connection_id=ann.connection_id)) == set()
    assert taken(crowd, Copy(b"", channel_id="x", omit_connection_id=ann.connection_id)) == {2, 3}
    assert taken(crowd, Copy(b"", channel_id="unknown")) == set()
    assert taken(crowd, Copy(b"")) == set()


def test_a_copy_tells_each_of_many_of_himself() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann")
    crowd.enter(2, "ann")
    crowd.enter(3, "bob")
    crowd.enter(4, "cat")
    copy = Copy(b'{"data":{"user_id":"\0"', to_each=["ann", "cat", "dan"], droppable=True)
    assert taken(crowd, copy) == {1, 2, 4}
    assert crowd.hub.concerns(Envelope("u:ann", copies=[copy]))
    assert not crowd.hub.concerns(Envelope("u:ann", copies=[Copy(b"", to_each=["dan"])]))
    assert could_reach(Envelope("u:ann", copies=[copy]), "cat", set())
    assert not could_reach(Envelope("u:ann", copies=[copy]), "bob", set())


def test_roles_choose_between_sanitized_and_sensitive_copies() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", roles="system_admin system_user", c_x=0)
    crowd.enter(2, "bob", c_x=0)
    assert taken(crowd, Copy(b"", channel_id="x", only=Only.ADMINS)) == {1}
    assert taken(crowd, Copy(b"", channel_id="x", only=Only.NON_ADMINS)) == {2}
    crowd.hub.apply(Roles("bob", "system_admin"))
    crowd.hub.apply(Roles("ann", "system_guest"))
    assert crowd.room.bits == {1: GUEST, 2: ADMIN}
    assert taken(crowd, Copy(b"", channel_id="x", only=Only.ADMINS)) == {2}


def test_teams_are_joined_and_left() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann")
    crowd.hub.apply(JoinTeam("ann", "t"))
    assert taken(crowd, Copy(b"", team_id="t")) == {1}
    crowd.hub.apply(LeaveTeam("ann", "t"))
    assert taken(crowd, Copy(b"", team_id="t")) == set()
    crowd.hub.apply(JoinTeam("nobody", "t"))
    assert not crowd.hub.heard("t:t")


def test_tails_name_who_is_mentioned_follows_and_should_acknowledge() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob", c_x=0).bits |= POSTED_ACK
    crowd.enter(3, "cat", c_x=0).bits |= POSTED_ACK
    copy = Copy(
        b"", channel_id="x", mentions=["ann", "bob", "away"], followers=["bob", "cat"], ack_author="cat"
    )
    crowd.hub.deliver(copy)
    assert crowd.room.tails == {1: MENTION, 2: MENTION | FOLLOW | ACK, 3: FOLLOW}
    # Others who notify their users of every post: asked to acknowledge, and told nothing else.
    crowd.hub.deliver(Copy(b"", channel_id="x", mentions=["ann"], notified=["ann", "bob", "cat"], ack_author="cat"))
    assert crowd.room.tails == {1: MENTION, 2: ACK}


def test_presence_filters_only_those_who_reported_all_three() -> None:
    crowd = Crowd()
    one = crowd.enter(1, "ann", c_x=0)
    two = crowd.enter(2, "bob", c_x=0)
    one.looks_at = {"channel": "y", "thread": "", "threads view": ""}
    two.looks_at = {"channel": "y", "thread": ""}
    crowd.hub.looks(one)
    crowd.hub.looks(two)
    assert taken(crowd, Copy(b"", channel_id="x", name="typing")) == {2}
    assert taken(crowd, Copy(b"", channel_id="x", name="reaction_added")) == {2}
    assert taken(crowd, Copy(b"", channel_id="x", name="reaction_removed")) == {2}
    assert taken(crowd, Copy(b"", channel_id="x", name="posted")) == {1, 2}
    one.looks_at["thread"] = "x"
    crowd.hub.looks(one)
    assert taken(crowd, Copy(b"", channel_id="x", name="typing")) == {1, 2}


def test_what_finds_no_room_is_counted_by_its_name() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob", c_x=0)
    crowd.room.full = {1}
    assert taken(crowd, Copy(b"", channel_id="x", droppable=True, name="typing")) == {2}
    assert taken(crowd, Copy(b"", channel_id="x", droppable=True, name="typing")) == {2}
    assert taken(crowd, Copy(b"", user_id="ann", droppable=True, name="status_change")) == set()
    assert taken(crowd, Copy(b"", channel_id="x", name="posted")) == {1, 2}
    assert crowd.hub.dropped_by_name == {"typing": 2, "status_change": 1}


def test_the_last_connection_takes_the_indexes_with_it() -> None:
    crowd = Crowd()
    one, two = crowd.enter(1, "ann", c_x=0), crowd.enter(2, "ann")
    crowd.hub.remove(one)
    crowd.hub.remove(one)
    assert crowd.hub.slots_of("ann") == [2]
    two.state = State.AWAY
    assert not crowd.hub.present("ann")
    crowd.hub.remove(two)
    assert not list(crowd.hub.heard_keys())
    assert not crowd.hub.members
    assert not crowd.hub.by_connection_id
    assert not len(crowd.hub.everyone)


def test_memberships_beyond_the_small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.hub._SMALL", 1)
    crowd = Crowd()
    ann = crowd.enter(1, "ann", c_x=0, c_y=0, t_t=0)
    crowd.hub.apply(JoinTeam("ann", "s"))
    crowd.hub.apply(LeaveTeam("ann", "t"))
    assert crowd.hub.keys_of(crowd.hub.members["ann"]) == {"u:ann", "c:x", "c:y", "t:s"}
    assert taken(crowd, Copy(b"", channel_id="y")) == taken(crowd, Copy(b"", team_id="s")) == {1}
    assert taken(crowd, Copy(b"", team_id="t")) == set()
    crowd.hub.remove(ann)
    assert crowd.hub.key_count == 0
