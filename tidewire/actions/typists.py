"""Who types where: coalesced here, put on the bus as ephemeral copies. No sockets, no clock of its own."""

from collections.abc import Callable

from tidewire.bus.envelope import Copy, encode_copy
from tidewire.wire.events import encode_prefix


class Typists:
    """The same (channel, thread, user) goes out once per interval, a channel's typists only up to a limit.

    publish(encoded copies) puts copies on the bus; now() is a monotonic clock in seconds.
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
        self._now = now
        self._interval_s = min_interval_ms / 1000
        self._per_channel = per_channel
        self._started = now()
        self._typing: set[tuple[str, str, str]] = set()
        self._counts: dict[str, int] = {}
        self.dropped = 0

    def typing(self, channel_id: str, parent_id: str, user_id: str) -> None:
        """Tell the channel's other members, unless it was told within this interval or too many type there."""
        now = self._now()
        if now - self._started >= self._interval_s:
            # Intervals are common to all: two of one user are at most two intervals' worth, and memory needs no timers.
            self._started = now
            self._typing.clear()
            self._counts.clear()
        what = (channel_id, parent_id, user_id)
        count = self._counts.get(channel_id, 0)
        if what in self._typing or count >= self._per_channel:
            self.dropped += 1
            return
        self._typing.add(what)
        self._counts[channel_id] = count + 1
        body = encode_prefix(
            "typing",
            {"parent_id": parent_id, "user_id": user_id},
            channel_id=channel_id,
            omit_users=[user_id],
        )
        copy = Copy(body, channel_id=channel_id, omit_users=[user_id], droppable=True, name="typing")
        self._publish([encode_copy(copy)])
