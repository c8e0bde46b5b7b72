"""Coming in while things happen: rows and announcements together leave nothing out and re-admit nobody."""

import asyncio
from typing import Any

import pytest

from gateway import join
from gateway.connection import State
from gateway.hub import Hub
from gateway.join import USERS_IN_A_SLICE
from tests.unit.gateway.crowd import Crowd
from tidewire.bus.envelope import Copy, JoinChannel, LeaveChannel
from tidewire.store.connections import Memberships


def post(text: str) -> Copy:
    return Copy(text.encode(), channel_id="x")


async def start_join(crowd: Crowd, slot: int = 1, user_id: str = "ann") -> None:
    """Begin a join and return while its query runs: the rows are taken, not yet delivered."""
    crowd.answer.clear()
    crowd.joiner.join(crowd.connection(slot, user_id))
    await crowd.loading.wait()


async def finish_join(crowd: Crowd) -> None:
    crowd.answer.set()
    while crowd.joiner.waiting:
        await asyncio.sleep(0)


async def test_what_is_announced_after_the_rows_is_delivered() -> None:
    crowd = Crowd()
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0, "c:x": 5})
    await start_join(crowd)
    for n in (5, 6, 7):
        crowd.say("c:x", n, post(str(n)))
    await finish_join(crowd)
    assert crowd.joined == [1]
    assert crowd.got(1) == ["6", "7"]
    crowd.say("c:x", 8, post("8"))
    assert crowd.got(1) == ["6", "7", "8"]


async def test_a_removal_after_the_rows_is_obeyed() -> None:
    crowd = Crowd()
    crowd.enter(9, "bob", c_x=5)
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0, "c:x": 5})
    await start_join(crowd)
    crowd.say("c:x", 6, post("6"), effects=[LeaveChannel("ann", "x")])
    await finish_join(crowd)
    crowd.say("c:x", 7, post("7"))
    assert crowd.got(1) == []
    assert crowd.got(9) == ["6", "7"]


async def test_an_admission_after_the_rows_is_obeyed() -> None:
    crowd = Crowd()
    crowd.enter(9, "bob", c_x=5)
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0})
    await start_join(crowd)
    crowd.say("c:x", 6, post("6"), effects=[JoinChannel("ann", "x")])
    await finish_join(crowd)
    crowd.say("c:x", 7, post("7"))
    assert crowd.got(1) == ["7"]


async def test_a_stale_admission_is_not() -> None:
    crowd = Crowd()
    crowd.enter(9, "bob", c_x=5)
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0})
    await start_join(crowd)
    crowd.say(
        "c:x", 4, effects=[JoinChannel("ann", "x")]
    )  # read again after a change of primary; she left with 5
    await finish_join(crowd)
    crowd.say("c:x", 6, post("6"))
    assert crowd.got(1) == []


async def test_rows_newer_than_the_bus_do_not_skip_events_for_others() -> None:
    crowd = Crowd()
    crowd.enter(9, "bob", c_x=5)
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0, "c:x": 7})
    await start_join(crowd)
    await finish_join(crowd)
    for n in (6, 7, 8):
        crowd.say("c:x", n, post(str(n)))
    assert crowd.got(9) == ["6", "7", "8"]
    assert crowd.got(1)[-1] == "8"


async def test_a_second_socket_of_a_user_needs_no_rows() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=5)
    crowd.joiner.join(crowd.connection(2, "ann"))
    assert crowd.joined == [2]
    crowd.say("c:x", 6, post("6"))
    assert crowd.got(2) == ["6"]


async def test_many_users_are_one_query() -> None:
    crowd = Crowd()
    for number in range(50):
        crowd.rows[f"user{number}"] = Memberships("system_user", {f"u:user{number}": 0, "c:x": 5})
        crowd.joiner.join(crowd.connection(number, f"user{number}"))
    await crowd.loading.wait()
    await finish_join(crowd)
    assert len(crowd.joined) == 50
    assert len(crowd.hub.listeners("c:x")) == 50


async def start_crowded_join(crowd: Crowd) -> None:
    """Begin a join of 45 users and return when some, but not all, are in."""
    for number in range(45):
        crowd.rows[f"user{number}"] = Memberships("system_user", {f"u:user{number}": 0, "c:x": 5})
        crowd.joiner.join(crowd.connection(number, f"user{number}"))
    while not crowd.joined:
        await asyncio.sleep(0)
    assert crowd.joined == list(range(USERS_IN_A_SLICE))


async def test_what_is_announced_between_two_slices_of_a_join_is_obeyed() -> None:
    crowd = Crowd()
    await start_crowded_join(crowd)
    away, comer = LeaveChannel("user30", "x"), JoinChannel("user40", "y")
    crowd.say("c:x", 6, post("6"), effects=[away])
    crowd.say("c:y", 1, effects=[comer])
    crowd.joiner.join(crowd.connection(99, "user44"))
    await finish_join(crowd)
    crowd.say("c:x", 7, post("7"))
    assert sorted(crowd.joined) == [*range(45), 99]
    assert crowd.got(0) == ["6", "7"]
    assert crowd.got(44) == crowd.got(99) == ["7"]  # 6 was over before hello
    assert crowd.got(30) == []
    assert list(crowd.hub.listeners("c:y")) == [40]
    assert crowd.joiner._task is not None
    await crowd.joiner._task
    assert not crowd.relay._recordings


async def test_who_is_in_stays_in_when_the_others_must_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.join.RECORDING_BYTES", 50)
    crowd = Crowd()
    await start_crowded_join(crowd)
    crowd.say("c:x", 6, post("6"))
    await finish_join(crowd)
    assert crowd.queries == [45, 45 - USERS_IN_A_SLICE]
    assert sorted(crowd.joined) == list(range(45))
    assert crowd.got(0) == ["6"]


async def test_a_deleted_user_is_let_go() -> None:
    crowd = Crowd()
    await start_join(crowd)
    await finish_join(crowd)
    assert crowd.failed == [1]
    assert not crowd.hub.members


async def test_a_user_who_loads_anew_keeps_his_sockets_and_loses_his_absent_connections() -> None:
    crowd = Crowd()
    live, away = crowd.enter(1, "ann", c_x=5), crowd.enter(2, "ann")
    away.state = State.AWAY
    before = live.connection_id
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0, "c:x": 9})
    assert crowd.joiner.rejoin("ann") == [away]
    assert live.state is State.JOINING
    await finish_join(crowd)
    assert crowd.joined == [1]
    assert live.connection_id != before
    crowd.say("c:x", 10, post("10"))
    assert crowd.got(1) == []  # 6 to 9 are still to come here; then 10
    for n in (6, 7, 8, 9):
        crowd.say("c:x", n, post(str(n)))
    assert crowd.got(1)[-1] == "10"


async def test_who_joins_takes_no_admission_from_another() -> None:
    """Bob's way into a channel that nobody here hears waits for its turn when Ann comes, whose row is newer."""
    crowd = Crowd()
    crowd.enter(9, "bob")
    crowd.say("c:x", 6, post("6"), effects=[JoinChannel("bob", "x")])
    crowd.say("c:x", 7, post("7"))
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0, "c:x": 7})
    await start_join(crowd)
    await finish_join(crowd)
    crowd.say("c:x", 8, post("8"))
    assert (crowd.got(9), crowd.got(1), crowd.gaps) == (["6", "7", "8"], ["8"], [])


async def test_an_admission_with_a_hole_behind_it_makes_him_load_anew() -> None:
    crowd = Crowd()
    crowd.enter(9, "bob")
    crowd.say("c:x", 6, post("6"), effects=[JoinChannel("bob", "x")])
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0, "c:x": 7})
    await start_join(crowd)
    await finish_join(crowd)
    assert crowd.gaps == [{"bob"}]


async def test_archived_channels_are_known_by_rows_and_by_events() -> None:
    """The rows say it when somebody comes, announcements from then on, in whatever order they meet."""

    def news(name: str) -> tuple[Copy, list[str]]:
        return Copy(b"", team_id="t", name=name), ["channel:x"]

    crowd = Crowd()
    crowd.rows["ann"] = Memberships("system_user", {"u:ann": 0, "c:x": 1, "c:y": 1, "t:t": 4}, ["c:y"])
    await start_join(crowd)
    copy, stale = news("channel_deleted")
    crowd.say("t:t", 5, copy, invalidates=stale)  # after the rows were read
    await finish_join(crowd)
    assert crowd.hub.archived == {"c:x", "c:y"}
    # Bob's rows are older than what comes while they are under way.
    crowd.rows["bob"] = Memberships("system_user", {"u:bob": 0, "c:x": 1, "t:t": 5}, ["c:x"])
    await start_join(crowd, 2, "bob")
    copy, stale = news("channel_restored")
    crowd.say("t:t", 6, copy, invalidates=stale)
    await finish_join(crowd)
    assert crowd.hub.archived == {"c:y"}
    crowd.hub.remove(crowd.hub.by_slot[1])
    assert not crowd.hub.archived  # nobody hears it


async def test_memberships_that_cannot_be_loaded_turn_away_and_hold_up_nobody_else() -> None:
    crowd = Crowd()
    crowd.rows["ann"] = crowd.rows["bob"] = Memberships("system_user", {"c:x": 5})
    await start_join(crowd)
    crowd.broken = KeyError("a bug")
    await finish_join(crowd)
    crowd.joiner.join(crowd.connection(2, "bob"))
    await finish_join(crowd)
    assert (crowd.failed, crowd.joined) == ([1], [2])


async def test_one_who_cannot_be_let_in_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd, enter = Crowd(), Hub.enter

    def stumble(hub: Hub, user_id: str, *given: Any) -> Any:
        if user_id == "ann":
            raise KeyError("a bug")
        return enter(hub, user_id, *given)

    monkeypatch.setattr(Hub, "enter", stumble)
    monkeypatch.setattr(join, "USERS_IN_A_SLICE", 1)
    crowd.rows["ann"] = crowd.rows["bob"] = Memberships("system_user", {"c:x": 5})
    for slot, user_id in ((1, "ann"), (2, "bob")):
        crowd.joiner.join(crowd.connection(slot, user_id))
    await finish_join(crowd)
    assert (crowd.failed, crowd.joined) == ([1], [2])
