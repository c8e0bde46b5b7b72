"""Sends in batches: the same bytes as one by one, and nothing is lost when the kernel refuses a batch."""

import threading

from tests.unit.hotpath.conftest import COMPILED
from tests.unit.hotpath.crowd import Crowd


def everyone(c: Crowd, count: int):
    joined = [c.join() for _ in range(count)]
    return [slot for slot, _ in joined], [peer for _, peer in joined]


def test_many_sockets_share_a_system_call():
    c = Crowd(COMPILED)
    slots, peers = everyone(c, 40)
    c.post(slots, 1, 2)
    c.gate.flush()
    stats = c.gate.stats()
    assert stats["sends"] == 40
    assert stats["batches"] == 2             # 32 and 8
    assert all(peer.events() == [(0, 1), (1, 2)] for peer in peers)


def test_a_batch_is_bounded_by_bytes():
    c = Crowd(COMPILED)
    slots, peers = everyone(c, 8)
    c.post(slots, *range(20), size=1500)     # some 31 KB each
    c.gate.flush()
    assert c.gate.stats()["batches"] == 3    # 64 KiB, and what begins below them
    assert all(len(peer.events()) == 20 for peer in peers)


def test_few_sockets_are_sent_to_one_by_one():
    c = Crowd(COMPILED)
    slots, peers = everyone(c, 3)
    c.post(slots, 1)
    c.gate.flush()
    assert c.gate.stats()["batches"] == 0
    assert all(peer.events() == [(0, 1)] for peer in peers)


def test_full_and_dead_sockets_of_a_batch_do_not_touch_the_others():
    c = Crowd(COMPILED, send_buffer=4608, outbox_close_at=1000)
    slots, peers = everyone(c, 12)
    peers[3].sock.close()
    sent = 0
    while c.gate.stats()["blocked"] < 11:    # nobody reads
        c.post(slots, sent, size=1000)
        c.gate.flush()
        sent += 1
    assert c.gate.stats()["batches"] > 0
    for _ in range(200):
        for slot, peer in c.peers.items():
            if slot != slots[3]:
                peer.read()
        c.turn()
    assert [end[0] for end in c.closed] == [slots[3]]
    for slot, peer in c.peers.items():
        if slot != slots[3]:
            assert peer.events() == [(n, n) for n in range(sent)]


def test_a_ring_that_fails_is_given_up_and_nothing_is_lost():
    c = Crowd(COMPILED)
    slots, peers = everyone(c, 10)
    c.post(slots, 1)
    stranger = threading.Thread(target=c.gate.flush)    # the kernel takes batches of the thread only that made the ring
    stranger.start()
    stranger.join()
    assert c.gate.stats()["batches"] == 1
    c.post(slots, 2)
    c.gate.flush()
    assert c.gate.stats()["batches"] == 1               # no further attempt
    assert all(peer.events() == [(0, 1), (1, 2)] for peer in peers)
