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


@pytest.fixture(params=[COMPILED, ONE_BY_ONE, REFERENCE], ids=["compiled", "one by one", "reference"])
def crowd(request):
    """Return a maker of crowds: crowd(capacity=…, …)."""

    def make(**options) -> Crowd:
        return Crowd(request.param, **options)

    return make
