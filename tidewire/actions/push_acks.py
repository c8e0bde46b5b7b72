"""What apps say about pushes: that one arrived, send me a test; and what a client asks before it has a login.

Source: Mattermost API v4, notifications/ack, notifications/test, system/ping with device_id.
"""

from datetime import timedelta

import structlog
from msgspec import Struct, json
from prometheus_client import Counter
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from tidewire.actions import channels, collapsed_threads, permissions, posts, push_messages, system_bot
from tidewire.actions.push_text import Named
from tidewire.actions.services import Services
from tidewire.actions.sessions import DEVICE_MAX
from tidewire.actions.users import get_user
from tidewire.actions.webpush import disabled
from tidewire.bus import push_replies
from tidewire.bus.push_queue import QueueFull
from tidewire.store import push as store
from tidewire.wire.errors import AppError, Unavailable, body_param
from tidewire.wire.ids import is_id, new_id, now_ms
from tidewire.wire.models import Post, Session
from tidewire.wire.push import Notification, Provider, new_job

WORD_MAX = 64  # characters of an id, a platform, a type
FORWARD_S = 10.0
TEST_WAIT_S = 5.0
TESTS_PER_MINUTE = 10  # of one address, of one user
TEST_TEXT = "If you received this test notification, it worked!"

DELIVERED = Counter("tidewire_push_delivered", "Pushes that an app says it got.", ["type"])
TYPES = frozenset({"message", "clear", "update_badge", "session", "test"})
log = structlog.get_logger(__name__)


class PushAck(Struct):
    """An app got a push. Source: Mattermost API v4, PushNotificationAck. platform: the app's word (ios, android)."""

    id: str = ""
    received_at: int = 0
    platform: str = ""
    type: str = ""
    post_id: str = ""
    is_id_loaded: bool = False


async def do_ack(services: Services, session: Session, ack: PushAck) -> Notification | None:
    """Note that a push arrived; return what an app is to show that got ids only, else None.

    Raises: 501 while pushes are off; 400; 500 if the other push proxy cannot be told; 404 for a post that the caller
    may not read.
    """
    if not services.config.flag("EmailSettings.SendPushNotifications"):
        raise disabled()
    for name in ("id", "platform", "type"):
        if len(getattr(ack, name)) > WORD_MAX:
            raise body_param(name)
    if ack.post_id and not is_id(ack.post_id):
        raise body_param("post_id")
    wants_text = ack.is_id_loaded and ack.type == "message" and bool(ack.post_id)
    DELIVERED.labels(ack.type if ack.type in TYPES else "other").inc()
    proxy = services.config.text("EmailSettings.PushNotificationServer")
    if proxy:
        try:
            await _forward(proxy, ack)
        except (PyreqwestError, ValueError, TimeoutError) as error:
            if not wants_text:
                raise AppError(
                    "api.push_notifications_ack.forward.app_error", 500, "The push proxy could not be told."
                ) from error
            log.warning("push proxy cannot be told of an arrival", error=type(error).__name__)
    return await load_message(services, session, ack) if wants_text else None


async def _forward(proxy: str, ack: PushAck) -> None:
    """Tell another push proxy. Raises: PyreqwestError, TimeoutError; ValueError for an address that is none."""
    client: Client = (
        ClientBuilder().timeout(timedelta(seconds=FORWARD_S)).follow_redirects(False).error_for_status(True).build()
    )
    async with client:
        request = client.post(proxy.rstrip("/") + "/api/v1/ack").header("content-type", "application/json")
        await request.body_bytes(json.encode(ack)).build().send()


async def load_message(services: Services, session: Session, ack: PushAck) -> Notification:
    """Return the whole push for a post that the caller may read. Raises: 404."""
    _, channel = await posts.access_post(services, session, ack.post_id)
    found = await store.posts(services.db, [ack.post_id])
    people = await store.recipients(services.db, [(session.user_id, channel.id)])
    if not found or not people:
        raise posts.post_missing()
    post, recipient = found[0], people[session.user_id, channel.id]
    mode = services.config.text("ServiceSettings.CollapsedThreads")
    crt = collapsed_threads.sees(mode, recipient.collapsed)
    group = await store.groups(services.db, [channel.id]) if channel.type == "G" else {}
    badges = await store.badges(services.db, {session.user_id: crt})
    style = push_messages.style_of(services.config)._replace(contents="full")
    message = push_messages.message(
        style,
        post,
        recipient,
        kind="post",
        as_crt=crt and bool(post.root_id),
        crt=crt,
        badge=badges[session.user_id],
        people={user_id: Named(*names) for user_id, *names in group.get(channel.id, ())},
        said=push_messages.said_in(style, post),
    )
    message.ack_id = ack.id
    return message


async def do_test(services: Services, session: Session) -> None:
    """Let the server write a message to the caller that rings every device of his. Raises: 429, Unavailable."""
    if not await services.throttle.take("push-test:" + session.user_id, 60, TESTS_PER_MINUTE):
        raise AppError("api.context.rate_limit.app_error", 429, "limit exceeded")
    user = await get_user(services, session.user_id)
    bot = await system_bot.get_system_bot(services)
    home = await channels.open_direct(services, bot.id, [bot.id, user.id])
    now = now_ms()
    props = {"force_notification": new_id()}
    post = Post(new_id(now), home.id, bot.id, now, now, message=TEST_TEXT, props=props)
    await posts.do_write(services, permissions.acting_as(services, bot), home, post, bot.username, root=None)


async def can_receive(services: Services, address: str, device_id: str) -> str:
    """Return whether a push to a device arrives at its provider: "true", "false" or "unknown".

    A silent push is sent for it, so an address may ask ten times a minute. Source: Mattermost API v4, system/ping.
    """
    if not push_messages.is_on(services.config):
        return "false"
    platform, _, token = device_id.partition(":")
    target = platform.partition("-v")[0]
    by_proxy = bool(services.config.text("EmailSettings.PushNotificationServer"))
    carrier: Provider = "proxy" if by_proxy else "apns" if target.startswith("apple") else "fcm"
    known = by_proxy or target.startswith(("apple", "android"))
    if not token or not known or len(device_id) > DEVICE_MAX:
        return "unknown"
    try:
        if not await services.throttle.take("push-ping:" + address, 60, TESTS_PER_MINUTE):
            return "unknown"
        # Where nobody sends for this app the push would wait for ever.
        if target not in await push_replies.targets(services.redis) and not by_proxy:
            return "unknown"
        what = Notification(
            type="test", version="2", badge=-1, server_id=services.config.server_id, platform=platform, device_id=token
        )
        job = new_job(what, provider=carrier)
        status = await push_replies.ask(services.settings.redis.url, job, TEST_WAIT_S)
    except (Unavailable, QueueFull):
        return "unknown"
    return {"OK": "true", "REMOVE": "false"}.get(status, "unknown")
