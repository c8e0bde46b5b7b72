"""RFC 6455 and 7692 by Autobahn's cases; all of groups 12 and 13: `make autobahn`."""

import pytest

from hotpath import COMPILED
from tests.protocol.autobahn import DECLINED, verdicts

GROUPS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
# Group 9 sends up to 16 MiB within 10 s: it asks for speed, which the twins don't have.
SUITES = {"groups 1-7 and 10": (GROUPS, 247), **({"group 9": (["9.*"], 54)} if COMPILED else {})}
# A thousand messages each: of 256 bytes, of 8 KiB in fragments of 256, of 64 bytes. A pattern is only a beginning:
# "12.*.1" is 12.1.10 too.
COMPRESSION = (["12.*.3", "12.*.11", "13.*.2"], 15, 2) if COMPILED else (["12.*.2", "13.*.2"], 10, 2)


@pytest.mark.parametrize("flags", [[], ["--compression"]], ids=["plain", "compression offered to all"])
@pytest.mark.parametrize(("groups", "count"), SUITES.values(), ids=SUITES.keys())
async def test_autobahn(groups, count, flags):
    found = await verdicts(groups, *flags)
    assert set(found) <= {"OK", "NON-STRICT", "INFORMATIONAL"}, found
    assert sum(map(len, found.values())) == count


async def test_autobahn_over_tls():
    groups, count = SUITES["groups 1-7 and 10"]
    found = await verdicts(groups, "--compression", tls=True)
    assert set(found) <= {"OK", "NON-STRICT", "INFORMATIONAL"}, found
    assert sum(map(len, found.values())) == count


@pytest.mark.skipif(not COMPILED, reason="it asks for speed")
async def test_autobahn_with_large_messages_over_tls():
    found = await verdicts(["9.1.*", "9.3.*"], tls=True)     # up to 16 MiB, whole and in fragments
    assert found.keys() == {"OK"}, found


async def test_autobahn_compression():
    groups, count, declined = COMPRESSION
    found = await verdicts(groups, "--compression")
    assert set(found) == {"OK", "UNIMPLEMENTED"}, found
    assert len(found["OK"]) == count
    assert len(found["UNIMPLEMENTED"]) == declined
    assert all(case.startswith(DECLINED) for case in found["UNIMPLEMENTED"])


async def test_autobahn_without_compression():
    found = await verdicts(["12.1.1", "13.1.1"])
    assert set(found) == {"UNIMPLEMENTED"}
