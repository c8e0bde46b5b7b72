"""Who among the receivers of a copy gets which of its variants. Knows the hub's indexes, not what the pieces say.

A copy without variants, as nearly all are, never comes here. Cost: one look into an index per receiver and channel, a
body for each set of channels that some receivers can read.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import structs

from gateway.connection import Connection
from hotpath import ADMIN, GUEST, SlotSet
from tidewire.bus.envelope import After, Envelope, channel_key, team_key, user_key
from tidewire.bus.variants import ChannelReaders, Variants, body_for

Listeners = Callable[[str], SlotSet | list[int]]
_Group = tuple[SlotSet | list[int], int]

# Bodies made of one copy. Twenty named channels and guests in some of them could ask for more; who would get one of the
# rarest gets what all get.
BODIES_MAX = 32


def keys_before(envelope: Envelope) -> Iterator[tuple[str, int]]:
    """Yield (key, number) of what must have been applied here before: else it is not known who gets which variant.

    Or, of users, what the announcement takes back would come after it.
    """
    for effect in envelope.effects:
        if isinstance(effect, After):
            yield user_key(effect.user_id), effect.n
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
    body: bytes, variants: Variants, slots: Iterable[int], seats: Sequence[Connection | None], listeners: Listeners
) -> list[tuple[bytes, list[int]]]:
    """Return (body, slots that get it), each slot once.

    seats: the connections by slot. listeners(key): the slots that hear it.
    """
    chosen: dict[int, list[int]] = {}
    everything = (1 << len(variants.channels)) - 1
    members, teams = _groups(variants.channels, listeners)
    rest: dict[int, list[_Group]] = {}  # by what one reads without being a member: where else he may be one
    for slot in slots:
        connection = seats[slot]
        roles = connection.bits if connection is not None else GUEST
        readable = everything if roles & ADMIN else 0
        if not roles & (ADMIN | GUEST):
            for group, bits in teams:
                if slot in group:
                    readable |= bits
        if readable not in rest:
            rest[readable] = [(group, bit) for group, bit in members if not readable & bit]
        for group, bit in rest[readable]:
            if slot in group:
                readable |= bit
        if readable in chosen:
            chosen[readable].append(slot)
        else:
            chosen[readable] = [slot]
    if len(chosen) > BODIES_MAX:
        for rare in sorted(chosen.keys() - {0}, key=lambda bits: len(chosen[bits]))[: len(chosen) - BODIES_MAX]:
            chosen.setdefault(0, []).extend(chosen.pop(rare))
    return [(body_for(body, variants.pieces, readable), some) for readable, some in chosen.items()]


def _groups(channels: list[ChannelReaders], listeners: Listeners) -> tuple[list[_Group], list[_Group]]:
    """Return who is here of the channels' members, and of the teams that read them, each with the channels' bits."""
    by_team: dict[str, int] = {}
    members: list[_Group] = []
    for i, channel in enumerate(channels):
        group = listeners(channel_key(channel.channel_id))
        if len(group):
            members.append((group, 1 << i))
        if channel.team_id:
            by_team[channel.team_id] = by_team.get(channel.team_id, 0) | 1 << i
    return members, [(listeners(team_key(team_id)), bits) for team_id, bits in by_team.items()]
