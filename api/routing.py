"""The table of routes: every handler registers itself here, the app and the documents read it. No Falcon here."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.call import Call

Handler = Callable[["Call"], Awaitable[Any]]

OK = b'{"status":"OK"}'
PREFIX = "/api/v4"


@dataclass(frozen=True, slots=True)
class Created:
    """An answer with status 201."""

    value: Any


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is not JSON, or not 200."""

    data: bytes
    content_type: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is sent in pieces, as they are made."""

    pieces: AsyncIterator[bytes]
    content_type: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    session: a login is required; csrf: tested when the login came by cookie and the method writes; mfa: refused to one
    who must have a second factor and has none; audit: written into the audit log.
    """

    method: str
    path: str
    handler: Handler
    session: bool
    csrf: bool
    mfa: bool = True
    audit: bool = False


ROUTES: dict[tuple[str, str], Route] = {}
OUTSIDE: dict[tuple[str, str], Route] = {}  # not below /api/v4: what programs are given as an address


def route(
    method: str, path: str, *, session: bool = True, csrf: bool = True, mfa: bool = True, audit: bool = False
) -> Callable[[Handler], Handler]:
    """Register a handler for a method and a path below /api/v4, as in `@route("GET", "/users/{user_id}")`."""

    def register(handler: Handler) -> Handler:
        if (method, path) in ROUTES:
            raise ValueError(f"{method} {path} stands twice")
        ROUTES[method, path] = Route(method, path, handler, session, csrf, mfa, audit)
        return handler

    return register


def outside(
    method: str, path: str, *, csrf: bool = False, audit: bool = False
) -> Callable[[Handler], Handler]:
    """Register a handler for a method and a whole path, open to who knows the address.

    csrf: as in Route; who fails the test is a stranger.
    """

    def register(handler: Handler) -> Handler:
        OUTSIDE[method, path] = Route(method, path, handler, session=False, csrf=csrf, audit=audit)
        return handler

    return register
