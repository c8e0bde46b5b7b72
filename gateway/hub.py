"""Who is connected to this process, and who is an event for?

Knows connections and ids; knows nothing of JSON, Redis, the database or the order of events (relay does). Called only
from the event loop: no locks. Entering costs O(memberships of the user), an event O(its audience here).
"""

import sys
from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from gateway.connection import Connection, Seats, State, views
from gateway.variants import split
from hotpath import ACK, ADMIN, FOLLOW, GUEST, MENTION, MFA_OK, POSTED_ACK, Event, Owner, SeatTable, SlotSet
from tidewire.bus.envelope import (
    After,
    Copy,
    Effect,
    EndSessions,
    Envelope,
    JoinChannel,
    JoinTeam,
    LeaveChannel,
    LeaveTeam,
    Only,
    Resync,
    Roles,
    channel_key,
    team_key,
    user_key,
)

PRESENCE_FILTERED = frozenset({"typing", "reaction_added", "reaction_removed"})


def could_reach(envelope: Envelope, user_id: str, keys: Container[str]) -> bool:
    """Tell whether an announcement is about the user, or for him or for a key that he hears."""
    return any(effect.user_id == user_id for effect in envelope.effects) or any(
        copy.everyone
        or copy.user_id == user_id
        or user_id in copy.to_each
        or (copy.channel_id != "" and channel_key(copy.channel_id) in keys)
        or (copy.team_id != "" and team_key(copy.team_id) in keys)
        for copy in envelope.copies
    )


class Deliver(Protocol):
    """What the hub needs of the room."""

    @property
    def refused(self) -> int:
        """Number of droppable events that found no room."""

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
        """Queue the event for the slots, return how many took it."""

    def set_user(self, slot: int, user_id: bytes, bits: int) -> None:
        """Tell the gate whose slot it is."""


# A connected user. keys: `Numbers` of the channels and teams he hears, see `Hub.keys_of`; n: his own key's number when
# he came in, -1 if the relay has a line for it.
Member = Owner

# Keys as the hub numbers them: two bytes each as long as all are small, for they are kept per user; else four, and one
# more byte behind them.
Numbers = bytes
_SMALL = 1 << 16
_ARCHIVING = frozenset({"channel_deleted", "channel_restored"})


def _pack(numbers: Iterable[int]) -> Numbers:
    numbers = tuple(numbers)
    if not numbers or max(numbers) < _SMALL:
        return array("H", numbers).tobytes()
    return array("I", numbers).tobytes() + b"\0"


def _unpack(numbers: Numbers) -> Sequence[int]:
    return memoryview(numbers).cast("H") if len(numbers) % 2 == 0 else memoryview(numbers)[:-1].cast("I")


class Hub:
    """The indexes: user, connection id and ordering key → who is there.

    A channel's or team's key has a number and a set of slots as long as somebody hears it; a user's key is heard by
    his connections.
    """

    def __init__(
        self, room: Deliver, on_dropped: Callable[[str], None], on_ended: Callable[[str, list[str]], None]
    ) -> None:
        """on_dropped(key): its last listener is leaving; on_ended(user id, session ids or []): EndSessions arrived."""
        self._room = room
        self._on_dropped = on_dropped
        self._on_ended = on_ended
        self.members: dict[str, Member] = {}
        self.numbers: dict[str, int] = {}  # of the channels' and teams' keys that somebody hears
        self._names: list[str] = []  # by number
        self._groups: list[SlotSet] = []  # by number
        self._spare: list[int] = []  # numbers without a key
        self.archived: set[str] = set()  # keys of archived channels that somebody hears
        self.everyone = SlotSet()
        self.by_slot = Seats()
        self.by_connection_id = SeatTable()
        self._required = 0  # bits that a connection needs to hear anything
        self._guests_need_mfa = True
        self._choosy = SlotSet()  # those that reported all three values of `presence`
        self.delivered = 0
        self.delivered_by_name: dict[str, int] = {}
        self.dropped_by_name: Counter[str] = Counter()  # droppable events that found no room

    # Entering and leaving

    def enter(self, user_id: str, roles: str, keys: Iterable[str], n: int = -1) -> Member:
        """Make a member of a user who has none here; a connection must be added at once. n: see Member."""
        own = user_key(user_id)
        numbers = _pack([self._number(key) for key in keys if key != own])
        member = self.members[user_id] = Member(user_id, sys.intern(roles), numbers, n)
        return member

    def add(self, member: Member, connection: Connection) -> None:
        """Let the connection hear all that its user hears."""
        slot = connection.slot
        member.connections += (connection,)
        connection.user_id = member.user_id  # the same object: one string for all of his connections
        self.by_slot[slot] = connection
        self.by_connection_id.add(connection)
        self.everyone.add(slot)
        groups = self._groups
        for number in _unpack(member.keys):
            groups[number].add(slot)
        self.set_bits(connection, member.roles)

    def remove(self, connection: Connection) -> None:
        """Take a connection out of every index; the last one takes the member with it."""
        slot = connection.slot
        if self.by_slot.get(slot) is not connection:
            return
        del self.by_slot[slot]
        self.by_connection_id.discard(connection)
        self.everyone.discard(slot)
        self._choosy.discard(slot)
        member = self.members[connection.user_id]
        member.connections = tuple([other for other in member.connections if other is not connection])
        if not member.connections:
            self._on_dropped(user_key(member.user_id))
            del self.members[member.user_id]
        for number in _unpack(member.keys):
            self._unlisten(number, slot)

    def _number(self, key: str) -> int:
        """Return the key's number, a new one if nobody hears it yet."""
        number = self.numbers.get(key)
        if number is None:
            if self._spare:
                number = self._spare.pop()
                self._names[number] = key
            else:
                number = len(self._names)
                self._names.append(key)
                self._groups.append(SlotSet())
            self.numbers[key] = number
        return number

    def _unlisten(self, number: int, slot: int) -> None:
        group = self._groups[number]
        group.discard(slot)
        if not len(group):
            key = self._names[number]
            del self.numbers[key]
            self.archived.discard(key)
            self._names[number] = ""
            self._spare.append(number)
            self._on_dropped(key)

    # Keys

    def heard(self, key: str) -> bool:
        """Tell whether somebody here hears the key."""
        return key in self.numbers or (key[0] == "u" and key[2:] in self.members)

    def heard_keys(self) -> Iterator[str]:
        """Go through the keys that somebody hears."""
        yield from self.numbers
        for user_id in self.members:
            yield user_key(user_id)

    @property
    def key_count(self) -> int:
        """Number of keys that somebody hears."""
        return len(self.numbers) + len(self.members)

    def knows(self, keys: Mapping[str, int], archived: Sequence[str]) -> None:
        """Take note which of the channels with these keys were archived when their rows were read."""
        if archived or self.archived:
            self.archived.difference_update(keys)
            self.archived.update(archived)

    def note(self, envelope: Envelope) -> None:
        """Take note of a channel that is archived or restored. Which one stands in what it makes stale."""
        for copy in envelope.copies:
            if copy.name in _ARCHIVING:
                keys = {channel_key(stale[8:]) for stale in envelope.invalidates if stale.startswith("channel:")}
                if copy.name == "channel_deleted":
                    self.archived.update(keys & self.numbers.keys())
                else:
                    self.archived.difference_update(keys)

    def keys_of(self, member: Member) -> set[str]:
        """Return the keys that the user hears, his own included."""
        return {user_key(member.user_id), *(self._names[number] for number in _unpack(member.keys))}

    def baseline(self, user_id: str) -> int:
        """Return the number of the user's key when he came in; -1: not here, or to be found in the relay's lines."""
        member = self.members.get(user_id)
        return -1 if member is None else member.n

    def listeners(self, key: str) -> SlotSet | list[int]:
        """Return the slots that hear the key."""
        if key[0] == "u":
            return self.slots_of(key[2:])
        number = self.numbers.get(key)
        return [] if number is None else self._groups[number]

    def set_bits(self, connection: Connection, roles: str) -> None:
        """Derive the slot's role bits from the roles and tell the gate."""
        named = roles.split()
        bits = connection.bits & ~(ADMIN | GUEST)
        bits |= ADMIN if "system_admin" in named else 0
        bits |= GUEST if "system_guest" in named else 0
        connection.bits = bits
        self._room.set_user(connection.slot, connection.user_id.encode(), self._effective(bits))

    def _effective(self, bits: int) -> int:
        return bits | MFA_OK if bits & GUEST and not self._guests_need_mfa else bits

    def require_mfa(self, required: bool, *, guests: bool) -> None:
        """Let only those hear anything who have a second factor or need none; guests: whether these need one."""
        self._required = MFA_OK if required else 0
        self._guests_need_mfa = guests

    def may_act(self, connection: Connection) -> bool:
        """Tell whether the connection has what is required of all."""
        return self._effective(connection.bits) & self._required == self._required

    def looks(self, connection: Connection) -> None:
        """Take note that the connection's `presence` changed."""
        if connection.looks_at is not None and len(connection.looks_at) == 3:
            self._choosy.add(connection.slot)
        else:
            self._choosy.discard(connection.slot)

    def hears(self, user_id: str, key: str) -> bool:
        """Tell whether a connected user hears the key, that is: is a member of that channel or team."""
        member = self.members.get(user_id)
        return member is not None and self._hears(member, key)

    def _hears(self, member: Member, key: str) -> bool:
        if key[0] == "u":
            return key[2:] == member.user_id
        number = self.numbers.get(key)
        # All of a user's connections hear what he hears: to ask for one is enough.
        return number is not None and member.connections[0].slot in self._groups[number]

    # Effects

    def apply(self, effect: Effect) -> None:
        """Change who hears what. Applied before any copy of the same announcement goes out.

        Resync and After are the relay's.
        """
        if isinstance(effect, EndSessions):
            self._on_ended(effect.user_id, effect.session_ids)
            return
        member = self.members.get(effect.user_id)
        if member is None:
            return
        if isinstance(effect, JoinChannel):
            self._join(member, channel_key(effect.channel_id))
        elif isinstance(effect, LeaveChannel):
            self._leave(member, channel_key(effect.channel_id))
        elif isinstance(effect, JoinTeam):
            self._join(member, team_key(effect.team_id))
        elif isinstance(effect, LeaveTeam):
            self._leave(member, team_key(effect.team_id))
        elif isinstance(effect, Roles):
            member.roles = effect.roles
            for connection in member.connections:
                self.set_bits(connection, effect.roles)

    def _join(self, member: Member, key: str) -> None:
        if not self._hears(member, key):
            number = self._number(key)
            member.keys = _pack((*_unpack(member.keys), number))
            for connection in member.connections:
                self._groups[number].add(connection.slot)

    def _leave(self, member: Member, key: str) -> None:
        if self._hears(member, key):
            number = self.numbers[key]
            member.keys = _pack([other for other in _unpack(member.keys) if other != number])
            for connection in member.connections:
                self._unlisten(number, connection.slot)

    def would_change(self, effect: Effect) -> bool:
        """Tell whether the effect is about a user here and not in force already."""
        member = self.members.get(effect.user_id)
        if member is None or isinstance(effect, EndSessions | After):
            return False
        if isinstance(effect, JoinChannel):
            return not self._hears(member, channel_key(effect.channel_id))
        if isinstance(effect, LeaveChannel):
            return self._hears(member, channel_key(effect.channel_id))
        if isinstance(effect, JoinTeam):
            return not self._hears(member, team_key(effect.team_id))
        if isinstance(effect, LeaveTeam):
            return self._hears(member, team_key(effect.team_id))
        if isinstance(effect, Resync):
            return True
        return member.roles != effect.roles

    # Audiences

    def concerns(self, envelope: Envelope) -> bool:
        """Tell whether anybody here could notice the announcement."""
        # Loops, not any(): every announcement of the whole installation comes by here.
        for effect in envelope.effects:
            if effect.user_id in self.members:
                return True
        for copy in envelope.copies:  # noqa: SIM110 - as above
            if len(self._audience(copy)):
                return True
        return False

    def _audience(self, copy: Copy) -> SlotSet | list[int]:
        """Return the slots of the widest audience the copy names, before omissions."""
        if copy.connection_id:
            one = self.by_connection_id.get(copy.connection_id)
            return [one.slot] if one is not None and copy.user_id in ("", one.user_id) else []
        if copy.user_id:  # with a channel or team beside it: that user only
            return self.slots_of(copy.user_id)
        if copy.channel_id:
            return self.listeners(channel_key(copy.channel_id))
        if copy.team_id:
            return self.listeners(team_key(copy.team_id))
        if copy.everyone:
            return self.everyone
        return [slot for user_id in copy.to_each for slot in self.slots_of(user_id)]

    def deliver(self, copy: Copy) -> int:
        """Queue a copy for its audience; return the number of connections that took it."""
        slots = self._audience(copy)
        if not len(slots):
            return 0
        if len(self._choosy) and copy.name in PRESENCE_FILTERED:
            slots = [slot for slot in slots if self._wants(slot, copy.channel_id)]
        omit = [slot for user_id in copy.omit_users for slot in self.slots_of(user_id)]
        if copy.omit_connection_id:
            other = self.by_connection_id.get(copy.omit_connection_id)
            omit += [other.slot] if other is not None else []
        event, tails = Event(copy.body, copy.droppable, bool(copy.to_each)), self._tails(copy)
        require = self._required | (ADMIN if copy.only is Only.ADMINS else 0)
        forbid = ADMIN if copy.only is Only.NON_ADMINS else 0
        strangers = GUEST if copy.guests is not None else 0
        refused = self._room.refused
        if copy.variants is None:
            taken = self._room.deliver(
                event, slots, require=require, forbid=forbid | strangers, omit=omit, tails=tails
            )
        else:
            taken = 0
            for body, some in split(copy.body, copy.variants, slots, self.by_slot.row, self.listeners):
                taken += self._room.deliver(
                    Event(body, copy.droppable), some, require=require, forbid=forbid, omit=omit, tails=tails
                )
        if copy.guests:
            known = [slot for user_id in copy.guests for slot in self.slots_of(user_id)]
            taken += self._room.deliver(
                event, known, require=require | GUEST, forbid=forbid, omit=omit, tails=tails
            )
        if self._room.refused != refused:
            self.dropped_by_name[copy.name] += self._room.refused - refused
        self.delivered += taken
        self.delivered_by_name[copy.name] = self.delivered_by_name.get(copy.name, 0) + taken
        return taken

    def _wants(self, slot: int, channel_id: str) -> bool:
        return slot not in self._choosy or views(self.by_slot[slot], channel_id)

    def _tails(self, copy: Copy) -> dict[int, int] | None:
        if not (copy.mentions or copy.followers or copy.notified):
            return None
        tails: dict[int, int] = {}
        for bit, user_ids in ((MENTION, copy.mentions), (FOLLOW, copy.followers), (0, copy.notified)):
            for user_id in user_ids:
                for slot in self.slots_of(user_id):
                    tails[slot] = tails.get(slot, 0) | bit
        if copy.ack_author:
            # Source: Mattermost API v4, `should_ack`: for posted_ack connections, receiver ≠ author, if notified.
            for slot in tails:
                connection = self.by_slot[slot]
                if connection.bits & POSTED_ACK and connection.user_id != copy.ack_author:
                    tails[slot] |= ACK
        return {slot: bits for slot, bits in tails.items() if bits} or None

    def slots_of(self, user_id: str) -> list[int]:
        """Return the slots of a user's connections here, those that collect for a resume included."""
        member = self.members.get(user_id)
        return [] if member is None else [connection.slot for connection in member.connections]

    def users_of(self, key: str) -> set[str]:
        """Return the users here who hear the key."""
        return {self.by_slot[slot].user_id for slot in self.listeners(key)}

    def users_in(self, copy: Copy) -> set[str]:
        """Return the users here whom the copy could reach."""
        return {self.by_slot[slot].user_id for slot in self._audience(copy)}

    def present(self, user_id: str) -> bool:
        """Tell whether the user has a socket here, not only a connection that waits for a resume."""
        member = self.members.get(user_id)
        return member is not None and any(c.state is not State.AWAY for c in member.connections)
