"""Sidebar rules: whatever the rows say, each channel stands in exactly one category."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire.actions.sidebar_layout import arrange, built_in, places_of, with_built_in
from tidewire.store.sidebar import Placed
from tidewire.wire.models import SidebarCategory

USER, TEAM = "u" * 26, "t" * 26
OWN = [SidebarCategory(f"own{n}", USER, TEAM, 100 + n, "", "custom", "Own") for n in range(2)]
CATEGORIES = [*built_in(USER, TEAM), *OWN]
IDS = [category.id for category in CATEGORIES]

channels = st.lists(
    st.builds(
        Placed,
        channel_id=st.integers(0, 30).map(str),
        team_id=st.sampled_from(["", TEAM]),
        category_id=st.sampled_from([None, "gone", *IDS]),
        sort_order=st.one_of(st.none(), st.integers(0, 50)),
        favorite=st.booleans(),
    ),
    unique_by=lambda channel: channel.channel_id,
)


@given(channels)
def test_each_channel_is_in_one_category(placed: list[Placed]) -> None:
    found = arrange(CATEGORIES, placed)
    assert [category.id for category in found] == IDS
    everything = [one for category in found for one in category.channel_ids]
    assert sorted(everything) == sorted(channel.channel_id for channel in placed)
    where = {one: category for category in found for one in category.channel_ids}
    for channel in placed:
        category = where[channel.channel_id]
        if channel.favorite:
            assert category.type == "favorites"
        elif channel.category_id in ("own0", "own1"):
            assert category.id == channel.category_id
        else:
            assert category.type == ("channels" if channel.team_id else "direct_messages")


@given(
    channels,
    st.lists(st.tuples(st.sampled_from(CATEGORIES), st.lists(st.integers(0, 40).map(str))), max_size=6),
)
def test_places_are_of_own_channels_only_and_once(
    placed: list[Placed], wanted: list[tuple[SidebarCategory, list[str]]]
) -> None:
    places = places_of(wanted, placed)
    teams = {channel.channel_id: channel.team_id for channel in placed}
    types = {category.id: category.type for category in CATEGORIES}
    for channel_id, place in places.items():
        assert place.channel_id == channel_id
        assert not (types[place.category_id] == "channels" and not teams[channel_id])
        assert not (types[place.category_id] == "direct_messages" and teams[channel_id])


def test_places_give_the_order() -> None:
    placed = [Placed(name, TEAM, "own0", order, False) for name, order in (("c", 20), ("a", 0), ("b", 10))]
    placed.append(Placed("d", TEAM, "own1", 5, False))
    found = {category.id: category.channel_ids for category in arrange(CATEGORIES, placed)}
    assert found["own0"] == ["a", "b", "c"]
    assert found["own1"] == ["d"]


def test_built_in_categories_are_always_there() -> None:
    assert with_built_in([], USER, TEAM) == built_in(USER, TEAM)
    assert with_built_in(CATEGORIES, USER, TEAM) == CATEGORIES
    kept = [CATEGORIES[1], *OWN]
    assert [row.type for row in with_built_in(kept, USER, TEAM)] == [
        "favorites", "channels", "direct_messages", "custom", "custom",
    ]  # fmt: skip
