"""Many users, a team and its channels, written straight into PostgreSQL by COPY.

The rows are those that the API would have left, but nobody is told: the team and all in it are new, so no one who is
connected could have heard of it. Does not know where the database is, nor how progress is shown.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec
from argon2 import PasswordHasher

from tidewire.store.db import Database
from tidewire.wire import defaults
from tidewire.wire.ids import new_id, new_token, now_ms

Progress = Callable[[int, int], None]  # rows sent, rows in all
Row = tuple[object, ...]

# 64 KiB: a few hundred rows; COPY gains nothing from more, and a row count per chunk moves the progress bar.
_CHUNK_BYTES = 1 << 16
_COPY_TIMEOUT_S = 3600  # the largest tables, on the slowest disk


@dataclass(frozen=True)
class Plan:
    """How much to make. channel_members: members of each channel, at most `users`; 0 = all."""

    users: int = 10_000
    channels: int = 1
    channel_members: int = 0
    session_hours: int = 720
    password: str = ""  # of every user; empty: nobody can log in by password
    seed: int = 0  # who is in which channel depends on this alone

    @property
    def members(self) -> int:
        """Return the members of each channel."""
        return min(self.channel_members or self.users, self.users)


@dataclass(frozen=True)
class SeededUser:
    """One line of the tokens file. channel_id: the first of his channels, "-" if he is in none."""

    token: str
    user_id: str
    username: str
    channel_id: str
    team_id: str

    def line(self) -> str:
        """Return the five fields, separated by blanks, with the line's end."""
        return f"{self.token} {self.user_id} {self.username} {self.channel_id} {self.team_id}\n"


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


class World:
    """The ids, secrets and memberships of one plan, before any of it is written."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = now_ms()
        self.tag = new_id(self.now)[-8:]
        self.team_id = new_id(self.now)
        self.user_ids = [new_id(self.now) for _ in range(plan.users)]
        self.tokens = [new_token() for _ in range(plan.users)]
        self.names = [f"load-{self.tag}-{number:06d}" for number in range(plan.users)]
        self.channel_ids = [new_id(self.now) for _ in range(plan.channels)]
        self.hands = list(deal_members(plan.users, plan.channels, plan.members, plan.seed))

    def seeded(self) -> list[SeededUser]:
        """Return the users in the order of their numbers."""
        first = ["-"] * self.plan.users
        for channel_id, hand in zip(reversed(self.channel_ids), reversed(self.hands), strict=True):
            for number in hand:
                first[number] = channel_id
        people = zip(self.tokens, self.user_ids, self.names, first, strict=True)
        return [SeededUser(*fields, self.team_id) for fields in people]

    # Rows per table, in the order of the columns in _COLUMNS.

    def users(self) -> Iterator[Row]:
        hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        hash_ = hasher.hash(self.plan.password or new_token())
        rest = (
            self.now,
            self.now,
            hash_,
            _json(defaults.USER_NOTIFY_PROPS),
            _json(defaults.TIMEZONE),
            self.now,
        )
        return ((id_, name, _email(name), *rest) for id_, name in zip(self.user_ids, self.names, strict=True))

    def sessions(self) -> Iterator[Row]:
        expires = self.now + self.plan.session_hours * 3_600_000
        for token, user_id in zip(self.tokens, self.user_ids, strict=True):
            props = _json(defaults.session_props(new_token()))
            yield new_token(), _hash(token), user_id, self.now, expires, self.now, "system_user", props

    def teams(self) -> Iterator[Row]:
        name, display_name = f"load-{self.tag}", f"Load {self.tag}"
        yield self.team_id, self.now, self.now, name, display_name, "O", _email(self.names[0]), new_token()

    def team_members(self) -> Iterator[Row]:
        return ((self.team_id, id_, self.now, "ft"[id_ == self.user_ids[0]]) for id_ in self.user_ids)

    def channels(self) -> Iterator[Row]:
        for i, (channel_id, hand) in enumerate(zip(self.channel_ids, self.hands, strict=True)):
            names = f"load-{self.tag}-{i}", f"Load {self.tag} {i}"
            yield channel_id, self.now, self.now, self.team_id, "O", *names, self.user_ids[hand[0]]

    def channel_members(self) -> Iterator[Row]:
        props = _json(defaults.CHANNEL_NOTIFY_PROPS)
        for channel_id, hand in zip(self.channel_ids, self.hands, strict=True):
            for number in hand:
                yield channel_id, self.user_ids[number], props, self.now, "ft"[number == hand[0]]


_COLUMNS = {
    "users": "id username email create_at update_at password_hash notify_props timezone last_password_update",
    "sessions": "id token_hash user_id create_at expires_at last_activity_at roles props",
    "teams": "id create_at update_at name display_name type email invite_id",
    "team_members": "team_id user_id create_at scheme_admin",
    "channels": "id create_at update_at team_id type name display_name creator_id",
    "channel_members": "channel_id user_id notify_props last_update_at scheme_admin",
}


async def seed(
    database: Database, plan: Plan, progress: Progress = lambda rows, total: None
) -> list[SeededUser]:
    """Create what the plan says, in one transaction; return the users in the order of their numbers.

    User 0 made the team; the first member of each channel made that channel.
    progress: called now and then with the rows sent so far and the rows in all.
    Raises: Unavailable, asyncpg errors (no schema).
    """
    world = World(plan)
    total = 1 + 3 * plan.users + plan.channels * (1 + plan.members)
    done = 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, total)

    connection = await database.connect(statement_timeout="0", application_name="tidewire-loadtest")
    try:
        async with connection.transaction():
            for table, columns in _COLUMNS.items():
                rows: Iterator[Row] = getattr(world, table)()
                await connection.copy_to_table(
                    table, source=_chunks(rows, advance), columns=columns.split(), timeout=_COPY_TIMEOUT_S
                )
    finally:
        await connection.close()
    return world.seeded()


async def _chunks(rows: Iterable[Row], advance: Callable[[int], None]) -> AsyncIterator[bytes]:
    """Yield rows in COPY's text format. No value may hold a tab, a newline or a backslash of its own."""
    lines: list[str] = []
    size = 0
    for row in rows:
        lines.append("\t".join(map(str, row)) + "\n")
        size += len(lines[-1])
        if size >= _CHUNK_BYTES:
            yield "".join(lines).encode()
            advance(len(lines))
            lines, size = [], 0
    yield "".join(lines).encode()
    advance(len(lines))


def _email(name: str) -> str:
    return f"{name}@load.invalid"


def _json(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()


def _hash(token: str) -> str:
    """Return the stored form of a session token, as COPY takes bytea."""
    return "\\\\x" + hashlib.sha256(token.encode()).hexdigest()
