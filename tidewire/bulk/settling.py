"""What is left when all lines are in: read states are counted, and who is connected loads everything anew.

Only then, because each batch of posts would change every member of its channels.
"""

from tidewire.actions.copies import announce
from tidewire.actions.post_rules import UNCOUNTED
from tidewire.bulk.kit import Kit
from tidewire.bus.cache import EVERYTHING
from tidewire.bus.envelope import Resync, channel_key, user_key
from tidewire.store import imports as store
from tidewire.wire.ids import now_ms

CHANNELS_AT_ONCE = 100
USERS_AT_ONCE = 500


async def settle(kit: Kit) -> None:
    """Finish an import; what was done of this before a kill is not done again, or changes nothing.

    Raises: Unavailable.
    """
    while channels := await store.uncounted(kit.db, kit.digest, CHANNELS_AT_ONCE):
        async with kit.db.transaction() as tx:
            await store.count_read(tx, kit.digest, channels, sorted(UNCOUNTED))
            for channel_id in channels:  # with their numbers the tags change by which clients know lists of posts again
                stale = [EVERYTHING] if channel_id == channels[0] else []
                announce(tx, channel_key(channel_id), invalidates=stale)
    last = ""
    while users := await store.connected_members(kit.db, kit.digest, last, now_ms(), USERS_AT_ONCE):
        async with kit.db.transaction() as tx:
            for user_id in users:
                announce(tx, user_key(user_id), effects=[Resync(user_id)])
        last = users[-1]
    async with kit.db.transaction() as tx:
        await store.finish(tx, kit.digest, now_ms())
