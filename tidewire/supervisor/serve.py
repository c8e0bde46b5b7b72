"""What `tidewire serve` runs, in which order, and what it tells the user.

databases → migrations → API, gateways, push worker → balancer → "ready". Stops what serves first, then the databases:
within 10 s whatever a child does, in less than a second when all goes well.
"""

import asyncio
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic

import structlog

from tidewire import log
from tidewire.embedded import postgres, valkey
from tidewire.embedded.binaries import caddy_programs
from tidewire.embedded.command import EmbeddedError, run
from tidewire.loops import again
from tidewire.settings import Settings, child_environment, default_data_dir
from tidewire.supervisor import scrape
from tidewire.supervisor.balancer import caddyfile, public_url
from tidewire.supervisor.certificate import LOOK_S, Certificate
from tidewire.supervisor.child import Child, Spec
from tidewire.supervisor.guard import PASSED_ON, RESTART, guarded
from tidewire.supervisor.layout import Layout, StartError, open_layout, running_in
from tidewire.supervisor.probe import check_can_listen, expect_ok, reserve_port
from tidewire.supervisor.processes import descriptors, end_leftovers

_log = structlog.get_logger()
_START_S = 60.0  # each part; a first start on a loaded machine took 8 s for everything
# Bounds of the two waves of a stop; then they are killed, which takes at most KILL_S. 9 s in all: guard.STOP_S.
_SERVING_STOP_S, _DATABASES_STOP_S = 4.0, 3.0
_SLOW_STOP_S = 2.5  # above it a stop says which child took how long
_API_STOP_S = 3
_PUSH_DRAIN_S = 1.5  # what is not answered by then comes again, under the same id
# Caddy takes two descriptors and 82 KB for each socket (HAProxy 4.8 KB): above this another balancer is due.
_MANY_SOCKETS = 9000
_WATCH_S = 30.0
_BACKLOG = 4096  # of a gateway's listening socket, as gateway/door.py has it


def serve(settings: Settings) -> int:
    """Run everything until SIGTERM or SIGINT; return the exit status. Prints "ready URL" when everything answers."""
    # A socket costs a descriptor here, and two in the balancer; the children inherit the limit.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 1 << 20)), hard))
    try:
        layout = open_layout(settings.serve.data_dir)
    except StartError as error:
        return _fail(error)
    return guarded(lambda guard_pipe: asyncio.run(_supervise(settings, layout, guard_pipe)))


def restart(settings: Settings) -> int:
    """Ask the running `serve` of the data directory for a rolling restart of its gateways; return the exit status."""
    try:
        pid = running_in(settings.serve.data_dir)
        if not pid:
            folder = settings.serve.data_dir or default_data_dir()
            return _fail(StartError(f"no tidewire serve runs on {folder}"))
        os.kill(pid, RESTART)
    except (StartError, OSError) as error:
        return _fail(error)
    return 0


def _fail(error: Exception) -> int:
    sys.stderr.write(f"tidewire: {error}\n")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _supervise(settings: Settings, layout: Layout, guard_pipe: int) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def guard_died() -> None:
        loop.remove_reader(guard_pipe)
        # Whoever read our output may be gone too: writing to a closed pipe must not hinder the stop.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        stop.set()

    loop.add_reader(guard_pipe, guard_died)
    run_all = Run(settings, layout)
    for number in PASSED_ON:
        loop.add_signal_handler(number, run_all.restart if number == RESTART else stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    log.setup(settings.log, process="serve")

    starting = asyncio.create_task(run_all.start())
    stopping = asyncio.create_task(stop.wait())
    status = 0
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
    except (StartError, EmbeddedError, OSError) as error:
        status = _fail(error)
    finally:
        starting.cancel()
        await asyncio.wait({starting})
        await run_all.stop()
    return status


class Run:
    """The children of one `serve`."""

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._settings = settings
        self._layout = layout
        self._databases: list[Child] = []
        self._others: list[Child] = []
        self._url_files: list[Path] = []
        self._metrics: asyncio.Server | None = None
        self._certificate: Certificate | None = None
        self._watchers: list[asyncio.Task[None]] = []
        # The gateways' listening sockets: ours even while one restarts, so that who comes then waits in the queue.
        self._listeners: list[socket.socket] = []
        self._gateways: list[Child] = []
        self._restarting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start everything and say so. Raises: StartError, EmbeddedError, OSError."""
        settings, layout = self._settings, self._layout
        await asyncio.to_thread(end_leftovers, layout.data / "caddy", ("caddy",))
        caddy = await self._check_balancer()
        urls = dict(
            await asyncio.gather(
                self._start_postgres(settings.database.url), self._start_valkey(settings.redis.url)
            )
        )
        shared = {"database": {"url": urls["database"]}, "redis": {"url": urls["redis"]}}
        shared["metrics"] = {"dir": str(layout.metrics)}
        shared["proxies"] = {"trusted": ",".join({"127.0.0.1/32", *settings.proxies.trusted})}
        await _migrate(child_environment(shared))
        for name, url in urls.items():
            self._write_url(name, url)
        gateways: list[int] = []
        await asyncio.gather(
            self._start_api(shared), self._start_gateways(shared, gateways), self._start_push(shared)
        )
        self._metrics = await scrape.listen(settings.metrics, layout.metrics, self._health)
        await self._start_balancer(caddy, gateways)
        self._write_url("gateways", " ".join(f"http://127.0.0.1:{port}" for port in gateways))
        for port in gateways:
            _say(f"gateway http://127.0.0.1:{port}")
        metrics = f"http://127.0.0.1:{self._metrics.sockets[0].getsockname()[1]}"
        self._write_url("metrics", metrics)
        _say(f"metrics {metrics}")
        _say(f"ready {public_url(settings)}")

    async def stop(self) -> None:
        """Stop everything that runs: first what serves, then what it stands on."""
        for task in (*self._watchers, *filter(None, [self._restarting])):
            task.cancel()
            await asyncio.wait({task})
        if self._metrics is not None:
            self._metrics.close()
        for path in self._url_files:
            path.unlink(missing_ok=True)
        began = monotonic()
        for wave, bound_s in ((self._others, _SERVING_STOP_S), (self._databases, _DATABASES_STOP_S)):
            await asyncio.gather(*(child.stop(bound_s) for child in wave))
        if (total_s := monotonic() - began) > _SLOW_STOP_S:
            seconds = {child.spec.name: round(child.stopped_in_s, 2) for child in (*self._others, *self._databases)}
            _log.warning("slow to stop", total_s=round(total_s, 2), children=seconds)

    def restart(self) -> None:
        """Replace the gateways one after the other, while the others serve; nothing if that is going on already."""
        if self._gateways and (self._restarting is None or self._restarting.done()):
            self._restarting = asyncio.create_task(self._restart_gateways())

    async def _restart_gateways(self) -> None:
        leave_s = self._settings.gateway.drain_s + _SERVING_STOP_S
        for child in self._gateways:
            try:
                await child.replace(_START_S, leave_s)
            except StartError as error:
                _log.error("rolling restart ends", error=str(error))
                return
            _log.info("child replaced", child=child.spec.name)
        _log.info("rolling restart done", gateways=len(self._gateways))

    def _health(self) -> list[scrape.Health]:
        children = [*self._databases, *self._others]
        return [scrape.Health(child.spec.name, child.healthy, child.restarts) for child in children]

    async def _start_postgres(self, external: str) -> tuple[str, str]:
        if external:
            return "database", external
        layout, settings = self._layout, self._settings
        data = layout.data / "postgres"
        needed = (
            settings.serve.api_workers * (settings.database.connections + 4)
            + settings.serve.gateways * 4
            + 24
        )
        await asyncio.to_thread(end_leftovers, data, ("postgres",))
        server = await postgres.prepare(
            data,
            layout.run / "postgres",
            layout.bin,
            layout.account,
            connections=needed,
            explicit=settings.serve.postgres,
        )

        async def before() -> None:
            await asyncio.to_thread(end_leftovers, data, ("postgres",))
            # Nobody works here any more, yet a stale lock file's process id may belong to somebody else by now,
            # and then PostgreSQL would refuse to start.
            for lock in (data / "postmaster.pid", *server.socket_dir.glob(".s.PGSQL.*")):
                lock.unlink(missing_ok=True)

        await self._database("postgres", server.argv, server.ready, data, before, signal.SIGINT)
        return "database", server.url

    async def _start_valkey(self, external: str) -> tuple[str, str]:
        if external:
            return "redis", external
        layout = self._layout
        data = layout.data / "valkey"
        await asyncio.to_thread(end_leftovers, data, ("valkey-server", "redis-server"))
        server = await valkey.prepare(
            data, layout.run / "valkey", layout.bin, layout.account, explicit=self._settings.serve.valkey
        )

        async def before() -> None:
            await asyncio.to_thread(end_leftovers, data, ("valkey-server", "redis-server"))

        await self._database("valkey", server.argv, server.ready, data, before, signal.SIGTERM)
        return "redis", server.url

    async def _database(
        self,
        name: str,
        argv: Sequence[str],
        ready: Callable[[], Awaitable[None]],
        data: Path,
        before: Callable[[], Awaitable[None]],
        stop: signal.Signals,
    ) -> None:
        child = Child(
            Spec(
                name,
                argv,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                ready=ready,
                stop=stop,
                account=self._layout.account,
                cwd=data,
                log=_fresh_log(self._layout.log / f"{name}.log"),
                before=before,
            )
        )
        self._databases.append(child)
        await child.start(_START_S)

    async def _start_api(self, shared: dict[str, dict[str, str]]) -> None:
        path = self._layout.api_socket
        own = {"uds": str(path), "workers": str(self._settings.serve.api_workers), "stop_s": str(_API_STOP_S)}
        files = {"directory": self._settings.files.directory or str(self._layout.files)}

        async def before() -> None:
            path.unlink(missing_ok=True)

        child = Child(
            Spec(
                "api",
                [*_python(), "api"],
                env=child_environment({**shared, "api": own, "files": files}),
                ready=lambda: expect_ok(path, "/api/v4/system/ping"),
                before=before,
            )
        )
        self._others.append(child)
        await child.start(_START_S)

    async def _start_push(self, shared: dict[str, dict[str, str]]) -> None:
        own = {"drain_s": str(min(self._settings.push.drain_s, _PUSH_DRAIN_S))}
        child = Child(
            Spec(
                "push",
                [*_python(), "push", "worker"],
                env=child_environment({**shared, "push": own}),
                ready=_nothing_to_ask,
                ready_variable="TIDEWIRE_PUSH_READY_FD",
            )
        )
        self._others.append(child)
        await child.start(_START_S)

    async def _start_gateways(self, shared: dict[str, dict[str, str]], ports: list[int]) -> None:
        started: list[Child] = []
        for number in range(1, self._settings.serve.gateways + 1):
            listener = reserve_port(self._settings.gateway.port)
            # Listening here already: who comes while no gateway runs waits instead of being refused.
            listener.listen(_BACKLOG)
            self._listeners.append(listener)
            ports.append(listener.getsockname()[1])
            started.append(self._gateway(number, listener, shared))
        self._others += started
        await asyncio.gather(*(child.start(_START_S) for child in started))
        self._gateways = started

    def _gateway(self, number: int, listener: socket.socket, shared: dict[str, dict[str, str]]) -> Child:
        port = listener.getsockname()[1]
        own = {
            "host": "127.0.0.1",
            "port": str(port),
            "reuse_port": "false",
            "listen_fd": str(listener.fileno()),
            "tls_cert": "",  # the balancer terminates it
            "tls_key": "",
        }
        return Child(
            Spec(
                f"gateway-{number}",
                [*_python(), "gateway"],
                env=child_environment({**shared, "gateway": own}),
                ready=lambda: expect_ok(("127.0.0.1", port), "/health"),
                ready_variable="TIDEWIRE_GATEWAY_READY_FD",
                descriptors=(listener.fileno(),),
                stop=signal.SIGINT,  # SIGTERM would give its sockets away first
            )
        )

    async def _check_balancer(self) -> Path:
        serve = self._settings.serve
        programs = await caddy_programs(serve.caddy)
        if not programs:
            raise StartError("no caddy was found; install it, or tidewire[embedded]")
        if serve.tls_cert:
            self._certificate = Certificate(Path(serve.tls_cert), Path(serve.tls_key))
            self._certificate.check()
        for port in (443, 80) if serve.domain else (serve.port,):
            check_can_listen("" if serve.domain else serve.host, port, programs[0].path)
        return programs[0].path

    async def _start_balancer(self, caddy: Path, gateways: list[int]) -> None:
        settings, layout = self._settings, self._layout
        config = layout.run / "Caddyfile"
        config.write_text(caddyfile(settings, layout, gateways))
        serve = settings.serve
        context = None
        if serve.tls_cert or serve.domain:
            # Asks our own balancer on this machine whether it answers; who it is does not matter here.
            context = ssl._create_unverified_context()  # noqa: S323
        unbound = serve.domain or serve.host in ("", "localhost", "0.0.0.0", "::")
        target = (
            "127.0.0.1" if unbound and serve.host != "::1" else serve.host,
            443 if serve.domain else serve.port,
        )
        path, name = "/api/v4/system/ping", serve.domain
        child = Child(
            Spec(
                "caddy",
                [str(caddy), "run", "--config", str(config), "--adapter", "caddyfile"],
                env=child_environment({})
                | {"HOME": str(layout.data / "caddy"), "XDG_DATA_HOME": str(layout.data / "caddy")},
                ready=lambda: expect_ok(target, path, context=context, name=name),
                cwd=layout.data / "caddy",
            )
        )
        self._others.append(child)
        await child.start(_START_S)
        self._watchers.append(asyncio.create_task(self._watch_balancer(child)))
        if self._certificate is not None:
            look = partial(
                self._certificate.look,
                lambda: os.kill(child.pid, signal.SIGUSR1),  # Caddy reads its configuration again, and so its files
                lambda: asyncio.to_thread(ssl.get_server_certificate, target, timeout=5),
            )
            self._watchers.append(asyncio.create_task(again("certificate", look, LOOK_S, waits=(OSError,))))

    async def _watch_balancer(self, caddy: Child) -> None:
        """Say once when there are more sockets than this balancer is good for."""
        while (sockets := descriptors(caddy.pid) // 2) <= _MANY_SOCKETS:
            await asyncio.sleep(_WATCH_S)
        advice = "let clients connect to the gateways' own addresses, or put HAProxy before them"
        _log.warning("many sockets for this balancer", sockets=sockets, advice=advice)

    def _write_url(self, name: str, url: str) -> None:
        """Leave the address for tools that are run beside us with the same --data-dir."""
        path = self._layout.data / f"{name}.url"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(url + "\n")
        self._url_files.append(path)


def _python() -> list[str]:
    return [sys.executable, "-m", "tidewire"]


async def _migrate(environment: dict[str, str]) -> None:
    """Bring the schema up to date. Raises: StartError with the command's own line."""
    try:
        await run([*_python(), "migrate"], env=environment, cwd=None)
    except EmbeddedError as error:
        raise StartError(str(error).rpartition("tidewire: ")[2]) from error


async def _nothing_to_ask() -> None:
    """A push worker listens nowhere; it says itself when it works."""


def _fresh_log(path: Path) -> Path:
    """Keep one earlier log; a database's log grows slowly, but for ever."""
    if path.exists():
        path.replace(path.with_suffix(".log.1"))
    return path
