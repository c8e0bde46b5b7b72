"""Who types where: coalesced here, put on the bus as ephemeral copies. No sockets, no clock of its own."""

from collections.abc import Callable, Hashable

from tidewire.bus.envelope import Copy, encode_copy
from tidewire.wire.events import encode_prefix


class TypingLimit:
    """How much typing is passed on: the same person in the same place once in any interval, and of a channel at most
    so many per interval. now() is a monotonic clock in seconds.
    """

    def __init__(self, now: Callable[[], float], *, interval_s: float, per_channel: int) -> None:
        self._now = now
        self._interval_s = interval_s
        self._per_channel = per_channel
        self._started = now()
        # When what was told, in this interval and in the one before: all that can be too recent. No timers needed.
        self._told: dict[Hashable, float] = {}
        self._told_before: dict[Hashable, float] = {}
        self._counts: dict[str, int] = {}  # by channel, in this interval
        self.dropped = 0

    def passes(self, channel_id: str, what: Hashable) -> bool:
        """Tell whether to pass this on, and count it. what: the channel, the thread and the user, in any form."""
        now = self._now()
        if now - self._started >= self._interval_s:
            self._started = now
            self._told_before, self._told = self._told, {}
            self._counts.clear()
        count = self._counts.get(channel_id, 0)
        told = self._told.get(what, self._told_before.get(what))
        if (told is not None and now - told < self._interval_s) or count >= self._per_channel:
            self.dropped += 1
            return False
        self._told[what] = now
        self._counts[channel_id] = count + 1
        return True


class Typists:
    """One process's typists: what passes the limit goes out, each as an event of his own.

    publish(encoded copies) puts copies on the bus.
    """

    def __init__(
        self,
        publish: Callable[[list[bytes]], None],
        now: Callable[[], float],
        *,
        min_interval_ms: int,
        per_channel: int,
    ) -> None:
        self._publish = publish
        self._limit = TypingLimit(now, interval_s=min_interval_ms / 1000, per_channel=per_channel)
        self.wanted = True  # EnableUserTypingMessages

    @property
    def dropped(self) -> int:
        """Number of reports that were not passed on."""
        return self._limit.dropped

    def typing(self, channel_id: str, parent_id: str, user_id: str) -> None:
        """Tell the channel's other members, unless it was told within this interval or too many type there."""
        if not self.wanted or not self._limit.passes(channel_id, (channel_id, parent_id, user_id)):
            return
        body = encode_prefix(
            "typing",
            {"parent_id": parent_id, "user_id": user_id},
            channel_id=channel_id,
            omit_users=[user_id],
        )
        copy = Copy(body, channel_id=channel_id, omit_users=[user_id], droppable=True, name="typing")
        self._publish([encode_copy(copy)])
