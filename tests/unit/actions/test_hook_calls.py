"""Whose outgoing webhooks are called when programs do not answer."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tidewire.actions import hook_calls
from tidewire.actions.hook_calls import HookCalls

SERVICES: Any = SimpleNamespace(
    cache=SimpleNamespace(peek=lambda key: None), config=SimpleNamespace(flag=lambda key: True)
)


class Programs:
    """Answers what concerns the team "quick"; the others wait for ever."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.quick = asyncio.Event()

    async def call(self, services: Any, hook: Any, url: str, word: str, one: Any) -> None:
        """Stand for one request."""
        self.called.append(one.channel.team_id)
        if one.channel.team_id != "quick":
            await asyncio.Event().wait()
        self.quick.set()

    async def hooks_of(self, services: Any, team_id: str) -> list[Any]:
        """Return a webhook with three addresses."""
        return [SimpleNamespace(id="h", channel_id="", trigger_words=[], callback_urls=["a", "b", "c"])]

    async def listener(self, services: Any, hook: Any, channel: Any) -> Any:
        """Return its creator, who is always there."""
        return SimpleNamespace()


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    """The programs, with little room for what waits."""
    made = Programs()
    monkeypatch.setattr(hook_calls, "_call", made.call)
    monkeypatch.setattr(hook_calls, "hooks_of", made.hooks_of)
    monkeypatch.setattr(hook_calls, "_listener", made.listener)
    monkeypatch.setattr(hook_calls, "WAITING_MAX", 40)
    monkeypatch.setattr(hook_calls, "TEAM_WAITING_MAX", 10)
    return made


def post_in(calls: HookCalls, team_id: str) -> None:
    """Have a post written there."""
    post: Any = SimpleNamespace(id="p", channel_id="c", message="x")
    channel: Any = SimpleNamespace(id="c", type="O", team_id=team_id)
    calls.posted(post, channel, "ann")


async def test_teams_that_fill_the_line_leave_room_for_others(programs: Programs) -> None:
    calls = HookCalls()
    calls.start(SERVICES)
    try:
        for team in range(4):
            for _ in range(30):
                post_in(calls, f"slow{team}")
        assert calls._waiting == hook_calls.WAITING_MAX
        post_in(calls, "quick")
        async with asyncio.timeout(30):
            await programs.quick.wait()
        assert calls._waiting <= hook_calls.WAITING_MAX
    finally:
        await calls.close()


async def test_a_place_is_for_one_call_not_for_all_of_a_post(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call ends with its time over; the quick team's is next, not behind all addresses of a post."""
    monkeypatch.setattr(hook_calls, "AT_ONCE", 1)
    called: list[str] = []
    done = asyncio.Event()

    async def call(services: Any, hook: Any, url: str, word: str, one: Any) -> None:
        called.append(one.channel.team_id)
        await asyncio.sleep(0)
        if len(called) == 6:
            done.set()

    monkeypatch.setattr(hook_calls, "_call", call)
    calls = HookCalls()
    calls.start(SERVICES)
    try:
        post_in(calls, "slow")
        post_in(calls, "quick")
        async with asyncio.timeout(30):
            await done.wait()
    finally:
        await calls.close()
    assert called == ["slow", "quick"] * 3
