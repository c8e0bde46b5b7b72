"""Says in Redis who has a socket here, and tells users' own devices when their status changes.

Writes are behind and coalesced: whoever changed within a tick goes out in one pipeline. While Redis is down changes
collect (one entry per user) and nothing else happens. What Redis has is written down in PostgreSQL a second later, so
that it is known when somebody was there last. Reading is tidewire/actions/status.py.
"""

import asyncio
from collections.abc import Callable
from itertools import islice

import structlog

from tidewire.actions.status import (
    HEARTBEAT,
    LIVE_BEATS,
    OFFLINE,
    PROCESSES,
    Seen,
    combine,
    held_key,
    status_changes,
    user_key,
)
from tidewire.bus.redis_client import RedisClient
from tidewire.bus.resp import Word
from tidewire.loops import again
from tidewire.store import statuses
from tidewire.store.db import Database
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import now_ms

log = structlog.get_logger()

TICK_S = 0.1
TICK_MS = 100
FLUSH_USERS = 100  # in one pipeline: some 2 ms of ours
SAVE_S = 1.0  # at most once a second per user; a process that is killed loses that much
SAVE_USERS = 1000  # in one statement: some 15 ms of PostgreSQL
REFRESH_MS = 10_000  # activity of somebody who is online already is noted and written at most this often


class Presence:
    """One process's part of presence. publish(encoded copies): puts ephemeral copies on the bus."""

    def __init__(
        self,
        client: RedisClient,
        db: Database,
        publish: Callable[[list[bytes]], None],
        *,
        process: str,
        heartbeat_s: float,
        away_after_s: float,
    ) -> None:
        self._redis = client
        self._db = db
        self._publish = publish
        self._process = process.encode()
        self._heartbeat_s = heartbeat_s
        self.away_after(away_after_s)
        # User with a socket here → last activity, ms, times 2, plus 1 if away; in the order of activity.
        self._here: dict[str, int] = {}
        self._at = 0  # the last such value, online: who is active in one tick shares the object
        self._changed: dict[str, None] = {}
        self._looks: dict[str, str] = {}  # user with a socket here → the channel he looks at
        self._looked: dict[str, None] = {}  # whose that changed in this second
        self._unsaved: dict[str, tuple[str, int]] = {}  # user → status and last activity, not yet in PostgreSQL
        self._shown = ("", 0)  # the last such pair: who came in one tick shares the object
        self.told = True  # whether devices hear of statuses: EnableUserStatuses
        self._live: list[bytes] = [self._process]
        self._beaten = False
        self._beat_at = 0.0

    def away_after(self, seconds: float) -> None:
        """Take another UserStatusAwayTimeout."""
        self._away_after_ms = int(seconds * 1000)
        self._refresh_ms = min(REFRESH_MS, self._away_after_ms // 10)

    def here(self, limit: int) -> dict[str, str]:
        """Return the statuses of users who have a socket here, at most `limit`, the last to be active first."""
        latest = islice(reversed(self._here.items()), limit)
        return {user_id: "away" if here & 1 else "online" for user_id, here in latest}

    def active(self, user_id: str) -> None:
        """Take note that the user opened a socket or did something."""
        at, here = now_ms(), self._here.get(user_id)
        if here is not None and not here & 1 and at - (here >> 1) < self._refresh_ms:
            return
        if not 0 <= at - (self._at >> 1) < TICK_MS:
            self._at = at << 1
        self._here.pop(user_id, None)
        self._here[user_id] = self._at
        self._changed[user_id] = None

    def away(self, user_id: str, *, at_once: bool = False) -> None:
        """Make the user away, if idle long enough or at_once. Source: Mattermost API v4, UserStatusAwayTimeout."""
        here = self._here.get(user_id)
        if here is None or here & 1:
            return
        if at_once or now_ms() - (here >> 1) >= self._away_after_ms:
            self._here[user_id] = here | 1
            self._changed[user_id] = None

    def looks(self, user_id: str, channel_id: str) -> None:
        """Take note of the channel that the user looks at, "" for none."""
        if self._looks.get(user_id, "") != channel_id:
            self._looks[user_id] = channel_id
            self._looked[user_id] = None

    def looks_still(self, user_id: str, channel_id: str) -> None:
        """Take note of the channel that a connection looked at before it was lost, unless he has said more since."""
        if user_id not in self._looks:
            self.looks(user_id, channel_id)

    def gone(self, user_id: str) -> None:
        """Take note that the user's last socket here closed."""
        self._looks.pop(user_id, None)
        if self._here.pop(user_id, None) is not None:
            self._changed[user_id] = None

    async def choose(self, user_id: str, *, active: bool) -> None:
        """Set the user's status by hand: away until he says otherwise, or back to what his sockets show.

        Nothing where nobody is told of statuses. Raises: Unavailable.
        """
        if not self.told:
            return
        if active:
            await statuses.choose_online(self._db, user_id)
            self.active(user_id)
        else:
            await statuses.choose(self._db, user_id, "away")
            self.away(user_id, at_once=True)

    async def run(self) -> None:
        """Beat, write and clear until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(again("presence", self._round, TICK_S))
            group.create_task(again("last activity", self._save_behind, SAVE_S, rest_first=True))

    async def _round(self) -> None:
        now = asyncio.get_running_loop().time()
        try:
            if now >= self._beat_at:
                self._beat_at = now + self._heartbeat_s
                await self._beat()
                self._sweep()
            while self._changed:
                await self._flush()
        except Unavailable:
            self._beaten = False
            await asyncio.sleep(1)
            raise

    async def _save_behind(self) -> None:
        # What he looks at waits for the same second: who clicks through channels costs one write.
        self._changed.update(dict.fromkeys(user_id for user_id in self._looked if user_id in self._here))
        self._looked.clear()
        await self._save()

    async def _save(self) -> None:
        """Write down what the next SAVE_USERS showed. Raises: Unavailable; it will be tried again."""
        taken = {user_id: self._unsaved.pop(user_id) for user_id in list(islice(self._unsaved, SAVE_USERS))}
        if not self._unsaved:
            self._unsaved = {}  # an emptied dict keeps what it took for a storm
        if not taken:
            return
        try:
            async with self._db.transaction() as tx:
                await statuses.note(tx, taken)
        except Unavailable:
            self._unsaved = taken | self._unsaved  # what came meanwhile is newer
            raise

    async def stop(self) -> None:
        """Take everybody offline, as far as Redis and PostgreSQL answer."""
        self._changed.update(dict.fromkeys(self._here))
        self._here.clear()
        try:
            while self._changed:
                await self._flush()
            await self._redis.call("ZREM", PROCESSES, self._process)
            while self._unsaved:
                await self._save()
        except Unavailable:
            pass  # said below
        finally:
            if self._changed or self._unsaved:
                # The janitor of another process will; what was not saved is lost with this one.
                log.warning("presence not cleared", users=len(self._changed), unsaved=len(self._unsaved))

    async def _beat(self) -> None:
        (added, at, flat), janitor = await self._redis.calls(
            [
                ("EVAL", HEARTBEAT, 1, PROCESSES, self._process),
                ("SET", "tw:presence:janitor", self._process, "NX", "EX", max(1, int(self._heartbeat_s))),
            ]
        )
        dead_before = at - int(self._heartbeat_s * LIVE_BEATS * 1000)
        scores = [(process, float(score)) for process, score in zip(flat[::2], flat[1::2], strict=True)]
        if added and self._beaten:  # Redis forgot us: it was emptied, or we were taken for dead
            self._changed.update(dict.fromkeys(self._here))
        self._beaten = True
        self._live = [process for process, score in scores if score >= dead_before]
        if janitor:
            for process in [process for process, score in scores if score < dead_before]:
                await self._clear(process)

    async def _clear(self, process: bytes) -> None:
        """Remove a dead process's fields."""
        held = held_key(process.decode())
        while users := await self._redis.call("SPOP", held, FLUSH_USERS):
            await self._redis.calls([("HDEL", user_key(user_id.decode()), process) for user_id in users])
        await self._redis.call("ZREM", PROCESSES, process)

    def _sweep(self) -> None:
        """Make idle users away; the idlest stand first."""
        oldest = now_ms() - self._away_after_ms
        for user_id, here in list(self._here.items())[:10_000]:
            if here >> 1 > oldest:
                break
            self.away(user_id)

    async def _flush(self) -> None:
        users = list(islice(self._changed, FLUSH_USERS))
        held = held_key(self._process.decode())
        now: dict[str, Seen] = {}
        commands: list[tuple[Word, ...]] = []
        for user_id in users:
            here, key = self._here.get(user_id), user_key(user_id)
            commands.append(("HGETALL", key))
            if here is None:
                now[user_id] = OFFLINE
                commands.append(("HDEL", key, self._process))
            else:
                seen = now[user_id] = Seen(
                    "away" if here & 1 else "online", here >> 1, self._looks.get(user_id, "")
                )
                commands.append(("HSET", key, self._process, ":".join(map(str, seen))))
        gone = [user_id for user_id in users if now[user_id] is OFFLINE]
        there = [user_id for user_id in users if now[user_id] is not OFFLINE]
        if there:  # first: a field that nobody remembers would outlive this process
            commands.insert(0, ("SADD", held, *there))
        if gone:
            commands.append(("SREM", held, *gone))
        answers = await self._redis.calls(commands)
        hashes = answers[bool(there) : bool(there) + 2 * len(users) : 2]
        changed: dict[str, str] = {}
        for user_id, flat in zip(users, hashes, strict=True):
            here, seen = self._here.get(user_id), now[user_id]
            if (here is None) == (seen is OFFLINE) and (
                here is None or bool(here & 1) == (seen.status == "away")
            ):
                self._changed.pop(user_id, None)  # else it changed meanwhile: once more
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            after = {process: value for process, value in fields.items() if process != self._process}
            if seen is not OFFLINE:
                after[self._process] = f"{seen.status}:0".encode()
            before, status = combine(fields, self._live), combine(after, self._live).status
            if before.status != status:
                changed[user_id] = status
            shown = (status, max(seen.last_activity_at, before.last_activity_at))
            if shown != self._shown:
                self._shown = shown
            self._unsaved[user_id] = self._shown
        if not self._changed:
            self._changed = {}
        await self._announce(changed)

    async def _announce(self, changed: dict[str, str]) -> None:
        """Send status_change to the users' own devices; a status chosen by hand does not change by presence."""
        if not changed or not self.told:
            return
        try:
            chosen = {one.user_id: one.status for one in await statuses.of_users(self._db, list(changed)) if one.manual}
        except Unavailable:
            chosen = {}  # PostgreSQL is down: better a status that the next poll corrects than none
        self._publish(status_changes(changed | chosen))
