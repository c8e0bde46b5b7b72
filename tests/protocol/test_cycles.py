"""20,000 connections come and go; 100,000 by `make soak`."""

from tests.protocol.cycles import KEPT_LIMIT_BYTES, measure


async def test_connections_leave_nothing_behind():
    descriptors, kept = await measure(20_000, warm_up=2000)
    assert descriptors == 0
    assert kept < KEPT_LIMIT_BYTES


async def test_tls_connections_leave_nothing_behind():
    descriptors, kept = await measure(800, warm_up=300, tls=True)
    assert descriptors == 0
    assert kept < KEPT_LIMIT_BYTES
