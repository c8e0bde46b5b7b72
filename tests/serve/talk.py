"""The little chat that tests of whole runs need."""

import time
from typing import Any

import httpx


def make_user(url: str, name: str = "ann", **options: Any) -> str:
    """Create a user; return his id."""
    body = {"email": f"{name}@example.org", "username": name, "password": "correct horse 9"}
    answer = httpx.post(f"{url}/api/v4/users", json=body, timeout=30, **options)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def log_in(url: str, name: str = "ann", **options: Any) -> httpx.Response:
    """Log that user in."""
    body = {"login_id": name, "password": "correct horse 9"}
    return httpx.post(f"{url}/api/v4/users/login", json=body, timeout=30, **options)


def wait_answer(url: str, *, timeout_s: float = 60.0) -> httpx.Response:
    """Return the first answer below 500."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            answer = httpx.get(url, timeout=10)
            if answer.status_code < 500:
                return answer
            problem = str(answer.status_code)
        except httpx.TransportError as error:
            problem = repr(error)
        if time.monotonic() > deadline:
            raise AssertionError(f"{url}: {problem}")
        time.sleep(0.05)
