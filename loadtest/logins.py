"""Who puts load on a server: tokens from a file, or people who log in with what a file says.

A file of log-ins has a line `user password` for each; the user is a name or a mail address. Each is logged in once, and
his first team and first channel that is no default one are those he is active in.
"""

import atexit
import json
import os
import tempfile
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from loadtest.swarm.herd import CannotRun
from loadtest.tokens import Person, read_tokens
from tidewire.wire.defaults import DEFAULT_CHANNELS

_AT_ONCE = 4  # a log-in costs the server some 20 ms of one core
_TIMEOUT_S = 30.0


def read_people(host: str, path: Path) -> tuple[list[Person], Path]:
    """Return the users of a file and a file with their tokens: itself, or one that is deleted with the process.

    Raises: CannotRun, naming the line.
    """
    lines = _log_ins(path)
    if lines is None:
        return read_tokens(path), path
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        people = list(pool.map(lambda line: _log_in(host, path, *line), lines))
    descriptor, name = tempfile.mkstemp(prefix="tidewire-load-tokens-")  # only its owner can read it
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.writelines(" ".join(person) + "\n" for person in people)
    atexit.register(Path(name).unlink, missing_ok=True)
    return people, Path(name)


def _log_ins(path: Path) -> list[tuple[int, str, str]] | None:
    """Return (line number, user, password) of a file of log-ins; None if it is none."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return None  # tokens.py says what is wrong
    if not lines or len(lines[0]) != 2:
        return None
    found = []
    for number, words in enumerate(lines, 1):
        if len(words) != 2:
            raise CannotRun(f"{path}, line {number}: {len(words)} words instead of two (user password)")
        found.append((number, words[0], words[1]))
    return found


def _log_in(host: str, path: Path, number: int, user: str, password: str) -> Person:
    """Log somebody in. Raises: CannotRun, never with the password."""
    where = f"{path}, line {number}: {user}"
    body = json.dumps({"login_id": user, "password": password, "token": "", "deviceId": ""}).encode()
    me, token = _ask(host, "/users/login", where, body=body)
    if not token:
        raise CannotRun(f"{where}: {host} gave no token")
    teams, _ = _ask(host, "/users/me/teams", where, token=token)
    if not teams:
        raise CannotRun(f"{where} is in no team")
    team = str(teams[0]["id"])
    channels, _ = _ask(host, f"/users/me/teams/{team}/channels", where, token=token)
    own = [one for one in channels if one.get("team_id") == team]
    own.sort(key=lambda one: one.get("name") in DEFAULT_CHANNELS)
    return Person(token, str(me["id"]), str(me["username"]), str(own[0]["id"]) if own else "-", team)


def _ask(host: str, path: str, where: str, *, token: str = "", body: bytes | None = None) -> tuple[Any, str]:
    """Return an answer and the token that it brings. Raises: CannotRun."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(host.rstrip("/") + "/api/v4" + path, body, headers)  # noqa: S310 - it was checked
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            return json.loads(answer.read()), answer.headers.get("Token", "")
    except urllib.error.HTTPError as error:
        raise CannotRun(f"{where}: {host} answers {error.code} to {path}") from error
    except (OSError, ValueError) as error:
        raise CannotRun(f"{where}: no answer to {path}: {error}") from error
