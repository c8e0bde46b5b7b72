"""Which addresses a stranger's URL may lead to. Pure functions."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")  # RFC 8215: leads wherever its operator wants
_SEPARATORS = re.compile(r"[\s,]+")


def is_public(address: Address) -> bool:
    """Tell whether everybody on the Internet could reach it too. An IPv4 address inside an IPv6 one counts itself."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner:
            return all(is_public(one) for one in inner)
        if address in _NAT64_LOCAL or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inner(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that packets to an address end at: mapped, NAT64 (RFC 6052), 6to4, Teredo."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    return list(address.teredo) if address.teredo is not None else []


class AllowList:
    """Hosts that are allowed although they are not public: names, addresses and networks (CIDR) in one text."""

    def __init__(self, text: str) -> None:
        self._names: set[str] = set()
        self._networks = []
        for word in _SEPARATORS.split(text.strip()):
            try:
                self._networks.append(ip_network(word, strict=False))
            except ValueError:
                if word:
                    self._names.add(word.lower())

    def permits(self, host: str, addresses: Iterable[str]) -> bool:
        """Tell whether a request may go to a host (lower case) with these addresses: to all of them, or not at all."""
        if host in self._names:
            return True
        found = [ip_address(address) for address in addresses]
        return bool(found) and all(
            is_public(one) or any(one in network for network in self._networks) for one in found
        )
