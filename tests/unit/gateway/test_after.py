"""What takes back what users were told comes after that, or they load everything anew."""

from tests.unit.gateway.crowd import Crowd
from tidewire.bus.envelope import After, Copy, JoinChannel

TOLD = Copy(b"told", user_id="ann", name="thread_updated")
GONE = Copy(b"gone", channel_id="x", name="post_deleted")
NEXT = Copy(b"next", channel_id="x")


def test_it_waits_for_those_who_are_here() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob", c_x=0)
    crowd.say("c:x", 1, GONE, effects=[After("ann", 2), After("bob", 0), After("away", 9)])
    crowd.say("c:x", 2, NEXT)
    crowd.say("u:ann", 1, TOLD)
    assert (crowd.got(1), crowd.got(2)) == (["told"], [])
    crowd.say("u:ann", 2, TOLD)
    assert crowd.got(1) == ["told", "told", "gone", "next"]
    assert crowd.got(2) == ["gone", "next"]
    assert not crowd.gaps


def test_who_was_told_before_makes_nobody_wait() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    crowd.say("u:ann", 1, TOLD)
    crowd.say("c:x", 1, GONE, effects=[After("ann", 1)])
    assert crowd.got(1) == ["told", "gone"]


def test_what_comes_too_late_is_dropped_and_its_users_load_anew() -> None:
    crowd = Crowd(hold_ms=1000)
    crowd.enter(1, "ann", c_x=0)
    crowd.enter(2, "bob", c_x=0)
    crowd.enter(3, "cat", c_x=0)
    crowd.say("c:x", 1, GONE, effects=[After("ann", 3), After("bob", 0), After("cat", 1)])
    crowd.say("u:cat", 1)
    crowd.say("u:ann", 2, Copy(b"held", user_id="ann"))
    crowd.now = 0.9
    crowd.relay.tick(crowd.now)
    assert not crowd.gaps
    crowd.now = 1.1
    crowd.relay.tick(crowd.now)
    assert {"ann"} in crowd.gaps and not any("bob" in users or "cat" in users for users in crowd.gaps)
    assert [crowd.got(slot)[-1:] for slot in (1, 2, 3)] == [["gone"]] * 3
    assert crowd.relay.lessened == 0  # nobody got less of the deletion itself
    count = len(crowd.gaps)
    crowd.say("u:ann", 1, TOLD)
    crowd.say("u:ann", 3, TOLD)
    assert "told" not in crowd.got(1)
    crowd.say("u:ann", 4, Copy(b"later", user_id="ann"))
    assert crowd.got(1)[-1] == "later"
    assert len(crowd.gaps) == count  # they loaded anew after it was committed
    # What changes who hears what still counts.
    crowd.say("c:x", 2, GONE, effects=[After("ann", 5)])
    crowd.now = 2.3
    crowd.relay.tick(crowd.now)
    crowd.say("u:ann", 5, effects=[JoinChannel("ann", "y")])
    assert crowd.gaps[count:] == [{"ann"}, {"ann"}]


def test_a_row_that_is_as_far_ends_the_waiting() -> None:
    crowd = Crowd()
    crowd.enter(1, "bob", c_x=0)
    crowd.rows.clear()
    crowd.say("c:x", 1, GONE, effects=[After("ann", 7)])
    assert crowd.got(1) == ["gone"]
    ann = crowd.enter(2, "ann", c_x=1)
    crowd.say("c:x", 2, NEXT, effects=[After("ann", 7)])
    assert crowd.got(1) == ["gone"]
    crowd.hub.remove(ann)
    crowd.relay.tick(crowd.now)
    assert crowd.got(1) == ["gone", "next"]
    assert crowd.relay.lessened == 0
