"""The command `tidewire`. Each command loads the settings, and only then the code it needs.

Exit status: 0 done, 1 it could not be done (one clear line), 2 the command line is wrong.
"""

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

from cyclopts import App

from tidewire import __version__
from tidewire.cli_common import PLAIN, Config
from tidewire.command import fail, need, run_gateway, settings_of
from tidewire.settings import export, name_of

app = App(
    name="tidewire",
    help="Chat server for Mattermost's apps. Settings: flags, TIDEWIRE_SECTION_FIELD variables, --config FILE.",
    version=__version__,
    version_flags=["--version"],
    default_parameter=PLAIN,
)
settings_app = App(name="settings", help="Show, check and document the settings.")
app.command(settings_app)
# Imported when they are used.
_LATE = {
    "push": "tidewire.cli_push:app",
    "import": "tidewire.cli_import:import_file",
    "export": "tidewire.cli_export:export_file",
}
if importlib.util.find_spec("loadtest") is not None:  # a tool of the checkout, not of every installation
    _LATE["loadtest"] = "loadtest.cli:app"
for _name, _place in _LATE.items():
    app.command(_place, name=_name)


@app.command
def serve(
    *,
    data_dir: str | None = None,
    host: str | None = None,
    port: int | None = None,
    gateways: int | None = None,
    api_workers: int | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    domain: str | None = None,
    config: Config = None,
) -> None:
    """Run everything on this machine: databases, API, gateways, balancer. Stop with Ctrl-C.

    Prints "ready URL" when all of it answers. TIDEWIRE_DATABASE_URL and TIDEWIRE_REDIS_URL replace the embedded
    databases.

    Parameters
    ----------
    data_dir
        Where everything is kept; default: /var/lib/tidewire for root, else ~/.local/share/tidewire.
    host
        Address to listen on; default localhost: this machine only; 0.0.0.0: every address.
    port
        Port for HTTP and WebSockets; default 8065.
    gateways
        Gateway processes; default 1; one per core that sockets may use.
    api_workers
        API worker processes; default 1; one per core that requests may use.
    tls_cert
        Certificate file (PEM) for https and wss; http on the same port is redirected.
    tls_key
        Key file (PEM) of the certificate.
    domain
        Domain name for automatic HTTPS on ports 443 and 80.
    config
        TOML file with settings.
    """
    given = {
        "data_dir": data_dir,
        "host": host,
        "port": port,
        "gateways": gateways,
        "api_workers": api_workers,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "domain": domain,
    }
    settings = settings_of(config, serve=given)
    export(config, {"serve": given})
    from tidewire.supervisor.serve import serve as run_serve

    sys.exit(run_serve(settings))


@app.command
def restart(*, data_dir: str | None = None, config: Config = None) -> None:
    """Replace the gateways of a running `serve` by fresh ones, one after the other.

    No connection is refused, and sockets resume where they were. Returns at once; serve's log says when it is done.

    Parameters
    ----------
    data_dir
        Its data directory; default as for serve.
    config
        TOML file with settings.
    """
    settings = settings_of(config, serve={"data_dir": data_dir})
    from tidewire.supervisor.serve import restart as ask_for_restart

    sys.exit(ask_for_restart(settings))


@app.command
def api(
    *,
    host: str | None = None,
    port: int | None = None,
    uds: str | None = None,
    workers: int | None = None,
    metrics_port: int | None = None,
    config: Config = None,
) -> None:
    """Run the HTTPS side alone.

    Parameters
    ----------
    host
        Address to listen on; default 127.0.0.1.
    port
        Port to listen on; default 8071.
    uds
        Unix socket to listen on instead.
    workers
        Worker processes; default 1.
    metrics_port
        Port for /metrics and /health; default none; further workers take the next ones.
    config
        TOML file with settings.
    """
    overrides: dict[str, dict[str, Any]] = {
        "api": {"host": host, "port": port, "uds": uds, "workers": workers},
        "metrics": {"port": metrics_port},
    }
    settings = settings_of(config, **overrides)
    need(settings, "database", "redis")
    export(config, overrides)  # the workers are processes of their own and load the settings again
    from api.main import run
    from tidewire.listening import CannotListen

    try:
        run(settings)
    except CannotListen as error:
        fail(str(error))


@app.command
def gateway(
    *,
    host: str | None = None,
    port: int | None = None,
    reuse_port: bool | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    metrics_port: int | None = None,
    config: Config = None,
) -> None:
    """Run one gateway: the WebSocket side. Start one per core, each on its own port.

    Parameters
    ----------
    host
        Address to listen on; default 127.0.0.1.
    port
        Port to listen on; default 8072; 0: any free one.
    reuse_port
        Let several gateways share the port, where no balancer stands before them; default no.
    tls_cert
        Certificate file (PEM, with its chain): speak TLS, where no balancer does. Read again on SIGHUP.
    tls_key
        Key file (PEM) of the certificate.
    metrics_port
        Port for /metrics and /health; default none.
    config
        TOML file with settings.
    """
    overrides: dict[str, dict[str, Any]] = {
        "gateway": {
            "host": host,
            "port": port,
            "reuse_port": reuse_port,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
        },
        "metrics": {"port": metrics_port},
    }
    run_gateway(config, **overrides)


@app.command
def migrate(*, config: Config = None) -> None:
    """Bring the database's schema up to date; does nothing where it is."""
    settings = settings_of(config)
    need(settings, "database")
    import asyncpg

    from tidewire.store.migrate import SchemaTooNew
    from tidewire.store.migrate import migrate as run_migrations

    try:
        applied = asyncio.run(run_migrations(settings.database.url))
    except (OSError, SchemaTooNew, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        fail(f"cannot migrate {name_of(settings.database.url)}: {str(error) or type(error).__name__}")
    for name in applied:
        sys.stdout.write(f"applied {name}\n")


@settings_app.command(name="print")
def print_settings(*, config: Config = None) -> None:
    """Print the settings in force as TOML; secrets are hidden."""
    from tidewire.settings.docs import render_values

    sys.stdout.write(render_values(settings_of(config)))


@settings_app.command
def check(*, config: Config = None) -> None:
    """Report every error in the settings; silent and 0 when there is none."""
    settings_of(config)


@settings_app.command
def docs(path: Path = Path("docs/settings.md")) -> None:
    """Write the page of all settings.

    Parameters
    ----------
    path
        File to write.
    """
    from tidewire.settings.docs import render_markdown

    try:
        path.write_text(render_markdown())
    except OSError as error:
        fail(f"{path}: {error.strerror}")


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] in ([], ["-h"], ["--help"]):
        for name in _LATE:
            app[name]  # imported, so that it has its line in the list
    try:
        app(exit_on_error=False, print_error=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from cyclopts import CycloptsError

        if isinstance(error, CycloptsError):  # already printed, with the usage
            sys.exit(2)
        raise
