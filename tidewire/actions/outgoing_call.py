"""What the server asks of integrations: one bounded request, its answer as JSON of a given shape."""

import asyncio
from typing import Any, TypeVar

import msgspec

from tidewire.actions.services import Services
from tidewire.outbound import FetchError
from tidewire.wire.errors import AppError
from tidewire.wire.nul import has_nul

ANSWER_BYTES = 1 << 20
HOPS = 3

T = TypeVar("T")


async def call(
    services: Services,
    url: str,
    body: bytes,
    shape: type[T],
    error_id: str,
    *,
    method: str = "POST",
    content_type: str = "application/json",
    token: str = "",
    text: bool = False,
    of: str = "",
) -> T | str:
    """Return an integration's answer as `shape`; text: a plain text answer comes as it is, an empty one as "".

    token: of a command, sent as `Authorization: Token …`. of: the user who makes us ask, in his share of the places;
    waiting for one is part of the time. Raises: 400 with error_id and a reason that may be shown.
    """
    headers = {"Content-Type": content_type, "Accept": "application/json"}
    if token:
        headers["Authorization"] = "Token " + token
    timeout_s = services.config.number("ServiceSettings.OutgoingIntegrationRequestsTimeout")
    try:
        async with asyncio.timeout(timeout_s), services.outbound.shares.of(of):
            answer = await services.outbound.fetch(
                method, url, timeout_s=timeout_s, limit=ANSWER_BYTES, headers=headers, body=body, hops=HOPS
            )
    except TimeoutError as error:
        reason = f"The integration did not answer: no answer within {timeout_s} s."
        raise AppError(error_id, 400, reason) from error
    except FetchError as error:
        raise AppError(error_id, 400, f"The integration did not answer: {error}.") from error
    if not 200 <= answer.status < 300:
        raise AppError(error_id, 400, f"The integration answered {answer.status}.")
    if text and not answer.content_type.lower().startswith("application/json"):
        return answer.body.decode(errors="replace").replace("\0", "")
    if text and not answer.body.strip():
        return ""
    try:
        if has_nul(answer.body):
            raise ValueError
        return msgspec.convert(_without_nulls(msgspec.json.decode(answer.body or b"{}")), shape)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise AppError(error_id, 400, "The integration's answer cannot be read.") from None


def _without_nulls(value: Any) -> Any:
    """Return a decoded object without its members that are null: to integrations null means "not given"."""
    return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value
