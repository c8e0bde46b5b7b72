"""What notify_props of user and membership mean for mentions, and the map that is made of them."""

import pytest

from tidewire.actions.mention_map import (
    CHANNEL_WIDE,
    DESKTOP,
    DESKTOP_MENTIONED,
    EVERY_POST,
    EVERY_PUSH,
    FOLLOWS_ALL,
    KEYWORDS_PER_USER,
    make_map,
    wants_of,
)
from tidewire.actions.thread_news import News
from tidewire.store.mentions import MemberSettings
from tidewire.store.threads import ThreadState

THREADS = DESKTOP | DESKTOP_MENTIONED
DEFAULT = MemberSettings(
    user_id="B", username="bob", first_name="Robert", keywords="", by_first_name="false", channel_wide="true",
    desktop="mention", desktop_threads="all", ignore_channel_wide="default", mark_unread="all",
    channel_desktop="default", channel_desktop_threads=None, follows_all="off",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, CHANNEL_WIDE | THREADS),
        ({"channel_wide": "false"}, THREADS),
        ({"channel_wide": None}, THREADS),
        ({"ignore_channel_wide": "on"}, THREADS),
        ({"mark_unread": "mention"}, THREADS),  # muted
        ({"mark_unread": "mention", "ignore_channel_wide": "off"}, CHANNEL_WIDE | THREADS),
        ({"desktop": "all"}, CHANNEL_WIDE | THREADS | EVERY_POST),
        ({"desktop": "none"}, CHANNEL_WIDE),
        ({"desktop_threads": "mention"}, CHANNEL_WIDE | DESKTOP_MENTIONED),
        ({"desktop": "all", "channel_desktop": "mention"}, CHANNEL_WIDE | DESKTOP_MENTIONED),
        ({"channel_desktop": "all"}, CHANNEL_WIDE | THREADS | EVERY_POST),
        ({"channel_desktop": "none"}, CHANNEL_WIDE),
        ({"channel_desktop": "mention", "channel_desktop_threads": "all"}, CHANNEL_WIDE | THREADS),
        ({"follows_all": "on"}, CHANNEL_WIDE | THREADS | FOLLOWS_ALL),
        ({"push": "all"}, CHANNEL_WIDE | THREADS | EVERY_PUSH),
        ({"push": "none", "channel_push": "all"}, CHANNEL_WIDE | THREADS | EVERY_PUSH),
        ({"push": "all", "channel_push": "mention"}, CHANNEL_WIDE | THREADS),
    ],
)
def test_what_a_member_wants(changes: dict[str, str | None], flags: int) -> None:
    assert wants_of(DEFAULT._replace(**changes)) == flags


def test_the_map_of_a_channel() -> None:
    ann = DEFAULT._replace(
        user_id="A", username="ann", keywords=" Fog,,fog, tide ", by_first_name="true", first_name="Ann",
        desktop="all", follows_all="on",
    )  # fmt: skip
    small = make_map([ann, DEFAULT], whole=True)
    assert small.names == {"ann": "A", "bob": "B"}
    assert (small.keywords, small.first_names) == ({"fog": ["A"], "tide": ["A"]}, {"Ann": ["A"]})
    assert (small.follows_all, small.every_post) == (["A"], ["A"])
    pushed = make_map([ann, DEFAULT._replace(push="all")], whole=True)
    assert (small.every_push, pushed.every_push) == ([], ["B"])
    large = make_map([ann], whole=False)
    assert (large.names, large.keywords, large.every_post) == (None, small.keywords, [])
    many = DEFAULT._replace(keywords=",".join(f"k{i}" for i in range(1000)))
    assert len(make_map([many], whole=True).keywords) == KEYWORDS_PER_USER


@pytest.mark.parametrize(
    ("news", "state", "previous"),
    [
        (News([10, 20]), {"unread_replies": 5}, (3, 0)),
        (News([10, 20], mentions={"B": 1}), {"unread_replies": 2, "unread_mentions": 2}, (0, 1)),
        (News([10, 20]), {"unread_replies": 1, "last_viewed_at": 15}, (0, 0)),
        (News([], [10]), {"unread_replies": 1}, (2, 0)),
        (News([10]), {"unread_replies": 7, "followed_at": 10}, (0, 0)),  # follows since then
        (News([10]), {}, (0, 0)),
    ],
)
def test_what_a_follower_had_before(news: News, state: dict[str, int], previous: tuple[int, int]) -> None:
    thread = ThreadState("R", "C", "T", 9, 20, 0, [], True, 1, 0, 0, 0)._replace(**state)
    assert news.previous("B", thread) == previous
