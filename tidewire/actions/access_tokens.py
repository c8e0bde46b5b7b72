"""Personal access tokens: keys that programs use like a session. Switching one off silences its sockets everywhere."""

from tidewire.actions import bots, mail, permissions
from tidewire.actions.services import Services
from tidewire.actions.sessions import announce_end
from tidewire.actions.users import get_user, missing
from tidewire.store import access_tokens
from tidewire.store.holds import hold
from tidewire.store.sessions import token_hash
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id, new_id, new_token, now_ms
from tidewire.wire.models import Session, UserAccessToken

DESCRIPTION_MAX = 255  # characters; Mattermost API v4
FOUND_MAX = 100


def _missing() -> AppError:
    return AppError("app.user_access_token.get_by_token.app_error", 404, "Unable to find the token.")


async def check_acts_for(services: Services, session: Session, user_id: str) -> None:
    """Raise 403 unless the caller may act for a user (himself, or edit_other_users) or for a bot that he manages.

    Nobody but a system admin acts for one.
    """
    if user_id == session.user_id:
        return
    if await bots.is_managed_by(services, session, user_id):
        return
    permissions.check_system(session, "edit_other_users")
    user = await get_user(services, user_id)
    if permissions.SYSTEM_ADMIN in user.roles.split() and not permissions.is_admin(session):
        raise forbidden()


async def do_create_token(
    services: Services, session: Session, user_id: str, description: str
) -> UserAccessToken:
    """Return a new token, readable this once.

    Raises: 403, 404; 400 without a description; 501 where tokens are switched off, except for bots.
    """
    if not 1 <= len(description.strip()) <= DESCRIPTION_MAX:
        raise body_param("description")
    permissions.check_not_oauth(session)
    permissions.check_system(session, "create_user_access_token")
    await check_acts_for(services, session, user_id)
    user = await get_user(services, user_id)
    if not user.is_bot and not services.config.flag("ServiceSettings.EnableUserAccessTokens"):
        raise AppError(
            "app.user_access_token.disabled", 501, "Personal access tokens are disabled on this server."
        )
    now = now_ms()
    made = UserAccessToken(new_id(now), user_id, description, True, new_token())
    async with services.db.transaction() as tx:
        if not await hold(tx, users=[user_id]):
            raise missing()
        await access_tokens.insert(tx, made, hashed=token_hash(made.token), csrf=new_token(), at=now)
        if not user.is_bot:
            await mail.send(services, tx, "token_created", user.email, username=user.username)
    return made


async def get_token(services: Services, session: Session, token_id: str) -> UserAccessToken:
    """Return a token without its secret. Raises: 403; 404, to those who may read tokens."""
    permissions.check_system(session, "read_user_access_token")
    token = await access_tokens.by_id(services.db, token_id)
    if token is None:
        raise _missing()
    await check_acts_for(services, session, token.user_id)
    return token


async def list_tokens_of(
    services: Services, session: Session, user_id: str, *, limit: int, offset: int
) -> list[UserAccessToken]:
    """Return a page of a user's tokens. Raises: 403."""
    permissions.check_system(session, "read_user_access_token")
    await check_acts_for(services, session, user_id)
    return await access_tokens.of_user(services.db, user_id, limit=limit, offset=offset)


async def list_tokens(
    services: Services, session: Session, *, limit: int, offset: int
) -> list[UserAccessToken]:
    """Return a page of all tokens. Raises: 403."""
    permissions.check_system(session, "manage_system")
    return await access_tokens.page(services.db, limit=limit, offset=offset)


async def search_tokens(services: Services, session: Session, term: str) -> list[UserAccessToken]:
    """Return tokens by the beginning of their id, user id or username. Raises: 403; 400 without a term."""
    permissions.check_system(session, "manage_system")
    if not term:
        raise body_param("term")
    return await access_tokens.search(services.db, term, limit=FOUND_MAX)


async def _access(services: Services, session: Session, token_id: str, permission: str) -> UserAccessToken:
    if not is_id(token_id):
        raise body_param("token_id")
    permissions.check_system(session, permission)
    token = await access_tokens.by_id(services.db, token_id)
    if token is None:
        raise _missing()
    await check_acts_for(services, session, token.user_id)
    return token


async def do_revoke_token(services: Services, session: Session, token_id: str) -> None:
    """Delete a token. Raises: 400, 403, 404."""
    token = await _access(services, session, token_id, "revoke_user_access_token")
    async with services.db.transaction() as tx:
        announce_end(tx, token.user_id, await access_tokens.delete(tx, token_id))


async def do_disable_token(services: Services, session: Session, token_id: str) -> None:
    """Switch a token off. Raises: 400, 403, 404."""
    token = await _access(services, session, token_id, "revoke_user_access_token")
    async with services.db.transaction() as tx:
        announce_end(tx, token.user_id, await access_tokens.set_active(tx, token_id, active=False))


async def do_enable_token(services: Services, session: Session, token_id: str) -> None:
    """Switch a token on. Raises: 400, 403, 404."""
    permissions.check_not_oauth(session)
    await _access(services, session, token_id, "create_user_access_token")
    async with services.db.transaction() as tx:
        await access_tokens.set_active(tx, token_id, active=True)
