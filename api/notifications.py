"""What apps say about pushes. Rules are in tidewire.actions.push_acks."""

from api.call import Call
from api.routing import OK, route
from tidewire.actions import push_acks
from tidewire.actions.push_acks import PushAck
from tidewire.wire.push import Notification


@route("POST", "/notifications/ack")
async def acknowledge(call: Call) -> Notification | bytes:
    """Note that a push arrived. An app that got ids only is told what to show."""
    ack: PushAck = await call.body(PushAck, "ack")
    return await push_acks.do_ack(call.services, call.login, ack) or OK


@route("POST", "/notifications/test")
async def send_test(call: Call) -> bytes:
    """Let the server write a message that rings every device of the caller."""
    await push_acks.do_test(call.services, call.login)
    return OK
