"""Web Push subscriptions: a browser, on a phone or a desk, gets pushes as a phone does. One per login, gone with it.

Ours: Mattermost API v4 has none. RFC 8030 (push), 8291 (encryption), 8292 (who sends); W3C Push API (the shape).
"""

import base64
import binascii

from msgspec import Struct

from tidewire.actions import push_keys, push_targets
from tidewire.actions.copies import announce
from tidewire.actions.services import Services
from tidewire.actions.sessions import BY_ACCESS_TOKEN
from tidewire.bus.envelope import user_key
from tidewire.outbound.client import FetchError
from tidewire.outbound.push_endpoints import check_endpoint
from tidewire.store import push
from tidewire.wire.errors import AppError, body_param, forbidden, logged_out
from tidewire.wire.ids import now_ms
from tidewire.wire.models import Session
from tidewire.wire.push import Subscription

# A user's browsers; above it the oldest goes, which nobody opened for long.
SUBSCRIPTIONS = 20
POINT_BYTES, AUTH_BYTES = 65, 16  # RFC 8291 3.1, 3.2


class Keys(Struct, frozen=True):
    """What messages are encrypted with, base64url. p256dh: a point of P-256; auth: a secret of 16 bytes."""

    p256dh: str = ""
    auth: str = ""


class BrowserSubscription(Struct):
    """PushSubscription.toJSON() of the W3C Push API; when it ends does not matter, its push service tells."""

    endpoint: str = ""
    keys: Keys = Keys()


class WebPushState(Struct):
    """What a client must know to subscribe. public_key: applicationServerKey; endpoint: "" without subscription."""

    enabled: bool
    public_key: str
    endpoint: str = ""
    create_at: int = 0


def disabled() -> AppError:
    """Return the 501 while pushes are switched off."""
    return AppError("api.push_notification.disabled.app_error", 501, "Push notifications are disabled.")


def _check_own(session: Session, user_id: str) -> None:
    """Raise 403 for another's: a subscription belongs to the very login that asks."""
    if user_id != session.user_id:
        raise forbidden()


def _decode(text: str, size: int) -> bytes:
    """Return so many bytes of base64url, with or without padding. Raises: ValueError."""
    if len(text) > 2 * size:
        raise ValueError(text)
    try:
        data = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error
    if len(data) != size:
        raise ValueError(text)
    return data


def check(given: BrowserSubscription, allowed: tuple[str, ...]) -> Subscription:
    """Return a subscription that may be kept. Raises: 400.

    allowed: push services that may be anywhere (setting push.webpush_allowed).
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        check_endpoint(given.endpoint, allowed)
    except FetchError as error:
        raise body_param("endpoint") from error
    try:
        point = _decode(given.keys.p256dh, POINT_BYTES)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise body_param("keys.p256dh") from error
    try:
        _decode(given.keys.auth, AUTH_BYTES)
    except ValueError as error:
        raise body_param("keys.auth") from error
    return Subscription(endpoint=given.endpoint, p256dh=given.keys.p256dh, auth=given.keys.auth)


async def get_state(services: Services, session: Session, user_id: str) -> WebPushState:
    """Return whether and how the caller's browser can subscribe, and what it has. Raises: 403."""
    _check_own(session, user_id)
    pair = await push_keys.get_pair(services.settings, services.db, push_keys.VAPID)
    state = WebPushState(
        services.config.flag("EmailSettings.SendPushNotifications"), push_keys.application_server_key(pair)
    )
    found = await push.subscription_of(services.db, session.id)
    if found is not None:
        state.endpoint, state.create_at = found
    return state


async def do_subscribe(
    services: Services, session: Session, user_id: str, given: BrowserSubscription
) -> None:
    """Push to the caller's browser from now on. Raises: 403, 400; 501 while pushes are off."""
    _check_own(session, user_id)
    if not services.config.flag("EmailSettings.SendPushNotifications"):
        raise disabled()
    if session.props.get("type") == BY_ACCESS_TOKEN:  # a program's, which has no browser
        raise AppError("api.webpush.access_token.app_error", 400, "An access token cannot subscribe.")
    where = check(given, services.settings.push.webpush_allowed)
    async with services.db.transaction() as tx:
        kept = await push.subscribe(tx, session.id, user_id, where, now=now_ms(), most=SUBSCRIPTIONS)
        announce(tx, user_key(user_id), invalidates=[push_targets.KEY])
    if not kept:
        raise logged_out()


async def do_unsubscribe(services: Services, session: Session, user_id: str) -> None:
    """Push to the caller's browser no more. Raises: 403."""
    _check_own(session, user_id)
    await push.unsubscribe(services.db, session.id)
