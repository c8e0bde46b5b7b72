"""Tokens that somebody gets by e-mail and redeems once: to verify an address, to reset a password, to join a team."""

import secrets
from typing import Any

from tidewire.store import one_time_tokens as store
from tidewire.store.db import Database, Transaction
from tidewire.store.one_time_tokens import OneTime
from tidewire.store.sessions import token_hash
from tidewire.wire.ids import ALPHABET, now_ms

VERIFY, RESET, INVITE = "verify", "reset", "invite"
LENGTH = 64  # characters; Mattermost API v4
LIFE_MS = 24 * 3_600_000


async def do_create(tx: Transaction, kind: str, *, user_id: str = "", email: str = "", **extra: Any) -> str:
    """Return a new token, which works once within 24 hours. It replaces the user's earlier ones of its kind."""
    token, now = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH)), now_ms()
    if user_id:
        await store.delete_of_user(tx, user_id, kind)
    row = OneTime(kind, user_id, email, now + LIFE_MS, extra)
    await store.insert(tx, token_hash(token), row, now=now)
    return token


async def do_create_for_emails(tx: Transaction, kind: str, emails: list[str], **extra: Any) -> dict[str, str]:
    """Return address → a new token, which works once within 24 hours. One statement for all."""
    tokens = {email: "".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for email in emails}
    now = now_ms()
    rows = [(token_hash(token), email) for email, token in tokens.items()]
    await store.insert_for_emails(tx, kind, rows, expires_at=now + LIFE_MS, extra=extra, now=now)
    return tokens


async def peek(source: Database | Transaction, kind: str, token: str) -> OneTime | None:
    """Return what a token stands for and leave it, or None."""
    return await store.peek(source, token_hash(token), kind) if len(token) == LENGTH else None


async def do_redeem(tx: Transaction, kind: str, token: str) -> OneTime | None:
    """Return what a token stands for and use it up, or None for an unknown one; expiry is the caller's test.

    It is used up when the transaction commits: two at once wait for each other, and one gets None.
    """
    if len(token) != LENGTH:
        return None
    return await store.take(tx, token_hash(token), kind)
