"""The gateway's hot path: frames, sockets, outboxes, fan-out. Compiled, each with a plain-Python twin.

HOTPATH=python in the environment chooses the twins in hotpath/reference. This is the one place besides
tidewire.settings that reads the environment: the choice is a developer's, made before any settings exist, and
never an installation's. A missing build stops the process: whoever believes to run compiled code must be.
"""

import os
from typing import TYPE_CHECKING

# Role bits of a slot, for Gate.set_user() and deliver(require=, forbid=).
ADMIN, GUEST, MFA_OK, POSTED_ACK = 1, 2, 4, 8
# Tail bits, for deliver(tails=).
MENTION, FOLLOW, ACK = 1, 2, 4

COMPILED = os.environ.get("HOTPATH") != "python"

if TYPE_CHECKING or COMPILED:
    try:
        from hotpath.answers import Answers, Entries, shape_streams
        from hotpath.entries import first_wanted, index_of
        from hotpath.fanout import Event, SlotSet, encode_event
        from hotpath.frames import Parser, encode_frame
        from hotpath.gate import Gate
        from hotpath.seat import Owner, Seat, SeatTable, name_states
    except ModuleNotFoundError as error:
        raise ImportError(
            "hotpath is not built: run `python setup.py build_ext --inplace` in the checkout (needs a C compiler and "
            f"Python's headers), or set HOTPATH=python to run the slow twins ({error})"
        ) from error
else:
    from hotpath.reference.answers import Answers, Entries, shape_streams
    from hotpath.reference.entries import first_wanted, index_of
    from hotpath.reference.fanout import Event, SlotSet, encode_event
    from hotpath.reference.frames import Parser, encode_frame
    from hotpath.reference.gate import Gate
    from hotpath.reference.seat import Owner, Seat, SeatTable, name_states

__all__ = ["ACK", "ADMIN", "COMPILED", "FOLLOW", "GUEST", "MENTION", "MFA_OK", "POSTED_ACK", "Answers", "Entries",
           "Event", "Gate", "Owner", "Parser", "Seat", "SeatTable", "SlotSet", "encode_event", "encode_frame",
           "first_wanted", "index_of", "name_states", "shape_streams"]
