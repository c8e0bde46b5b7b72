"""From a line's bytes to its object, or to the reason why it is none. Pure functions; input is hostile."""

import re
from typing import Any, NamedTuple, get_args

import msgspec
from msgspec import Struct

from tidewire.bulk.lines import TYPES, VERSION, Line, Shape
from tidewire.wire.nul import has_nul

_decode = msgspec.json.Decoder(Line).decode
_decode_any = msgspec.json.Decoder().decode
_UNKNOWN = re.compile(r"Object contains unknown field `(.{1,64})`")
_AT = re.compile(r" - at `(\$[^`]{0,80})")
DETAIL_CHARS = 80


class Decoded(NamedTuple):
    """A line that is one: its type, and its object or, for the version's, None. unknown: members that were left out."""

    type: str
    value: Shape | None
    unknown: list[str]


class BadLine(Exception):
    """Why a line is none. reason is the same for all of its kind, detail is this one's. type: as far as it is known."""

    def __init__(self, reason: str, detail: str = "", type_: str = "line") -> None:
        super().__init__(reason)
        self.reason, self.detail, self.type = reason, detail[:DETAIL_CHARS], type_


def decode_line(data: bytes) -> Decoded:
    """Return what a line says. Raises: BadLine."""
    if has_nul(data):
        raise BadLine("a text has a NUL in it")
    try:
        return _result(_decode(data), [])
    except (msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        if not (isinstance(error, msgspec.ValidationError) and _UNKNOWN.search(str(error))):
            raise _bad(error) from error
    except msgspec.DecodeError as error:
        raise _bad(error) from error
    return _lenient(data)


def _lenient(data: bytes) -> Decoded:
    """Decode a line with members that nobody knows, and name them."""
    try:
        raw = _decode_any(data)
        type_ = raw.get("type") if isinstance(raw, dict) else None
        if isinstance(type_, str) and type_ not in TYPES:
            raise BadLine("its type is unknown", type_)
        unknown: dict[str, None] = {}
        line = msgspec.convert(_known(Line, raw, "", unknown), Line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(error) from error
    return _result(line, list(unknown))


def _known(kind: Any, value: Any, path: str, unknown: dict[str, None]) -> Any:
    """Return the value without what a type has no member for; note where that was."""
    if isinstance(value, list):
        inner = next((one for part in (kind, *get_args(kind)) for one in get_args(part)), None)
        return [_known(inner, one, path, unknown) for one in value]
    shape = next(
        (one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, Struct)), None
    )
    if shape is None or not isinstance(value, dict):
        return value
    types = {field.name: field.type for field in msgspec.structs.fields(shape)}
    kept = {}
    for name, inner in value.items():
        here = f"{path}.{name}" if path else name
        if name in types:
            kept[name] = _known(types[name], inner, here, unknown)
        else:
            unknown[here[:DETAIL_CHARS]] = None
    return kept


def _result(line: Line, unknown: list[str]) -> Decoded:
    if line.type not in TYPES:
        raise BadLine("its type is unknown", line.type)
    if line.type == "version":
        if line.version != VERSION:
            raise BadLine("the version is not 1", str(line.version), "version")
        return Decoded("version", None, unknown)
    value = getattr(line, line.type)
    if value is None:
        raise BadLine("the object of its type is missing", line.type, line.type)
    return Decoded(line.type, value, unknown)


def _bad(error: Exception) -> BadLine:
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        at = _AT.search(text)
        place = at[1].split(".")[1] if at and "." in at[1] else ""
        type_ = place.partition("[")[0] if place.partition("[")[0] in TYPES else "line"
        return BadLine(text[: text.find(" - at ")] if at else text[:DETAIL_CHARS], at[1] if at else "", type_)
    if isinstance(error, RecursionError):
        return BadLine("it is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return BadLine("it is not UTF-8")
    return BadLine("it is not JSON", str(error))
