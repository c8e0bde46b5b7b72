"""Statuses that users choose by hand: check, write, tell their own devices. And the end of do-not-disturb by the clock.

What a status is made of: tidewire.actions.status.
"""

import asyncio
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.actions.status import load_statuses, status_changes
from tidewire.actions.users import get_user
from tidewire.bus.contract import Producer
from tidewire.bus.redis_client import RedisClient
from tidewire.loops import again
from tidewire.store import statuses
from tidewire.store.db import Database
from tidewire.wire.errors import body_param
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session, Status

if TYPE_CHECKING:
    from tidewire.actions.config import Config

SWEEP_S = (
    2.0  # how late a user's devices may hear that his do-not-disturb is over; what is asked for is exact
)
SWEEP_USERS = 500  # in one statement

class NewStatus(Struct):
    """What one may choose; the other members of a Status are ignored."""

    user_id: str
    status: str
    dnd_end_time: Annotated[int, Meta(ge=0, le=1 << 40)] = 0


async def get_statuses(services: Services, user_ids: list[str]) -> dict[str, Status]:
    """Return the status of every given id; ids nobody knows are "offline", and with EnableUserStatuses off everybody.

    Raises: Unavailable.
    """
    if not services.config.flag("ServiceSettings.EnableUserStatuses"):
        return {user_id: Status(user_id) for user_id in user_ids}
    heartbeat_s = services.settings.presence.heartbeat_s
    return await load_statuses(services.redis, services.db, user_ids, heartbeat_s=heartbeat_s)


async def do_choose_status(services: Services, session: Session, user_id: str, wanted: NewStatus) -> Status:
    """Store a choice and tell the user's devices; return the status that he has now.

    "online" takes a choice back: sockets decide, and without one he is online for UserStatusAwayTimeout. "dnd" ends by
    itself at dnd_end_time (s), if that is not 0. With EnableUserStatuses off nothing is chosen.
    Raises: 403, 404; 400 for what cannot be chosen; Unavailable.
    """
    if wanted.user_id != user_id:
        raise body_param("user_id")
    if wanted.status not in ("online", "away", "dnd", "offline"):
        raise body_param("status")
    permissions.check_self(session, user_id)
    await get_user(services, user_id)
    if not services.config.flag("ServiceSettings.EnableUserStatuses"):
        return Status(user_id)
    if wanted.status == "online":
        away_ms = services.config.number("TeamSettings.UserStatusAwayTimeout") * 1000
        await statuses.choose_online(services.db, user_id, until=now_ms() + away_ms)
    else:
        ends = wanted.dnd_end_time if wanted.status == "dnd" else 0
        await statuses.choose(services.db, user_id, wanted.status, ends)
    status = (await get_statuses(services, [user_id]))[user_id]
    services.producer.ephemeral(status_changes({user_id: status.status}))
    return status


class DndSweep:
    """Ends do-not-disturbs that have run out, and tells whose they were.

    One in each API worker; one of them works at a time.
    """

    def __init__(
        self, db: Database, client: RedisClient, producer: Producer, config: "Config", *, heartbeat_s: float
    ) -> None:
        self._db = db
        self._config = config
        self._redis = client
        self._producer = producer
        self._heartbeat_s = heartbeat_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Sweep, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(
            again("end of do-not-disturb", self._sweep_all, SWEEP_S, rest_first=True)
        )

    async def close(self) -> None:
        """Stop sweeping."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sweep(self) -> int:
        """End some; return how many. Raises: Unavailable."""
        ended = await statuses.end_dnd(self._db, SWEEP_USERS)
        if ended:
            now = await load_statuses(self._redis, self._db, ended, heartbeat_s=self._heartbeat_s)
            if self._config.flag("ServiceSettings.EnableUserStatuses"):
                self._producer.ephemeral(status_changes({user_id: one.status for user_id, one in now.items()}))
        return len(ended)

    async def _sweep_all(self) -> None:
        while await self.sweep() == SWEEP_USERS:
            pass
