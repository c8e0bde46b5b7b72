"""What is left when all lines are in: read states are counted, and who is connected loads everything anew.

Only then, because each batch of posts would change every member of its channels.
"""

from tidewire.actions.copies import announce
from tidewire.actions.post_rules import UNCOUNTED
from tidewire.bulk.kit import Kit
from tidewire.bus.cache import EVERYTHING
from tidewire.bus.envelope import Resync, channel_key, user_key
from tidewire.store import imports as store
from tidewire.store.db import Transaction
from tidewire.wire.ids import now_ms

# Who posts in one of them waits until all are counted: 80 ms for 300 members each; 190 for a hundred channels at once.
CHANNELS_AT_ONCE = 10
USERS_AT_ONCE = 500


async def settle(kit: Kit) -> None:
    """Finish an import; what was done of this before a kill is not done again, or changes nothing.

    Raises: Unavailable.
    """
    while channels := await store.uncounted(kit.db, kit.digest, CHANNELS_AT_ONCE):
        async with kit.db.transaction() as tx:
            await store.count_read(tx, kit.digest, channels, sorted(UNCOUNTED))
            for channel_id in channels:  # with their numbers the tags change by which clients know lists of posts again
                announce(tx, channel_key(channel_id))
    async with kit.db.transaction() as tx:
        await tell_caches(tx)
    last = ""
    while users := await store.connected_members(kit.db, kit.digest, last, now_ms(), USERS_AT_ONCE):
        async with kit.db.transaction() as tx:
            for user_id in users:
                announce(tx, user_key(user_id), effects=[Resync(user_id)])
        last = users[-1]
    async with kit.db.transaction() as tx:
        await store.finish(tx, kit.digest, now_ms())


async def tell_caches(tx: Transaction) -> None:
    """Let caches forget what they have: names, roles and memberships changed. Numbers come from somebody's row."""
    keeper = await tx.fetchval("SELECT id FROM users LIMIT 1")
    if keeper:
        announce(tx, user_key(keeper), invalidates=[EVERYTHING])
