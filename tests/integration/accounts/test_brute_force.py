"""A thousand guesses, over two nodes: hardly any of them is checked, and what is checked is always the same work."""

import asyncio
import json
from typing import Any

import pytest

from tests.fixtures.api import Api
from tests.integration.accounts.office import log_in
from tests.integration.accounts.test_attacks import LOCKED, WRONG, nodes
from tidewire.actions import passwords

__all__ = ["nodes"]
GUESSES, CONNECTIONS = 1000, 20


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that passwords are checked against, "" for nobody's; each costs the same time."""
    seen: list[str] = []
    verify = passwords.verify

    async def counted(password_hash: str, password: str) -> bool:
        seen.append(password_hash)
        return await verify(password_hash, password)

    monkeypatch.setattr(passwords, "verify", counted)
    return seen


async def attack(node: Api, tries: list[tuple[str, str]]) -> list[tuple[int, bytes]]:
    """Return (status, body) of log-ins with these names and passwords, one after the other on one connection."""
    host, _, port = node.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answers = []
    for name, password in tries:
        body = json.dumps({"login_id": name, "password": password}).encode()
        head = f"POST /api/v4/users/login HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        [length] = [int(line[16:]) for line in lines if line.startswith(b"content-length: ")]
        answers.append((int(lines[0].split()[1]), await reader.readexactly(length)))
    writer.close()
    await writer.wait_closed()
    return answers


async def guess(nodes: list[Api], tries: list[tuple[str, str]]) -> list[tuple[int, Any]]:
    """Return (status, decoded body, None for a text) from both nodes, some at once."""
    parts = [attack(nodes[n % 2], tries[n::CONNECTIONS]) for n in range(CONNECTIONS)]
    answers = [answer for part in await asyncio.gather(*parts) for answer in part]
    return [(status, None if status == 429 else json.loads(body)) for status, body in answers]


async def test_a_thousand_passwords_for_one_account(nodes: list[Api], checked: list[str]) -> None:
    user = await nodes[0].user("victim")
    checked.clear()
    answers = await guess(nodes, [("victim", f"guess {n}") for n in range(GUESSES)])
    ids = [body["id"] for _, body in answers]
    # One of each node may be under way when the tenth fails.
    assert 10 <= len(checked) <= 11
    assert ids.count(WRONG) == len(checked)
    assert set(ids) == {WRONG, LOCKED}
    assert (await log_in(nodes[1].anonymous(), "victim")).json()["id"] == LOCKED
    await user.get("/users/me")  # who is logged in stays so


async def test_one_password_for_a_thousand_accounts(nodes: list[Api], checked: list[str]) -> None:
    await nodes[0].user("ann")
    checked.clear()
    answers = await guess(nodes, [("ann", "password"), *((f"nobody{n}", "password") for n in range(GUESSES - 1))])
    refused = [body for status, body in answers if status == 401]
    assert {status for status, _ in answers} == {401, 429}
    # The limit of the address, and those that were under way when it was reached.
    assert 25 <= len(refused) == len(checked) <= 25 + CONNECTIONS
    # A wrong password and nobody look the same and are the same work.
    assert {body["id"] for body in refused} == {WRONG}
    assert len({body["message"] for body in refused}) == 1
    assert sum(map(bool, checked)) == 1
    assert (await log_in(nodes[1].anonymous(), "ann")).status_code == 429
