"""What a push says: names, titles and the text. Pure; nothing here knows devices or who gets what.

Source: Mattermost API v4, push notifications, "text". The phrases are ours, in English: phones show them as they are.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.helpers import parseLinkDestination, parseLinkLabel, parseLinkTitle
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from msgspec import Struct

MESSAGE_BYTES = 2_047  # a push proxy cuts here
# What is read of a message: as much as a phone shows, several times. Parsing costs 0.1 ms, 25 of what is made to hurt.
READ_RUNES = 2_048
FALLBACKS = 20  # attachments of a post whose text is read
MENTION_TAGS = re.compile(r"</?mention>")
_MARKED = re.compile(r"[*_`~\[\]<>#|\\&!]|^\s*(?:[-+=]|\d+[.)])|\n\s|  \n", re.M)
UNCLOSED = 64  # brackets of a text that nothing closes; each is looked for to its end, beyond they are only text


class _Helpers:
    """What the parser's rules ask for the parts of links. Of one text: it gives up what failed too often."""

    parseLinkTitle = staticmethod(parseLinkTitle)

    def __init__(self) -> None:
        self._labels = self._destinations = UNCLOSED  # that may fail yet

    def parseLinkLabel(self, state: StateInline, start: int, disable_nested: bool = False) -> int:
        """Return where the label of a link ends, -1 if nowhere."""
        if not self._labels:
            return -1
        end = parseLinkLabel(state, start, disable_nested)
        if end < 0:
            self._labels -= 1
        return end

    def parseLinkDestination(self, source: str, start: int, end: int) -> Any:
        """Return where a link leads. One whose brackets do not close, 32 within each other, fails after all of them."""
        found = parseLinkDestination(source, start, end if self._destinations else start)
        if not found.ok and self._destinations:
            self._destinations -= 1
        return found


_parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])

PHRASES = {
    "file": "attached a file.",
    "direct": "Sent you a message.",
    "direct_thread": "replied in a thread.",
    "followed": "replied in a thread that you follow.",
    "channel": "notified the channel.",
    "named": "mentioned you.",
    "own_post": "commented on your post.",
    "own_thread": "commented in a thread that you took part in.",
    "post": "posted a message.",
}
LOADED_BY_ID = "You have a new message."
SOMEONE = "Somebody"


class Named(Struct):
    """What names of a person are made of."""

    username: str
    first_name: str = ""
    last_name: str = ""
    nickname: str = ""


def display_name(person: Named, name_format: str) -> str:
    """Return how a person is called for somebody who chose this way; usernames come with an @."""
    full = f"{person.first_name} {person.last_name}".strip()
    if name_format == "nickname_full_name":
        return person.nickname or full or "@" + person.username
    if name_format == "full_name":
        return full or "@" + person.username
    return "@" + person.username


def title(
    channel_type: str, display: str, sender: str, others: Sequence[str], *, reply: bool, named: bool = True
) -> str:
    """Return a push's title. others: the names of a group's other members. reply: to a followed thread.

    named: False where contents must not name channels; a direct channel shows its sender all the same.
    """
    if channel_type == "D":
        return "Reply in a direct message" if reply else sender
    if not named:
        return ""
    name = ", ".join(sorted(others)) if channel_type == "G" else display
    return f"Reply in {name}" if reply else name


def text(
    *, contents: str, direct: bool, sender: str, message: str, has_files: bool, kind: str, reply: bool
) -> str:
    """Return the text of a push for a post.

    contents: setting PushNotificationContents. message: as `full_text` gives it. kind: which of PHRASES says why
    somebody is told. reply: to a thread that he follows.
    """
    if not message and has_files:
        return PHRASES["file"].capitalize() if direct else f"{sender} {PHRASES['file']}"
    if contents == "full":
        return cut(message if direct and not reply else f"{sender}: {message}")
    if contents == "id_loaded":
        return LOADED_BY_ID
    if direct:
        return f"{sender} {PHRASES['direct_thread']}" if reply else PHRASES["direct"]
    return f"{sender} {PHRASES['followed' if reply else kind]}"


def full_text(message: str, props: Mapping[str, Any]) -> str:
    """Return what a post says without Markdown, then the fallback texts of its attachments."""
    parts = [plain(message)]
    attachments = props.get("attachments") if props else None
    for attachment in attachments[:FALLBACKS] if isinstance(attachments, list) else ():
        fallback = attachment.get("fallback") if isinstance(attachment, dict) else None
        if isinstance(fallback, str) and fallback:
            parts.append(plain(fallback))
    return "\n".join(part for part in parts if part)


def plain(markdown: str) -> str:
    """Return a text without Markdown and without tags of mentions."""
    source = MENTION_TAGS.sub("", markdown[:READ_RUNES])
    if _MARKED.search(source) is None:
        return source.strip()
    lines: list[str] = []
    cells: list[str] | None = None  # of the table's row that is being read
    # Declared as the module that it is by default; rules only ask it for these three functions.
    _parser.helpers = _Helpers()  # type: ignore[assignment]  # as above
    for token in _parser.parse(source):
        if token.type == "tr_open":
            cells = []
        elif token.type == "tr_close":
            lines.append(" ".join(cells or ()))
            cells = None
        elif token.type == "inline":
            (lines if cells is None else cells).append(_inline(token.children or ()))
        elif token.type in ("fence", "code_block", "html_block"):
            lines.append(token.content.rstrip("\n"))
    return "\n".join(lines).strip()


def _inline(children: Sequence[Token]) -> str:
    parts: list[str] = []
    for token in children:
        if token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif token.type == "image":
            parts.append(_inline(token.children or ()))
        else:
            parts.append(token.content)  # "" of what only opens or closes
    return "".join(parts)


def cut(words: str, limit: int = MESSAGE_BYTES) -> str:
    """Return a text of at most `limit` bytes, cut between characters."""
    data = words.encode("utf-8", "replace")
    return words if len(data) <= limit else data[:limit].decode("utf-8", "ignore")
