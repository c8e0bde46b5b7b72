"""What commands have in common, and the gateway's, which runs without the parser of the command line.

A gateway whose settings all come from the environment, as `serve` gives them, holds 3 MiB less for it (`__main__`).
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tidewire.settings import Settings, SettingsError, default_data_dir, load


def fail(*lines: str) -> NoReturn:
    """End with status 1, and lines that say why."""
    for line in lines:
        sys.stderr.write(f"tidewire: {line}\n")
    sys.exit(1)


def settings_of(config: Path | None = None, **overrides: dict[str, Any]) -> Settings:
    """Return the settings; overrides are section → field → value, from flags. Ends with a line for each error."""
    try:
        return load(config, overrides)
    except SettingsError as error:
        fail(*error.lines)


def settings_at(data_dir: Path | None, config: Path | None) -> Settings:
    """Return the settings, with database and files of the running `serve` of a data directory where they name none."""
    settings = settings_of(config)
    folder = (data_dir or Path(settings.serve.data_dir or default_data_dir())).expanduser().absolute()
    url = settings.database.url
    if not url:
        try:
            url = (folder / "database.url").read_text().strip()
        except OSError:
            fail(f"no tidewire serve runs on {folder}: start it, or give --data-dir or TIDEWIRE_DATABASE_URL")
    files = settings.files.directory or str(folder / "files")
    return settings_of(config, database={"url": url}, files={"directory": files})


def need(settings: Settings, *sections: str) -> None:
    """End with one line per missing address of a service."""
    missing = [name for name in sections if not getattr(settings, name).url]
    if missing:
        fail(*(f"{name}.url is not set (TIDEWIRE_{name.upper()}_URL)" for name in missing))


def run_gateway(config: Path | None = None, **overrides: dict[str, Any]) -> None:
    """Run one gateway until it is told to stop."""
    settings = settings_of(config, **overrides)
    need(settings, "database", "redis")
    import_structlog_alone()
    from gateway.main import run
    from gateway.tls import BadCertificate
    from tidewire.listening import CannotListen

    try:
        run(settings)
    except (BadCertificate, CannotListen) as error:
        fail(str(error))


def import_structlog_alone() -> None:
    """Import structlog as if there were no rich: 3 MiB, for tracebacks with local variables, which we never write."""
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # documented: the import fails
        import_module("structlog.dev")
        del sys.modules["rich"]
