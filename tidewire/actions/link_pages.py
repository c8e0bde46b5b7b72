"""What a page of HTML says of itself in its head. Pure and linear, whatever the bytes are.

Not by html.parser: 512 KiB that were made for it (`<!--` again and again) kept it busy for 130 s, and it cannot be
stopped. Only <meta> is read here, so what counts as a tag is what any browser takes for one.
Sources: The Open Graph protocol; HTML Standard, "encoding sniffing", "tokenization"; Mattermost API v4, OpenGraph.
"""

import re
from collections.abc import Callable, Iterator
from html import unescape

from tidewire.wire.links import OpenGraph, PageImage

STEP, MARK_MAX = 32_768, 16  # characters: 2 ms of what is made to hurt; a mark has ten
METAS_MAX, ATTRIBUTES_MAX, TAG_MAX, TEXT_MAX = 1000, 20, 8192, 4096
RUNES = 300  # Mattermost API v4: of a title, a description, a site's name; what is longer ends so:
CUT = "[...]"
IMAGES_MAX, URL_MAX = 5, 2048
ADDRESSES_MAX = 4096  # characters of all images' addresses: everybody in the channel gets them
# What browsers read a page as. Labels of other codecs are not looked up: Python knows odd ones.
_CHARSETS = re.compile(
    r"(?:utf-?(?:8|16|16le|16be)|(?:iso-?|l)?(?:latin-?|8859[-_]?)\d{1,2}|us-ascii|ascii|windows-(?:125\d|874)"
    r"|koi8-[ru]|gbk|gb2312|gb18030|big5(?:-hkscs)?|shift[-_]?jis|euc-(?:jp|kr)|iso-2022-jp)\Z"
)
# These mean the larger sets that begin as they do.
_LARGER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "shift-jis": "cp932", "utf-16": "utf-16-le"}
_LARGER |= dict.fromkeys(("iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"), "cp1252")
_DECLARED = re.compile(rb"<meta[^>]{0,300}?charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([A-Za-z0-9_:.-]{1,40})", re.I)
_DECLARED_WITHIN = 1024  # bytes
_GIVEN = re.compile(r"charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_:.-]{1,40})", re.I)
_MARK = re.compile(
    r"<(?=[!/bmnst])(?:(!--)|(script|style|title|textarea|noframes)[\s/>]|(meta)[\s/]|(body[\s/>]|/head[\s>]))",
    re.I,
)
_ENDS = {
    name: re.compile("</" + name, re.I) for name in ("script", "style", "title", "textarea", "noframes")
}
_NAME = re.compile(r"[\s/]*([^\s/>=][^\s/>=]*)\s*(=?)\s*")
_PLAIN = re.compile(r"[^\s>]*")


def decode(data: bytes, content_type: str) -> str:
    """Return a page's text: by its byte order mark, what the server called it, what it calls itself, or UTF-8."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    given, declared = _GIVEN.search(content_type[:200]), _DECLARED.search(data[:_DECLARED_WITHIN])
    for label in (given[1] if given else "", declared[1].decode() if declared else ""):
        name = label.lower()
        if _CHARSETS.match(name):
            try:
                return data.decode(_LARGER.get(name, name), "replace")
            except LookupError:
                continue
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        cut = error.start >= len(data) - 4  # in the middle of a character
        return data.decode("utf-8" if cut else "cp1252", "replace")


def metas(text: str) -> Iterator[tuple[str, str]]:
    """Return (property, content as written) of the <meta> tags of a page's head; properties in lower case."""
    at = 0
    for _ in range(METAS_MAX):
        found = _next(text, at)
        if found is None:
            return
        given, at = _attributes(text, found)
        name, content = given.get("property") or given.get("name"), given.get("content")
        if name and content:
            yield name.strip().lower(), content


def _next(text: str, at: int) -> int | None:
    """Return where the attributes of the next <meta> begin, or None at the head's end."""
    while mark := _mark(text, at):
        comment, raw, meta, _ = mark.groups()
        if comment:
            at = text.find("-->", mark.end() - 2)  # <!--> is a whole comment
            if at < 0:
                return None
        elif raw:
            end = _ENDS[raw.lower()].search(text, mark.end())
            if end is None:
                return None
            at = end.end()
        elif meta:
            return mark.end()
        else:
            return None
    return None


def _mark(text: str, at: int) -> re.Match[str] | None:
    """Return the next mark. In steps: no other thread runs while an expression is looked for."""
    for start in range(at, len(text), STEP):
        if found := _MARK.search(text, start, start + STEP + MARK_MAX):
            return found
    return None


def _attributes(text: str, at: int) -> tuple[dict[str, str], int]:
    """Return a tag's attributes, the first of each name, and where it ends."""
    given: dict[str, str] = {}
    limit = min(len(text), at + TAG_MAX)
    for _ in range(ATTRIBUTES_MAX):
        match = _NAME.match(text, at, limit)
        if match is None:
            break
        name, has_value = match.groups()
        at = match.end()
        value = ""
        if has_value and at < limit and text[at] in "\"'":
            end = text.find(text[at], at + 1, limit)
            if end < 0:
                break
            value, at = text[at + 1 : end], end + 1
        elif has_value and (plain := _PLAIN.match(text, at, limit)):
            value, at = plain[0], plain.end()
        given.setdefault(name.lower(), value[:TEXT_MAX])
    return given, at


def open_graph(text: str, asked: str, join: Callable[[str], str]) -> OpenGraph | None:
    """Return what a page's text says of it, cut to what a post may carry; None if it does not say what it is.

    asked: the address in the post. join: an address of the page as a whole one, "" for what is none.
    """
    page = OpenGraph()
    seen: set[str] = set()
    for name, written in metas(text):
        if name == "og:image" or (name == "og:image:url" and (not page.images or name in seen)):
            if len(page.images) > IMAGES_MAX:
                continue
            page.images.append(PageImage())
            seen = {one for one in seen if not one.startswith("og:image")}  # each image has its own
        if name in seen or not name.startswith("og:"):
            continue
        seen.add(name)
        if name == "og:image" or name.startswith("og:image:"):
            if page.images:
                _describe(page.images[-1], name[9:] or "url", written)
        elif name == "og:url":
            page.url = asked  # not where the page would like to be
        elif name in _TEXTS:
            setattr(page, _TEXTS[name], _shortened(_read(written)))
    if not (page.title or page.type or page.url):
        return None
    for image in page.images:
        image.url, image.secure_url = join(image.url), join(image.secure_url)
    page.images = list(_fitting(page.images))
    return page


def _fitting(images: list[PageImage]) -> Iterator[PageImage]:
    left = ADDRESSES_MAX
    for image in images[:IMAGES_MAX]:
        size = len(image.url) + len(image.secure_url)
        if 0 < size <= left:
            left -= size
            yield image


_TEXTS = {
    "og:title": "title",
    "og:type": "type",
    "og:description": "description",
    "og:site_name": "site_name",
}


def _describe(image: PageImage, name: str, written: str) -> None:
    if name in ("url", "secure_url"):
        setattr(image, name, _read(written))
    elif name == "type":
        image.type = written[:64]
    elif name in ("width", "height") and written.isascii() and written.isdigit() and len(written) <= 6:
        setattr(image, name, int(written))


def _read(written: str) -> str:
    return unescape(written).replace("\0", "").strip()


def _shortened(text: str) -> str:
    return text if len(text) <= RUNES else text[:RUNES] + CUT
