"""RFC 6455 by Autobahn's cases (PyPI kosoku) against the real door, gate and room.

kosoku raises an error that names the cases that fail.
"""

import kosoku
import pytest

from hotpath import COMPILED
from tests.protocol.processes import echo_gateway

GROUPS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
# Group 9 sends up to 16 MiB within 10 s: it asks for speed, which the twins don't have.
SUITES = {"groups 1-7 and 10": (GROUPS, 247), **({"group 9": (["9.*"], 54)} if COMPILED else {})}


@pytest.mark.parametrize(("groups", "count"), SUITES.values(), ids=SUITES.keys())
async def test_autobahn(groups, count, tmp_path):
    async with echo_gateway() as server:
        results = await kosoku.run_fuzzingclient(f"ws://127.0.0.1:{server.port}", cases=groups, concurrency=8)
    assert len(results) == count
    assert all(case.passed for case in results)
