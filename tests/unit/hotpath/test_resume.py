"""What the gate promises of outboxes: dense seqs, resume, slow consumers, the budget. Both implementations."""

import pytest

from tests.unit.hotpath.crowd import Crowd

SMALL = {"send_buffer": 4608}  # the least a socket pair takes: blocked after a few events of 1 KB


def block(c: Crowd, slot: int, first: int = 0) -> int:
    """Deliver events of 1 KB until the socket takes no more; return the next n."""
    n, before = first, c.gate.stats()["blocked"]
    while c.gate.stats()["blocked"] == before:
        c.post([slot], n, size=1000)
        c.gate.flush()
        n += 1
    return n


def drain(c: Crowd, peer) -> None:
    """Let the peer read until nothing comes any more."""
    for _ in range(10_000):
        if not peer.read():
            c.turn()
            if not peer.read():
                return
        c.turn()
    raise AssertionError("no end")


def test_seqs_are_dense_through_blocked_writes(crowd):
    c = crowd(**SMALL)
    slot, peer = c.join()
    n = block(c, slot)
    c.post([slot], *range(n, n + 50), size=333)
    c.gate.reply(slot, b"in the middle")
    c.post([slot], *range(n + 50, n + 100), size=70)
    drain(c, peer)
    assert peer.events() == [(i, i) for i in range(n + 100)]
    assert peer.texts()[n + 50] == b"in the middle"


def test_events_larger_than_one_call_carries(crowd):
    c = crowd()
    slot, peer = c.join()
    c.post([slot], 0, size=600_000)
    c.post([slot], 1, size=10)
    c.post([slot], 2, size=300_000)
    drain(c, peer)
    assert peer.events() == [(0, 0), (1, 1), (2, 2)]


def test_one_call_carries_all_that_waits(crowd):
    c = crowd()
    slot, peer = c.join()
    c.post([slot], *range(100))
    assert c.gate.flush() is False
    assert c.gate.stats()["sends"] == 1
    assert len(peer.events()) == 100


def test_a_queue_beyond_one_call_says_that_more_waits(crowd):
    c = crowd()
    slot, peer = c.join()
    c.post([slot], *range(700))
    assert c.gate.flush() is True
    assert c.gate.flush() is False
    assert peer.events() == [(i, i) for i in range(700)]


@pytest.mark.parametrize("alive", [True, False])
def test_resume(crowd, alive):
    c = crowd()
    old, lost = c.join()
    c.post([old], *range(10))
    c.turn()
    assert len(lost.events()) == 10
    if not alive:
        lost.sock.close()
        c.turn()
        assert c.closed == [(old, 1006, "peer")]
        c.post([old], 10, 11)
    else:
        c.post([old], 10)
        c.turn()
        c.post([old], 11)                    # waits
    c.gate.reply(old, b"never replayed")
    new, peer = c.join()
    c.gate.reply(new, b"mine")
    assert c.gate.take_over(old, new, 7) is True
    c.post([old], 12)
    c.turn()
    assert peer.events() == [(i, i) for i in range(7, 13)]
    assert [text for text in peer.texts() if b"event" not in text] == [b"mine"]
    assert c.gate.alive(old)
    with pytest.raises(LookupError):
        c.gate.seq(new)
    if alive:
        lost.read()
        assert lost.ended
    assert len(c.closed) == (0 if alive else 1)
    peer.send(1, b"hello")
    c.turn()
    assert c.messages == [(old, b"hello", True)]
    peer.sock.close()
    c.turn()
    assert c.closed[-1] == (old, 1006, "peer")


def test_resume_from_inside_the_new_sockets_message(crowd):
    c = crowd()
    old, lost = c.join()
    c.post([old], 0, 1)
    c.turn()
    lost.sock.close()
    c.turn()
    new, peer = c.join()

    def on_message(slot, data, text):
        if data == b"resume":
            assert c.gate.take_over(old, new, 1)

    c.on_message = on_message
    peer.send(1, b"resume")
    peer.send(1, b"and more in the same segment")
    c.turn()
    assert c.messages == [(new, b"resume", True), (old, b"and more in the same segment", True)]
    assert peer.events() == [(1, 1)]


def test_resume_of_an_event_that_was_partly_out(crowd):
    c = crowd(**SMALL)
    old, lost = c.join()
    n = block(c, old)
    lost.read(100)
    lost.sock.close()
    c.turn()
    c.turn()
    new, peer = c.join()
    assert c.gate.take_over(old, new, 0) is True
    drain(c, peer)
    assert peer.events() == [(i, i) for i in range(n)]


def test_resume_with_a_message_that_was_partly_read(crowd):
    c = crowd()
    old, _ = c.join()
    new, peer = c.join(leftover=b"\x81\x82abcd" + bytes([ord("a") ^ ord("h")]))
    assert c.gate.take_over(old, new, 0)
    peer.raw(bytes([ord("b") ^ ord("i")]))
    c.turn()
    assert c.messages == [(old, b"hi", True)]


def test_resume_is_refused_honestly(crowd):
    c = crowd(retain_events=16)
    old, peer = c.join()
    c.post([old], *range(5))
    c.turn()
    c.post([old], *range(5, 40))
    c.turn()
    assert len(peer.events()) == 40
    new, fresh = c.join()
    assert c.gate.take_over(old, new, 41) is False       # never reached
    assert c.gate.take_over(old, new, 40) is True
    assert fresh.frames() == []
    new, _ = c.join()
    c.post([old], 40)
    c.turn()
    assert c.gate.take_over(old, new, 41 - 17) is False  # a gap: the last 16 are kept
    assert c.gate.take_over(old, new, 41 - 16) is True
    c.turn()
    stranger, _ = c.join(user=b"somebody else")
    assert c.gate.take_over(old, stranger, 40) is False
    begun, _ = c.join()
    c.post([begun], 0)
    assert c.gate.take_over(old, begun, 40) is False
    assert c.gate.take_over(old, old, 40) is False
    c.gate.silence(old)
    new, _ = c.join()
    assert c.gate.take_over(old, new, 0) is False
    ending, _ = c.join()
    c.gate.close(ending, 1008)
    assert c.gate.take_over(ending, new, 0) is False
    assert all(c.gate.alive(slot) for slot in (old, stranger, begun, new))
    with pytest.raises(OverflowError):
        c.gate.take_over(old, new, -1)


def test_a_slow_consumer_is_closed_and_can_resume(crowd):
    c = crowd(outbox_close_at=20, **SMALL)
    slot, peer = c.join()
    other, healthy = c.join()
    n = block(c, slot)
    c.post([slot, other], *range(n, n + 40), size=50)
    c.turn()
    assert c.closed == [(slot, 1013, "slow")]
    assert c.gate.alive(other)
    assert len(healthy.events()) == 40
    c.post([slot], n + 40)                               # goes on collecting
    drain(c, peer)
    received = len(peer.events())
    assert peer.closes() == [1013]
    assert received <= n                                 # a record of TLS, once begun, is sent to its end
    new, again = c.join()
    assert c.gate.take_over(slot, new, received) is True
    drain(c, again)
    assert peer.events() + again.events() == [(i, i) for i in range(n + 41)]


def test_a_slow_consumer_that_never_reads_is_cut_off(crowd):
    c = crowd(outbox_close_at=20, linger_ms=1000, **SMALL)
    slot, _ = c.join()
    c.post([slot], *range(block(c, slot), 60), size=50)
    c.turn()
    assert c.closed == [(slot, 1013, "slow")]
    c.tick(1000)
    assert c.gate.stats()["sockets"] == 0
    assert c.gate.seq(slot) == 60


def test_replies_count_for_the_slow_too(crowd):
    c = crowd(outbox_close_at=20, **SMALL)
    slot, peer = c.join()
    block(c, slot)
    for _ in range(20):
        peer.send(9, b"never read")
    for _ in range(3):
        c.turn()
    assert c.closed == [(slot, 1013, "slow")]


def test_a_burst_before_the_flush_is_not_slow(crowd):
    c = crowd(outbox_close_at=20)
    slot, peer = c.join()
    c.post([slot], *range(100))
    c.turn()
    assert c.closed == []
    assert len(peer.events()) == 100


def test_droppable_events_are_refused_before_they_get_a_seq(crowd):
    c = crowd(outbox_close_at=20, **SMALL)
    slot, peer = c.join()
    assert c.gate.deliver(c.event(0, droppable=True), [slot]) == 1
    c.turn()
    n = block(c, slot, 1)
    while c.gate.deliver(c.event(n, droppable=True), [slot]):
        n += 1
    c.post([slot], n)
    drain(c, peer)
    assert peer.events() == [(i, i) for i in range(n + 1)]
    assert c.gate.stats()["refused"] == 1
    peer.sock.close()
    c.turn()
    assert c.gate.deliver(c.event(0, droppable=True), [slot]) == 0


def test_what_is_partly_out_is_ended_before_a_new_beginning(crowd):
    c = crowd(**SMALL)
    slot, peer = c.join()
    n = block(c, slot)
    c.post([slot], n, n + 1)
    c.gate.restart(slot)
    c.post([slot], 1000)
    drain(c, peer)
    events = peer.events()
    assert events[-1] == (0, 1000)
    assert events[:-1] == [(i, i) for i in range(len(events) - 1)]


def test_what_is_partly_out_is_ended_before_the_close_of_a_session(crowd):
    c = crowd(**SMALL)
    slot, peer = c.join()
    block(c, slot)
    c.gate.reply(slot, b"dropped")
    c.gate.silence(slot)
    c.gate.close(slot, 1008)
    drain(c, peer)
    assert peer.closes() == [1008]
    assert b"dropped" not in peer.texts()
    seqs = [seq for seq, _ in peer.events()]
    assert seqs == list(range(len(seqs)))


def test_a_closed_connection_that_is_kept_collects_until_it_is_released(crowd):
    c = crowd()
    slot, peer = c.join()
    c.post([slot], 0)
    c.gate.close(slot, 1001, keep=True)
    assert c.post([slot], 1) == [1]
    c.turn()
    assert c.closed == [(slot, 1001, "local")]
    peer.sock.close()
    c.turn()
    c.post([slot], 2)
    new, again = c.join()
    assert c.gate.take_over(slot, new, 0)
    c.turn()
    assert again.events() == [(0, 0), (1, 1), (2, 2)]
    c.gate.close(slot, 1001, keep=True)
    c.turn()
    c.gate.release(slot)
    assert c.post([slot], 3) == [0]
    assert c.gate.stats()["retained_bytes"] == 0


def test_the_budget_takes_the_oldest_and_says_so(crowd):
    c = crowd(budget_bytes=100_000, retain_events=1000)
    dead, peer = c.join()
    live, reader = c.join()
    peer.sock.close()
    c.turn()
    for n in range(50):
        c.post([dead, live], n, size=1000)
        c.turn()
        reader.read()
    assert c.gate.stats()["retained_bytes"] < 100_000
    for n in range(50, 150):
        c.post([live], n, size=1000)
        c.turn()
        reader.read()
        assert c.gate.stats()["retained_bytes"] < 115_000
    assert reader.events() == [(n, n) for n in range(150)]
    assert c.gate.stats()["evicted"] > 50
    new, _ = c.join()
    assert c.gate.take_over(dead, new, 0) is False       # it lost what it still needed
    assert c.gate.take_over(live, new, 0) is False       # too far back
    assert c.gate.take_over(live, new, 149) is True
    assert c.post([dead], 0) == [0]                      # it collects no more
    c.gate.release(dead)
    c.gate.release(live)
    assert c.gate.stats()["retained_bytes"] == 0


def test_long_rings_of_the_dead_cost_the_living_nothing(crowd):
    """Most of the budget is their rings: to free events alone would not do, and nobody would keep any."""
    c = crowd(budget_bytes=60_000)
    dead = []
    for _ in range(40):
        slot, peer = c.join()
        peer.sock.close()
        dead.append(slot)
    live, reader = c.join()
    c.turn()
    for n in range(500):
        c.post([live, *dead], n, size=20)
        c.turn()
        reader.read()
    assert c.gate.stats()["evicted"] > 0
    assert c.gate.alive(live)
    assert reader.events() == [(n, n) for n in range(500)]


def test_the_budget_closes_a_live_connection_that_loses_a_waiting_event(crowd):
    c = crowd(budget_bytes=50_000, outbox_close_at=10_000, **SMALL)
    slot, peer = c.join()
    n = block(c, slot)
    while not c.closed:
        c.post([slot], n, size=1000)
        c.turn()
        n += 1
        assert n < 200
    assert c.closed == [(slot, 1013, "slow")]
    drain(c, peer)
    assert peer.closes() == [1013]
    seqs = [seq for seq, _ in peer.events()]
    assert seqs == list(range(len(seqs)))                # what came is dense
    new, _ = c.join()
    assert c.gate.take_over(slot, new, len(seqs)) is False


def test_memory_of_idle_rings_shrinks(crowd):
    c = crowd(retain_events=8)
    slot, peer = c.join()
    c.post([slot], *range(3000))
    c.turn()
    drain(c, peer)
    c.tick(1000)
    assert c.gate.stats()["ring_bytes"] <= 8 * 32
    assert len(peer.events()) == 3000
    new, again = c.join()
    assert c.gate.take_over(slot, new, 2992)
    drain(c, again)
    assert again.events() == [(n, n) for n in range(2992, 3000)]


def test_a_connection_moves_to_another_gate(crowd):
    """Its events go as bytes, seqs and tails stay; replies do not move, and those of the new socket come first."""
    here, there = crowd(), crowd()
    old, lost = here.join(bits=8)
    here.post([old], *range(5))
    here.turn()
    here.gate.reply(old, b"never replayed")
    here.post([old], 5, tails={old: 5})
    lost.sock.close()
    here.turn()
    events = here.gate.copy_events(old, 3, 10_000)
    assert [tails for _, tails in events] == [0, 0, 5]
    new, peer = there.join(bits=8)
    there.gate.reply(new, b"mine")
    assert there.gate.begin_at(new, 3) is True
    for prefix, tails in events:
        assert there.gate.deliver(there.hotpath.Event(prefix), [new], tails={new: tails}) == 1
    there.post([new], 6)
    there.turn()
    assert peer.events() == [(i, i) for i in range(3, 7)]
    assert peer.texts()[0] == b"mine"
    assert b'"mentions":' in peer.texts()[3] and b'"should_ack":true},"seq":5}' in peer.texts()[3]
    assert there.gate.seq(new) == 7
    assert there.gate.begin_at(new, 9) is False
    there.gate.restart(new)
    there.post([new], 7)
    there.turn()
    assert peer.events()[-1] == (0, 7)


def test_what_cannot_move(crowd):
    c = crowd(retain_events=2)
    slot, _ = c.join()
    c.post([slot], *range(5), size=100)
    c.turn()
    c.tick(250)
    assert c.gate.copy_events(slot, 2, 10_000) is None, "gone"
    assert c.gate.copy_events(slot, 6, 10_000) is None, "never reached"
    assert c.gate.copy_events(slot, 3, 200) is None, "too large"
    assert len(c.gate.copy_events(slot, 3, 10_000)) == 2
    assert c.gate.copy_events(slot, 5, 0) == []
    c.gate.silence(slot)
    assert c.gate.copy_events(slot, 0, 10_000) is None
    with pytest.raises(LookupError):
        c.gate.copy_events(60, 0, 0)


@pytest.mark.parametrize("tls", [False, True])
def test_a_resume_between_tcp_and_tls(crowd, tls):
    """The socket that takes over is of the other kind than the one it takes from, which is blocked or live."""
    c = crowd(**SMALL)
    slot, peer = c.join(tls=not tls)
    n = block(c, slot)
    received = len(peer.events())
    new, again = c.join(tls=tls)
    assert c.gate.take_over(slot, new, received) is True
    assert c.gate.stats()["tls"] == tls
    c.post([slot], n)
    drain(c, again)
    assert again.events() == [(i, i) for i in range(received, n + 1)]
    peer.read()
    assert peer.ended


def test_what_tls_has_begun_goes_out_before_all_else(crowd):
    """A record that is partly out when its events are dropped, or its connection is closed, arrives whole."""
    for end in ("restart", "silence", "close"):
        c = crowd(tls=True, **SMALL)
        slot, peer = c.join()
        n = block(c, slot)
        if end == "close":
            c.gate.close(slot, 1008)
        else:
            getattr(c.gate, end)(slot)
        c.post([slot], n)
        drain(c, peer)
        seen = peer.events()
        assert seen[:n] == [(i, i) for i in range(n)]
        assert seen[n:] == ([(0, n)] if end == "restart" else [])
        assert peer.closes() == ([1008] if end == "close" else [])
