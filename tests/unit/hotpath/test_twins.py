"""Whatever is done to a gate, the twins do the same: results, callbacks, and every byte that clients get."""

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.hotpath.conftest import COMPILED, REFERENCE
from tests.unit.hotpath.crowd import Crowd, deflated

SLOTS = st.integers(0, 5)
SLOT_LISTS = st.lists(SLOTS, unique=True, max_size=6)
BITS = st.integers(0, 15)

STEPS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from([b"u" * 26, b"v" * 26]), BITS, st.booleans(), st.booleans()),
    st.tuples(st.just("send"), SLOTS, st.sampled_from([1, 1, 2, 9, 10, 8, 0]), st.binary(max_size=40), st.booleans()),
    st.tuples(st.just("send"), SLOTS, st.just(1), st.sampled_from([b"!close", b"!release", b"!take_over", b"!silence",
                                                                  b"!deliver", b"!flush", b"!join"]), st.just(True)),
    st.tuples(st.just("send packed"), SLOTS, st.sampled_from([1, 1, 2, 9, 0]),
              st.sampled_from([deflated(b"text"), deflated(b"\xff"), deflated(b"!take_over"), deflated(b"x" * 61), b"",
                               b"\xff", deflated(b"x" * 100_000), deflated(bytes(range(60)))]), st.booleans()),
    st.tuples(st.just("raw"), SLOTS, st.binary(max_size=8)),
    st.tuples(st.just("read"), SLOTS, st.sampled_from([1, 100, 1000, 1 << 20])),
    st.tuples(st.just("hang up"), SLOTS),
    st.tuples(st.just("deliver"), SLOT_LISTS, st.sampled_from([0, 50, 900, 4000, 5000, 66_000]), st.booleans(),
              st.sampled_from([0, 1, 4]), st.sampled_from([0, 2]), SLOT_LISTS, st.dictionaries(SLOTS, BITS)),
    st.tuples(st.just("deliver"), SLOT_LISTS, st.just(200), st.just(False), st.just(0), st.just(0), st.just([]),
              st.just({})),
    st.tuples(st.just("tell"), SLOT_LISTS, st.integers(0, 8), st.sampled_from([0, 3, 400]), BITS),
    st.tuples(st.just("reply"), SLOTS, st.binary(max_size=300)),
    st.tuples(st.just("flush")),
    st.tuples(st.just("poll")),
    st.tuples(st.just("turn")),
    st.tuples(st.just("tick"), st.sampled_from([1, 250, 600, 3000])),
    st.tuples(st.just("take_over"), SLOTS, SLOTS, st.integers(0, 12)),
    st.tuples(st.just("copy_events"), SLOTS, st.integers(0, 12), st.sampled_from([0, 300, 1 << 20])),
    st.tuples(st.just("begin_at"), SLOTS, st.sampled_from([0, 1, 5, 1 << 40])),
    st.tuples(st.just("restart"), SLOTS),
    st.tuples(st.just("silence"), SLOTS),
    st.tuples(st.just("close"), SLOTS, st.sampled_from([0, 1000, 1008, 1013]), st.booleans()),
    st.tuples(st.just("release"), SLOTS),
    st.tuples(st.just("set_user"), SLOTS, st.sampled_from([b"u" * 26, b"w"]), BITS),
)


HOW = ("retained_bytes", "ring_bytes", "batches")      # not what is done, but how


class World:
    """One implementation under the steps. Peers are numbered in the order in which they came."""

    def __init__(self, implementation) -> None:
        self.crowd = Crowd(implementation, send_buffer=4608, capacity=6, max_message=60, max_fragments=3,
                           outbox_close_at=8, retain_events=6, ping_interval_ms=1000, read_timeout_ms=5000,
                           linger_ms=500)
        self.crowd.on_message, self.crowd.on_close = self.on_message, self.on_close
        self.all_peers = []
        self.n = 0

    def on_message(self, slot, data, text):
        """Do what the message says, from inside the callback."""
        c, gate = self.crowd, self.crowd.gate
        if data == b"!close":
            gate.close(slot, 1000)
        elif data == b"!release":
            gate.release(slot)
        elif data == b"!take_over":
            with contextlib.suppress(LookupError):
                gate.take_over(slot ^ 1, slot, gate.seq(slot ^ 1))
        elif data == b"!silence":
            gate.silence(slot)
        elif data == b"!deliver":
            gate.deliver(c.event(0), gate.open_slots())
        elif data == b"!flush":
            gate.flush()
        elif data == b"!join":
            self.step("join", b"u" * 26, 0, False, False)

    def on_close(self, slot, code, why):
        if why != "local" and (slot + code) % 2:
            self.crowd.gate.release(slot)
            if code == 1013:
                self.step("join", b"u" * 26, 0, True, True)

    def step(self, kind, *arguments):
        """Return what a caller sees of one step."""
        c, gate = self.crowd, self.crowd.gate
        result = None
        try:
            if kind == "join":
                _, peer = c.join(*arguments[:2], deflate=arguments[2], tls=arguments[3])
                self.all_peers.append(peer)
            elif kind in ("send", "send packed", "raw", "read", "hang up"):
                if arguments[0] < len(self.all_peers):
                    peer = self.all_peers[-1 - arguments[0]]
                    if kind.startswith("send"):
                        peer.send(arguments[1], arguments[2], fin=arguments[3], rsv=4 * (kind == "send packed"))
                    elif kind == "raw":
                        peer.raw(arguments[1])
                    elif kind == "read":
                        result = peer.read(arguments[1])
                    else:
                        peer.read()
                        peer.sock.close()
                        peer.ended = True
                        self.all_peers.remove(peer)
            elif kind == "deliver":
                slots, size, droppable, require, forbid, omit, tails = arguments
                self.n += 1
                result = gate.deliver(c.event(self.n, size=size, droppable=droppable), c.hotpath.SlotSet(slots),
                                      require=require, forbid=forbid, omit=omit, tails=tails)
            elif kind == "tell":
                slots, blanks, size, tails = arguments
                event = c.hotpath.Event(b'{"event":"x","data":{"x":"' + b"x" * size + b"-\0" * blanks, personal=True)
                result = gate.deliver(event, slots, tails=dict.fromkeys(slots, tails))
            elif kind == "tick":
                c.now_ms += arguments[0]
                gate.tick(c.now_ms)
            elif kind == "turn":
                c.turn()
            elif kind == "close":
                gate.close(arguments[0], arguments[1], keep=arguments[2])
            else:
                result = getattr(gate, kind)(*arguments)
        except (LookupError, OverflowError, ValueError) as error:
            result = type(error).__name__
        seqs = [gate.seq(slot) if self.known(slot) else None for slot in range(6)]
        return (result, c.messages, c.closed, seqs, gate.open_slots(), self.numbers())

    def known(self, slot):
        try:
            self.crowd.gate.seq(slot)
        except LookupError:
            return False
        return True

    def numbers(self):
        stats = self.crowd.gate.stats()
        return {name: value for name, value in stats.items() if name not in HOW}

    def drain(self):
        for _ in range(60):
            self.crowd.turn()
            for peer in self.all_peers:
                peer.read()
        return [(peer.got, peer.ended) for peer in self.all_peers]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(STEPS, min_size=1, max_size=60))
def test_the_twins_do_the_same(steps):
    ours, twin = World(COMPILED), World(REFERENCE)
    first = [("join", b"u" * 26, 8, True, False), ("join", b"u" * 26, 0, False, True)]
    for step in [*first, *steps]:
        assert ours.step(*step) == twin.step(*step), step
    assert ours.drain() == twin.drain()
    assert ours.numbers() == twin.numbers()
    for world in (ours, twin):
        for slot in range(6):
            if world.known(slot):
                world.crowd.gate.release(slot)
        world.crowd.tick(10_000)
        stats = world.crowd.gate.stats()
        assert (stats["retained_bytes"], stats["ring_bytes"], stats["slots"], stats["sockets"]) == (0, 0, 0, 0)
