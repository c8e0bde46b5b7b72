"""What clients are told of the configuration: one flat map of strings. The table stands in `client_config.tsv`.

A feature that is built takes its source in the table from `=false` to its key of the configuration; nothing else here
needs to know.
"""

from importlib.resources import files
from typing import Any

Sources = dict[str, str]


def _read() -> dict[str, Sources]:
    parts: dict[str, Sources] = {}
    part = ""
    for line in files("tidewire.wire").joinpath("client_config.tsv").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, source = line.partition("\t")
        if name.startswith("["):
            part = name[1:-1]
            parts[part] = {}
        else:
            parts[part][name] = source
    return parts


_PARTS = _read()
LIMITED = _PARTS["limited"]  # for everybody
FULL = _PARTS["full"] | _PARTS["flags"]  # added for those who are logged in


def as_text(value: Any) -> str:
    """Return a value as clients read it: Go's words for booleans, lists with commas."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)


def _value(source: str, values: dict[str, Any]) -> str:
    if source.startswith("="):
        return source[1:]
    if " & " in source:
        return as_text(all(values[name] for name in source.split(" & ")))
    return as_text(values[source])


def client_values(sources: Sources, values: dict[str, Any]) -> dict[str, str]:
    """Return client key → text. values: the effective configuration, flat."""
    return {name: _value(source, values) for name, source in sources.items()}
