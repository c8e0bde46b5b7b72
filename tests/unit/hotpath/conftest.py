"""Both implementations, as modules with the same names."""

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
REFERENCE = SimpleNamespace(
    Gate=hotpath.reference.gate.Gate, Event=hotpath.reference.fanout.Event, SlotSet=hotpath.reference.fanout.SlotSet
)


@pytest.fixture(params=[COMPILED, REFERENCE], ids=["compiled", "reference"])
def crowd(request):
    """Return a maker of crowds: crowd(capacity=…, …)."""

    def make(**options) -> Crowd:
        return Crowd(request.param, **options)

    return make
