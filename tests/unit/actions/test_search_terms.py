"""What is typed into the search box. Source: Mattermost API v4, "Search for posts"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.actions.search_terms import FOREVER, read

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "words", "unwanted", "hashtags"),
    [
        ("ship sails", "'ship' & 'sails'", "", ""),
        ('"rough sea" storm', "'rough sea' & 'storm'", "", ""),
        ("storm* -calm", "'storm':*", "'calm'", ""),
        ('-"dead calm"', "", "'dead calm'", ""),
        ("#Harbour ship", "'ship'", "", "'#harbour'"),
        ("(ship), sails!", "'ship' & 'sails'", "", ""),
        ("it's c++ a\\b", "'it''s' & 'c' & 'a\\\\b'", "", ""),
        ("& | ! :* ' () <->", "", "", ""),
        ("@bosun", "'@bosun'", "", ""),
        ("世界", "'世  界'", "", ""),
        ("v2東京* -서울", "'v2 東  京':*", "'서  울'", ""),
    ],
)
def test_words(text: str, words: str, unwanted: str, hashtags: str) -> None:
    terms = read(text)
    assert (terms.words, terms.unwanted, terms.hashtags) == (words, unwanted, hashtags)


def test_one_of_the_words_is_enough() -> None:
    assert read("a b #c #d", any_word=True).words == "'a' | 'b'"
    assert read("a b #c #d", any_word=True).hashtags == "'#c' | '#d'"


def test_modifiers() -> None:
    terms = read("from:@Ann from: bob -from:eve in:~town-square -in:off-topic channel:x ext:PDF -ext:.txt storm")
    assert (terms.users.wanted, terms.users.unwanted) == (["ann", "bob"], ["eve"])
    assert (terms.channels.wanted, terms.channels.unwanted) == (["town-square", "x"], ["off-topic"])
    assert (terms.extensions.wanted, terms.extensions.unwanted) == (["pdf"], ["txt"])
    assert terms.words == "'storm'" and not terms.empty


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("before:2026-11-26", 0, 1795651200000),
        ("after:2026-11-26", 1795651200000 + DAY, FOREVER),
        ("on:2026-11-26", 1795651200000, 1795651200000 + DAY),
        ("on:2026-1-5", 1767571200000, 1767571200000 + DAY),
        ("-before:2026-11-26", 1795651200000, FOREVER),
        ("-after:2026-11-26", 0, 1795651200000 + DAY),
        ("after:2026-11-24 before:2026-11-26", 1795651200000 - DAY, 1795651200000),
        ("on:yesterday before:2026-13-01 after:99999-01-01", 0, FOREVER),
    ],
)
def test_dates(text: str, since: int, until: int) -> None:
    terms = read(text)
    assert (terms.since, terms.until) == (since, until)
    here = read(text, offset_s=3600)  # an hour east of UTC: a day begins an hour earlier
    assert here.since == (since - 3_600_000 if since else 0)


def test_days_that_are_left_out() -> None:
    terms = read("storm -on:2026-11-26 -on:2026-11-28")
    assert terms.days_without == [(1795651200000 + days * DAY, 1795651200000 + (days + 1) * DAY) for days in (0, 2)]
    assert (terms.since, terms.until) == (0, FOREVER)


@given(st.text(max_size=2000), st.booleans(), st.integers())
def test_nothing_breaks_it(text: str, any_word: bool, offset: int) -> None:
    terms = read(text, any_word=any_word, offset_s=offset)
    assert terms.words.replace("''", "").replace("\\\\", "").count("'") % 2 == 0


def test_nothing_is_asked_for() -> None:
    assert read("").empty and read("   ").empty and read("- --").empty and read("* ' &").empty
    assert not read("on:2026-11-26").empty and not read("in:x").empty
    assert not read("-x").empty and not read("-from:x").empty
