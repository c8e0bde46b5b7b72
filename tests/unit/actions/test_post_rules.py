"""What a post may hold, and what is read out of its text."""

import time

import pytest

from tidewire.actions.post_rules import (
    PROPS_VALUES,
    UNCOUNTED,
    blank,
    check_props,
    client_props,
    find_hashtags,
)
from tidewire.wire.errors import AppError
from tidewire.wire.models import Post, PostMetadata


@pytest.mark.parametrize(
    ("message", "hashtags"),
    [
        ("no tags", ""),
        ("#one and #two, (#three) #one", "#one #two #three"),
        ("#ab #abc # ##abc #1abc #a1b #a-b_c.d #abc.", "#abc #a1b #a-b_c.d"),
        ("#Ähre! #日本語タグ a#b#c x#abc", "#Ähre #日本語タグ"),
        ("#a.b-", "#a.b"),
        ("#" + "a" * 500 + " #" + "b" * 500, "#" + "a" * 500),
        ("#" + "a" * 2000, ""),
    ],
)
def test_hashtags(message: str, hashtags: str) -> None:
    assert find_hashtags(message, shortest=3) == hashtags


@pytest.mark.parametrize("text", ["#a-", "#", "#a.", "##", "#a_-"])
def test_hashtags_take_linear_time(text: str) -> None:
    """Security case G3: 16,383 characters of anything within 10 ms; ten times that allows for a busy machine."""
    times = []
    for _ in range(3):  # the collector may come by
        started = time.process_time()
        find_hashtags((text * 16_383)[:16_383], shortest=3)
        find_hashtags("#a" + "." * 16_381, shortest=3)
        find_hashtags("#" + "!" * 16_380 + "a", shortest=3)
        times.append(time.process_time() - started)
    assert min(times) < 0.1


def test_clients_cannot_touch_the_servers_props() -> None:
    given = {"from_webhook": "true", "mine": 1}
    assert client_props(given) == {"mine": 1}
    assert client_props(given, {"from_bot": "true", "old": 2}) == {"mine": 1, "from_bot": "true"}
    assert client_props(None, {"old": 2}) == {}


def test_a_blank_post_shows_that_it_was_there_and_nothing_else() -> None:
    post = Post("p", "c", "u", 1, 2, 3, 4, message="m", props={"a": 1}, hashtags="#abc", has_reactions=True)
    post.metadata = PostMetadata(embeds=[1])
    seen = blank(post)
    assert (seen.id, seen.create_at, seen.update_at, seen.delete_at) == ("p", 1, 2, 4)
    assert (seen.message, seen.props, seen.hashtags, seen.metadata) == ("", {}, "", PostMetadata())
    assert post.message == "m"


def test_joins_and_leaves_are_not_counted() -> None:
    assert {"system_join_channel", "system_leave_channel", "system_add_to_channel"} <= UNCOUNTED
    assert not {"", "system_header_change", "system_displayname_change"} & UNCOUNTED


@pytest.mark.parametrize(
    "value", [[{}] * PROPS_VALUES, [[0] * 5000, [0] * 5000], {str(n): n for n in range(PROPS_VALUES)}, "x" * 800_000]
)
def test_props_that_are_too_many_or_too_long(value: object) -> None:
    """What a list of posts costs in memory is bounded by values, not by their text: `{}` is two characters."""
    with pytest.raises(AppError) as refused:
        check_props({"x": value})
    assert (refused.value.id, refused.value.status) == ("model.post.is_valid.props.app_error", 400)


def test_attachments_fit_into_props() -> None:
    fields = [{"title": "t", "value": "v", "short": True}] * 20
    check_props({"attachments": [{"text": "x", "title": "y", "color": "z", "fields": fields}] * 100})
