"""Personal access tokens. Rules are in tidewire.actions.access_tokens."""

from msgspec import Struct

from api.call import Call
from api.routing import OK, route
from tidewire.actions import access_tokens
from tidewire.wire.models import UserAccessToken


class NewToken(Struct):
    """What one says about a new token."""

    description: str = ""


class TokenId(Struct):
    """Which token."""

    token_id: str = ""


class TokenSearch(Struct):
    """What tokens to find."""

    term: str = ""


@route("POST", "/users/{user_id}/tokens", audit=True)
async def create_token(call: Call) -> UserAccessToken:
    """Make a token; the only answer that holds its secret. Status 200, not 201: Mattermost API v4."""
    user_id, body = call.path_id("user_id"), await call.body(NewToken, "user_access_token")
    return await access_tokens.do_create_token(call.services, call.login, user_id, body.description)


@route("GET", "/users/{user_id}/tokens")
async def list_tokens_of_user(call: Call) -> list[UserAccessToken]:
    """A page of a user's tokens."""
    user_id, window = call.path_id("user_id"), call.window()
    return await access_tokens.list_tokens_of(call.services, call.login, user_id, **window)


@route("GET", "/users/tokens")
async def list_tokens(call: Call) -> list[UserAccessToken]:
    """A page of all tokens."""
    return await access_tokens.list_tokens(call.services, call.login, **call.window())


@route("GET", "/users/tokens/{token_id}")
async def get_token(call: Call) -> UserAccessToken:
    """One token."""
    return await access_tokens.get_token(call.services, call.login, call.path_id("token_id"))


@route("POST", "/users/tokens/search")
async def search_tokens(call: Call) -> list[UserAccessToken]:
    """Tokens by the beginning of their id, user id or username."""
    body = await call.body(TokenSearch, "term")
    return await access_tokens.search_tokens(call.services, call.login, body.term)


@route("POST", "/users/tokens/revoke", audit=True)
async def revoke_token(call: Call) -> bytes:
    """Delete a token."""
    body = await call.body(TokenId, "token_id")
    await access_tokens.do_revoke_token(call.services, call.login, body.token_id)
    return OK


@route("POST", "/users/tokens/disable", audit=True)
async def disable_token(call: Call) -> bytes:
    """Switch a token off."""
    body = await call.body(TokenId, "token_id")
    await access_tokens.do_disable_token(call.services, call.login, body.token_id)
    return OK


@route("POST", "/users/tokens/enable", audit=True)
async def enable_token(call: Call) -> bytes:
    """Switch a token on again."""
    body = await call.body(TokenId, "token_id")
    await access_tokens.do_enable_token(call.services, call.login, body.token_id)
    return OK
