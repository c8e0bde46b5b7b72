"""Caddy's configuration: one origin, sockets to the gateways, the rest to the API. No I/O."""

from collections.abc import Sequence
from pathlib import Path

from tidewire.settings import Settings
from tidewire.supervisor.layout import Layout
from tidewire.supervisor.probe import listen_addresses

# What clients get while the API is away: an error body as in Mattermost API v4, "Error responses".
_AWAY = (
    '{"id":"api.context.unavailable.app_error","message":"The server is starting or busy; try again.",'
    '"detailed_error":"","request_id":"","status_code":503}'
)
# Of what the API marks by `Vary: Accept-Encoding`: it knows what holds secrets, and what WebserverMode says. Not in the
# API, whose core is the scarce one: a browser's start (298 KB, 25 KB compressed) would take 1.1 ms more of its 7.8.
# Here it takes 0.4 ms, in other threads. Only gzip: Mattermost API v4, conventions. 1 KiB: below, little is saved.
COMPRESSION = """encode {
			gzip 1
			minimum_length 1024
			match header Vary *Accept-Encoding*
		}"""
# How long sockets outlive Caddy's reading its configuration again, as it does for a renewed certificate: nothing that
# they go through changes, and closed all at once they would all come back at once. As long as makes no difference.
KEEP_SOCKETS = "365d"
SOCKETS = "^(/.*)?/api/v[0-9]+/(users/)?websocket/?$"


def public_url(settings: Settings) -> str:
    """Return the address that a person on this machine opens."""
    serve = settings.serve
    if serve.domain:
        return f"https://{serve.domain}"
    host = "localhost" if serve.host in ("", "localhost", "0.0.0.0", "::") else serve.host
    if ":" in host:
        host = f"[{host}]"
    return f"{'https' if serve.tls_cert else 'http'}://{host}:{serve.port}"


def caddyfile(settings: Settings, layout: Layout, gateway_ports: Sequence[int]) -> str:
    """Return the Caddyfile. `admin off`: nothing else on this machine may reconfigure it."""
    serve = settings.serve
    servers = ["protocols h1 h2" if serve.tls_cert or serve.domain else "protocols h1"]
    if serve.tls_cert:
        servers.append("listener_wrappers {\n\t\t\thttp_redirect\n\t\t\ttls\n\t\t}")
    if settings.proxies.trusted:
        servers.append(f"trusted_proxies static {' '.join(settings.proxies.trusted)}")
    options = [
        "admin off",
        "persist_config off",
        # Without it a connection on which nothing was asked yet, as browsers keep them, holds a stop for 5 s.
        "grace_period 1s",
        f"storage file_system {_quoted(layout.data / 'caddy')}",
        "log {\n\t\toutput stderr\n\t\tformat json\n\t\tlevel ERROR\n\t}",
        "servers {\n\t\t" + "\n\t\t".join(servers) + "\n\t}",
    ]
    if not serve.domain:
        options.append("auto_https off")
    site = []
    if not serve.domain and serve.host not in ("", "::"):
        site.append(f"bind {' '.join(listen_addresses(serve.host))}")
    if serve.tls_cert:
        site.append(
            f"tls {_quoted(Path(serve.tls_cert).absolute())} {_quoted(Path(serve.tls_key).absolute())}"
        )
    gateways = " ".join(f"127.0.0.1:{port}" for port in gateway_ports)
    site += [
        f"@sockets path_regexp {SOCKETS}",
        f"""handle @sockets {{
		reverse_proxy {gateways} {{
			lb_policy least_conn
			lb_try_duration 3s
			lb_try_interval 100ms
			health_uri /health
			health_interval 2s
			health_timeout 1s
			stream_close_delay {KEEP_SOCKETS}
			stream_buffer_size 2KiB
			header_up X-Real-IP {{client_ip}}
			@refused status 4xx 5xx
			handle_response @refused {{
				header Connection close
				copy_response
			}}
		}}
	}}""",
        f"""handle {{
		{COMPRESSION}
		reverse_proxy unix/{_quoted(layout.api_socket)} {{
			lb_try_duration 5s
			lb_try_interval 50ms
			header_up X-Real-IP {{client_ip}}
			header_up -Upgrade
			header_up -Connection
		}}
	}}""",
        f"""handle_errors 502 503 504 {{
		header Content-Type application/json
		header Retry-After 2
		respond `{_AWAY}` 503
	}}""",
    ]
    address = serve.domain or f"{'https' if serve.tls_cert else 'http'}://:{serve.port}"
    return f"{{\n\t{_lines(options)}\n}}\n\n{address} {{\n\t{_lines(site)}\n}}\n"


def _lines(parts: Sequence[str]) -> str:
    return "\n\t".join(parts)


def _quoted(path: Path) -> str:
    text = str(path)
    return "`" + text + "`" if any(c in text for c in ' "{}#') else text
