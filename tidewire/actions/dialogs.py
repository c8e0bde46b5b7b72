"""Dialogs: a form that an integration shows to the user who just called it, and gets filled in.

Source: Mattermost API v4, interactive dialogs and the event `open_dialog`.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, structs

from tidewire.actions import outgoing_call, permissions, triggers
from tidewire.actions.copies import announce, to_user
from tidewire.actions.permissions import access_channel_for_read
from tidewire.actions.services import Services
from tidewire.bus.envelope import user_key
from tidewire.outbound import FetchError
from tidewire.outbound.client import parse
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.events import as_text
from tidewire.wire.ids import is_id
from tidewire.wire.models import Session

DIALOG_BYTES = 64 << 10
TITLE_MAX, ELEMENTS_MAX, OPTIONS_MAX = 24, 50, 1000
ERROR = "app.submit_interactive_dialog.json_error"

T = TypeVar("T")


class Element(Struct):
    """One field of a form."""

    display_name: str = ""
    name: str = ""
    type: str = ""
    subtype: str = ""
    default: str = ""
    placeholder: str = ""
    help_text: str = ""
    optional: bool = False
    min_length: int = 0
    max_length: int = 0
    data_source: str = ""
    options: list[dict[str, Any]] | None = None
    multiselect: bool = False
    data_source_url: str | UnsetType = UNSET
    refresh: bool | UnsetType = UNSET
    datetime_config: dict[str, Any] | UnsetType = UNSET
    min_date: str | UnsetType = UNSET
    max_date: str | UnsetType = UNSET
    time_interval: int | UnsetType = UNSET


class Dialog(Struct):
    """A form."""

    callback_id: str = ""
    title: str = ""
    introduction_text: str = ""
    icon_url: str = ""
    elements: list[Element] | None = None
    submit_label: str = ""
    notify_on_cancel: bool = False
    state: str = ""
    source_url: str | UnsetType = UNSET


class DialogRequest(Struct):
    """What an integration wants to be shown, and to whom."""

    trigger_id: str = ""
    url: str = ""
    dialog: Dialog | None = None


class Submission(Struct):
    """What a user filled in; who he is, the server adds."""

    url: str = ""
    callback_id: str = ""
    state: str = ""
    channel_id: str = ""
    team_id: str = ""
    submission: dict[str, Any] = {}
    cancelled: bool = False
    type: str = ""
    user_id: str = ""


class Verdict(Struct, omit_defaults=True):
    """What the integration has against it: a text for all, texts by field; or the next form to be filled in."""

    error: str = ""
    errors: dict[str, str] = {}
    type: str = ""
    form: Dialog | None = None


class Choice(Struct):
    """One line of a menu."""

    text: str = ""
    value: str = ""


class Choices(Struct):
    """What a menu offers for what was typed. Source: Mattermost API v4, elements with data_source "dynamic"."""

    items: list[Choice] = []


async def do_open(services: Services, request: DialogRequest) -> None:
    """Show a dialog to the user of a trigger id. Needs no login: the signed trigger id is one. Raises: 400."""
    if request.dialog is None or not _is_form(request.dialog):
        raise body_param("dialog")
    _check_url(request.url)
    user_id = await triggers.user_of(services, request.trigger_id)
    text = as_text(request)
    if len(text) > DIALOG_BYTES:
        raise body_param("dialog")
    async with services.db.transaction() as tx:
        announce(tx, user_key(user_id), [to_user("open_dialog", {"dialog": text}, user_id)])


async def do_submit(services: Services, session: Session, given: Submission) -> Verdict:
    """Pass what a user filled in on to the integration; return what it has against it. Raises: 400, 403."""
    verdict = await _pass_on(services, session, given, "dialog_submission", Verdict)
    if verdict.form is not None and not _is_form(verdict.form):
        raise AppError(ERROR, 400, "The integration's next form cannot be shown.")
    return verdict


async def do_look_up(services: Services, session: Session, given: Submission) -> Choices:
    """Ask an integration what a menu of its dialog offers. Raises: 400, 403."""
    found = await _pass_on(services, session, given, "dialog_lookup", Choices)
    if len(found.items) > OPTIONS_MAX:
        raise AppError(ERROR, 400, f"A menu offers at most {OPTIONS_MAX} lines.")
    return found


async def _pass_on(services: Services, session: Session, given: Submission, kind: str, shape: type[T]) -> T:
    """Send a form to its integration, in the user's name; return what it answers."""
    _check_url(given.url)
    if not is_id(given.channel_id):
        raise body_param("channel_id")
    await access_channel_for_read(services, session, given.channel_id)
    if given.team_id:
        await permissions.check_team(services, session, given.team_id, "view_team")
    url = given.url
    told = structs.replace(given, url="", user_id=session.user_id, type=given.type or kind)
    answer = await outgoing_call.call(services, url, msgspec.json.encode(told), shape, ERROR, of=session.user_id)
    assert isinstance(answer, shape)
    return answer


def _is_form(dialog: Dialog) -> bool:
    elements = dialog.elements or ()
    return (
        1 <= len(dialog.title) <= TITLE_MAX
        and len(elements) <= ELEMENTS_MAX
        and all(len(element.options or ()) <= OPTIONS_MAX for element in elements)
    )


def _check_url(url: str) -> None:
    try:
        parse(url)
    except FetchError as error:
        raise AppError("api.context.invalid_body_param.app_error", 400, f"Invalid url: {error}.") from error
