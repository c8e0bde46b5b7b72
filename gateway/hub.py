"""Who is connected to this process, and who is an event for?

Knows connections and ids; knows nothing of JSON, Redis, the database or the order of events (relay does). Called only
from the event loop: no locks. Entering costs O(memberships of the user), an event O(its audience here).
"""

from collections.abc import Callable, Container, Iterable
from typing import Protocol

from gateway.connection import Connection, State
from hotpath import ACK, ADMIN, FOLLOW, GUEST, MENTION, POSTED_ACK, Event, SlotSet
from tidewire.bus.envelope import (
    Copy,
    Effect,
    EndSessions,
    Envelope,
    JoinChannel,
    JoinTeam,
    LeaveChannel,
    LeaveTeam,
    Only,
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
        or (copy.channel_id != "" and channel_key(copy.channel_id) in keys)
        or (copy.team_id != "" and team_key(copy.team_id) in keys)
        for copy in envelope.copies
    )


class Deliver(Protocol):
    """What the hub needs of the room."""

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


class Member:
    """A connected user: his connections, and the keys ("c:…", "t:…", "u:…") he hears."""

    __slots__ = ("connections", "keys", "roles")

    def __init__(self, roles: str) -> None:
        self.connections: list[Connection] = []
        self.keys: set[str] = set()
        self.roles = roles


class Hub:
    """The indexes. `groups`: key → slots that hear it; a key is there as long as somebody hears it."""

    def __init__(
        self, room: Deliver, on_dropped: Callable[[str], None], on_ended: Callable[[str, list[str]], None]
    ) -> None:
        """on_dropped(key): its last listener left; on_ended(user id, session ids or []): EndSessions arrived."""
        self._room = room
        self._on_dropped = on_dropped
        self._on_ended = on_ended
        self.members: dict[str, Member] = {}
        self.groups: dict[str, SlotSet] = {}
        self.everyone = SlotSet()
        self.by_slot: dict[int, Connection] = {}
        self.by_connection_id: dict[str, Connection] = {}
        self._choosy = SlotSet()  # those that reported all three values of `presence`
        self.delivered = 0
        self.delivered_by_name: dict[str, int] = {}

    # Entering and leaving

    def enter(self, user_id: str, roles: str, keys: Iterable[str]) -> Member:
        """Make a member of a user who has none here."""
        member = self.members[user_id] = Member(roles)
        member.keys.add(user_key(user_id))
        member.keys.update(keys)
        return member

    def add(self, member: Member, connection: Connection) -> None:
        """Let the connection hear all that its user hears."""
        slot = connection.slot
        member.connections.append(connection)
        self.by_slot[slot] = connection
        self.by_connection_id[connection.connection_id] = connection
        self.everyone.add(slot)
        for key in member.keys:
            self._listen(key, slot)
        self.set_bits(connection, member.roles)

    def remove(self, connection: Connection) -> None:
        """Take a connection out of every index; the last one takes the member with it."""
        slot = connection.slot
        if self.by_slot.pop(slot, None) is None:
            return
        self.by_connection_id.pop(connection.connection_id, None)
        self.everyone.discard(slot)
        self._choosy.discard(slot)
        member = self.members[connection.user_id]
        member.connections.remove(connection)
        if not member.connections:
            del self.members[connection.user_id]
        for key in member.keys:
            self._unlisten(key, slot)

    def _listen(self, key: str, slot: int) -> None:
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = SlotSet()
        group.add(slot)

    def _unlisten(self, key: str, slot: int) -> None:
        group = self.groups.get(key)
        if group is not None:
            group.discard(slot)
            if not len(group):
                del self.groups[key]
                self._on_dropped(key)

    def set_bits(self, connection: Connection, roles: str) -> None:
        """Derive the slot's role bits from the roles and tell the gate."""
        named = roles.split()
        bits = connection.bits & ~(ADMIN | GUEST)
        bits |= ADMIN if "system_admin" in named else 0
        bits |= GUEST if "system_guest" in named else 0
        connection.bits = bits
        self._room.set_user(connection.slot, connection.user_id.encode(), bits)

    def looks(self, connection: Connection) -> None:
        """Take note that the connection's `presence` changed."""
        if len(connection.looks_at) == 3:
            self._choosy.add(connection.slot)
        else:
            self._choosy.discard(connection.slot)

    def hears(self, user_id: str, key: str) -> bool:
        """Tell whether a connected user hears the key, that is: is a member of that channel or team."""
        member = self.members.get(user_id)
        return member is not None and key in member.keys

    # Effects

    def apply(self, effect: Effect) -> None:
        """Change who hears what. Applied before any copy of the same announcement goes out."""
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
        if key not in member.keys:
            member.keys.add(key)
            for connection in member.connections:
                self._listen(key, connection.slot)

    def _leave(self, member: Member, key: str) -> None:
        if key in member.keys:
            member.keys.remove(key)
            for connection in member.connections:
                self._unlisten(key, connection.slot)

    def would_change(self, effect: Effect) -> bool:
        """Tell whether the effect is about a user here and not in force already."""
        member = self.members.get(effect.user_id)
        if member is None or isinstance(effect, EndSessions):
            return False
        if isinstance(effect, JoinChannel):
            return channel_key(effect.channel_id) not in member.keys
        if isinstance(effect, LeaveChannel):
            return channel_key(effect.channel_id) in member.keys
        if isinstance(effect, JoinTeam):
            return team_key(effect.team_id) not in member.keys
        if isinstance(effect, LeaveTeam):
            return team_key(effect.team_id) in member.keys
        return member.roles != effect.roles

    # Audiences

    def concerns(self, envelope: Envelope) -> bool:
        """Tell whether anybody here could notice the announcement."""
        if any(effect.user_id in self.members for effect in envelope.effects):
            return True
        return any(len(self._audience(copy)) for copy in envelope.copies)

    def _audience(self, copy: Copy) -> SlotSet | list[int]:
        """Return the slots of the widest audience the copy names, before omissions."""
        if copy.connection_id:
            one = self.by_connection_id.get(copy.connection_id)
            return [one.slot] if one is not None and copy.user_id in ("", one.user_id) else []
        if copy.user_id:  # with a channel or team beside it: that user only
            key = user_key(copy.user_id)
        elif copy.channel_id:
            key = channel_key(copy.channel_id)
        elif copy.team_id:
            key = team_key(copy.team_id)
        else:
            return self.everyone if copy.everyone else []
        return self.groups.get(key, [])

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
        taken = self._room.deliver(
            Event(copy.body, copy.droppable),
            slots,
            require=ADMIN if copy.only is Only.ADMINS else 0,
            forbid=ADMIN if copy.only is Only.NON_ADMINS else 0,
            omit=omit,
            tails=self._tails(copy),
        )
        self.delivered += taken
        self.delivered_by_name[copy.name] = self.delivered_by_name.get(copy.name, 0) + taken
        return taken

    def _wants(self, slot: int, channel_id: str) -> bool:
        return slot not in self._choosy or self.by_slot[slot].views(channel_id)

    def _tails(self, copy: Copy) -> dict[int, int] | None:
        if not copy.mentions and not copy.followers:
            return None
        tails: dict[int, int] = {}
        for bit, user_ids in ((MENTION, copy.mentions), (FOLLOW, copy.followers)):
            for user_id in user_ids:
                for slot in self.slots_of(user_id):
                    tails[slot] = tails.get(slot, 0) | bit
        if copy.ack_author:
            # Source: Mattermost API v4, `should_ack`: for posted_ack connections, receiver ≠ author, if notified.
            for slot in tails:
                connection = self.by_slot[slot]
                if connection.bits & POSTED_ACK and connection.user_id != copy.ack_author:
                    tails[slot] |= ACK
        return tails or None

    def slots_of(self, user_id: str) -> list[int]:
        """Return the slots of a user's connections here, those that collect for a resume included."""
        member = self.members.get(user_id)
        return [] if member is None else [connection.slot for connection in member.connections]

    def users_of(self, key: str) -> set[str]:
        """Return the users here who hear the key."""
        return {self.by_slot[slot].user_id for slot in self.groups.get(key, [])}

    def users_in(self, copy: Copy) -> set[str]:
        """Return the users here whom the copy could reach."""
        return {self.by_slot[slot].user_id for slot in self._audience(copy)}

    def present(self, user_id: str) -> bool:
        """Tell whether the user has a socket here, not only a connection that waits for a resume."""
        member = self.members.get(user_id)
        return member is not None and any(c.state is not State.AWAY for c in member.connections)
