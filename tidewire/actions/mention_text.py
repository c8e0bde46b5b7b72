"""Whom a text names: `@username`, `@channel` and its kin, keywords, first names. Pure; linear in the text.

Source: Mattermost API v4, "who is mentioned". Code spans, code blocks, addresses of links and bare URLs name nobody.
Who the names belong to is in the maps that `find` is given; what a mention does is in tidewire.actions.mentions.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

NAME_MAX = 64  # characters of a username
# Distinct names looked up for one post: 16,383 characters hold 5,000, and nobody means so many.
NAMES_MAX = 500
# What is looked at of a post whenever it is listed: two of the longest messages. Props hold 800,000 characters, and who
# read sixty posts with such attachments kept a worker busy for 10 s.
TEXTS_MAX, ATTACHMENTS_MAX = 32_768, 100
_EVERYBODY = frozenset({"all", "channel"})
_HERE = "here"
_GROUPS = _EVERYBODY | {_HERE}
_ENDS = ".-:_"  # may stand in a username, or end the sentence after it
_WORD = re.compile(r"[\w:.@-]+")
_FROM_AT = re.compile(r"@[\w:.@-]*")
_SPLIT = re.compile(r"[.:-]+")
_URL = re.compile(r"(?:https?://|ftp://|www\.|mailto:)[^\s<>]*", re.I)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_TICKS = re.compile(r"`+")


class Found(Struct):
    """Who is named. everybody: @all or @channel; here: @here; whether they may is not known here."""

    user_ids: dict[str, None] = field(default_factory=dict)  # a set in order
    everybody: bool = False
    here: bool = False


class Names(Protocol):
    """Username → user id."""

    def get(self, name: str, /) -> str | None:
        """Return the id, or None."""


class Said(Struct):
    """Texts, and their words that can name somebody, without the signs before them."""

    texts: Sequence[str]
    words: list[str]


def texts_of(message: str, props: Mapping[str, Any]) -> list[str]:
    """Return the texts of a post that can name people: the message and what its attachments say, as far as we read."""
    if not props or "attachments" not in props:
        return [message] if message else []
    texts: list[Any] = [message]
    for attachment in attachments_of(props):
        texts += [attachment.get("pretext"), attachment.get("text")]
        fields = attachment.get("fields")
        if isinstance(fields, list):
            texts += [one.get("value") for one in fields[:ATTACHMENTS_MAX] if isinstance(one, dict)]
    found, room = [], TEXTS_MAX
    for text in texts:
        if isinstance(text, str) and text and room > 0:
            found.append(text[:room])
            room -= len(text)
    return found


def attachments_of(props: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the attachments in a post's props, as far as they are read."""
    given = props.get("attachments")
    some = given[:ATTACHMENTS_MAX] if isinstance(given, list) else ()
    return [one for one in some if isinstance(one, dict)]


def without_code(text: str) -> str:
    """Return the text without code spans and code blocks."""
    if "`" in text or "~~~" in text or "\n    " in text or "\t" in text or text.startswith("    "):
        text = "\n\n".join(_without_spans(paragraph) for paragraph in _paragraphs(text))
    return text


def plain(text: str) -> str:
    """Return the text without code and without the addresses of links."""
    text = without_code(text)
    if "](" in text:
        text = _without_destinations(text)
    if "://" in text or "www." in text or "mailto:" in text:
        text = _URL.sub(" ", text)
    return text


def _paragraphs(text: str) -> Iterable[str]:
    """Yield the paragraphs outside of code blocks, fenced or indented (CommonMark 4.4, 4.5)."""
    lines: list[str] = []
    fence = ""
    after_blank, in_list, in_code = True, False, False
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
            continue
        if mark and not (mark[1][0] == "`" and "`" in line[mark.end() :]):
            fence = mark[1]
        blank = not line.strip()
        indented = line.startswith(("    ", "\t"))
        in_code = not blank and indented and not in_list and (after_blank or in_code)
        if _ITEM.match(line):
            in_list = True
        elif after_blank and not blank and not line.startswith((" ", "\t")):
            in_list = False
        after_blank = blank or bool(fence)
        if blank or in_code or fence:
            if lines:
                yield "\n".join(lines)
                lines = []
        else:
            lines.append(line)
    if lines:
        yield "\n".join(lines)


def _without_spans(text: str) -> str:
    """Return a paragraph without code spans: from a run of backticks to the next run of the same length."""
    runs = [match.span() for match in _TICKS.finditer(text)]
    if len(runs) < 2:
        return text
    closes: list[int] = [-1] * len(runs)
    last: dict[int, int] = {}
    for i in range(len(runs) - 1, -1, -1):
        start, end = runs[i]
        # A backslash takes the first backtick of an opening run away, not of a closing one.
        length = end - start - (start > 0 and text[start - 1] == "\\")
        closes[i] = last.get(length, -1)
        last[end - start] = i
    kept: list[str] = []
    at, i = 0, 0
    while i < len(runs):
        if closes[i] < 0:
            i += 1
            continue
        kept += [text[at : runs[i][0]], " "]
        at = runs[closes[i]][1]
        i = closes[i] + 1
    kept.append(text[at:])
    return "".join(kept)


def _without_destinations(text: str) -> str:
    """Return the text with `[label](address)` as `[label] `."""
    kept: list[str] = []
    at = 0
    while (start := text.find("](", at)) >= 0 and (end := text.find(")", start)) >= 0:
        kept += [text[at:start], "] "]
        at = end + 1
    kept.append(text[at:])
    return "".join(kept)


def read(texts: Sequence[str], *, every_word: bool = True) -> Said:
    """Return what the texts say. every_word: also words without an @, which only keywords and first names need."""
    words: list[str] = []
    for text in texts:
        if every_word:
            _add_words(words, _WORD.findall(plain(text)))
        elif "@" in text:
            text = plain(text)
            if text.count("@") == text.count(" @") + text.startswith("@"):  # each begins a word
                words += _FROM_AT.findall(text)
            else:
                found = [word for part in text.split() if "@" in part for word in _WORD.findall(part)]
                _add_words(words, [word for word in found if "@" in word])
    return Said(texts, words)


def _add_words(words: list[str], found: Iterable[str]) -> None:
    for word in found:
        if not (word[0] == ":" and word[-1] == ":"):  # an emoji
            trimmed = word.lstrip(_ENDS)
            if trimmed:
                words.append(trimmed)


def _forms(word: str) -> Iterable[str]:
    """Return what a word beginning with @ may mean: itself, then without one sign at its end after the other."""
    length = len(word)
    if word[-1] not in _ENDS and length <= NAME_MAX + 1:  # as most
        return (word,) if length > 1 else ()
    shortest = len(word.rstrip(_ENDS))
    return [word[:end] for end in range(min(length, NAME_MAX + 1), max(shortest, 2) - 1, -1)]


def names_in(said: Said) -> list[str]:
    """Return the usernames that texts may name, lower-case, without @, at most NAMES_MAX."""
    names: dict[str, None] = {}
    for word in said.words:
        if word[0] == "@":
            for form in _forms(word.lower()):
                names[form[1:]] = None
        elif "@" in word:
            for part in _SPLIT.split(word):
                if part[:1] == "@":
                    for form in _forms(part.lower()):
                        names[form[1:]] = None
        if len(names) >= NAMES_MAX:
            break
    return list(names)[:NAMES_MAX]


def find(
    said: Said,
    names: Names,
    keywords: Mapping[str, Sequence[str]] | None = None,
    first_names: Mapping[str, Sequence[str]] | None = None,
) -> Found:
    """Return whom texts name.

    names: username → user id. keywords: lower-case word → user ids. first_names: the same, case-sensitive.
    """
    found = Found()
    user_ids = found.user_ids
    keywords, first_names = keywords or {}, first_names or {}
    for word in said.words:
        if word[0] == "@":
            name = word.lower()[1:]
            user_id = names.get(name)
            if user_id is not None and name not in _GROUPS:  # as most
                user_ids[user_id] = None
                continue
            for form in _forms(word):
                if _take(found, form, names, keywords, first_names):
                    break
        elif not (
            _take(found, word, names, keywords, first_names)
            or _take(found, word.rstrip(_ENDS) or word, names, keywords, first_names)
        ):
            for part in _SPLIT.split(word):
                if part:
                    _take(found, part, names, keywords, first_names)
    # Languages without spaces: the keyword is looked for inside of words.
    if inside := [keyword for keyword in keywords if not keyword.isascii()]:
        texts = [text.lower() for text in said.texts]
        for keyword in inside:
            if any(keyword in text for text in texts):
                found.user_ids.update(dict.fromkeys(keywords[keyword]))
    return found


def _take(
    found: Found,
    word: str,
    names: Names,
    keywords: Mapping[str, Sequence[str]],
    first_names: Mapping[str, Sequence[str]],
) -> bool:
    """Add whom one word names; return whether it names somebody."""
    lower = word.lower()
    if lower[0] == "@":
        name = lower[1:]
        if name in _EVERYBODY:
            found.everybody = True
            return True
        if name == _HERE:
            found.here = True
            return True
        user_id = names.get(name)
        if user_id is not None:
            found.user_ids[user_id] = None
            return True
    ids = keywords.get(lower) or first_names.get(word)
    if ids:
        found.user_ids.update(dict.fromkeys(ids))
    return bool(ids)
