"""Many users, their teams and channels, and what they wrote, straight into PostgreSQL by COPY.

The rows are those that the API would have left, but nobody is told: teams and all in them are new, so no one who is
connected could have heard of them, and caches keep no absences. The search index is filled by its worker, which is told
where to begin. Does not know where the database is, nor how progress is shown.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec
from argon2 import PasswordHasher

from loadtest import history
from loadtest.shapes import Place, even, skewed, team_of
from tidewire.store import search
from tidewire.store.db import Database, Transaction
from tidewire.wire import defaults
from tidewire.wire.ids import new_id, new_token, now_ms

Progress = Callable[[int, int], None]  # rows sent, rows in all
Row = tuple[object, ...]

MAIL_DOMAIN = "load.invalid"  # of all that is seeded, by which `purge` knows it
DAYS = 30  # over which posts are spread, the last one just now
# 64 KiB: a few hundred rows; COPY gains nothing from more, and a row count per chunk moves the progress bar.
_CHUNK_BYTES = 1 << 16
_COPY_TIMEOUT_S = 3600  # the largest tables, on the slowest disk


@dataclass(frozen=True)
class Plan:
    """How much to make. channel_members: members of each channel, at most `users`; 0 = all."""

    users: int = 10_000
    channels: int = 1  # beside the default channels of a skewed shape
    channel_members: int = 0
    session_hours: int = 720
    password: str = ""  # of every user; empty: nobody can log in by password
    seed: int = 0  # who is in which channel and who writes what depends on this alone
    teams: int = 1
    posts: int = 0
    skewed: bool = False  # default channels, and sizes as loadtest/shapes.py says; no channel_members

    @property
    def members(self) -> int:
        """Return the members of each channel."""
        return min(self.channel_members or self.users, self.users)

    def places(self) -> list[Place]:
        """Return all channels with their members."""
        if self.skewed:
            return list(skewed(self.users, self.teams, self.channels, self.seed))
        return list(even(self.users, self.teams, self.channels, self.members, self.seed))


@dataclass(frozen=True)
class SeededUser:
    """One line of the tokens file. channel_id: the first of his channels, a default one last; "-" if he is in none."""

    token: str
    user_id: str
    username: str
    channel_id: str
    team_id: str

    def line(self) -> str:
        """Return the five fields, separated by blanks, with the line's end."""
        return f"{self.token} {self.user_id} {self.username} {self.channel_id} {self.team_id}\n"


class World:
    """The ids, secrets, memberships and posts of one plan, before any of it is written."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = now_ms()
        self.began = self.now - DAYS * 86_400_000 if plan.posts else self.now  # when everybody and everything came
        self.tag = new_id(self.now)[-8:]
        self.team_ids = [new_id(self.began) for _ in range(plan.teams)]
        self.user_ids = [new_id(self.began) for _ in range(plan.users)]
        self.tokens = [new_token() for _ in range(plan.users)]
        self.names = [f"load-{self.tag}-{number:06d}" for number in range(plan.users)]
        self.places = plan.places()
        self.channel_ids = [new_id(self.began) for _ in self.places]
        self.history = history.write(self.places, plan.posts, plan.seed)
        self.post_ids = [new_id(self.at(number)) for number in range(plan.posts)]

    def at(self, post: int) -> int:
        """Return when a post was written, in ms: the next one later."""
        return self.began + (post + 1) * (self.now - self.began) // (self.plan.posts + 1) if post >= 0 else 0

    def rows(self) -> int:
        """Return how many rows there are in all."""
        made, plan = self.history, self.plan
        members = sum(len(place.members) for place in self.places)
        follows = sum(1 for _ in self.thread_members())
        return (
            plan.teams + 3 * plan.users + len(self.places) + members
            + plan.posts + len(made.threads) + follows + len(made.reactions)
        )  # fmt: skip

    def seeded(self) -> list[SeededUser]:
        """Return the users in the order of their numbers."""
        first: dict[int, str] = {}
        for default in (False, True):
            for channel_id, place in zip(self.channel_ids, self.places, strict=True):
                if place.is_default == default:
                    for number in place.members:
                        first.setdefault(number, channel_id)
        people = enumerate(zip(self.tokens, self.user_ids, self.names, strict=True))
        return [SeededUser(*fields, first.get(number, "-"), self._team_id(number)) for number, fields in people]

    def _team_id(self, user: int) -> str:
        return self.team_ids[team_of(user, self.plan.teams)]

    # Rows per table, in the order of the columns in _COLUMNS.

    def users(self) -> Iterator[Row]:
        hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        hash_ = hasher.hash(self.plan.password or new_token())
        notify, zone = _json(defaults.USER_NOTIFY_PROPS), _json(defaults.TIMEZONE)
        rest = (self.began, self.began, hash_, notify, zone, self.began)
        return ((id_, name, _email(name), *rest) for id_, name in zip(self.user_ids, self.names, strict=True))

    def sessions(self) -> Iterator[Row]:
        expires = self.now + self.plan.session_hours * 3_600_000
        for token, user_id in zip(self.tokens, self.user_ids, strict=True):
            props = _json(defaults.session_props(new_token()))
            yield new_token(), _hash(token), user_id, self.now, expires, self.now, "system_user", props

    def teams(self) -> Iterator[Row]:
        for number, id_ in enumerate(self.team_ids):
            more = f"-{number}" if number else ""
            name, display_name = f"load-{self.tag}{more}", f"Load {self.tag}{more}"
            owner = _email(self.names[number % len(self.names)])
            yield id_, self.began, self.began, name, display_name, "O", owner, new_token()

    def team_members(self) -> Iterator[Row]:
        for number, id_ in enumerate(self.user_ids):
            yield self._team_id(number), id_, self.began, "ft"[number < self.plan.teams]

    def channels(self) -> Iterator[Row]:
        for number, (id_, place) in enumerate(zip(self.channel_ids, self.places, strict=True)):
            if place.is_default:
                names, creator = (place.name, defaults.DEFAULT_CHANNELS[place.name]), ""
            else:
                names = f"load-{self.tag}-{number}", f"Load {self.tag} {number}"
                creator = self.user_ids[place.members[0]]
            sums = self.history.sums[number]
            yield (
                id_, self.began, self.began, self.team_ids[place.team], "O", *names, creator, self.at(sums.last),
                self.at(sums.last_root), sums.posts, sums.roots, sums.posts + sums.reactions,
            )  # fmt: skip

    def channel_members(self) -> Iterator[Row]:
        props = _json(defaults.CHANNEL_NOTIFY_PROPS)
        nothing = history.Seen()
        for number, (channel_id, place) in enumerate(zip(self.channel_ids, self.places, strict=True)):
            for user in place.members:
                seen = self.history.seen.get((number, user), nothing)
                at, made_it = self.at(seen.last), user == place.members[0] and not place.is_default
                yield (
                    channel_id, self.user_ids[user], props, max(self.began, at), "ft"[made_it], at, seen.posts,
                    seen.roots,
                )  # fmt: skip

    def posts(self) -> Iterator[Row]:
        made, texts = self.history, history.messages(self.plan.seed)
        rng = random.Random(f"texts {self.plan.seed}")  # noqa: S311 - makes load, guards nothing
        touched = {number: self.at(thread.last) for number, thread in made.threads.items()}
        reacted = {number for number, _ in made.reactions}
        for number, (id_, channel, author, root) in enumerate(
            zip(self.post_ids, made.channels, made.authors, made.roots, strict=True)
        ):
            at = self.at(number)
            yield (
                id_, at, max(touched.get(number, 0), at + (number in reacted)), self.user_ids[author],
                self.channel_ids[channel], self.post_ids[root] if root >= 0 else "", f"{rng.choice(texts)} p{number}",
                "ft"[number in reacted],
            )  # fmt: skip

    def threads(self) -> Iterator[Row]:
        for number, thread in self.history.threads.items():
            users = "{" + ",".join(self.user_ids[user] for user in thread.users) + "}"
            yield (
                self.post_ids[number], self.channel_ids[thread.channel], thread.replies, self.at(thread.last), users,
            )  # fmt: skip

    def thread_members(self) -> Iterator[Row]:
        """Who replied follows, and who began it does from the first reply on; own replies are read."""
        for number, thread in self.history.threads.items():
            author = self.history.authors[number]
            for user in dict.fromkeys([author, *thread.users]):
                first, last = thread.users.get(user, (thread.first, -1))
                since = thread.first if user == author else first
                yield (
                    self.post_ids[number], self.user_ids[user], self.channel_ids[thread.channel], self.at(since),
                    self.at(last), max(self.at(since), self.at(last)),
                )  # fmt: skip

    def reactions(self) -> Iterator[Row]:
        for (number, user), emoji in self.history.reactions.items():
            channel = self.channel_ids[self.history.channels[number]]
            yield self.post_ids[number], self.user_ids[user], emoji, channel, self.at(number) + 1


_COLUMNS = {
    "users": "id username email create_at update_at password_hash notify_props timezone last_password_update",
    "sessions": "id token_hash user_id create_at expires_at last_activity_at roles props",
    "teams": "id create_at update_at name display_name type email invite_id",
    "team_members": "team_id user_id create_at scheme_admin",
    "channels": "id create_at update_at team_id type name display_name creator_id last_post_at last_root_post_at"
    " total_msg_count total_msg_count_root event_n",
    "channel_members": "channel_id user_id notify_props last_update_at scheme_admin last_viewed_at msg_count"
    " msg_count_root",
    "posts": "id create_at update_at user_id channel_id root_id message has_reactions",
    "threads": "root_id channel_id reply_count last_reply_at participants",
    "thread_members": "root_id user_id channel_id followed_at last_viewed_at last_update_at",
    "reactions": "post_id user_id emoji_name channel_id create_at",
}


async def seed(
    database: Database, plan: Plan, progress: Progress = lambda rows, total: None
) -> list[SeededUser]:
    """Create what the plan says, in one transaction; return the users in the order of their numbers.

    The first user of each team made it; the first member of each channel made that channel.
    progress: called now and then with the rows sent so far and the rows in all.
    Raises: Unavailable, asyncpg errors (no schema).
    """
    world = World(plan)
    total, done = world.rows(), 0

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
            if world.post_ids:
                await search.go_back(Transaction(connection), world.post_ids[0])
        if plan.posts:  # what autovacuum would do in a minute, while plans are made for tables that seem empty
            await connection.execute(f"ANALYZE {', '.join(_COLUMNS)}", timeout=_COPY_TIMEOUT_S)
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
    return f"{name}@{MAIL_DOMAIN}"


def _json(value: dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()


def _hash(token: str) -> str:
    """Return the stored form of a session token, as COPY takes bytea."""
    return "\\\\x" + hashlib.sha256(token.encode()).hexdigest()
