"""The memory of the hub's index alone: who hears which channel. Resident set of a process that does nothing else.

python -m bench.index CONNECTIONS CHANNELS MEMBERS
"""

import subprocess
import sys
from collections.abc import Iterable

from bench.machine import ROOT, rss_kib
from gateway.connection import State, adopted, rename
from gateway.hub import Hub
from hotpath import Event
from loadtest.shapes import deal_members
from tidewire.bus.envelope import channel_key
from tidewire.wire.ids import new_id


class _NoRoom:
    """Takes what the hub says to the gate."""

    refused = 0

    def deliver(
        self,
        event: Event,
        slots: Iterable[int],
        *,
        require: int = 0,
        forbid: int = 0,
        omit: Iterable[int] = (),
        tails: dict[int, int] | None = None,
    ) -> int:
        raise NotImplementedError

    def set_user(self, slot: int, user_id: bytes, bits: int) -> None:
        return


def measure(connections: int, channels: int, members: int) -> int:
    """Return the KiB that the hub and its connections take."""
    hub = Hub(_NoRoom(), lambda key: None, lambda user_id, session_ids: None)
    hands = deal_members(connections, connections * channels // members, members, 0)
    keys: list[list[str]] = [[] for _ in range(connections)]
    for hand in hands:
        key = channel_key(new_id())
        for number in hand:
            keys[number].append(key)
    before = rss_kib(["self"])
    for slot, heard in enumerate(keys):
        connection = adopted(slot, "127.0.0.1", 0, 0.0, 100.0)
        user_id = new_id()
        connection.session_id = new_id()
        rename(connection)
        connection.state = State.LIVE
        # A copy of each key, as rows bring it: the hub keeps one.
        hub.add(hub.enter(user_id, "system_user", ["".join(list(key)) for key in heard], 0), connection)
    return rss_kib(["self"]) - before


def describe(connections: int, channels: int, members: int) -> str:
    """Return a line on an index of so many connections of one user each, measured in a process of its own."""
    words = [sys.executable, "-m", "bench.index", *map(str, (connections, channels, members))]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    mib = int(done.stdout) / 1024
    return (
        f"hub's index alone: {connections} connections, {channels} channels of {members} each: {mib:.1f} MiB"
    )


if __name__ == "__main__":
    print(measure(*map(int, sys.argv[1:])))
