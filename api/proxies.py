"""Who the client is when a balancer stands in front. Forwarded headers count only from a trusted peer."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import falcon.asgi


class Proxies:
    """trusted: networks in CIDR form. A peer on our unix socket is trusted: only our balancer may open it."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = [ip_network(network, strict=False) for network in trusted]

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def _peer(self, req: falcon.asgi.Request) -> str:
        client = req.scope.get("client")
        return str(client[0]) if client and client[1] else ""

    def address(self, req: falcon.asgi.Request) -> str:
        """Return the nearest address that no trusted proxy vouches against: the right-most untrusted hop."""
        hop = self._peer(req)
        hops = (req.get_header("X-Forwarded-For") or "").split(",")
        while hops and (not hop or self._is_trusted(hop)):
            forwarded = hops.pop().strip()
            if not forwarded:
                break
            hop = forwarded
        return hop or "local"

    def https(self, req: falcon.asgi.Request) -> bool:
        """Tell whether the client spoke TLS: to us, or to a trusted proxy."""
        peer = self._peer(req)
        if not peer or self._is_trusted(peer):
            forwarded = req.get_header("X-Forwarded-Proto")
            if forwarded:
                return forwarded.strip().lower() == "https"
        return bool(req.scope.get("scheme") == "https")
