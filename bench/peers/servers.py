"""nchan and uWebSockets (socketify) as servers of a measurement. Both send to all who subscribe what a publisher says.

They have no `seq` per connection: the publisher numbers the events, so that every client gets the same bytes that the
gateway would send it. No log-in, no audiences, no memory of what was sent beyond what they need.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from bench.machine import ROOT
from bench.peers.feeder import Feeder
from bench.programs import BUILT
from bench.servers import Services, free_port

NCHAN_MODULE = "nginx/modules/ngx_nchan_module.so"
SOCKETIFY = BUILT / "socketify"
HELLO = b'{"event":"hello","broadcast":{},"data":{},"seq":0}'
_START_TIMEOUT_S = 20

NGINX_CONF = """
load_module {module};
daemon off;
user {user};
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {descriptors}; multi_accept on; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  nchan_shared_memory_size 256M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /api/v4/websocket {{
      nchan_subscriber websocket;
      nchan_channel_id crowd;
    }}
    location = /publish {{
      nchan_publisher websocket http;
      nchan_channel_id crowd;
      nchan_message_buffer_length 16;
      nchan_message_timeout 1h;
    }}
  }}
}}
"""


class Absent(Exception):
    """A peer is not installed; the text says how to install it."""


class Peer:
    """What both have in common. name, version: as printed. pid: its tree of processes is what is measured."""

    name = version = ""

    def __init__(self, argv: list[str], port: int, prefix: bytes, log: Path) -> None:
        self.port = port
        self._prefix = prefix
        self._log = log
        self._seq = 0
        self._feeder: Feeder | None = None
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        self.pid = self._process.pid
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
                return
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.end()
                    raise RuntimeError(f"{self.name} does not start:\n{self._log.read_text()}") from error
                time.sleep(0.05)

    async def publish(self, events: int) -> None:
        """Publish the next events together."""
        if self._feeder is None:
            self._feeder = await Feeder.open(self.port, "/publish")
        texts = [self._prefix + b'},"seq":%d}' % (self._seq + number) for number in range(1, events + 1)]
        self._seq += events
        self._feeder.send(texts)

    def end(self) -> None:
        """Stop it with its children."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)  # its session is its own
        self._process.wait()


class Nchan(Peer):
    """nginx with one worker and nchan's memory store; a WebSocket subscriber and a WebSocket publisher."""

    name = "nchan"

    def __init__(self, services: Services, prefix: bytes, scratch: Path) -> None:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        module = next(
            (path for lib in ("/usr/lib", "/usr/lib64") if (path := Path(lib, NCHAN_MODULE)).exists()), None
        )
        if program is None or module is None:
            raise Absent("apt-get install nginx-light libnginx-mod-nchan")
        version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
        self.version = version.strip().rpartition("/")[2]
        folder, port = scratch / "nginx", free_port()
        folder.mkdir()
        user = "root" if os.getuid() == 0 else os.environ.get("USER", "nobody")
        descriptors = os.sysconf("SC_OPEN_MAX")
        text = NGINX_CONF.format(module=module, user=user, folder=folder, port=port, descriptors=descriptors)
        (folder / "nginx.conf").write_text(text)
        log = folder / "error.log"
        super().__init__([program, "-p", str(folder), "-c", "nginx.conf", "-e", str(log)], port, prefix, log)

    async def greet(self) -> None:
        """Let subscribers find a `hello` when they come: the first message is the oldest that is kept."""
        self._feeder = await Feeder.open(self.port, "/publish")
        self._feeder.send([HELLO])


class Socketify(Peer):
    """uWebSockets under Python callbacks (bench/peers/socketify_server.py), run by libuv's loop alone.

    Its `publish` joins what was published in the same turn of its loop.
    """

    name = "uWebSockets"

    def __init__(self, services: Services, prefix: bytes, scratch: Path) -> None:
        python = SOCKETIFY / "bin" / "python"
        if not python.exists():
            folder = SOCKETIFY.relative_to(ROOT)
            raise Absent(f"python -m venv {folder} && {folder}/bin/pip install socketify; it needs libuv1")
        port = free_port()
        script = str(Path(__file__).with_name("socketify_server.py"))
        found = subprocess.run(
            [python, "-c", "import importlib.metadata as m; print(m.version('socketify'))"],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode:
            raise Absent(f"{python.relative_to(ROOT)} -m pip install socketify")
        self.version = "socketify " + found.stdout.strip()
        super().__init__([str(python), script, str(port)], port, prefix, scratch / "socketify.log")

    async def greet(self) -> None:
        """Nothing to do: the server greets by itself."""
