"""What the buttons and menus of posts call: taken out of what programs send, before anybody sees it, and kept."""

import re
from typing import Any

import msgspec

from tidewire.actions import integration_text
from tidewire.actions.services import Services
from tidewire.store import post_actions as store
from tidewire.wire.errors import body_param
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Post

EPHEMERAL_MS = 24 * 3600 * 1000  # how long the buttons of a post that nobody keeps go on working
INTEGRATION_BYTES = 64 << 10
DATA_SOURCE = "data_source"  # of a menu: the users or the channels; the integration is told which
TYPE = "type"
MENU = "select"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def take(props: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Clean the attachments of a post's props in place; return what their actions call, which no client may see.

    Raises: 400 for attachments that are none.
    """
    if "attachments" not in props:
        return {}
    props["attachments"] = integration_text.clean_attachments(props["attachments"], None)
    return take_integrations(props["attachments"])


def take_integrations(attachments: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Take what actions call out of clean attachments and return it by the actions' ids, given where they have none."""
    taken: dict[str, dict[str, Any]] = {}
    for attachment in attachments:
        for action in attachment.get("actions", ()):
            if not _ID.match(action.get("id", "")):
                action["id"] = new_id()
            integration = action.pop("integration", None)
            if integration is not None:
                taken[action["id"]] = row_of(action, integration)
    if taken and len(msgspec.json.encode(taken)) > INTEGRATION_BYTES:
        raise body_param("props")
    return taken


def row_of(action: dict[str, Any], integration: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of an action and what it calls, whatever types their members have."""
    url, context = integration.get("url"), integration.get("context")
    source, kind = action.get(DATA_SOURCE), action.get(TYPE)
    return {
        "url": url if isinstance(url, str) else "",
        "context": context if isinstance(context, dict) else {},
        DATA_SOURCE: source if isinstance(source, str) else "",
        TYPE: kind if kind and isinstance(kind, str) else MENU if source or action.get("options") else "button",
    }


def has(post: Post, action_id: str) -> bool:
    """Tell whether a post shows an action: an integration that has taken one away wants to hear of it no more."""
    attachments = post.props.get("attachments")
    for attachment in attachments if isinstance(attachments, list) else ():
        actions = attachment.get("actions") if isinstance(attachment, dict) else None
        for action in actions if isinstance(actions, list) else ():
            if isinstance(action, dict) and action.get("id") == action_id:
                return True
    return False


async def keep(services: Services, post: Post, integrations: dict[str, dict[str, Any]], seen_by: str = "") -> None:
    """Remember what a post's actions call, before it is written: for EPHEMERAL_MS, and for good if it is by then.

    seen_by: the only user who sees the post, which is never written.
    """
    if not integrations:
        return
    now = now_ms()
    until = now + EPHEMERAL_MS
    await store.put(
        services.db, post.id, post.channel_id, integrations, user_id=seen_by, now_ms=now, expires_at=until
    )
