"""Is there a server to load, and may we? Asked before a run, so that a slip costs a line and not a run."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.swarm.herd import CannotRun, resolve

_TIMEOUT_S = 5.0


def check_server(host: str) -> None:
    """Raises: CannotRun unless the address answers as Mattermost API v4 does."""
    _check_form(host)
    status, answer = _get(host, "/api/v4/system/ping")
    if status != 200 or not isinstance(answer, dict) or "status" not in answer:
        raise CannotRun(f"{host} answers {status}, but not as a server of Mattermost API v4")


def _check_form(host: str) -> None:
    if urlsplit(host).scheme not in ("http", "https") or not urlsplit(host).netloc:
        raise CannotRun(f"--host {host} is no address: http://NAME:PORT is wanted")


def check_proxy(host: str) -> None:
    """Raises: CannotRun unless the address answers as a push proxy of Mattermost does."""
    _check_form(host)
    if not _is_proxy(host):
        raise CannotRun(f"{host} answers, but not as a push proxy")


def _is_proxy(host: str) -> bool:
    try:
        with urllib.request.urlopen(host.rstrip("/") + "/", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - http and https
            return b"Push Proxy" in answer.read(4096)
    except urllib.error.HTTPError:
        return False
    except OSError as error:
        raise CannotRun(f"{host} does not answer: {getattr(error, 'reason', error)}") from error


def check_token(host: str, token: str, file: Path) -> None:
    """Raises: CannotRun unless the server knows the token."""
    status, _ = _get(host, "/api/v4/users/me", token)
    if status == 401:
        raise CannotRun(f"{host} does not know the first token of {file}: it is another server's, or has expired")
    if status != 200:
        raise CannotRun(f"{host} answers {status} to GET /users/me with the first token of {file}")


def check_gateways(hosts: Sequence[str]) -> None:
    """Raises: CannotRun unless something listens at each HOST:PORT."""
    for host in hosts:
        _, address, port = resolve(host)
        try:
            name = socket.inet_ntoa(address.to_bytes(4, "big"))
            socket.create_connection((name, port), timeout=_TIMEOUT_S).close()
        except OSError as error:
            raise CannotRun(f"no gateway at {host}: {error.strerror or error}") from error


def gateways_of(host: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return the gateways that were named, else the server's own address. Raises: CannotRun."""
    if given:
        return tuple(given)
    parts = urlsplit(host)
    if parts.scheme == "https":
        raise CannotRun("the swarm speaks WebSocket without TLS: name the gateways themselves by --ws-host HOST:PORT")
    return (f"{parts.hostname}:{parts.port or 80}",)


def answers(host: str) -> bool:
    """Tell whether the server still answers."""
    try:
        return _get(host, "/api/v4/system/ping")[0] == 200
    except CannotRun:
        return False


def proxy_answers(host: str) -> bool:
    """Tell whether the proxy still answers."""
    try:
        return _is_proxy(host)
    except CannotRun:
        return False


@dataclass(frozen=True)
class Kind:
    """What a suite puts load on. check: raises CannotRun unless it is that; answers: it still does; people: it has
    users, whose tokens are needed."""

    check: Callable[[str], None]
    answers: Callable[[str], bool]
    people: bool


CHAT = Kind(check_server, answers, people=True)
PROXY = Kind(check_proxy, proxy_answers, people=False)


def _get(host: str, path: str, token: str = "") -> tuple[int, object]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(host.rstrip("/") + path, headers=headers)  # noqa: S310 - http and https alone
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, None
    except (ValueError, UnicodeDecodeError):
        return 200, None
    except OSError as error:
        raise CannotRun(f"{host} does not answer: {getattr(error, 'reason', error)}") from error
