"""Bots: accounts for programs, which log in by personal access tokens only and belong to somebody."""

from msgspec import Struct, structs

from tidewire.actions import mention_map, permissions, validate
from tidewire.actions.copies import announce, to_all
from tidewire.actions.services import Services
from tidewire.actions.sessions import end_all_sessions
from tidewire.actions.users import announce_updated, get_user
from tidewire.bus.envelope import user_key
from tidewire.store import bots, users
from tidewire.store.db import Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Bot, Session, User

DISPLAY_NAME_MAX, DESCRIPTION_MAX = 64, 1024  # characters; Mattermost API v4


class BotPatch(Struct):
    """What one may say about a bot; what is missing or null stays."""

    username: str | None = None
    display_name: str | None = None
    description: str | None = None


def _missing() -> AppError:
    return AppError("store.sql_bot.get.missing.app_error", 404, "Bot does not exist.")


def _check(bot: Bot) -> None:
    if not validate.is_username(bot.username):
        raise AppError("model.bot.is_valid.username.app_error", 400, "Invalid username.")
    if len(bot.display_name) > DISPLAY_NAME_MAX:
        raise AppError("model.user.is_valid.first_name.app_error", 400, "Invalid display name.")
    if len(bot.description) > DESCRIPTION_MAX:
        raise AppError("model.bot.is_valid.description.app_error", 400, "Invalid description.")


def _email(username: str) -> str:
    """Return the address of a bot, which nothing is ever sent to. Source: Mattermost API v4, users that are bots."""
    return username + "@localhost"


async def is_managed_by(services: Services, session: Session, user_id: str) -> bool:
    """Tell whether the account is a bot that the caller may manage."""
    bot = await bots.by_id(services.db, user_id, deleted=True)
    if bot is None:
        return False
    own = bot.owner_id == session.user_id
    return permissions.has_system(session, "manage_bots" if own else "manage_others_bots")


async def get_bot(services: Services, session: Session, bot_user_id: str, *, deleted: bool) -> Bot:
    """Return a bot. Raises: 404, also for one that the caller may not read: ids are not confirmed."""
    bot = await bots.by_id(services.db, bot_user_id, deleted=deleted)
    if bot is None:
        raise _missing()
    own = bot.owner_id == session.user_id and permissions.has_system(session, "read_bots")
    if not own and not permissions.has_system(session, "read_others_bots"):
        raise _missing()
    return bot


async def _access_for_change(services: Services, session: Session, bot_user_id: str) -> None:
    """Raise 404 for one who may not read the bot, 403 for one who may not manage it."""
    await get_bot(services, session, bot_user_id, deleted=True)
    if not await is_managed_by(services, session, bot_user_id):
        raise forbidden()


async def list_bots(
    services: Services, session: Session, *, deleted: bool, orphaned: bool, limit: int, offset: int
) -> list[Bot]:
    """Return a page of the bots that the caller may read: all, or his own. Raises: 403."""
    if permissions.has_system(session, "read_others_bots"):
        owner_id = ""
    else:
        permissions.check_system(session, "read_bots")
        owner_id = session.user_id
    return await bots.page(
        services.db, owner_id=owner_id, deleted=deleted, orphaned=orphaned, limit=limit, offset=offset
    )


async def do_create_bot(services: Services, session: Session, new: BotPatch) -> Bot:
    """Store a bot that the caller owns, and tell everybody. Raises: 403, 400 for what may not be chosen or is taken."""
    permissions.check_system(session, "create_bot")
    if (await get_user(services, session.user_id)).is_bot:
        raise forbidden()  # a bot makes no bots
    if not services.config.flag("ServiceSettings.EnableBotAccountCreation"):
        raise AppError("api.bot.create_disabled", 403, "Bot creation has been disabled.")
    now = now_ms()
    bot = Bot(
        new_id(now),
        (new.username or "").strip().lower(),
        session.user_id,
        now,
        now,
        0,
        display_name=new.display_name or "",
        description=new.description or "",
    )
    _check(bot)
    await insert(services, bot)
    return bot


async def insert(services: Services, bot: Bot) -> None:
    """Store a checked bot and its account, and tell everybody. Raises: 400 for a name that is taken."""
    user = User(
        id=bot.user_id,
        username=bot.username,
        email=_email(bot.username),
        create_at=bot.create_at,
        update_at=bot.update_at,
        first_name=bot.display_name,
        notify_props=dict(defaults.USER_NOTIFY_PROPS),
        timezone=dict(defaults.TIMEZONE),
        roles="system_user",
        email_verified=True,
        is_bot=True,
        bot_description=bot.description,
    )
    async with services.db.transaction() as tx:
        await users.insert(tx, user, "")
        await bots.insert(tx, bot)
        announce(tx, user_key(user.id), [to_all("new_user", {"user_id": user.id}, guests=[])])


async def _do_change(
    services: Services, bot_user_id: str, *, active: bool | None = None, **changes: object
) -> Bot:
    """Store changes of a bot and tell everybody as of any user; a deactivated one loses its sockets."""
    async with services.db.transaction() as tx:
        user = await users.lock(tx, bot_user_id)
        bot = await bots.by_id(tx, bot_user_id, deleted=True)
        if user is None or bot is None:
            raise _missing()
        at = max(now_ms(), bot.update_at + 1, user.update_at + 1)
        delete_at = bot.delete_at if active is None else 0 if active else bot.delete_at or at
        changed = structs.replace(bot, delete_at=delete_at, **changes)
        if changed == bot:
            return bot
        changed.update_at = at
        _check(changed)
        before, user = user, structs.replace(
            user,
            username=changed.username,
            email=_email(changed.username),
            first_name=changed.display_name,
            bot_description=changed.description,
            delete_at=changed.delete_at,
            update_at=at,
        )
        await bots.update(tx, changed, email=user.email, user_update_at=at)
        stale = await mention_map.stale_keys(tx, before, user)
        await announce_updated(services, tx, user, stale=stale)
        if changed.delete_at != bot.delete_at:
            await end_all_sessions(tx, [user.id])
    return changed


async def do_patch_bot(services: Services, session: Session, bot_user_id: str, patch: BotPatch) -> Bot:
    """Change a bot's names and description. Raises: 403, 404, 400."""
    await _access_for_change(services, session, bot_user_id)
    changes = {
        name: value for name in BotPatch.__struct_fields__ if (value := getattr(patch, name)) is not None
    }
    if "username" in changes:
        changes["username"] = changes["username"].strip().lower()
    return await _do_change(services, bot_user_id, **changes)


async def do_set_bot_active(services: Services, session: Session, bot_user_id: str, *, active: bool) -> Bot:
    """Enable or disable a bot; disabled, its tokens and sockets are dead at once. Raises: 403, 404."""
    await _access_for_change(services, session, bot_user_id)
    return await _do_change(services, bot_user_id, active=active)


async def do_assign_bot(services: Services, session: Session, bot_user_id: str, owner_id: str) -> Bot:
    """Give a bot to another owner, who is a person. Raises: 403, 404."""
    permissions.check_system(session, "assign_bot")
    await _access_for_change(services, session, bot_user_id)
    if (await get_user(services, owner_id)).is_bot:
        raise forbidden()
    return await _do_change(services, bot_user_id, owner_id=owner_id)


async def do_disable_bots_of(tx: Transaction, services: Services, owner_id: str, *, at: int) -> list[str]:
    """Disable the live bots of an owner who is deactivated in this transaction, where the configuration wants it.

    Return their ids. The owner's user row must be locked already.
    """
    if not services.config.flag("ServiceSettings.DisableBotsWhenOwnerIsDeactivated"):
        return []
    bot_ids = await bots.lock_live_of(tx, owner_id)
    if bot_ids:
        await bots.disable(tx, bot_ids, at=at)
        await announce_updated(services, tx, *await users.by_ids(tx, bot_ids))
        await end_all_sessions(tx, bot_ids)
    return bot_ids
