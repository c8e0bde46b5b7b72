"""The settings tree as text: effective values for people, docs/settings.md for readers. No I/O."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tidewire.settings.loading import variable
from tidewire.settings.tree import Settings

_HEAD = """# Settings

Written by `make docs` from `tidewire/settings/tree.py`. Every process reads the same settings: from a TOML file
(`--config FILE` or `TIDEWIRE_CONFIG`; `[section]` and `field = value`), over it the environment
(`TIDEWIRE_<SECTION>_<FIELD>`, lists with commas), over that the flags of the command. A name that does not exist is an
error. `tidewire settings check` reports all errors at once, `tidewire settings print` shows what is in force.
"""
_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "bytes": "bytes", "_hours": "hours"}
_LIMITS = {"Ge": ("ge", "≥"), "Gt": ("gt", ">"), "Le": ("le", "≤"), "Lt": ("lt", "<")}


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        yield name, field.annotation


def _is_secret(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("secret"))


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
        for field, info in model.model_fields.items():
            value = getattr(section, field)
            lines.append(f"{field} = {_toml('(hidden)' if value and _is_secret(info) else value)}")
    return "\n".join(lines[1:]) + "\n"


def _kind(field: FieldInfo) -> str:
    kind = getattr(field.annotation, "__name__", "")
    if "Literal" in str(field.annotation):
        return " or ".join(str(word) for word in field.annotation.__args__)  # type: ignore[union-attr]  # a Literal has them
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false", "tuple": "list"}.get(
        kind, kind
    )


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
        for field, info in model.model_fields.items():
            unit = next((words for ending, words in _UNITS.items() if field.endswith(ending)), "")
            limits = [
                f"{sign} {getattr(limit, attribute)}"
                for limit in info.metadata
                for attribute, sign in [_LIMITS.get(type(limit).__name__, ("", ""))]
                if attribute
            ]
            kind = ", ".join(filter(None, [_kind(info), unit, *limits]))
            secret = " Secret." if _is_secret(info) else ""
            default = f"`{_toml(info.default)}`"
            text = (info.description or "").replace("|", "\\|")
            parts.append(f"| `{field}`<br>`{variable(name, field)}` | {kind} | {default} | {text}{secret} |")
    return "\n".join(parts) + "\n"
