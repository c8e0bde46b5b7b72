"""Trigger ids: they let an integration open a dialog for the user who just called it, and for nobody else.

Source: Mattermost API v4, "Open a dialog". The id is base64 of `<client id>:<user id>:<ms>:<signature>`.
"""

import hmac
from base64 import b64decode, b64encode

from tidewire.actions.services import Services
from tidewire.store import system
from tidewire.wire.errors import AppError
from tidewire.wire.ids import is_id, new_id, new_token, now_ms

KEY = "trigger_key"


async def make(services: Services, user_id: str) -> str:
    """Return a trigger id of a user, good for OutgoingIntegrationRequestsTimeout."""
    text = f"{new_id()}:{user_id}:{now_ms()}"
    return b64encode(f"{text}:{await _sign(services, text)}".encode()).decode()


async def user_of(services: Services, trigger_id: str) -> str:
    """Return whose trigger id it is. Raises: 400 for a forged or an old one."""
    try:
        text, _, signature = b64decode(trigger_id, validate=True).decode().rpartition(":")
        client_id, user_id, made = text.split(":")
        at = int(made) if made.isascii() and made.isdigit() and len(made) < 16 else 0
    except ValueError:
        raise _bad("decode") from None
    if not is_id(client_id) or not is_id(user_id):
        raise _bad("decode")
    if not hmac.compare_digest(signature, await _sign(services, text)):
        raise _bad("verify_signature")
    limit_ms = services.config.number("ServiceSettings.OutgoingIntegrationRequestsTimeout") * 1000
    if now_ms() - at > limit_ms:
        raise _bad("expired")
    return user_id


async def _sign(services: Services, text: str) -> str:
    key = await system.value_of(services.db, KEY) or await system.keep(services.db, KEY, new_token())
    return hmac.digest(key.encode(), text.encode(), "sha256").hex()


def _bad(what: str) -> AppError:
    return AppError(f"interactive_message.decode_trigger_id.{what}.app_error", 400, "The trigger id is not valid.")
