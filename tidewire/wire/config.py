"""The keys of the run-time configuration: type, default, limits, who may see them. Data and pure functions.

The data stands in `config_defaults.tsv`. A configuration is a flat map "Section.Key" → value in here, and nested
(section → key → value) where clients see it.
"""

from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import msgspec

MASK = "*" * 32  # Mattermost API v4: what stands for a secret that is set
TEXT_MAX = 16_384  # of any text, and of any word of a list
WORDS_MAX = 1_000

Nested = dict[str, dict[str, Any]]


class Item(msgspec.Struct, frozen=True):
    """One key. low and high bound a number, or the characters of a text; choices: "" where anything goes."""

    name: str
    default: Any
    part: str
    secret: bool = False
    restricted: bool = False
    locked: bool = False
    url: bool = False
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()


def _item(name: str, default: str, part: str, marks: str) -> Item:
    given: dict[str, Any] = {}
    for mark in marks.split():
        if mark in ("secret", "restricted", "locked", "url"):
            given[mark] = True
        elif mark.startswith("part="):
            part = mark[5:]
        elif ".." in mark:
            low, _, high = mark.partition("..")
            given["low"], given["high"] = int(low) if low else None, int(high) if high else None
        else:
            given["choices"] = tuple(mark.split("|"))
    return Item(name, msgspec.json.decode(default), part, **given)


def _read() -> dict[str, Item]:
    items: dict[str, Item] = {}
    section = part = ""
    for line in files("tidewire.wire").joinpath("config_defaults.tsv").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        head, value, *marks = line.split("\t")
        if head.startswith("["):
            section, part = head[1:-1], value
            continue
        name = f"{section}.{head}"
        items[name] = _item(name, value, part, " ".join(marks))
    return items


ITEMS = _read()
DEFAULTS: dict[str, Any] = {name: item.default for name, item in ITEMS.items()}
PARTS = sorted({item.part for item in ITEMS.values()})


def fault(item: Item, value: Any) -> str:
    """Return what is wrong with a value for a key, or ""."""
    # bool is a subclass of int, and true is no number.
    if type(value) is not type(item.default):
        return f"must be {_KINDS[type(item.default)]}"
    if isinstance(value, str):
        return _text_fault(item, value)
    if isinstance(value, list):
        good = len(value) <= WORDS_MAX and all(isinstance(one, str) and len(one) <= TEXT_MAX for one in value)
        return "" if good else f"must be a list of at most {WORDS_MAX} texts"
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = item.low if item.low is not None else -(2**53), item.high or 2**53
        return "" if low <= value <= high else f"must be between {low} and {high}"
    return ""


_KINDS = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    list: "a list of texts",
    dict: "an object",
}


def _text_fault(item: Item, value: str) -> str:
    if len(value) > (item.high or TEXT_MAX):
        return f"must have at most {item.high or TEXT_MAX} characters"
    if item.choices and value not in item.choices:
        return "must be one of: " + ", ".join(item.choices)
    if item.url and value and not is_url(value):
        return "must be an address that begins with http:// or https://"
    return ""


def is_url(text: str) -> bool:
    """Tell whether a text is an http(s) address, in the letters of RFC 3986."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that cannot be
        return False
    return good and text.isascii() and all(char > " " and char not in "<>\"\\^`{|}\x7f" for char in text)


def nest(flat: dict[str, Any]) -> Nested:
    """Return section → key → value."""
    nested: Nested = {}
    for name, value in flat.items():
        section, _, key = name.partition(".")
        nested.setdefault(section, {})[key] = value
    return nested


def flatten(nested: Any) -> dict[str, Any]:
    """Return "Section.Key" → value for the keys that exist; others are ignored, null is "not given".

    Raises: ValueError if it is not an object of objects.
    """
    if not isinstance(nested, dict):
        raise ValueError("the configuration must be an object")
    flat: dict[str, Any] = {}
    for section, values in nested.items():
        if values is None:
            continue
        if not isinstance(values, dict):
            raise ValueError(f"{section} must be an object")
        for key, value in values.items():
            if value is not None and f"{section}.{key}" in ITEMS:
                flat[f"{section}.{key}"] = value
    return flat


def mask(flat: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with every secret that is set hidden."""
    return {
        name: _masked(value) if name in ITEMS and ITEMS[name].secret and value else value
        for name, value in flat.items()
    }


def _masked(value: Any) -> Any:
    return [MASK] * len(value) if isinstance(value, list) else MASK


def is_masked(value: Any) -> bool:
    """Tell whether a value is what `mask` puts in a secret's place."""
    return value == MASK or (isinstance(value, list) and MASK in value)
