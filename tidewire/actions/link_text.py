"""Which addresses a post names: links that stand in its text as they are, and images in Markdown. Pure, linear.

Source: Mattermost API v4, posts' `embeds` and `images`. Code and labelled links (`[label](address)`) give none.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from tidewire.actions.mention_text import attachments_of, texts_of, without_code

LINKS_MAX, IMAGES_MAX = 20, 10  # of a post that are looked at
URL_MAX = 2048
_URL = re.compile(r"(?<![\w/.@:-])(?:https?://[\w\[-]|www\.\w)[^\s<>]*", re.I)
_DEFINED = re.compile(r"^ {0,3}\[([^\[\]\n]+)\]:[ \t]*(\S+)[^\n]*$", re.M)
_BY_NAME = re.compile(r"!\[([^\[\]\n]*)\]\[([^\[\]\n]*)\]")
_ENDS = "?!.,:;*_~'\"`|"
_PICTURES = ("author_icon", "image_url", "thumb_url", "footer_icon")  # of an attachment


class Links(NamedTuple):
    """Addresses in the order of the text, each once."""

    links: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


NONE = Links()


def may_have(message: str, props: Mapping[str, Any]) -> bool:
    """Tell, at next to no cost, whether `find` may find something."""
    return "://" in message or "www." in message or "attachments" in props


def find(message: str, props: Mapping[str, Any]) -> Links:
    """Return what a post names; of its attachments the images only."""
    if not may_have(message, props):
        return NONE
    links: dict[str, None] = {}
    images: dict[str, None] = {}
    for number, text in enumerate(texts_of(message, props) if message else ["", *texts_of("", props)]):
        if "://" in text or "www." in text:
            rest = _take_marked(without_code(text), images)
            if number == 0:
                found = islice(_URL.finditer(rest), LINKS_MAX)
                _add(links, (_trimmed(match[0]) for match in found), LINKS_MAX)
    for one in attachments_of(props):
        _add(images, (one.get(name) for name in _PICTURES), IMAGES_MAX)
    return Links(tuple(links), tuple(images))


def _add(to: dict[str, None], found: Iterable[Any], most: int) -> None:
    for url in found:
        if len(to) >= most:
            return
        if isinstance(url, str) and url[:4].lower() == "www.":
            url = "http://" + url
        if isinstance(url, str) and url.lower().startswith(("http://", "https://")) and len(url) <= URL_MAX:
            to[url] = None


def _take_marked(text: str, images: dict[str, None]) -> str:
    """Add a text's images and return it without them, labelled links and definitions."""
    defined: dict[str, str] = {}
    if "]:" in text:
        defined = {match[1].lower(): match[2].strip("<>") for match in _DEFINED.finditer(text)}
        text = _DEFINED.sub("", text)
    if "](" in text:
        # Images first: one may be the label of a link.
        text = _take_inline(_take_inline(text, images), None)
    if defined and "][" in text:
        names = (match[2] or match[1] for match in _BY_NAME.finditer(text))
        _add(images, (defined.get(name.lower()) for name in names), IMAGES_MAX)
    return text


def _take_inline(text: str, images: dict[str, None] | None) -> str:
    """Return a text without its `![label](address)`, which are added to images; None: without `[label](address)`."""
    kept: list[str] = []
    at, end = 0, -1
    while (middle := text.find("](", at)) >= 0:
        end = end if end > middle else text.find(")", middle)
        if end < 0:
            break
        start = text.rfind("[", at, middle)
        is_image = start > at and text[start - 1] == "!"
        if start < 0 or is_image != (images is not None):
            kept.append(text[at : middle + 2])
            at = middle + 2
            continue
        close = _end_of_address(text, middle + 2, end)
        kept += [text[at : start - is_image], " "]
        if images is not None:
            words = text[middle + 2 : close].split(None, 1)
            _add(images, (word.strip("<>") for word in words[:1]), IMAGES_MAX)
        at = close + 1
    kept.append(text[at:])
    return "".join(kept)


def _end_of_address(text: str, start: int, end: int) -> int:
    """Return where the bracket closes that holds an address, pairs in it left aside. end: the first to close."""
    opened = text.count("(", start, end)
    while opened > 0:
        further = text.find(")", end + 1)
        if further < 0 or further - start > URL_MAX or "\n" in text[end:further]:
            break
        opened += text.count("(", end, further) - 1
        end = further
    return end


def _trimmed(url: str) -> str:
    """Return an address without what ends the sentence around it. Source: GFM, extended autolinks."""
    end = len(url)
    if end > 2 * URL_MAX:
        return ""
    surplus = url.count(")") - url.count("(")
    while end:
        last = url[end - 1]
        if last in _ENDS:
            mark = url.rfind("&", max(0, end - 32), end - 1) if last == ";" else -1
            end = mark if mark >= 0 and url[mark + 1 : end - 1].isalnum() else end - 1
        elif last == ")" and surplus > 0:
            surplus, end = surplus - 1, end - 1
        elif last == "]" and "[" not in url:
            end -= 1
        else:
            break
    return url[:end]
