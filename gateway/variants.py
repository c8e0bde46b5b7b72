"""Who among the receivers of a copy gets which of its variants. Knows the hub's indexes, not what the pieces say.

A copy without variants, as nearly all are, never comes here. Cost: one look into an index per receiver and channel, a
body for each set of channels that some receivers can read.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import structs

from hotpath import ADMIN, GUEST, SlotSet
from tidewire.bus.envelope import Envelope, channel_key, team_key
from tidewire.bus.variants import ChannelReaders, Variants, body_for

if TYPE_CHECKING:
    from gateway.connection import Connection

Listeners = Callable[[str], SlotSet | list[int]]

# Bodies made of one copy. Twenty named channels and guests in some of them could ask for more; who would get one of the
# rarest gets what all get.
BODIES_MAX = 32


def keys_before(envelope: Envelope) -> Iterator[tuple[str, int]]:
    """Yield (key, number) of what must have been applied here before it is known who gets which variant."""
    for copy in envelope.copies:
        if copy.variants is not None:
            for channel in copy.variants.channels:
                yield channel_key(channel.channel_id), channel.n
                if channel.team_id:
                    yield team_key(channel.team_id), channel.team_n


def least(envelope: Envelope) -> Envelope:
    """Return the announcement as those get it who can read nothing more."""
    return structs.replace(envelope, copies=[structs.replace(copy, variants=None) for copy in envelope.copies])


def split(
    body: bytes,
    variants: Variants,
    slots: Iterable[int],
    listeners: Listeners,
    connection_of: "Callable[[int], Connection]",
) -> list[tuple[bytes, list[int]]]:
    """Return (body, slots that get it), each slot once. listeners(key): the slots that hear it."""
    chosen: dict[int, list[int]] = {}
    for slot, bits in _readable(variants.channels, slots, listeners, connection_of):
        chosen.setdefault(bits, []).append(slot)
    if len(chosen) > BODIES_MAX:
        for bits in sorted(chosen.keys() - {0}, key=lambda bits: len(chosen[bits]))[: len(chosen) - BODIES_MAX]:
            chosen.setdefault(0, []).extend(chosen.pop(bits))
    return [(body_for(body, variants.pieces, bits), some) for bits, some in chosen.items()]


def _readable(
    channels: list[ChannelReaders],
    slots: Iterable[int],
    listeners: Listeners,
    connection_of: "Callable[[int], Connection]",
) -> Iterator[tuple[int, int]]:
    """Yield (slot, bits of the channels that its user can read)."""
    everything = (1 << len(channels)) - 1
    members = [(listeners(channel_key(channel.channel_id)), 1 << i) for i, channel in enumerate(channels)]
    members = [(group, bit) for group, bit in members if len(group)]
    by_team: dict[str, int] = {}
    for i, channel in enumerate(channels):
        if channel.team_id:
            by_team[channel.team_id] = by_team.get(channel.team_id, 0) | 1 << i
    teams = [(listeners(team_key(team_id)), bits) for team_id, bits in by_team.items()]
    for slot in slots:
        role, bits = connection_of(slot).bits, 0
        if role & ADMIN:
            yield slot, everything
            continue
        if not role & GUEST:
            for group, open_to_team in teams:
                if slot in group:
                    bits |= open_to_team
        for group, bit in members:
            if not bits & bit and slot in group:
                bits |= bit
        yield slot, bits
