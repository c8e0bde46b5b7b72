"""What programs send to be posted: Slack's markup turned into Markdown, attachments of the right types. Pure.

Source: Mattermost API v4, IncomingWebhookRequest; the payloads of Slack's webhooks. Linear in the input.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tidewire.actions.post_rules import MESSAGE_RUNES
from tidewire.wire.errors import AppError

ATTACHMENTS_MAX, FIELDS_MAX, ACTIONS_MAX = 100, 100, 50
# None looks behind the next "<": where each of 20,000 beginnings was read on to the end of a text, that took a minute.
_LINK = re.compile(r"<((?:https?|mailto|ftp|tel):[^|<>\n]+)\|([^<>\n]*)>|<((?:https?|mailto|ftp|tel):[^|<>\n]+)>")
_CALL = re.compile(r"<!(channel|here|everyone|group|all)(?:\|[^<>\n]*)?>")
_USER = re.compile(r"<@([a-z0-9]{26})(?:\|[^<>\n]*)?>")
_WIDE = {"channel": "@channel", "here": "@here", "everyone": "@all", "group": "@all", "all": "@all"}
_TEXTS = (
    "fallback", "color", "pretext", "author_name", "author_link", "author_icon", "title", "title_link", "text",
    "image_url", "thumb_url", "footer", "footer_icon",
)  # fmt: skip
_MARKED = frozenset({"pretext", "text", "title", "fallback"})
_ACTION_TEXTS = ("id", "type", "name", "tooltip", "style", "data_source", "default_option", "cookie")


def user_ids_in(text: str) -> list[str]:
    """Return the ids of users that the text names as Slack does."""
    return list(dict.fromkeys(_USER.findall(text)))[:100] if "<@" in text else []


def to_markdown(text: str, usernames: dict[str, str] | None) -> str:
    """Return the text with links, users and calls to everybody as Markdown. usernames: id → name; None: as it is."""
    if usernames is None or "<" not in text:
        return text
    text = _LINK.sub(lambda m: f"[{m[2]}]({m[1]})" if m[1] else m[3], text)
    text = _CALL.sub(lambda m: _WIDE[m[1]], text)
    return _USER.sub(lambda m: "@" + usernames[m[1]] if m[1] in usernames else m[0], text)


def parts_of(text: str) -> Iterator[str]:
    """Return the text in pieces that posts can hold, cut at the ends of lines where there are any."""
    while len(text) > MESSAGE_RUNES:
        cut = text.rfind("\n", MESSAGE_RUNES // 2, MESSAGE_RUNES + 1)
        cut = cut if cut > 0 else MESSAGE_RUNES
        yield text[:cut]
        text = text[cut:].removeprefix("\n")
    yield text


def clean_attachments(given: Any, usernames: dict[str, str] | None) -> list[dict[str, Any]]:
    """Return attachments with the members that clients read, each of its type. Raises: 400 for what are none."""
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > ATTACHMENTS_MAX:
        raise _bad()
    return [_attachment(one, usernames) for one in given if one is not None]


def _attachment(given: Any, usernames: dict[str, str] | None) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _bad()
    cleaned: dict[str, Any] = {"id": given["id"] if isinstance(given.get("id"), int) else 0}
    for name in _TEXTS:
        text = _text(given.get(name))
        cleaned[name] = to_markdown(text, usernames) if name in _MARKED else text
    cleaned["ts"] = given.get("ts") if isinstance(given.get("ts"), str | int | float) else None
    cleaned["fields"] = [_field(one, usernames) for one in _list(given.get("fields"), FIELDS_MAX)]
    actions = [_action(one) for one in _list(given.get("actions"), ACTIONS_MAX)]
    if actions:
        cleaned["actions"] = actions
    return cleaned


def _field(given: Any, usernames: dict[str, str] | None) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _bad()
    value = given.get("value")
    text = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()[:10_000]
    return {
        "title": to_markdown(_text(given.get("title")), usernames),
        "value": to_markdown(text, usernames),
        "short": given.get("short") in (True, "true", "1", 1),
    }


def _action(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _bad()
    action: dict[str, Any] = {
        name: text for name in _ACTION_TEXTS if (text := _text(given.get(name)))
    }
    if given.get("disabled") is True:
        action["disabled"] = True
    options = _list(given.get("options"), FIELDS_MAX)
    if options:
        action["options"] = [
            {"text": _text(one.get("text")), "value": _text(one.get("value"))}
            for one in options
            if isinstance(one, dict)
        ]
    integration = given.get("integration")
    if isinstance(integration, dict):
        context = integration.get("context")
        action["integration"] = {
            "url": _text(integration.get("url")),
            "context": context if isinstance(context, dict) else {},
        }
    return action


def _list(given: Any, most: int) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > most:
        raise _bad()
    return [one for one in given if one is not None]


def _text(given: Any) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        raise _bad()
    return given


def _bad() -> AppError:
    return AppError("api.webhook.attachments.app_error", 400, "The attachments cannot be read.")
