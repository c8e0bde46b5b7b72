"""Who sees threads collapsed: ServiceSettings.CollapsedThreads, and where it leaves the choice, a preference.

Source: Mattermost API v4, CollapsedThreads (disabled, default_off, default_on, always_on) and the preference
`display_settings`/`collapsed_reply_threads` (on, off).
"""

from collections.abc import Sequence

from tidewire.actions.services import Services
from tidewire.store import preferences
from tidewire.store.db import Transaction
from tidewire.store.threads import Follower
from tidewire.wire.models import Preference

CATEGORY, NAME = "display_settings", "collapsed_reply_threads"
_MODE = "ServiceSettings.CollapsedThreads"
FOR_ALL = {"always_on": True, "disabled": False}


def key(user_id: str) -> str:
    """Return the cache key of a user's choice."""
    return "collapsed:" + user_id


def stale_keys(user_id: str, changed: Sequence[Preference]) -> list[str]:
    """Return the cache keys that a change of preferences makes wrong."""
    return [key(user_id)] if any((item.category, item.name) == (CATEGORY, NAME) for item in changed) else []


async def is_on(services: Services, user_id: str) -> bool:
    """Tell whether a user sees threads collapsed; asks nobody unless the configuration leaves it to him."""
    mode = services.config.text(_MODE)
    if mode in FOR_ALL:
        return FOR_ALL[mode]

    async def load() -> str:
        return (await preferences.values(services.db, [user_id], CATEGORY, NAME)).get(user_id, "")

    return sees(mode, await services.cache.get(key(user_id), load))


async def of_followers(services: Services, tx: Transaction, followers: list[Follower]) -> list[Follower]:
    """Return those of the followers who see threads collapsed: only they hear of `thread_updated`."""
    mode = services.config.text(_MODE)
    if mode in FOR_ALL:
        return followers if FOR_ALL[mode] else []
    users = list({user_id for _, user_id in followers})
    chosen = await preferences.values(tx, users, CATEGORY, NAME) if users else {}
    return [one for one in followers if sees(mode, chosen.get(one[1]))]


def sees(mode: str, chosen: str | None) -> bool:
    """Tell whether a user sees threads collapsed. mode: the configuration's; chosen: his preference, if any."""
    if mode in FOR_ALL:
        return FOR_ALL[mode]
    return chosen == "on" if chosen in ("on", "off") else mode == "default_on"
