"""From plain values to the tree: types, limits, relations; every error at once. No I/O.

Text is read as its field's type, for the environment has nothing else.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import Field
from typing import Any, TypeVar, get_args

from tidewire.settings.tree import Section, Settings, Words, knobs

_TRUTHS = dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True)
_TRUTHS |= dict.fromkeys(("false", "f", "no", "n", "off", "0"), False)
_LIMITS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "ge": (operator.ge, "at least"),
    "gt": (operator.gt, "above"),
    "le": (operator.le, "at most"),
}
_S = TypeVar("_S", bound=Section)
Origin = Mapping[tuple[str, str], str]


class SettingsError(Exception):
    """What is wrong with the settings: one line for each error, all of them."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read(
    values: Mapping[str, Mapping[str, Any]], origin: Origin | None = None, wrong: list[str] | None = None
) -> Settings:
    """Return the settings with values, section → field → value, laid over the defaults.

    origin: where each (section, field) was set, for messages. wrong: errors found before.
    Raises: SettingsError with all errors.
    """
    origin, wrong = origin or {}, list(wrong or ())
    sections: dict[str, Section] = {}
    for name, given in values.items():
        knob = knobs(Settings).get(name)
        where = ", ".join(sorted({source for (section, _), source in origin.items() if section == name}))
        if knob is None:
            wrong.append(f"{name} ({where}): there is no such setting")
            continue
        assert isinstance(knob.type, type)
        before = len(wrong)
        fields = _fields(knob.type, name, given, origin, wrong)
        if len(wrong) == before:
            try:
                sections[name] = _made(knob.type, fields)
            except ValueError as error:
                wrong.append(f"{name} ({where}): {error}")
    if wrong:
        raise SettingsError(wrong)
    return _made(Settings, sections)


def _made(kind: type[_S], fields: Mapping[str, Any]) -> _S:
    section = kind(**fields)
    object.__setattr__(section, "given", frozenset(fields))
    return section


def _fields(
    kind: type[Section], name: str, given: Mapping[str, Any], origin: Origin, wrong: list[str]
) -> dict[str, Any]:
    """Return a section's fields; adds a line to `wrong` for each that is none. Never shows the value of a secret."""
    fields: dict[str, Any] = {}
    known = knobs(kind)
    for field, value in given.items():
        place = f"{name}.{field} ({origin.get((name, field), '')})"
        if field not in known:
            wrong.append(f"{place}: there is no such setting")
            continue
        try:
            fields[field] = _value(known[field], value)
        except ValueError as error:
            got = "" if known[field].metadata["secret"] else f"; got {value!r}"
            wrong.append(f"{place}: {error}{got}")
    return fields


def _value(knob: Field[Any], value: object) -> Any:
    """Return a value as the field's type. Raises: ValueError, which says what it must be."""
    if knob.type is bool:
        truth = value if isinstance(value, bool) else _TRUTHS.get(str(value).lower())
        if truth is None:
            raise ValueError("must be true or false")
        return truth
    if knob.type is str:
        if not isinstance(value, str):
            raise ValueError("must be text")
        return value
    if knob.type in (int, float):
        return _number(knob, value)
    if knob.type == Words:
        return _words(knob, value)
    choices = get_args(knob.type)  # a Literal
    if value not in choices:
        raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
    return value


def _number(knob: Field[Any], value: object) -> int | float:
    what = "a whole number" if knob.type is int else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {what}")
    try:
        number = int(value) if knob.type is int else float(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"must be {what}") from error
    if isinstance(value, float) and number != value:
        raise ValueError(f"must be {what}")
    for name, limit in knob.metadata["limits"].items():
        holds, words = _LIMITS[name]
        if not holds(number, limit):
            raise ValueError(f"must be {words} {limit}")
    return number


def _words(knob: Field[Any], value: object) -> tuple[str, ...]:
    """Return a list's words; "a, b" is one, too."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ValueError("must be a list of texts")
    for word in value:
        knob.metadata["each"](word)
    return tuple(value)
