"""Whether an announcement can lead to a push at all: asked before anything is queued for the push worker.

Cheap and never wrong by leaving somebody out: where it is not known, everybody may have a device. Who gets a push is
decided by the worker.
"""

from collections.abc import Iterable

from msgspec import Struct

from tidewire.actions.services import Services
from tidewire.store import push

KEY = "push:targets"  # the cache key; whoever gives a session a device or a subscription names it as stale
USERS = 2_000  # some 200 KB; with more, nearly every channel has one of them


class Targets(Struct):
    """Users with a device or a subscription; None: more than are kept."""

    users: frozenset[str] | None


async def get_targets(services: Services) -> Targets:
    """Return who may have a device; nobody while pushes are switched off."""
    if not services.config.flag("EmailSettings.SendPushNotifications"):
        return _NOBODY
    found: Targets | None = services.cache.peek(KEY)
    if found is not None:
        return found
    if not services.cache.in_use:  # else each post would ask
        return _ANYBODY

    async def load() -> Targets:
        users = await push.users_with_devices(services.db, USERS + 1)
        return Targets(frozenset(users)) if len(users) <= USERS else _ANYBODY

    return await services.cache.get(KEY, load) or _ANYBODY


async def may_reach(services: Services, user_id: str) -> bool:
    """Tell whether a user may have a device."""
    users = (await get_targets(services)).users
    return users is None or user_id in users


def may_reach_any(targets: Targets, user_ids: Iterable[str]) -> bool:
    """Tell whether one of these users may have a device."""
    if targets.users is None:
        return any(True for _ in user_ids)
    return not targets.users.isdisjoint(user_ids)


_NOBODY, _ANYBODY = Targets(frozenset()), Targets(None)
