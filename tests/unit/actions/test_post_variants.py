"""Each variant of an event is what a reader with the same rights gets by REST."""

import json
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.actions import post_refs, post_variants
from tidewire.actions.post_refs import Found
from tidewire.actions.services import Services
from tidewire.bus.variants import body_for
from tidewire.store.post_refs import Place
from tidewire.wire.models import Post, PostEmbed, PostRefs

HOME, OPEN, CLOSED, FAR = "home", "open", "closed", "far"
PLACES = {
    channel_id: Place(channel_id, "t", kind, channel_id, f'The "{channel_id}"', "gulls", 7, 3, "", "")
    for channel_id, kind in ((HOME, "O"), (OPEN, "O"), (CLOSED, "P"), (FAR, "P"))
}


def services(*, shows: bool = True, team_reads: bool = True) -> Services:
    granted = frozenset({"read_public_channel"} if team_reads else ())
    return cast(
        Services,
        SimpleNamespace(
            config=SimpleNamespace(flag=lambda name: shows, text=lambda name: "https://chat.example.org"),
            roles=SimpleNamespace(grants=lambda roles: granted),
        ),
    )


def made(named: tuple[str, ...], linked: str, props: dict[str, Any], embeds: list[PostEmbed]) -> tuple[Post, Found]:
    """Return a post that names these channels and links to a post in a channel ("": to none)."""
    post = Post("p", HOME, "u", message='"é\\"', props=props)
    post.metadata.embeds = embeds
    channels = {name: {"id": name, "display_name": "old", "team_name": "old"} for name in named}
    post.refer(PostRefs("l" if linked else "", channels))
    found = Found(places=dict(PLACES))
    if linked:
        found.linked["l"] = Post("l", linked, "u", message='\\u0001 "{[\x01\x02'), PLACES[linked]
    return post, found


def by_rest(post: Post, found: Found, services: Services) -> dict[str, Any]:
    """Return the post as the reader of `found` gets it."""
    copy = msgspec.structs.replace(post, props=dict(post.props), metadata=msgspec.structs.replace(post.metadata))
    copy.refer(post.refs)
    post_refs.put(services, [copy], found)
    answer: dict[str, Any] = json.loads(msgspec.json.encode(copy))
    return answer


names = st.sampled_from([HOME, OPEN, CLOSED, FAR])


@given(
    named=st.lists(names, unique=True).map(tuple),
    linked=names | st.just(""),
    props=st.dictionaries(st.sampled_from(["a", "{"]), st.text(max_size=4) | st.just({}), max_size=2),
    embeds=st.sampled_from([[], [PostEmbed("boards")], [PostEmbed("opengraph", "https://x")]]),
    data=st.sampled_from([{}, {"team_id": "t"}]),
)
def test_events_say_what_rest_says(
    named: tuple[str, ...], linked: str, props: dict[str, Any], embeds: list[PostEmbed], data: dict[str, str]
) -> None:
    host = services()
    post, found = made(named, linked, props, embeds)
    body, variants = post_variants.encode(host, "posted", data, post, found)
    channels = [] if variants is None else variants.channels
    assert HOME not in [channel.channel_id for channel in channels]
    for reads in product((False, True), repeat=len(channels)):
        bits = sum(1 << i for i, may in enumerate(reads) if may)
        text = body if variants is None else body_for(body, variants.pieces, bits)
        event = json.loads(text + b'},"seq":1}')
        found.readable = {HOME} | {channel.channel_id for channel, may in zip(channels, reads, strict=True) if may}
        assert json.loads(event["data"].pop("post")) == by_rest(post, found, host)
        assert event["data"] == data
        assert event["broadcast"]["channel_id"] == HOME


@pytest.mark.parametrize("team_reads", [True, False])
def test_readers_are_named_with_the_numbers_of_their_keys(team_reads: bool) -> None:
    post, found = made((OPEN,), CLOSED, {}, [])
    _, variants = post_variants.encode(services(team_reads=team_reads), "posted", {}, post, found)
    assert variants is not None
    read = {channel.channel_id: (channel.n, channel.team_id) for channel in variants.channels}
    assert read == {OPEN: (7, "t" if team_reads else ""), CLOSED: (7, "")}


def test_nobody_gets_a_preview_where_they_are_switched_off() -> None:
    host = services(shows=False)
    post, found = made((), CLOSED, {}, [])
    body, variants = post_variants.encode(host, "post_edited", {}, post, found)
    assert variants is None
    found.readable = {CLOSED}
    shown = by_rest(post, found, host)
    assert json.loads(json.loads(body + b"}}")["data"]["post"]) == shown
    assert (shown["props"], shown["metadata"]) == ({}, {})
