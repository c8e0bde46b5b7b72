"""The account that speaks for the server: made when it first has something to say."""

from tidewire.actions import bots
from tidewire.actions.services import Services
from tidewire.store import bots as bot_store
from tidewire.store import users
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Bot, User

USERNAME = "system-bot"


async def get_system_bot(services: Services) -> User:
    """Return the server's own account. Raises: Unavailable; 400 where a person has its name."""
    found = await users.by_usernames(services.db, [USERNAME])
    if not found:
        now = now_ms()
        bot = Bot(new_id(now), USERNAME, "", now, now, 0, display_name="System", description="Speaks for the server.")
        try:
            await bots.insert(services, bot)
        except AppError:  # another worker was quicker
            pass
        found = await users.by_usernames(services.db, [USERNAME])
    if not found or await bot_store.by_id(services.db, found[0].id, deleted=False) is None:
        raise AppError("app.bot.get_system_bot.taken.app_error", 400, f"{USERNAME} is somebody else's name.")
    return found[0]

