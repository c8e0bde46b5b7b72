"""What the gate promises of sockets: messages, answers, closes, timers, slots. Both implementations."""

import gc
import os
import select
import socket
import ssl

import pytest

from tests.unit.hotpath.crowd import USER
from tests.unit.hotpath.test_frames import client_frame


def test_messages_go_up_and_replies_come_down_in_order(crowd):
    c = crowd()
    slot, peer = c.join()
    peer.send(1, b"one")
    peer.send(9, b"ping")
    peer.send(2, b"two")
    c.turn()
    assert c.messages == [(slot, b"one", True), (slot, b"two", False)]
    c.post([slot], 0)
    c.gate.reply(slot, b"reply")
    c.post([slot], 1)
    c.gate.reply(slot, b"binary", binary=True)
    c.turn()
    kinds = [(opcode, data[:8]) for opcode, data in peer.frames()]
    assert kinds == [(10, b"ping"), (1, b'{"event"'), (1, b"reply"), (1, b'{"event"'), (2, b"binary")]
    assert peer.events() == [(0, 0), (1, 1)]


def test_an_answer_and_leftovers(crowd):
    c = crowd()
    data = client_frame(9, b"early") + client_frame(1, b"half")
    slot, peer = c.join(leftover=data[:-2], answer=b"HTTP/1.1 101\r\n\r\n")
    assert c.messages == []                  # never from inside adopt()
    woken = select.poll()  # not select(): a process of many tests has descriptors above its limit
    woken.register(c.gate.fileno(), select.POLLIN)
    assert woken.poll(0)
    c.post([slot], 0)
    peer.raw(data[-2:])
    c.turn()
    assert c.messages == [(slot, b"half", True)]
    assert peer.read().startswith(b"HTTP/1.1 101\r\n\r\n\x81")


def test_the_close_handshake_by_the_peer(crowd):
    c = crowd()
    slot, peer = c.join()
    peer.send(8, b"\x0f\xa0bye")
    c.turn()
    assert c.closed == [(slot, 4000, "peer")]
    assert peer.closes() == [4000]
    assert peer.ended                        # the server ends TCP first
    assert not c.gate.alive(slot)
    peer.sock.close()
    c.turn()
    assert c.gate.stats()["sockets"] == 0
    assert c.closed == [(slot, 4000, "peer")]


def test_a_close_without_code(crowd):
    c = crowd()
    slot, peer = c.join()
    peer.send(8)
    c.turn()
    assert c.closed == [(slot, 1005, "peer")]
    assert peer.frames() == [(8, b"")]


def test_the_close_handshake_by_us(crowd):
    c = crowd()
    slot, peer = c.join()
    c.post([slot], 0)
    c.gate.close(slot, 1008)
    assert c.closed == []                    # never from inside another method
    c.turn()
    assert c.closed == [(slot, 1008, "local")]
    assert (peer.closes(), peer.ended) == ([1008], False)
    peer.send(1, b"not heard any more")
    peer.send(8, b"\x03\xf0")
    c.turn()
    peer.read()
    assert peer.ended
    assert c.messages == []
    assert c.gate.stats()["slots"] == 0


def test_a_close_that_is_not_answered_lingers_and_ends(crowd):
    c = crowd(linger_ms=500)
    slot, peer = c.join()
    c.gate.close(slot, 1001)
    c.turn()
    c.tick(499)
    assert c.gate.stats()["sockets"] == 1
    c.tick(1)
    assert c.gate.stats()["sockets"] == c.gate.stats()["slots"] == 0
    peer.read()
    assert peer.ended


@pytest.mark.parametrize("code", [0, 1006])
def test_a_close_without_a_frame_comes_behind_what_is_queued(crowd, code):
    c = crowd()
    slot, peer = c.join(answer=b"101")
    c.gate.close(slot, code)
    assert peer.read() == b"101"
    assert peer.ended
    c.turn()
    assert c.closed == [(slot, 1006, "local")]


def test_a_broken_protocol_is_answered_and_ends(crowd):
    c = crowd(max_message=100)
    slot, peer = c.join()
    peer.raw(b"\x81\xff" + (1 << 62).to_bytes(8, "big"))
    c.turn()
    assert c.closed == [(slot, 1009, "protocol")]
    assert peer.closes() == [1009]
    assert peer.ended
    peer.raw(b"x" * 1000)                    # whatever comes is read and dropped, so that no reset destroys the answer
    peer.sock.shutdown(socket.SHUT_WR)
    c.turn()
    assert c.gate.stats()["sockets"] == 0


def test_a_lost_socket(crowd):
    c = crowd()
    slot, peer = c.join()
    peer.sock.close()
    c.turn()
    assert c.closed == [(slot, 1006, "peer")]
    c.gate.release(slot)
    with pytest.raises(LookupError):
        c.gate.seq(slot)


def test_a_socket_that_fails_while_sending(crowd):
    c = crowd()
    slot, peer = c.join()
    other, healthy = c.join()
    peer.sock.close()
    c.post([slot, other], 0)
    c.gate.flush()
    assert c.closed == [(slot, 1006, "peer")]
    assert healthy.events() == [(0, 0)]


def test_pings_and_the_read_timeout(crowd):
    c = crowd(ping_interval_ms=60_000, read_timeout_ms=100_000)
    slot, peer = c.join()
    c.tick(59_999)
    assert peer.frames() == []
    c.tick(1)
    assert peer.frames() == [(9, b"")]
    peer.send(1, b"messages do not count")
    c.turn()
    c.tick(30_000)
    peer.send(10)
    c.turn()
    c.tick(99_999)
    assert c.closed == []
    c.tick(1)
    assert c.closed == [(slot, 1006, "timeout")]
    peer.read()
    assert peer.ended


def test_slots_rest_before_they_are_used_again_and_their_number_is_bounded(crowd):
    c = crowd(capacity=4)
    slots = [c.join()[0] for _ in range(4)]
    assert slots == [0, 1, 2, 3]
    with pytest.raises(OverflowError):
        c.join()
    for slot in (1, 3):
        c.gate.release(slot)
    assert [c.join()[0] for _ in range(2)] == [1, 3]
    c.gate.close(2, 1000)
    assert c.gate.stats()["slots"] == 4      # until its end is told and its socket gone
    c.turn()
    c.tick(10_000)
    assert c.gate.stats()["slots"] == 3


def test_many_come_and_go_in_few_slots(crowd):
    c = crowd(capacity=1000)
    for _ in range(200):
        slot, peer = c.join()
        peer.sock.close()
        c.turn()
        c.gate.release(slot)
        assert slot < 4


def test_an_event_for_a_closed_number_never_reaches_the_next_socket(crowd):
    """Two sockets are readable in one batch; the first one's message closes the second and adopts a third."""
    c = crowd()
    first, a = c.join()
    second, b = c.join()
    a.send(1, b"go")
    b.send(1, b"must not be heard")

    def go(slot, data, text):
        if data == b"go":
            c.gate.release(second)
            c.third, _ = c.join()

    c.on_message = go
    c.turn()
    c.turn()
    assert c.messages == [(first, b"go", True)]
    assert c.gate.alive(c.third)


def test_what_a_callback_leaves_behind_wakes_the_loop(crowd):
    c = crowd()
    slot, peer = c.join()

    def adopt(slot_, data, text):
        c.on_message = lambda *_: None
        c.later, _ = c.join(leftover=client_frame(1, b"read with its handshake"))

    c.on_message = adopt
    peer.send(1, b"go")
    c.gate.poll()
    woken = select.poll()  # not select(): a process of many tests has descriptors above its limit
    woken.register(c.gate.fileno(), select.POLLIN)
    assert woken.poll(0)
    c.gate.poll()
    assert c.messages == [(slot, b"go", True), (c.later, b"read with its handshake", True)]


def test_callbacks_may_end_the_very_slot(crowd):
    c = crowd()
    for end in (lambda s: c.gate.release(s), lambda s: c.gate.close(s, 0), lambda s: c.gate.close(s, 1000),
                lambda s: c.gate.silence(s)):
        _, peer = c.join()
        c.on_message = lambda s, *_, end=end: end(s)
        peer.send(1, b"a")
        peer.send(1, b"b")
        peer.send(9, b"c")
        c.turn()
        assert [data for _, data, _ in c.messages] == [b"a"]
        c.messages.clear()


def test_a_bug_in_a_callback_ends_that_socket_only(crowd, monkeypatch):
    seen = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: seen.append(what.exc_value))
    c = crowd()
    slot, peer = c.join()
    other, healthy = c.join()

    def bug(slot_, data, text):
        if slot_ == slot:
            raise RuntimeError("bug")
        c.gate.reply(slot_, data)

    c.on_message = bug
    peer.send(1, b"x")
    healthy.send(1, b"y")
    c.turn()
    assert [str(error) for error in seen] == ["bug"]
    assert c.closed == [(slot, 1011, "error")]
    assert healthy.texts() == [b"y"]
    assert c.gate.alive(other)


def test_one_hog_does_not_starve_the_others(crowd):
    c = crowd()
    _, flood = c.join()
    other, quiet = c.join()
    flood.raw((b"\x81\x80aaaa") * 10_000)    # empty messages
    quiet.send(1, b"me")
    c.gate.poll()
    assert (other, b"me", True) in c.messages
    assert len(c.messages) < (3000 if c.tls else 1000)     # 2 KiB; or a record, 16 KiB


def test_large_messages_are_read_in_few_rounds(crowd):
    c = crowd(max_message=1 << 20)
    slot, peer = c.join()
    data = client_frame(2, b"z" * 300_000)
    for _ in range(100):
        if data:
            try:
                data = data[peer.sock.send(data):]
            except (BlockingIOError, ssl.SSLWantWriteError):
                pass
        c.gate.poll()
    assert c.messages == [(slot, b"z" * 300_000, False)]


def test_roles_and_omissions(crowd):
    c = crowd()
    a, b, d = c.join(bits=1)[0], c.join(bits=3)[0], c.join()[0]
    slots = c.hotpath.SlotSet([a, b, d])
    assert c.gate.deliver(c.event(0), slots) == 3
    assert c.gate.deliver(c.event(1), slots, require=1) == 2
    assert c.gate.deliver(c.event(2), slots, require=1, forbid=2) == 1
    assert c.gate.deliver(c.event(3), slots, forbid=1) == 1
    assert c.gate.deliver(c.event(4), slots, omit=iter([a, d])) == 1
    assert c.gate.deliver(c.event(5), slots, omit=[a, b, d, 77]) == 0
    assert c.gate.deliver(c.event(6), [99]) == 0
    assert [c.gate.seq(s) for s in (a, b, d)] == [3, 3, 2]


def test_tails_belong_to_one_delivery_and_the_ack_to_those_who_asked(crowd):
    c = crowd()
    a, pa = c.join(bits=8)
    b, pb = c.join()
    c.post([a, b], 0, tails={a: 7, b: 7})
    c.post([a, b], 1)
    c.turn()
    for peer, ack in ((pa, True), (pb, False)):
        first, second = peer.texts()
        assert (b'"mentions":"[\\"' + USER + b'\\"]","followers":"[\\"' + USER + b'\\"]"') in first
        assert (b'"should_ack":true' in first) is ack
        assert b"mentions" not in second


def test_an_event_belongs_to_one_gate(crowd):
    c, other = crowd(), crowd()
    event = c.event(0)
    slot, _ = c.join()
    elsewhere, _ = other.join()
    c.gate.deliver(event, [slot])
    with pytest.raises(ValueError, match="gate"):
        other.gate.deliver(event, [elsewhere])


def test_a_connection_with_events_keeps_its_user(crowd):
    c = crowd()
    slot, _ = c.join()
    c.gate.set_user(slot, b"another", 1)
    c.post([slot], 0)
    with pytest.raises(ValueError, match="user"):
        c.gate.set_user(slot, b"third", 1)
    c.gate.set_user(slot, b"another", 2)
    with pytest.raises(ValueError, match="long"):
        c.gate.set_user(slot, b"u" * 33, 0)


def test_silence_is_at_once(crowd):
    c = crowd()
    slot, peer = c.join()
    c.post([slot], 0, 1)
    c.gate.reply(slot, b"reply")
    c.gate.silence(slot)
    assert c.post([slot], 2) == [0]
    c.gate.reply(slot, b"reply")
    peer.send(1, b"anything")
    c.gate.close(slot, 1008)
    c.turn()
    assert peer.frames() == [(8, b"\x03\xf0")]
    assert c.messages == []


def test_restart_begins_at_zero_on_the_same_socket(crowd):
    c = crowd()
    slot, peer = c.join()
    c.post([slot], 0, 1)
    c.turn()
    c.post([slot], 2)
    c.gate.reply(slot, b"kept")
    c.gate.restart(slot)
    c.post([slot], 3)
    c.turn()
    assert peer.events() == [(0, 0), (1, 1), (0, 3)]
    assert b"kept" in peer.texts()


def test_no_descriptor_is_left_behind(crowd):
    gc.collect()                             # crowds of earlier tests
    before = len(os.listdir("/proc/self/fd"))
    c = crowd()
    for _ in range(10):
        c.join()
    del c.gate
    for peer in c.peers.values():
        peer.sock.close()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_large_events_among_small_ones_and_replies(crowd):
    """More large parts than one system call names, and frames cut wherever the socket was full."""
    c = crowd(send_buffer=100_000, outbox_close_at=1000, retain_events=1000)
    slot, peer = c.join(user=USER)
    for n in range(200):
        c.post([slot], n, size=(4080 + n) if n % 3 else 10, tails={slot: n % 4})
        if n % 5 == 0:
            c.gate.reply(slot, b"reply %d" % n)
    for _ in range(200):
        c.turn()
        peer.read(7001)
    assert peer.events() == [(n, n) for n in range(200)]
    texts = peer.texts()
    assert [text for text in texts if text.startswith(b"reply")] == [b"reply %d" % n for n in range(0, 200, 5)]
    assert texts.index(b"reply 100") == 100 + 1 + 100 // 5


def test_tls_ends_with_close_notify(crowd):
    """RFC 8446 6.1; else a client can't tell an end from an attack that cuts."""
    c = crowd(tls=True)
    slots = [c.join() for _ in range(3)]
    assert c.gate.stats()["tls"] == 3
    (cut, _), (closed, closes), (_, answers) = slots
    c.gate.close(cut, 0)
    c.gate.close(closed, 1008)
    answers.send(8, b"\x03\xe8")
    c.turn()
    closes.send(8, b"\x03\xf0")
    c.turn()
    for _, peer in slots:
        peer.sock.suppress_ragged_eofs = False       # an end without close_notify would raise
        while peer.sock.recv(65536):
            pass
        peer.sock.close()
    c.turn()
    assert c.gate.stats()["tls"] == c.gate.stats()["sockets"] == 0


def test_tls_that_breaks_is_an_end(crowd):
    c = crowd(tls=True)
    (slot, peer), (other, healthy) = c.join(), c.join()
    raw = socket.socket(fileno=os.dup(peer.sock.fileno()))
    raw.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)    # a record with a false tag
    healthy.send(1, b"fine")
    c.turn()
    assert c.closed == [(slot, 1006, "peer")]
    assert c.messages == [(other, b"fine", True)]
    raw.close()


def test_what_is_counted(crowd):
    c = crowd(send_buffer=4608)
    (slow, _), (slot, peer) = c.join(), c.join()
    before = c.gate.stats()
    c.post([slot], 0)
    c.turn()
    c.post([slot], *range(1, 4))
    c.turn()
    c.gate.reply(slot, b"reply")
    c.turn()
    peer.send(1, b"x" * 100)
    c.turn()
    after = c.gate.stats()
    assert after["frames"] - before["frames"] == 5
    assert after["carried"] == [2, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert after["received_bytes"] == 106
    assert after["sent_bytes"] == len(peer.read()) > 200
    assert (after["waiting"], after["waiting_most"]) == (0, 0)
    c.post([slow], *range(20), size=1000)
    c.post([slot], *range(3))
    c.gate.flush()
    c.tick(250)
    assert (after["blocked"], c.gate.stats()["blocked"]) == (0, 1)
    assert c.gate.stats()["waiting"] == c.gate.stats()["waiting_most"] > 3
    c.gate.release(slow)
    c.tick(250)
    assert (c.gate.stats()["waiting"], c.gate.stats()["waiting_most"]) == (0, 0)
