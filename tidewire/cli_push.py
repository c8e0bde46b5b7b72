"""The command `tidewire push`: the push proxy, and the dead letters of the queue."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import App, Parameter

from tidewire.bus.redis_client import RedisClient
from tidewire.cli_common import PLAIN, Config, Flag
from tidewire.command import fail, need, settings_of
from tidewire.settings import export
from tidewire.wire.errors import Unavailable

Letter = Annotated[str, Parameter(help="Ids as `list` shows them.")]
All = Annotated[bool, Parameter("--all", negative="", help="All of them.")]
OfTarget = Annotated[str, Parameter(help="With --all: only those of one target.")]
_T = TypeVar("_T")

app = App(
    name="push",
    help="Send pushes to phones and browsers for Mattermost servers: a push proxy.",
    default_parameter=PLAIN,
)
dead_app = App(name="dead", help="Look at pushes that could not be sent, send them again, drop them.")
app.command(dead_app)


@app.default
def push(
    *,
    mattermost_config: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    metrics_port: int | None = None,
    check: Flag = False,
    config: Config = None,
) -> None:
    """Run the push proxy. A Mattermost server's PushNotificationServer is its address.

    Needs Redis (TIDEWIRE_REDIS_URL), where everything that was accepted is kept until it is sent.

    Parameters
    ----------
    mattermost_config
        Configuration file of Mattermost's push proxy (JSON), with the app builds and their credentials.
    host
        Address to listen on; default: that of the file, else 127.0.0.1.
    port
        Port to listen on; default: that of the file, else 8066.
    workers
        Worker processes; default 1.
    tls_cert
        Certificate file (PEM, with its chain): speak TLS.
    tls_key
        Key file (PEM, PKCS 8) of the certificate.
    metrics_port
        Port for /metrics and /health; default none; further workers take the next ones.
    check
        Only look whether files and credentials can be read; silent and 0 when they can.
    config
        TOML file with settings.
    """
    overrides: dict[str, dict[str, Any]] = {
        "push": {
            "mattermost_config": str(mattermost_config.absolute()) if mattermost_config else None,
            "host": host,
            "port": port,
            "workers": workers,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
        },
        "metrics": {"port": metrics_port},
    }
    settings = settings_of(config, **overrides)
    from push.effective import effective
    from push.main import run
    from push.start import providers_of
    from push.targets import BadConfig
    from tidewire.listening import CannotListen

    try:
        if check:
            found, wrong = providers_of(effective(settings).push)
            if wrong or not found:
                fail(*wrong, *([] if found else ["there is nothing to send to"]))
            return
        need(settings, "redis")
        export(config, overrides)
        run(settings)
    except BadConfig as error:
        fail(*error.lines)
    except CannotListen as error:
        fail(str(error))


@app.command
def worker(*, metrics_port: int | None = None, config: Config = None) -> None:
    """Run one push worker of a Tidewire installation: it decides who gets a push, and sends it. `serve` runs one.

    Parameters
    ----------
    metrics_port
        Port for /metrics and /health; default none; further workers take the next ones.
    config
        TOML file with settings.
    """
    settings = settings_of(config, metrics={"port": metrics_port})
    need(settings, "database", "redis")
    from push.targets import BadConfig
    from push.worker import run

    try:
        run(settings)
    except BadConfig as error:
        fail(*error.lines)


@dead_app.command(name="list")
def list_letters(*, target: str = "", limit: int = 100, config: Config = None) -> None:
    """Print dead letters, newest first: id, time, target, type, reason, device, the provider's words.

    Parameters
    ----------
    target
        Only those of one target; default all.
    limit
        Most that are printed.
    config
        TOML file with settings.
    """
    from push.dead import list_dead

    for letter in _with_redis(config, lambda client: list_dead(client, target=target, limit=limit)):
        words = (letter.id, _time(letter.at), letter.target, letter.type, letter.reason, letter.device or "-")
        sys.stdout.write(f"{'  '.join(word or '-' for word in words)}  {_plain(letter.answer)}\n")


@dead_app.command
def replay(*ids: Letter, all_letters: All = False, target: OfTarget = "", config: Config = None) -> None:
    """Send dead letters again, as if they were new; they keep the id by which a phone knows a repeated push."""
    from push.dead import replay as replay_letters

    async def run(client: RedisClient) -> tuple[int, list[str]]:
        return await replay_letters(client, await _chosen(client, ids, all_letters, target))

    count, failed = _with_redis(config, run)
    sys.stdout.write(f"{count} sent again\n")
    if failed:
        fail(*(f"{entry}: there is no such dead letter, or it cannot be read" for entry in failed))


@dead_app.command
def drop(*ids: Letter, all_letters: All = False, target: OfTarget = "", config: Config = None) -> None:
    """Delete dead letters."""
    from push.dead import drop as drop_letters

    async def run(client: RedisClient) -> int:
        return await drop_letters(client, await _chosen(client, ids, all_letters, target))

    sys.stdout.write(f"{_with_redis(config, run)} deleted\n")


async def _chosen(client: RedisClient, ids: tuple[str, ...], all_letters: bool, target: str) -> list[str]:
    from push.dead import list_dead
    from push.ledger import DEAD_LENGTH

    if all_letters == bool(ids):
        fail("name dead letters by their ids, or all by --all")
    if not all_letters:
        wrong = [entry for entry in ids if not entry.replace("-", "", 1).isdecimal()]
        if wrong:
            fail(*(f"{entry}: not an id" for entry in wrong))
        return list(ids)
    return [letter.id for letter in await list_dead(client, target=target, limit=2 * DEAD_LENGTH)]


def _with_redis(config: Path | None, do: Callable[[RedisClient], Awaitable[_T]]) -> _T:
    settings = settings_of(config)
    need(settings, "redis")

    async def run() -> _T:
        client = RedisClient(settings.redis.url)
        try:
            return await do(client)
        finally:
            await client.close()

    try:
        return asyncio.run(run())
    except Unavailable:
        fail("Redis does not answer")


def _time(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def _plain(text: str) -> str:
    """Return a stranger's words fit for a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]
