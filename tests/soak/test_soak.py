"""Half a minute of `make soak`."""

import pytest

from tests.soak.hostile import KINDS
from tests.soak.soak import Sizes, soak, verdict


@pytest.mark.timeout(300)
async def test_nothing_is_kept_of_what_came_and_went(database_url: str, redis_url: str) -> None:
    rests, notes = await soak(
        database_url, redis_url, Sizes(seconds=32, round_s=6, listeners=40, hostile=48, rate=200))
    assert verdict(rests, notes) == []
    assert all(notes.counts[f"hostile {kind.__name__}"] for kind in KINDS)
