"""Shapes of the OAuth 2.0 provider. Source: Mattermost API v4, OAuthApp; RFC 6749, RFC 8414."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_token

SCOPE = "user"  # the one there is: what an app may is what its user may
# Access tokens are longer than other sessions' tokens, so that one in a URL is known for what it is without a look-up.
TOKEN_LENGTH = 40


def new_access_token() -> str:
    """Return a secret of 200 random bits."""
    return (new_token() + new_token())[:TOKEN_LENGTH]


def may_be_access_token(text: str) -> bool:
    """Tell whether a token can be that of an OAuth session."""
    return len(text) == TOKEN_LENGTH


class OAuthApp(Struct):
    """A program that may ask users to let it act for them. client_secret: "" of a public one, and for the public."""

    id: str = ""
    creator_id: str = ""
    create_at: int = 0
    update_at: int = 0
    client_secret: str = ""
    name: str = ""
    description: str = ""
    icon_url: str = ""
    callback_urls: list[str] = field(default_factory=list)
    homepage: str = ""
    is_trusted: bool = False
    mattermost_app_id: str = ""
    is_dynamically_registered: bool | UnsetType = UNSET  # sent where it is so


class NewOAuthApp(OAuthApp):
    """What one says about a new app. is_public: it can keep no secret and shows by PKCE who it is."""

    is_public: bool = False


class AccessToken(Struct):
    """What a code or a refresh token is redeemed for. expires_in: seconds. A public app gets no refresh token."""

    access_token: str
    expires_in: int
    refresh_token: str | UnsetType = UNSET
    token_type: str = "bearer"  # noqa: S105  # a type, as RFC 6750 names it
    scope: str = SCOPE


class AuthorizeRequest(Struct):
    """What an app asks a user for. Members as in RFC 6749 4.1.1 and RFC 7636 4.3."""

    client_id: str = ""
    response_type: str = ""
    redirect_uri: str = ""
    state: str = ""
    scope: str = ""
    code_challenge: str = ""
    code_challenge_method: str = ""


class OAuthFault(AppError):
    """An error that OAuth clients know too. code: RFC 6749 4.1.2.1 and 5.2."""

    def __init__(self, error_id: str, status: int, code: str, message: str, **params: Any) -> None:
        super().__init__(error_id, status, message, **params)
        self.code = code
