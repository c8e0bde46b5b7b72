"""Buttons, menus and dialogs of integrations. Source: Mattermost API v4, interactive messages and dialogs."""

from api.call import Call
from api.routing import OK, route
from tidewire.actions import dialogs, post_actions
from tidewire.actions.dialogs import Choices, DialogRequest, Submission, Verdict
from tidewire.actions.post_actions import Click
from tidewire.wire.errors import url_param


@route("POST", "/posts/{post_id}/actions/{action_id}")
async def click(call: Call) -> dict[str, str]:
    """Use a button or a menu of a post."""
    post_id, action_id = call.path_id("post_id"), call.param("action_id")
    if not action_id.isascii() or len(action_id) > 64:
        raise url_param("action_id")
    given: Click = await call.body(Click)
    trigger_id = await post_actions.do_click(call.services, call.login, post_id, action_id, given)
    return {"status": "OK", "trigger_id": trigger_id}


@route("POST", "/actions/dialogs/open", session=False, csrf=False)
async def open_dialog(call: Call) -> bytes:
    """Show a dialog to the user of a trigger id."""
    request: DialogRequest = await call.body(DialogRequest)
    await dialogs.do_open(call.services, request)
    return OK


@route("POST", "/actions/dialogs/submit")
async def submit_dialog(call: Call) -> Verdict:
    """Pass what a user filled in on to the integration."""
    given: Submission = await call.body(Submission)
    return await dialogs.do_submit(call.services, call.login, given)


@route("POST", "/actions/dialogs/lookup")
async def look_up(call: Call) -> Choices:
    """Ask the integration what a menu of its dialog offers."""
    given: Submission = await call.body(Submission)
    return await dialogs.do_look_up(call.services, call.login, given)
