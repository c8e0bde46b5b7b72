"""The settings tree as text: effective values for people, docs/settings.md for readers. No I/O."""

from collections.abc import Iterator
from dataclasses import Field
from typing import Any, get_args

from tidewire.settings.loading import variable
from tidewire.settings.tree import Section, Settings, Words, knobs

_HEAD = """# Settings

Written by `make docs` from `tidewire/settings/tree.py`. Every process reads the same settings: from a TOML file
(`--config FILE` or `TIDEWIRE_CONFIG`; `[section]` and `field = value`), over it the environment
(`TIDEWIRE_<SECTION>_<FIELD>`, lists with commas), over that the flags of the command. A name that does not exist is an
error. `tidewire settings check` reports all errors at once, `tidewire settings print` shows what is in force.
"""
_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "bytes": "bytes", "_hours": "hours"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤"}


def _sections() -> Iterator[tuple[str, type[Section]]]:
    for name, knob in knobs(Settings).items():
        assert isinstance(knob.type, type)
        yield name, knob.type


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value)


def render_values(settings: Settings) -> str:
    """Return the effective settings as TOML; secrets that are set show as "(hidden)"."""
    lines: list[str] = []
    for name, model in _sections():
        section = getattr(settings, name)
        lines += ["", f"[{name}]"]
        for field, knob in knobs(model).items():
            value = getattr(section, field)
            lines.append(f"{field} = {_toml('(hidden)' if value and knob.metadata['secret'] else value)}")
    return "\n".join(lines[1:]) + "\n"


def _kind(knob: Field[Any]) -> str:
    names: dict[Any, str] = {str: "text", int: "integer", float: "number", bool: "true or false", Words: "list"}
    return names.get(knob.type) or " or ".join(get_args(knob.type))  # a Literal


def render_markdown() -> str:
    """Return docs/settings.md."""
    parts = [_HEAD]
    for name, model in _sections():
        parts += [
            "",
            f"## {name}",
            "",
            (model.__doc__ or "").strip(),
            "",
            "| field | type, unit | default | meaning |",
        ]
        parts.append("|---|---|---|---|")
        for field, knob in knobs(model).items():
            unit = next((words for ending, words in _UNITS.items() if field.endswith(ending)), "")
            limits = [f"{_SIGNS[name]} {limit}" for name, limit in knob.metadata["limits"].items()]
            kind = ", ".join(filter(None, [_kind(knob), unit, *limits]))
            secret = " Secret." if knob.metadata["secret"] else ""
            default = f"`{_toml(knob.default)}`"
            text = knob.metadata["text"].replace("|", "\\|")
            parts.append(f"| `{field}`<br>`{variable(name, field)}` | {kind} | {default} | {text}{secret} |")
    return "\n".join(parts) + "\n"
