"""Apps that register themselves, where the configuration lets them: nobody has looked at them, and nobody owns them.

Anybody can register some, so those that no user has authorised do not stay: else who fills the table closes it for all.

Source: RFC 7591; Mattermost API v4, `/oauth/apps/register`.
"""

from ipaddress import IPv6Address, ip_address

from msgspec import UNSET, Struct, UnsetType, field

from tidewire.actions.oauth_apps import check_app, check_on, sealed
from tidewire.actions.services import Services
from tidewire.store import oauth_apps as store
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id, new_token, now_ms
from tidewire.wire.oauth import SCOPE, OAuthApp, OAuthFault

PER_HOUR = 20  # from one address, in IPv6 from one subnet
ALL_MAX = 1000
UNUSED_MS = 24 * 3_600_000  # how long an app may wait for its first user
# And how long where there are ALL_MAX: to keep others out takes 50 addresses, and ends an hour after they do.
UNUSED_FULL_MS = 3_600_000
FORGOTTEN = 100  # with one registration
UNNAMED = "An app that registered itself"
METHODS = ("client_secret_post", "none")


class Registration(Struct):
    """What an app says of itself (RFC 7591 2)."""

    redirect_uris: list[str] = field(default_factory=list)
    client_name: str = ""
    client_uri: str = ""
    token_endpoint_auth_method: str = METHODS[0]


class Registered(Struct):
    """What it is told (RFC 7591 3.2.1). client_secret: none for the method `none`."""

    client_id: str
    redirect_uris: list[str]
    token_endpoint_auth_method: str
    grant_types: list[str]
    response_types: list[str]
    scope: str = SCOPE
    client_secret: str | UnsetType = UNSET
    client_name: str | UnsetType = UNSET
    client_uri: str | UnsetType = UNSET


async def do_register(services: Services, asked: Registration, address: str) -> Registered:
    """Store an app that registers itself, in the place of some that nobody uses. Raises: OAuthFault, 429, 501."""
    check_on(services)
    if not services.config.flag("ServiceSettings.EnableDynamicClientRegistration"):
        error_id = "api.oauth.register_oauth_client.disabled.app_error"
        raise AppError(error_id, 501, "Apps cannot register themselves here.")
    method = asked.token_endpoint_auth_method
    if method not in METHODS:
        raise _refused("The method is not offered.")
    now = now_ms()
    app = OAuthApp(
        id=new_id(now), create_at=now, update_at=now, client_secret="" if method == "none" else new_token(),
        name=asked.client_name or UNNAMED, callback_urls=asked.redirect_uris, homepage=asked.client_uri,
        is_dynamically_registered=True,
    )  # fmt: skip
    try:
        check_app(app)
    except AppError as error:
        raise _refused(error.message) from error
    if not await services.throttle.take("oauth-register:" + network_of(address), 3600, PER_HOUR):
        raise AppError("api.context.rate_limit.app_error", 429, "limit exceeded")
    async with services.db.transaction() as tx:
        await store.forget_unused(tx, now - UNUSED_MS, FORGOTTEN)
        full = await store.count_of(tx, "") >= ALL_MAX  # some at once may pass it together
        if full and not await store.forget_unused(tx, now - UNUSED_FULL_MS, 1):
            raise _refused("Too many apps have registered themselves.")
        await store.insert(tx, sealed(services, app))
    grants = ["authorization_code"] + ["refresh_token"] * bool(app.client_secret)
    return Registered(
        app.id, app.callback_urls, method, grants, ["code"], client_secret=app.client_secret or UNSET,
        client_name=asked.client_name or UNSET, client_uri=asked.client_uri or UNSET,
    )  # fmt: skip


def network_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the first 64 bits, which one line has 2^64 addresses below."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address  # "local"
    if not isinstance(ip, IPv6Address):
        return address
    return str(ip.ipv4_mapped) if ip.ipv4_mapped else str(IPv6Address(int(ip) >> 64 << 64))


def _refused(text: str) -> OAuthFault:
    error_id = "api.oauth.register_oauth_client.invalid.app_error"
    return OAuthFault(error_id, 400, "invalid_client_metadata", text)
