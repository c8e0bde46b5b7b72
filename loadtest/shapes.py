"""Who is in which team and channel. Pure: the same numbers and seed give the same answer; knows no ids and no rows.

Even: all channels of one size, all users in equally many. Skewed, as installations are: a team of n users has
town-square and off-topic with all of them, and behind them one channel of n/2, one of n/3, one of n/4 …, none below
three.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tidewire.wire.defaults import DEFAULT_CHANNELS

LEAST_MEMBERS = 3  # of a skewed channel: two people have a direct one
USERS_PER_CHANNEL = 10  # a skewed installation has one public channel for so many users, unless it is told a number


@dataclass
class Place:
    """A channel. members: user numbers, the first one made it, unless it is one of the default channels."""

    team: int
    name: str  # "": it has none of its own
    members: list[int]

    @property
    def is_default(self) -> bool:
        """Tell whether every team has it."""
        return bool(self.name)


def team_of(user: int, teams: int) -> int:
    """Return the one team of a user."""
    return user % teams


def even(users: int, teams: int, channels: int, members: int, seed: int) -> Iterator[Place]:
    """Yield channels of `members` users, or of the whole team if it has fewer, dealt to the teams in turn."""
    hands = []
    for team in range(teams):
        own = range(team, users, teams)
        count = len(range(team, channels, teams))
        hands.append(deal_members(len(own), count, min(members, len(own)), seed + team))
    for number in range(channels):
        team = number % teams
        yield Place(team, "", [place * teams + team for place in next(hands[team])])


def skewed(users: int, teams: int, channels: int, seed: int) -> Iterator[Place]:
    """Yield the default channels of all teams, then `channels` others, dealt to the teams in turn, larger first."""
    rng = random.Random(f"shape {seed}")  # noqa: S311 - spreads load, guards nothing
    people = [range(team, users, teams) for team in range(teams)]
    for team in range(teams):
        for name in DEFAULT_CHANNELS:
            yield Place(team, name, list(people[team]))
    for number in range(channels):
        own = people[number % teams]
        yield Place(number % teams, "", rng.sample(own, skewed_size(len(own), number // teams)))


def skewed_size(users: int, rank: int) -> int:
    """Return the members of a team's channel of this rank, 0 the largest."""
    return min(users, max(LEAST_MEMBERS, users // (rank + 2)))


def deal_members(users: int, channels: int, members: int, seed: int) -> Iterator[list[int]]:
    """Yield the members of each channel as user numbers: mixed, no one twice, all in equally many channels (± 1)."""
    shuffle = random.Random(seed).shuffle  # noqa: S311 - spreads load, guards nothing
    deck: list[int] = []
    for _ in range(channels):
        hand, deck = deck[:members], deck[members:]
        if len(hand) < members:
            deck = list(range(users))
            shuffle(deck)
            held = set(hand)
            deck.sort(key=held.__contains__)  # who already holds this channel comes last
            missing = members - len(hand)
            hand, deck = hand + deck[:missing], deck[missing:]
        yield hand
