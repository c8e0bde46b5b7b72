"""From the environment and a TOML file to the tree: flags win over the environment, that over the file."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidewire.settings.reading import read
from tidewire.settings.tree import Settings

PREFIX = "TIDEWIRE_"
FILE_VARIABLE = "TIDEWIRE_CONFIG"
Overrides = Mapping[str, Mapping[str, Any]]


def variable(section: str, field: str) -> str:
    """Return the environment variable of a field."""
    return f"{PREFIX}{section}_{field}".upper()


def load(
    config: Path | None = None, overrides: Overrides | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings in force.

    config: TOML file; without it the one that TIDEWIRE_CONFIG names, if any.
    overrides: section → field → value, from flags; None as a value means "not given".
    environ: instead of the process's own.
    Raises: SettingsError with every error found.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, dict[str, Any]] = {}
    origin: dict[tuple[str, str], str] = {}
    wrong: list[str] = []

    def put(section: str, field: str, value: object, source: str) -> None:
        values.setdefault(section, {})[field] = value
        origin[section, field] = source

    if config is None and environ.get(FILE_VARIABLE):
        config = Path(environ[FILE_VARIABLE])
    if config is not None:
        for section, fields in _read(config, wrong).items():
            if isinstance(fields, dict):
                for field, value in fields.items():
                    put(section, field, value, str(config))
            else:
                wrong.append(f"{config}: {section} is not a section")
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != FILE_VARIABLE:
            section, _, field = name.removeprefix(PREFIX).lower().partition("_")
            put(section, field, environ[name], name)
    for section, given in (overrides or {}).items():
        for field, value in given.items():
            if value is not None:
                put(section, field, value, f"--{field.replace('_', '-')}")
    return read(values, origin, wrong)


def export(config: Path | None, overrides: Overrides) -> None:
    """Put flags into this process's environment, so that workers it starts load the same settings."""
    given = {
        name: {field: value for field, value in fields.items() if value is not None}
        for name, fields in overrides.items()
    }
    os.environ.update(child_environment(given))
    if config is not None:
        os.environ[FILE_VARIABLE] = str(config.resolve())


def child_environment(overrides: Overrides) -> dict[str, str]:
    """Return this process's environment with settings laid over it, for a child process."""
    added = {
        variable(section, field): ",".join(value) if isinstance(value, list | tuple) else str(value)
        for section, fields in overrides.items()
        for field, value in fields.items()
    }
    return {**os.environ, **added}


def default_data_dir() -> Path:
    """Return where `serve` keeps its data: /var/lib/tidewire for root, else tidewire in the user's data home."""
    if os.geteuid() == 0:
        return Path("/var/lib/tidewire")
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(home) / "tidewire"


def _read(path: Path, wrong: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        wrong.append(f"{path}: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        wrong.append(f"{path}: not TOML: {error}")
    return {}
