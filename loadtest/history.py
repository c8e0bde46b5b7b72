"""What people wrote before the load: posts, replies, reactions, and what each has read. Pure: no ids and no rows.

Posts come evenly over the time. The busiest channel gets 1 part of them, the next 1/2, the next 1/3 …; which channels
are busy is dealt, with the default channels behind all others: little but announcements stands there. In a channel an
early member writes more than a late one: a quarter of them writes half. Numbers of users and channels are those of
loadtest/shapes.py; post i is the i-th.
"""

import random
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from loadtest.shapes import Place

REPLIES = 0.3  # of all posts; threads are short, so most of them have one or two
RECENT_ROOTS = 20  # a reply answers to one of the last roots of its channel
REACTIONS = 0.05  # by posts
READ_ALL = 0.6  # of memberships: he looked into the channel after its last post
EMOJIS = "+1", "heart", "tada", "eyes", "smile"
VOCABULARY, MESSAGES = 20_000, 4096  # words, the one of rank r with a chance of about 1/r; different beginnings
_SYLLABLES = ["ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su", "ta", "ve"]


@dataclass
class Sums:
    """What a channel's row counts. Numbers of posts: -1 for none."""

    posts: int = 0
    roots: int = 0
    reactions: int = 0
    last: int = -1
    last_root: int = -1


@dataclass
class Seen:
    """What a member has read: so many posts and roots, the last by its number; -1: nothing."""

    posts: int = 0
    roots: int = 0
    last: int = -1


@dataclass
class Thread:
    """A root's replies. users: who replied, in the order of their first replies, with the first and the last one's
    number."""

    channel: int
    first: int
    last: int = -1
    replies: int = 0
    users: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass
class History:
    """All of it. channels, authors, roots (-1: it is one): by post; sums: by channel; seen: by (channel, user) of
    those who have read something; threads: by root; reactions: (post, user) → emoji."""

    channels: "array[int]" = field(default_factory=lambda: array("l"))
    authors: "array[int]" = field(default_factory=lambda: array("l"))
    roots: "array[int]" = field(default_factory=lambda: array("l"))
    sums: list[Sums] = field(default_factory=list)
    seen: dict[tuple[int, int], Seen] = field(default_factory=dict)
    threads: dict[int, Thread] = field(default_factory=dict)
    reactions: dict[tuple[int, int], str] = field(default_factory=dict)


def write(places: Sequence[Place], posts: int, seed: int) -> History:
    """Return the history of so many posts. Channels without members stay empty."""
    rng = random.Random(f"history {seed}")  # noqa: S311 - makes load, guards nothing
    made = History(sums=[Sums() for _ in places])
    order = [number for number, place in enumerate(places) if place.members]
    rng.shuffle(order)
    order.sort(key=lambda number: places[number].is_default)
    if not order:
        return made
    weights = list(accumulate(1 / rank for rank in range(1, len(order) + 1)))
    recent: dict[int, deque[int]] = {}
    for number, channel in enumerate(rng.choices(order, cum_weights=weights, k=posts)):
        members = places[channel].members
        author = members[int(len(members) * rng.random() ** 2)]
        roots = recent.setdefault(channel, deque(maxlen=RECENT_ROOTS))
        root = rng.choice(roots) if roots and rng.random() < REPLIES else -1
        made.channels.append(channel)
        made.authors.append(author)
        made.roots.append(root)
        sums = made.sums[channel]
        sums.posts, sums.last = sums.posts + 1, number
        if root < 0:
            roots.append(number)
            sums.roots, sums.last_root = sums.roots + 1, number
            made.seen[channel, author] = Seen(sums.posts, sums.roots, number)  # who writes has read
        else:
            thread = made.threads.get(root) or made.threads.setdefault(root, Thread(channel, number))
            thread.replies, thread.last = thread.replies + 1, number
            thread.users[author] = thread.users.get(author, (number, number))[0], number
        if rng.random() < REACTIONS:
            made.reactions[number, rng.choice(members)] = rng.choice(EMOJIS)
            sums.reactions += 1
    for channel, place in enumerate(places):
        sums = made.sums[channel]
        if sums.posts:
            for user in place.members:
                if rng.random() < READ_ALL:
                    made.seen[channel, user] = Seen(sums.posts, sums.roots, sums.last)
    return made


def messages(seed: int) -> list[str]:
    """Return beginnings of messages: mostly a sentence or two, some long, without characters that COPY would escape."""
    rng = random.Random(f"messages {seed}")  # noqa: S311 - as above
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(VOCABULARY)]
    weights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    counts = (min(400, max(1, int(rng.lognormvariate(2.3, 0.9)))) for _ in range(MESSAGES))
    return [" ".join(rng.choices(words, cum_weights=weights, k=count)) for count in counts]
