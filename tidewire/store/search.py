"""The full text of posts and files: filled in chunks, asked with conditions."""

from collections.abc import Sequence
from typing import NamedTuple

from asyncpg.exceptions import ProgramLimitExceededError, QueryCanceledError

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.store.posts import decode_post
from tidewire.wire.errors import Unavailable
from tidewire.wire.files import StoredFile
from tidewire.wire.models import Post

_Q = sql.load("search")


class Question(NamedTuple):
    """What is looked for, first what is made constants of. None: no such condition."""

    language: str
    words: str
    hashtags: str
    any_word: bool
    unwanted: str
    user_id: str
    team_id: str
    archived: bool
    in_channels: list[str] | None
    not_in_channels: list[str] | None
    by_users: list[str] | None
    not_by_users: list[str] | None
    since: int
    until: int
    days_begin: list[int] | None  # days that are left out, with their ends
    days_end: list[int] | None


_CONDITIONS = Question._fields.index("by_users")


class State(NamedTuple):
    """How far the index is."""

    language: str
    newest: str
    checked: str


# -- filling


async def lead(tx: Transaction) -> bool:
    """Become the indexer of the installation until the transaction ends; False if there is one."""
    leads: bool = await tx.fetchval(_Q["lead_indexing"])
    return leads


async def knows(db: Database, language: str) -> bool:
    """Tell whether PostgreSQL has this text search configuration."""
    return bool(await db.fetchval(_Q["known_language"], language))


async def state(tx: Transaction) -> State | None:
    """Return how far the index is; None before its first start."""
    row = await tx.fetchrow(_Q["search_state"])
    return None if row is None else State(row["language"], row["newest"], row["checked"])


async def start_over(tx: Transaction, language: str) -> State:
    """Forget the index, to make it in this language."""
    await tx.execute(_Q["forget_posts"])
    await tx.execute(_Q["forget_files"])
    await tx.execute(_Q["start_over"], language)
    return State(language, "", "")


async def set_state(tx: Transaction, newest: str, checked: str) -> None:
    """Note how far the index is."""
    await tx.execute(_Q["set_state"], newest, checked)


async def go_back(tx: Transaction, post_id: str) -> None:
    """Let posts be looked for from this id on: they came with ids of the past. Waits for the indexer."""
    await tx.execute(_Q["await_lead"])
    await tx.execute(_Q["go_back"], post_id)


async def index_after(tx: Transaction, language: str, post_id: str, limit: int) -> tuple[str, int, int]:
    """Index up to `limit` posts after an id. Returns (the last id, posts looked at, rows added)."""
    row = await tx.fetchrow(_Q["index_after"], language, post_id, limit)
    assert row is not None
    return row["last"] or post_id, row["seen"], row["indexed"]


async def index_again(tx: Transaction, language: str, limit: int) -> int:
    """Index posts anew that were changed; return how many there were."""
    row = await tx.fetchrow(_Q["index_again"], language, limit)
    assert row is not None
    seen: int = row["seen"]
    return seen


async def leave_out(db: Database, *, post_ids: Sequence[str] = (), channel_ids: Sequence[str] = ()) -> None:
    """Take posts that have been deleted for good, or all of channels, off the index. Waits for the indexer.

    A deletion does not see what is being indexed at the same time; from now on nobody finds these posts to index them.
    """
    async with db.transaction() as tx:
        await tx.execute(_Q["await_lead"])
        await tx.execute(_Q["leave_out"], post_ids, channel_ids)


async def drop_gone(tx: Transaction, after: str, last: str) -> None:
    """Take posts and files with after < id <= last off the index that are no more. last "": to the end.

    It comes late, as searches leave such rows out anyway: for files, and for deletions that were cut off.
    """
    await tx.execute(_Q["drop_gone"], after, last or "~")  # beyond every id


async def unread_files(db: Database, limit: int) -> list[StoredFile]:
    """Return files whose content is not in the index yet."""
    return sql.structs(StoredFile, await db.fetch(_Q["unread_files"], limit))


async def add_content(db: Database, language: str, file_id: str, text: str) -> bool:
    """Add what a file says to its words; False if that is more than a row of the index holds (1 MB)."""
    try:
        await db.execute(_Q["add_content"], language, file_id, text)
    except ProgramLimitExceededError:
        return False
    return True


# -- asking


async def find_posts(db: Database, question: Question, limit: int, offset: int, *, timeout_ms: int) -> list[Post]:
    """Return the posts found, newest first. Raises: Unavailable after timeout_ms."""
    rows = await _find(db, "find_posts", question, [limit, offset], timeout_ms)
    return [decode_post(row) for row in rows]


async def find_files(
    db: Database,
    question: Question,
    extensions: list[str] | None,
    not_extensions: list[str] | None,
    limit: int,
    offset: int,
    *,
    timeout_ms: int,
) -> list[StoredFile]:
    """Return the files found, newest first. Raises: Unavailable after timeout_ms."""
    more = [limit, offset, extensions, not_extensions]
    return sql.structs(StoredFile, await _find(db, "find_files", question, more, timeout_ms))


async def _find(
    db: Database, name: str, question: Question, more: Sequence[object], timeout_ms: int
) -> list[Record]:
    wanted, conditions = question[:_CONDITIONS], question[_CONDITIONS:]
    try:
        async with db.transaction() as tx:
            await tx.execute(
                f"SET LOCAL statement_timeout = {int(timeout_ms)}; SET LOCAL plan_cache_mode = 'force_custom_plan'"
            )
            found = await tx.fetchrow(_Q["as_constants"], *wanted)
            assert found is not None
            if not found["channels"] or ((question.words or question.hashtags) and not found["wanted"]):
                return []  # nothing but words that the index leaves out, such as "the"
            asked = [found["wanted"] or None, found["unwanted"] or None, found["channels"], *conditions, *more]
            return list(await tx.fetch(_Q[name], *asked))
    except QueryCanceledError as error:
        raise Unavailable("search") from error


async def channels_by_names(db: Database, user_id: str, names: list[str], team_id: str) -> list[str]:
    """Return the ids of the user's channels of these names."""
    return [row["id"] for row in await db.fetch(_Q["channels_by_names"], user_id, names, team_id)]
