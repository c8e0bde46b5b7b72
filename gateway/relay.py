"""Events from Redis, put in order: each key is applied in the order of its numbers, each number once.

Knows keys, numbers and clocks; knows nothing of sockets (hub does) or Redis (tidewire/bus does). An old number is
dropped, one that is ahead waits at most `hold_ms`, then the key's audience here must load everything anew. One whose
variants depend on members of another channel waits as long until that channel's key is as far as it was at the
announcement, so that who left it before gets nothing of it; then everybody gets the least. So does one that takes back
what users were told; then those for whom that has not come load everything anew.
Called only from the event loop; `now` is the loop's time in seconds.
"""

from collections.abc import Callable, Container, Iterable
from itertools import islice

import msgspec
import structlog

from gateway.hub import Hub, could_reach
from gateway.variants import keys_before, least
from hotpath import Entries
from tidewire.actions.typists import TypingLimit
from tidewire.bus.contract import Entry
from tidewire.bus.envelope import (
    After,
    Copy,
    EndSessions,
    Envelope,
    Resync,
    channel_key,
    decode,
    decode_copy,
    first_of_interest,
    user_key,
)

log = structlog.get_logger()

# How long the first number seen of a key that nobody here hears waits for an older one: two workers commit 1, 2 and
# may publish 2, 1. A pipelined XADD takes about 1 ms.
SETTLE_S = 0.1
# A key that nobody hears any more is remembered that long: its numbers may come again after a change of primary.
IDLE_S = 90.0


NONE_HELD: dict[int, Envelope] = {}  # shared by all lines that hold nothing; never written to
NONE_MISSED: frozenset[int] = frozenset()


class Line:
    """Where a key stands: the last number applied, those that wait, those that were given up."""

    __slots__ = ("held", "missed", "n", "settled", "until")

    def __init__(self, n: int, *, settled: bool = True) -> None:
        self.n = n
        self.settled = settled  # False: n is not known yet, the oldest of `held` will set it
        self.held = NONE_HELD
        self.until = 0.0  # when to stop waiting, if anything is held
        self.missed = NONE_MISSED


class Recording:
    """What was read while rows were being loaded; `overflow`: it grew too large to be used."""

    def __init__(self, limit_bytes: int) -> None:
        self.entries: list[tuple[str, int, bytes]] = []
        self.overflow = False
        self._room_bytes = limit_bytes

    def add(self, key: str, n: int, data: bytes) -> None:
        """Keep an entry while there is room."""
        self._room_bytes -= len(data) + 100
        if self._room_bytes < 0:
            self.entries.clear()
            self.overflow = True
        elif not self.overflow:
            self.entries.append((key, n, data))


class Relay:
    """The order of keys. on_gap(user ids): these may have missed something and must load everything anew.

    on_stale(cache keys): rows that an announcement changed, as soon as it is here. typing: how much of it is delivered
    here, whichever processes it comes from.
    """

    def __init__(
        self, hub: Hub, on_gap: Callable[[set[str]], None], *, hold_ms: int, typing: TypingLimit | None = None
    ) -> None:
        self._hub = hub
        self._on_gap = on_gap
        self.on_stale: Callable[[list[str]], None] = lambda keys: None
        self._hold_s = hold_ms / 1000
        self._typing = typing
        self.lines: dict[str, Line] = {}
        self._idle: dict[str, float] = {}  # keys with a line that nobody hears, oldest first
        self._waiting: set[str] = set()  # keys with held entries
        self._behind: dict[str, set[str]] = {}  # key → keys whose next entry waits for a number of it
        self._recordings: list[Recording] = []
        self.applied = self.repeated = self.held = self.gaps = self.unreadable = self.lessened = 0

    # What the reader brings

    def offer_from(
        self, entries: Entries | list[Entry], start: int, clock: Callable[[], float], slice_s: float
    ) -> int:
        """Apply announcements from `start` on, for about so long; return how far it came.

        What goes to a channel that nobody here hears is dropped without decoding it.
        """
        lines, heard = self.lines, self._hub.numbers
        end, index = clock() + slice_s, start
        while True:
            if not self._recordings:
                index = first_of_interest(entries, index, lines, heard)
            if index >= len(entries):
                return len(entries)
            key, n, data = entries[index]
            now = clock()
            try:
                self.offer(key, n, data, now)
            except Exception:  # a bug of ours, which must not end this process and, restarted, the next
                self.unreadable += 1
                log.exception("an announcement cannot be applied", key=key, n=n)
                self._gap(self._hub.users_of(key))
            index += 1
            if now > end or clock() > end:
                return index

    def offer(self, key: str, n: int, data: bytes, now: float, *, record: bool = True) -> None:
        """Apply one announcement, now or when its predecessors have come."""
        line = self.lines.get(key) or self.line(key)
        if line is not None and line.settled and n <= line.n and n not in line.missed:
            self.repeated += 1
            return
        if record:  # no repetition is recorded: it could re-admit somebody who has left since
            for recording in self._recordings:
                recording.add(key, n, data)
        try:
            envelope = decode(data)
        except msgspec.DecodeError:
            # Nobody can apply it; the gap it leaves makes its audience load everything anew.
            self.unreadable += 1
            log.error("unreadable announcement", key=key, n=n)
            return
        if envelope.invalidates:
            self.on_stale(envelope.invalidates)
        if line is None:
            line = self._open(key, n, envelope, now)
            if line is None:
                return
        if line.settled and n == line.n + 1 and self._may_go(key, envelope):
            self._apply(key, line, n, envelope)
            if line.held:
                self._drain(key, line)
        elif line.settled and n <= line.n:
            line.missed -= {n}
            self._end_sessions(envelope)
            self._gap(self._late(key, envelope))
        else:
            self._hold(key, line, n, envelope, now)

    def line(self, key: str) -> Line | None:
        """Return a key's line, if it has one. A user's begins when first asked for: most never get anything."""
        line = self.lines.get(key)
        if line is None and key[:1] == "u" and (n := self._hub.baseline(key[2:])) >= 0:
            line = self.lines[key] = Line(n)
        return line

    def _open(self, key: str, n: int, envelope: Envelope, now: float) -> Line | None:
        """Return a new line for a key that nobody hears, or None if the announcement concerns nobody here."""
        if not self._hub.concerns(envelope):
            self._end_sessions(envelope)
            return None
        line = self.lines[key] = Line(n - 1, settled=n == 1)
        self._idle[key] = now
        return line

    def offer_ephemeral(self, data: bytes) -> None:
        """Deliver an unnumbered copy (typing, status)."""
        try:
            copy = decode_copy(data)
        except msgspec.DecodeError:
            self.unreadable += 1
            return
        if copy.name != "typing" or self._passes(copy):
            self._hub.deliver(copy)

    def _passes(self, typing: Copy) -> bool:
        """Tell whether typing is to be delivered: producers know only what they sent themselves.

        Another gateway may have heard later than this one that a channel is archived.
        """
        if channel_key(typing.channel_id) in self._hub.archived:
            return False
        if self._typing is None or not self._hub.heard(channel_key(typing.channel_id)):
            return True
        # The body names channel, thread and user, and nothing else.
        return self._typing.passes(typing.channel_id, typing.body)

    def _apply(self, key: str, line: Line, n: int, envelope: Envelope) -> None:
        line.n = n  # first: an effect may drop the key or make others hear it
        self.applied += 1
        for effect in envelope.effects:
            self._hub.apply(effect)
        if envelope.invalidates:
            self._hub.note(envelope)
        for copy in envelope.copies:
            self._hub.deliver(copy)
        if envelope.effects:
            again = {effect.user_id for effect in envelope.effects if isinstance(effect, Resync)}
            self._gap(again & self._hub.members.keys())
        if self._behind and key in self._behind:
            self._go_on(key)

    def _go_on(self, key: str) -> None:
        """Apply what waited for this key, as far as it waits for nothing else."""
        for other in self._behind.pop(key):
            if other in self._waiting:
                self._drain(other, self.lines[other])

    def _may_go(self, key: str, envelope: Envelope) -> bool:
        """Tell whether all keys on which the key's next announcement depends are as far as they must be."""
        if not envelope.effects:
            for copy in envelope.copies:
                if copy.variants is not None:
                    break
            else:
                return True
        for other, n in keys_before(envelope):
            if self._lags(other, n):
                self._behind.setdefault(other, set()).add(key)
                return False
        return True

    def _lags(self, key: str, n: int) -> bool:
        """Tell whether a key is not as far as n here. One that nobody here hears has no members here."""
        if not self._hub.heard(key):
            return False
        line = self.line(key)
        return line is None or not line.settled or line.n < n

    def _hold(self, key: str, line: Line, n: int, envelope: Envelope, now: float) -> None:
        self.held += 1
        self._end_sessions(envelope)  # security does not wait for its turn
        if not line.held:
            line.held = {}
            line.until = now + (self._hold_s if line.settled else SETTLE_S)
            self._waiting.add(key)
        line.held[n] = envelope

    def _end_sessions(self, envelope: Envelope) -> None:
        for effect in envelope.effects:
            if isinstance(effect, EndSessions):
                self._hub.apply(effect)

    def _drain(self, key: str, line: Line) -> None:
        """Apply what is held as far as the numbers are dense."""
        while (envelope := line.held.get(line.n + 1)) is not None and self._may_go(key, envelope):
            del line.held[line.n + 1]
            self._apply(key, line, line.n + 1, envelope)
        line.held = {n: envelope for n, envelope in line.held.items() if n > line.n} or NONE_HELD
        if not line.held:
            self._waiting.discard(key)

    # Gaps

    def tick(self, now: float) -> None:
        """Give up waiting where the time is over, forget idle keys. Call it about every 50 ms."""
        for key in list(self._behind):  # a number may have come from a row, or nobody hears the key any more
            if key in self._behind:
                self._go_on(key)
        for key in [key for key in self._waiting if self.lines[key].until <= now]:
            if key in self._waiting:
                self._give_up(key, self.lines[key], now)
        for key, since in list(islice(self._idle.items(), 1000)):
            if since + IDLE_S > now:
                break
            del self._idle[key]
            if not self._hub.heard(key):
                self.lines.pop(key, None)
                self._waiting.discard(key)

    def _give_up(self, key: str, line: Line, now: float) -> None:
        if not line.settled:
            line.settled = True
            line.n = min(line.held) - 1
            self._drain(key, line)
            line.until = now + self._hold_s
            return
        if (envelope := line.held.pop(line.n + 1, None)) is not None:  # it waits for another key
            if not self._may_go(key, envelope):
                self._pass_over(key, line.n + 1, envelope)
            if not self._may_go(key, envelope):
                log.warning("event without what some may see", key=key, n=line.n + 1)
                self.lessened += 1
                envelope = least(envelope)
            self._apply(key, line, line.n + 1, envelope)
            self._drain(key, line)
            line.until = now + self._hold_s
            return
        log.warning("event missing", key=key, after=line.n, held=len(line.held))
        highest = max(line.held)
        line.missed |= {n for n in range(line.n + 1, min(highest, line.n + 1000)) if n not in line.held}
        if self._hub.heard(key):
            # Who hears it loads everything anew, and so does who was named in what is skipped here.
            users = self._hub.users_of(key)
            for envelope in line.held.values():
                users |= self._named(envelope)
            line.held = NONE_HELD
            line.n = highest
        else:
            # Nobody hears the key itself; what is missing can only be judged when it comes (`_late`).
            users = set()
            for n in sorted(line.held):
                self._apply(key, line, n, line.held.pop(n))
            line.held = NONE_HELD
        self._waiting.discard(key)
        self.gaps += 1
        self._gap(users)

    def _pass_over(self, key: str, n: int, envelope: Envelope) -> None:
        """Give up what users were to be told before the key's announcement n, however late it comes."""
        users = set()
        for effect in envelope.effects:
            if not isinstance(effect, After) or not self._lags(own := user_key(effect.user_id), effect.n):
                continue
            users.add(effect.user_id)
            line = self.line(own)
            if line is not None and line.settled:
                gone = range(max(line.n, effect.n - 1000) + 1, effect.n + 1)
                line.missed |= {one for one in gone if one not in line.held}
                line.n = effect.n
                self._drain(own, line)
        if users:
            log.warning("event without what was to come before it", key=key, n=n, users=len(users))
        self.gaps += len(users)
        self._gap(users)

    def _late(self, key: str, envelope: Envelope) -> set[str]:
        """Return the users to whom a given-up announcement still matters when it comes after its successors."""
        users = self._named(envelope)
        if not self._hub.heard(key):
            for copy in envelope.copies:
                users |= self._hub.users_in(copy)
        return users

    def _named(self, envelope: Envelope) -> set[str]:
        """Return the users here whom the effects would change."""
        return {effect.user_id for effect in envelope.effects if self._hub.would_change(effect)}

    def _gap(self, users: set[str]) -> None:
        if users:
            self._on_gap(users)

    # Joining

    def record(self, limit_bytes: int) -> Recording:
        """Keep what is read from now on, until `stop`."""
        recording = Recording(limit_bytes)
        self._recordings.append(recording)
        return recording

    def stop(self, recording: Recording) -> None:
        """Keep no more."""
        self._recordings.remove(recording)

    def track(self, keys: Iterable[tuple[str, int]], *, own: str = "") -> set[str]:
        """Start lines at the numbers that the rows showed; return the keys that had none.

        own: the key of a user who is about to enter with his number; it gets no line yet (`line`).
        """
        new = set()
        for key, n in keys:
            line = self.lines.get(key)
            if line is None:
                if key != own:
                    self.lines[key] = Line(n)
                new.add(key)
            elif not line.settled:
                self._settle(key, line, n)
        return new

    def _settle(self, key: str, line: Line, n: int) -> None:
        """Begin a line at a row's number; what is held from before it was meant for others, who are here already."""
        early = sorted(held for held in line.held if held <= n)
        line.settled = True
        if early and early[-1] - early[0] + 1 == len(early) and early[-1] == n:
            line.n = early[0] - 1
            self._drain(key, line)
            return
        users: set[str] = set().union(*(self._named(line.held[held]) for held in early))
        line.n = n
        self._drain(key, line)
        self._gap(users)

    def dropped(self, key: str, now: float) -> None:
        """Take note that nobody hears the key any more (`Hub.on_dropped`)."""
        if self.line(key) is not None:
            self._idle.pop(key, None)
            self._idle[key] = now

    def holds_for(self, user_id: str, keys: Container[str]) -> bool:
        """Tell whether something that the user would hear has been read and waits for its turn."""
        if not self._waiting:
            return False
        held = (envelope for key in self._waiting for envelope in self.lines[key].held.values())
        return any(could_reach(envelope, user_id, keys) for envelope in held)

    def heard_keys(self) -> list[tuple[str, int]]:
        """Return (key, last number) of the keys somebody here hears."""
        heard = []
        for key in self._hub.heard_keys():
            line = self.lines.get(key)
            n = line.n if line is not None else self._hub.baseline(key[2:]) if key[0] == "u" else -1
            if n >= 0:
                heard.append((key, n))
        return heard

    def number(self, key: str) -> int:
        """Return the last number applied of a key that somebody here hears. Raises: KeyError."""
        line = self.line(key)
        if line is None:
            raise KeyError(key)
        return line.n
