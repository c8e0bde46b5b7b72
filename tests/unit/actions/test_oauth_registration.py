"""What counts as one address of those who register apps."""

import pytest

from tidewire.actions.oauth_registration import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:DB8:1:2::", "2001:db8:1:2::"),
        ("2001:db8:1:3::6", "2001:db8:1:3::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
        ("local", "local"),
        ("not an address", "not an address"),
    ],
)
def test_network_of(address: str, network: str) -> None:
    assert network_of(address) == network
