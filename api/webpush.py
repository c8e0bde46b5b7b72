"""Web Push subscriptions of browsers, an extension of ours. Rules are in tidewire.actions.webpush."""

from api.call import Call
from api.routing import OK, route
from tidewire.actions import webpush
from tidewire.actions.webpush import BrowserSubscription, WebPushState


@route("GET", "/users/{user_id}/webpush")
async def get_webpush(call: Call) -> WebPushState:
    """What the caller's browser needs to subscribe, and what it has."""
    return await webpush.get_state(call.services, call.login, call.path_id("user_id"))


@route("POST", "/users/{user_id}/webpush")
async def subscribe(call: Call) -> bytes:
    """Store the subscription of the caller's browser with his login."""
    user_id = call.path_id("user_id")
    body: BrowserSubscription = await call.body(BrowserSubscription, "subscription")
    await webpush.do_subscribe(call.services, call.login, user_id, body)
    return OK


@route("DELETE", "/users/{user_id}/webpush")
async def unsubscribe(call: Call) -> bytes:
    """Forget the subscription of the caller's browser."""
    await webpush.do_unsubscribe(call.services, call.login, call.path_id("user_id"))
    return OK
