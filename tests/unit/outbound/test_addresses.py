"""Which addresses users' URLs may lead to. Source: the IANA registries of special-purpose addresses."""

import pytest

from tidewire.outbound.addresses import AllowList
from tidewire.outbound.client import FetchError, parse

PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::808:808")
INSIDE = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "fe80::1", "fc00::1", "fd12::1", "fec0::1",
    "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::", "2001:0:7f00:1::",
    "2001:db8::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_asked(address: str) -> None:
    assert AllowList("").permits("example.com", [address])


@pytest.mark.parametrize("address", INSIDE)
def test_inner_addresses_are_not(address: str) -> None:
    assert not AllowList("").permits("example.com", [address])
    assert not AllowList("").permits("example.com", ["8.8.8.8", address])  # one of several is enough


def test_what_an_administrator_allows() -> None:
    allowed = AllowList(" build.example.com, 10.0.0.0/8\n192.168.1.7  fd00::/8 ")
    assert allowed.permits("build.example.com", ["127.0.0.1"])
    assert allowed.permits("x", ["10.9.8.7"]) and allowed.permits("x", ["192.168.1.7", "fd00::1"])
    assert not allowed.permits("x", ["192.168.1.8"]) and not allowed.permits("other.example.com", ["127.0.0.1"])
    assert not allowed.permits("x", []) and not allowed.permits("x", ["10.9.8.7", "172.16.0.1"])


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://0x7f000001/", "127.0.0.1"),
        ("http://2130706433/", "127.0.0.1"),
        ("http://127.1/", "127.0.0.1"),
        ("http://0/", "0.0.0.0"),
        ("http:\\\\127.0.0.1\\x", "127.0.0.1"),
        ("http://１２７.0.0.1/", "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]/", "[::ffff:7f00:1]"),
        ("HTTPS://Example.COM:8443/a", "example.com"),
    ],
)  # fmt: skip
def test_hosts_are_read_as_they_will_be_asked(text: str, host: str) -> None:
    assert parse(text).host_str == host


@pytest.mark.parametrize(
    "text",
    ["", "x", "/a", "//host/a", "file:///etc/passwd", "gopher://x/", "javascript:1", "data:,x", "http://",
     "http://me@example.com/", "http://me:x@example.com/", "http://[fe80::1%25lo]/", "http://a b/",
     "http://example.com/" + "x" * 2048],
)  # fmt: skip
def test_what_is_no_address_to_ask(text: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse(text)
    assert caught.value.refused
