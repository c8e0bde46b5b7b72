"""Who gets which variant of an event, and that it waits until it is known who may."""

from gateway import variants
from tests.unit.gateway.crowd import Crowd
from tidewire.bus.envelope import Copy, LeaveChannel, LeaveTeam
from tidewire.bus.variants import ChannelReaders, Piece, Variants

PREVIEW = Variants([ChannelReaders("far", 5)], [Piece(1, b"preview", 1)])


def post(wanted: Variants | None = PREVIEW) -> Copy:
    return Copy(b"{}", channel_id="x", name="posted", variants=wanted)


def test_readers_get_the_pieces_of_what_they_can_read() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0, c_far=5, t_t=0)
    crowd.enter(2, "bob", c_x=0, t_t=0)
    crowd.enter(3, "guest", "system_guest", c_x=0, t_t=0)
    crowd.enter(4, "admin", "system_admin system_user", c_x=0)
    crowd.enter(5, "member", "system_guest", c_x=0, c_hall=0, t_t=0)
    crowd.enter(6, "outside", c_far=5, c_hall=0, t_t=0)
    channels = [ChannelReaders("far", 5), ChannelReaders("hall", 0, "t", 0)]
    crowd.say("c:x", 1, post(Variants(channels, [Piece(1, b"[", 3), Piece(1, b"far", 1), Piece(1, b"hall", 2)])))
    assert [crowd.got(slot) for slot in range(1, 7)] == [
        ["{[far,hall}"],
        ["{[hall}"],
        ["{}"],
        ["{[far,hall}"],
        ["{[hall}"],
        [],
    ]


def test_one_who_left_before_gets_nothing_however_late_that_is_told() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0, c_far=3)
    crowd.enter(2, "bob", c_x=0, c_far=3)
    crowd.say("c:x", 1, post())
    crowd.say("c:x", 2, Copy(b"next", channel_id="x"))
    crowd.say("c:far", 5, effects=[LeaveChannel("ann", "far")])
    assert crowd.got(1) == crowd.got(2) == []
    crowd.say("c:far", 4, effects=[LeaveChannel("cat", "far")])
    assert crowd.got(1) == ["{}", "next"]
    assert crowd.got(2) == ["{preview}", "next"]
    assert not crowd.gaps


def test_members_of_a_team_are_waited_for_too() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0, t_t=0)
    crowd.say("c:x", 1, post(Variants([ChannelReaders("hall", 9, "t", 1)], PREVIEW.pieces)))
    assert crowd.got(1) == []
    crowd.say("t:t", 1, effects=[LeaveTeam("ann", "t")])
    assert crowd.got(1) == ["{}"]


def test_what_never_comes_leaves_the_least_for_everybody() -> None:
    crowd = Crowd(hold_ms=1000)
    crowd.enter(1, "ann", c_x=0, c_far=3)
    crowd.say("c:x", 1, post())
    crowd.now = 0.9
    crowd.relay.tick(crowd.now)
    assert crowd.got(1) == []
    crowd.say("c:x", 2, post())
    crowd.now = 1.1
    crowd.relay.tick(crowd.now)
    assert crowd.got(1) == ["{}"]
    assert crowd.relay.lessened == 1
    crowd.now = 2.2
    crowd.relay.tick(crowd.now)
    assert crowd.got(1) == ["{}", "{}"]
    crowd.say("c:far", 4)
    crowd.say("c:far", 5)
    crowd.say("c:x", 3, post())
    assert crowd.got(1)[2:] == ["{preview}"]
    assert not crowd.gaps


def test_nobody_waits_for_a_channel_that_nobody_here_hears() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0)
    crowd.say("c:x", 1, post())
    assert crowd.got(1) == ["{}"]
    away = crowd.enter(2, "bob", c_far=3)
    crowd.say("c:x", 2, post())
    assert crowd.got(1) == ["{}"]
    crowd.hub.remove(away)
    crowd.relay.tick(crowd.now)
    assert crowd.got(1) == ["{}", "{}"]
    assert crowd.relay.lessened == 0


def test_a_number_that_a_row_shows_ends_the_waiting() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0, c_far=3)
    crowd.say("c:x", 1, post())
    crowd.relay.lines["c:far"].settled = False
    crowd.relay.tick(0.05)
    assert crowd.got(1) == []
    crowd.relay.track([("c:far", 5)])
    crowd.relay.tick(0.1)
    assert crowd.got(1) == ["{preview}"]


def test_two_channels_whose_posts_show_each_other_do_not_wait_for_ever() -> None:
    crowd = Crowd()
    crowd.enter(1, "ann", c_x=0, c_y=0)
    back = Copy(b"{}", channel_id="y", variants=Variants([ChannelReaders("x", 1)], PREVIEW.pieces))
    crowd.say("c:x", 2, post(Variants([ChannelReaders("y", 1)], PREVIEW.pieces)))
    crowd.say("c:y", 1, back)
    assert crowd.got(1) == []
    crowd.say("c:x", 1, Copy(b"first", channel_id="x"))
    assert crowd.got(1) == ["first", "{preview}", "{preview}"]


def test_no_more_bodies_than_the_limit() -> None:
    crowd = Crowd()
    count = 6
    for slot in range(1 << count):
        channels = {f"c_{i}": 0 for i in range(count) if slot >> i & 1}
        crowd.enter(slot, f"user{slot}", c_x=0, **channels)
    crowd.enter(100, "twin", c_x=0, **{f"c_{i}": 0 for i in range(count)})
    readers = [ChannelReaders(str(i), 0) for i in range(count)]
    pieces = [Piece(1, b"%d" % i, 1 << i) for i in range(count)]
    crowd.say("c:x", 1, post(Variants(readers, pieces)))
    bodies = {crowd.got(slot)[0] for slot in range(1 << count)}
    assert len(bodies) == variants.BODIES_MAX
    assert crowd.got(100) == ["{0,1,2,3,4,5}"]
    assert all(len(crowd.got(slot)) == 1 for slot in range(1 << count))
