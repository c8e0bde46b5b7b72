"""Which addresses a browser's push service may have. Clients choose them, so each is an attack until proven otherwise.

Form here; what the name resolves to is looked at when a push is sent, and that very address is used. No I/O.
"""

from collections.abc import Collection
from ipaddress import ip_address

from pyreqwest.http import Url

from tidewire.outbound.client import FetchError, parse

_LOCAL_SUFFIXES = (
    ".localhost",
    ".local",
    ".internal",
    ".lan",
    ".home",
    ".corp",
    ".intranet",
    ".arpa",
    ".onion",
)


def check_endpoint(endpoint: str, allowed: Collection[str] = ()) -> Url:
    """Return a push service's URL. Source: RFC 8030 8.1 (https); W3C Push API.

    allowed: "host:port" of services that may be anywhere, by the operator's word.
    Raises: FetchError, refused, unless it is https on port 443 of a name that looks public.
    """
    url = parse(endpoint)
    host = (url.host_str or "").strip("[]").lower()
    if url.scheme != "https":
        raise FetchError("the endpoint is not https", refused=True)
    if f"{host}:{url.port_or_known_default}" in allowed:
        return url
    if url.port_or_known_default != 443:
        raise FetchError("the endpoint's port is not 443", refused=True)
    # The parser has turned numbers of any form (127.1, 0x7f000001) into an address.
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        raise FetchError("the endpoint's host is an address", refused=True)
    if "." not in host.rstrip(".") or host.rstrip(".").endswith(_LOCAL_SUFFIXES):
        raise FetchError("the endpoint's host is not public", refused=True)
    return url
