"""Both implementations, as modules with the same names; the compiled one with both ways of sending."""

from functools import partial
from types import SimpleNamespace

import pytest

import hotpath.fanout
import hotpath.gate
import hotpath.reference.fanout
import hotpath.reference.gate
from tests.unit.hotpath.crowd import Crowd

COMPILED = SimpleNamespace(
    Gate=hotpath.gate.Gate, Event=hotpath.fanout.Event, SlotSet=hotpath.fanout.SlotSet
)
ONE_BY_ONE = SimpleNamespace(
    Gate=partial(hotpath.gate.Gate, batch_sends=False),
    Event=hotpath.fanout.Event,
    SlotSet=hotpath.fanout.SlotSet,
)
REFERENCE = SimpleNamespace(
    Gate=hotpath.reference.gate.Gate, Event=hotpath.reference.fanout.Event, SlotSet=hotpath.reference.fanout.SlotSet
)


EVERY = {
    "compiled": (COMPILED, False),
    "one by one": (ONE_BY_ONE, False),
    "reference": (REFERENCE, False),
    "compiled, TLS": (COMPILED, True),
    "reference, TLS": (REFERENCE, True),
}


@pytest.fixture(params=EVERY.values(), ids=EVERY.keys())
def crowd(request):
    """Return a maker of crowds: crowd(capacity=…, …)."""

    def make(**options) -> Crowd:
        hotpath, tls = request.param
        return Crowd(hotpath, **({"tls": tls} | options))

    return make
