"""What is written for something that is deleted at the same time: nothing is left, whichever of the two is first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.postgres import Postgres, cloned
from tidewire.actions.search_index import index_some
from tidewire.store import (
    acknowledgements,
    drafts,
    members,
    permanent,
    post_extras,
    posts,
    reactions,
    search,
    statuses,
    team_deletion,
    threads,
)
from tidewire.store.db import Database
from tidewire.store.holds import hold
from tidewire.store.post_extras import Reminder
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id
from tidewire.wire.models import Draft, PostAcknowledgement, Reaction

pytestmark = pytest.mark.asyncio(loop_scope="module")
Write = Callable[[Any, str], Awaitable[object]]  # (transaction, id of the parent)
WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
PATIENCE_S = 30
Delete = Callable[[Any], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def db(postgres: Postgres) -> AsyncIterator[Database]:
    async with cloned(postgres) as url:
        made = Database(url)
        yield made
        await made.close()


async def new_user(db: Database) -> str:
    user_id = new_id()
    insert = "INSERT INTO users (id, create_at, update_at, username, email) VALUES ($1, 1, 1, $1, $1)"
    await db.execute(insert, user_id)
    return user_id


async def delete_users(tx: Any, user_id: str) -> None:
    await permanent.delete_accounts(tx, [user_id])


@asynccontextmanager
async def at_the_same_time(db: Database, act: Callable[[Any], Awaitable[object]]) -> AsyncIterator[Any]:
    """A transaction that stays open until the act, which begins after the context's body, is done or waits for it."""
    task: asyncio.Task[None] | None = None

    async def other() -> None:
        async with db.transaction() as tx:
            await act(tx)

    async with asyncio.timeout(PATIENCE_S):
        async with db.transaction() as tx:
            yield tx
            task = asyncio.create_task(other())
            while not task.done() and not await db.fetchval(WAITS):
                await asyncio.sleep(0.01)
        await task


WRITES: dict[str, Write] = {
    "presence": lambda tx, user_id: statuses.note(tx, {user_id: ("offline", 5)}),
    "a choice": lambda tx, user_id: statuses.choose(tx, user_id, "dnd"),
    "a choice taken back": lambda tx, user_id: statuses.choose_online(tx, user_id),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_deleted_while_it_is_written(db: Database, write: Write) -> None:
    user_id = await new_user(db)
    async with at_the_same_time(db, lambda tx: delete_users(tx, user_id)) as tx:
        await write(tx, user_id)
    assert await mentions(db, user_id) == []


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_written_while_it_is_deleted(db: Database, write: Write) -> None:
    user_id = await new_user(db)
    async with at_the_same_time(db, lambda tx: write(tx, user_id)) as tx:
        await delete_users(tx, user_id)
    assert await mentions(db, user_id) == []
    async with db.transaction() as tx:  # and after it
        await write(tx, user_id)
    assert await mentions(db, user_id) == []


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_written_for_who_is_there(db: Database, write: Write) -> None:
    user_id = await new_user(db)
    async with db.transaction() as tx:
        await write(tx, user_id)
    assert set(await mentions(db, user_id)) == {"users", "statuses"}


async def test_presence_of_others_is_written_without_who_is_gone(db: Database) -> None:
    *there, gone = sorted([await new_user(db) for _ in range(5)])
    gone, there[1] = there[1], gone  # in the midst of the others
    nobody = new_id()
    seen = {one: ("away", number) for number, one in enumerate([nobody, gone, *there])}
    async with at_the_same_time(db, lambda tx: statuses.note(tx, seen)) as tx:
        await delete_users(tx, gone)
    rows = await db.fetch(
        "SELECT user_id, last_activity_at FROM statuses WHERE user_id = ANY($1)", list(seen)
    )
    assert {row["user_id"]: row["last_activity_at"] for row in rows} == {one: seen[one][1] for one in there}


async def new_team(db: Database) -> str:
    team_id = new_id()
    insert = """INSERT INTO teams (id, create_at, update_at, name, display_name, type, invite_id)
        VALUES ($1, 1, 1, $1, '', 'O', $1)"""
    await db.execute(insert, team_id)
    return team_id


async def new_channel(db: Database, team_id: str = "") -> str:
    channel_id = new_id()
    insert = (
        "INSERT INTO channels (id, create_at, update_at, team_id, type, name) VALUES ($1, 1, 1, $2, 'O', $1)"
    )
    await db.execute(insert, channel_id, team_id)
    return channel_id


async def new_post(db: Any, channel_id: str, user_id: str = "", root_id: str = "") -> str:
    post_id = new_id()
    insert = """INSERT INTO posts (id, create_at, update_at, user_id, channel_id, root_id, message)
        VALUES ($1, 1, 1, $2, $3, $4, 'a lighthouse')"""
    await db.execute(insert, post_id, user_id, channel_id, root_id)
    return post_id


async def react(tx: Any, post_id: str, channel_id: str, user_id: str) -> None:
    """What reacting does: hold the post, write, count."""
    assert await posts.lock(tx, post_id)
    assert await reactions.add(tx, Reaction(user_id, post_id, "wave", 5, channel_id=channel_id))
    await reactions.touch_post(tx, post_id, 5)


async def delete_in_channel(db: Database, channel_id: str, user_id: str) -> None:
    await team_deletion.delete_posts(db, [channel_id])


async def delete_of_user(db: Database, channel_id: str, user_id: str) -> None:
    await permanent.delete_posts_by(db, user_id)


@pytest.mark.parametrize("delete", [delete_in_channel, delete_of_user])
async def test_a_post_is_deleted_while_somebody_reacts(
    db: Database, delete: Callable[[Database, str, str], Awaitable[None]]
) -> None:
    user_id, channel_id = new_id(), await new_channel(db)
    post_id = await new_post(db, channel_id, user_id)
    async with at_the_same_time(db, lambda tx: delete(db, channel_id, user_id)) as tx:
        await react(tx, post_id, channel_id, await new_user(db))
    assert await mentions(db, post_id) == []


async def test_his_thread_goes_with_an_answer_that_comes_while_it_is_deleted(db: Database) -> None:
    user_id, channel_id = new_id(), await new_channel(db)
    post_id = await new_post(db, channel_id, user_id)
    async with at_the_same_time(db, lambda tx: permanent.delete_posts_by(db, user_id)) as tx:
        assert await posts.lock(tx, post_id)  # as the group commit does, by its change of the root
        await new_post(tx, channel_id, new_id(), post_id)
    assert await mentions(db, post_id) == []


async def test_others_reactions_are_not_hidden_by_the_deletion_of_his(db: Database) -> None:
    user_id, channel_id = await new_user(db), await new_channel(db)
    post_id = await new_post(db, channel_id, new_id())
    async with db.transaction() as tx:
        await react(tx, post_id, channel_id, user_id)
    async with at_the_same_time(db, lambda tx: permanent.delete_reactions_by(db, user_id)) as tx:
        await react(tx, post_id, channel_id, await new_user(db))
    assert await db.fetchval("SELECT has_reactions FROM posts WHERE id = $1", post_id)
    assert await db.fetchval("SELECT count(*) FROM reactions WHERE post_id = $1", post_id) == 1


@pytest.mark.parametrize("delete", [delete_in_channel, delete_of_user])
async def test_a_post_is_deleted_while_it_is_indexed(
    db: Database, delete: Callable[[Database, str, str], Awaitable[None]]
) -> None:
    user_id, channel_id = new_id(), await new_channel(db)
    post_id = await new_post(db, channel_id, user_id)
    async with at_the_same_time(db, lambda tx: delete(db, channel_id, user_id)) as tx:
        assert await search.lead(tx)
        await search.index_after(tx, "english", "", 1000)
        assert "post_search" in await mentions(tx, post_id)
    assert await mentions(db, post_id) == []


async def test_the_indexer_clears_what_a_deletion_left(db: Database) -> None:
    channel_id, gone, left = await new_channel(db), new_id(), new_id()
    there = await new_post(db, channel_id)
    await db.execute("INSERT INTO search_state (language, newest, checked) VALUES ('english', '', '')")
    await db.execute(
        "INSERT INTO file_search (file_id, channel_id, create_at, words) VALUES ($1, '', 1, '')", left
    )
    words = (
        "INSERT INTO post_search (post_id, channel_id, user_id, create_at, words) VALUES ($1, '', '', 1, '')"
    )
    await db.execute(words, gone)
    services: Any = SimpleNamespace(
        db=db, settings=SimpleNamespace(search=SimpleNamespace(language="english"))
    )
    while await index_some(services):
        pass
    assert await mentions(db, gone) == await mentions(db, left) == []
    assert await mentions(db, there) == ["post_search", "posts"]


async def test_who_is_added_to_a_channel_while_he_is_deleted(db: Database) -> None:
    user_id, channel_id = await new_user(db), await new_channel(db)
    async with at_the_same_time(db, lambda tx: delete_users(tx, user_id)) as tx:
        assert await members.join(tx, channel_id, [user_id], at=5, notify_props={}) == [user_id]
    assert await mentions(db, user_id) == []


async def test_a_channel_of_a_team_that_is_being_deleted(db: Database) -> None:
    team_id, channel_id, user_id = await new_team(db), new_id(), await new_user(db)
    async with at_the_same_time(db, lambda tx: team_deletion.delete_rows(db, team_id, [])) as tx:
        await tx.execute("UPDATE teams SET event_n = event_n + 1 WHERE id = $1", team_id)  # announced
        await tx.execute(
            "INSERT INTO channels (id, create_at, update_at, team_id, type, name) VALUES ($1, 1, 1, $2, 'O', $1)",
            channel_id, team_id,
        )  # fmt: skip
        await members.join(tx, channel_id, [user_id], at=5, notify_props={})
        await new_post(tx, channel_id)
    assert await mentions(db, team_id) == await mentions(db, channel_id) == []


@pytest.mark.parametrize("is_empty", [False, True])
async def test_a_channel_that_just_leaves_a_team_does_not_go_with_it(db: Database, is_empty: bool) -> None:
    team_id, elsewhere, user_id = await new_team(db), await new_team(db), await new_user(db)
    stays, channel_id = await new_channel(db, team_id), await new_channel(db, team_id)
    async with db.transaction() as tx:
        for one in [stays] if is_empty else [stays, channel_id]:
            await members.join(tx, one, [user_id], at=5, notify_props={})
    ended: list[object] = []

    async def end(other: Any) -> None:
        ended.extend(await team_deletion.end_memberships(other, team_id, at=5))

    async with at_the_same_time(db, end) as tx:  # as a move does
        assert len(await members.lock_all(tx, channel_id)) == (not is_empty)
        await tx.execute("UPDATE channels SET team_id = $2 WHERE id = $1", channel_id, elsewhere)
    assert ended == [[stays], [(stays, user_id)], []]
    left = await db.fetch("SELECT channel_id FROM channel_members WHERE user_id = $1", user_id)
    assert [row["channel_id"] for row in left] == [channel_id] * (not is_empty)
    assert await db.fetchval("SELECT delete_at FROM channels WHERE id = $1", channel_id) == 0


async def put_draft(db: Database, tx: Any) -> tuple[str, Delete]:
    channel_id = await new_channel(db)
    assert await drafts.put(
        tx,
        Draft(new_id(), channel_id, message="x", file_ids=[], priority={}),
        now_ms=5,
        most=5,
        most_bytes=100,
    )
    return channel_id, lambda tx: permanent.delete_channels(db, [channel_id])


async def upload(db: Database, tx: Any, team_id: str = "") -> tuple[str, Delete]:
    channel_id = await new_channel(db, team_id)
    assert await hold(tx, channels=[channel_id])
    insert = """INSERT INTO files
        (id, user_id, channel_id, create_at, update_at, name, extension, size, mime_type, sha256, key)
        VALUES ($1, '', $2, 1, 1, '', '', 1, '', '', $1)"""
    await tx.execute(insert, new_id(), channel_id)

    async def delete(other: Any) -> None:
        await team_deletion.delete_posts(db, [channel_id])
        await permanent.delete_channels(db, [channel_id])

    return channel_id, delete


async def upload_in_team(db: Database, tx: Any) -> tuple[str, Delete]:
    team_id = await new_team(db)
    channel_id, _ = await upload(db, tx, team_id)
    return channel_id, lambda tx: team_deletion.delete_rows(db, team_id, [channel_id])


async def put_reminder(db: Database, tx: Any) -> tuple[str, Delete]:
    post_id = await new_post(db, channel_id := await new_channel(db))
    assert await post_extras.put_reminder(tx, Reminder(await new_user(db), post_id, 5), most=5)
    return post_id, lambda tx: team_deletion.delete_posts(db, [channel_id])


async def remind_him(db: Database, tx: Any) -> tuple[str, Delete]:
    user_id, post_id = await new_user(db), await new_post(db, await new_channel(db))
    assert await post_extras.put_reminder(tx, Reminder(user_id, post_id, 5), most=5)
    return user_id, lambda tx: delete_users(tx, user_id)


async def follow(db: Database, tx: Any) -> tuple[str, Delete]:
    post_id = await new_post(db, channel_id := await new_channel(db))
    assert await threads.set_following(tx, post_id, new_id(), channel_id, following=True, at=5)
    return post_id, lambda tx: team_deletion.delete_posts(db, [channel_id])


async def arrange(db: Database, tx: Any) -> tuple[str, Delete]:
    team_id = await new_team(db)
    assert await hold(tx, teams=[team_id])
    insert = """INSERT INTO sidebar_categories (id, user_id, team_id, sort_order, type, display_name)
        VALUES ($1, '', $1, 1, '', '')"""
    await tx.execute(insert, team_id)
    return team_id, lambda tx: team_deletion.delete_rows(db, team_id, [])


async def react_before_the_end(db: Database, tx: Any) -> tuple[str, Delete]:
    user_id, channel_id = await new_user(db), await new_channel(db)
    await react(tx, await new_post(db, channel_id, new_id()), channel_id, user_id)

    async def delete(other: Any) -> None:
        async with db.transaction() as first:
            await permanent.lock_accounts(first, [user_id])
            await first.execute("UPDATE users SET delete_at = 1 WHERE id = $1", user_id)
        await permanent.delete_reactions_by(db, user_id)
        await delete_users(other, user_id)

    return user_id, delete


async def acknowledge(db: Database, tx: Any) -> tuple[str, Delete]:
    user_id, channel_id = await new_user(db), await new_channel(db)
    post_id = await new_post(db, channel_id)
    assert await acknowledgements.add(tx, PostAcknowledgement(user_id, post_id, 5, channel_id))
    return user_id, lambda tx: delete_users(tx, user_id)


@pytest.mark.parametrize(
    "write",
    [
        put_draft,
        upload,
        upload_in_team,
        put_reminder,
        remind_him,
        follow,
        arrange,
        react_before_the_end,
        acknowledge,
    ],
)
async def test_who_holds_what_he_writes_for_is_waited_for(
    db: Database, write: Callable[[Database, Any], Awaitable[tuple[str, Delete]]]
) -> None:
    made: list[Delete] = []
    async with at_the_same_time(db, lambda tx: made[0](tx)) as tx:
        parent_id, delete = await write(db, tx)
        made.append(delete)
    assert await mentions(db, parent_id) == []


async def test_who_is_not_active_reacts_to_nothing(db: Database) -> None:
    user_id, channel_id = await new_user(db), await new_channel(db)
    await db.execute("UPDATE users SET delete_at = 1 WHERE id = $1", user_id)
    reaction = Reaction(user_id, await new_post(db, channel_id), "wave", 5, channel_id=channel_id)
    async with db.transaction() as tx:
        assert not await reactions.add(tx, reaction)
    assert reaction.create_at == 0
    assert await mentions(db, user_id) == ["users"]


async def test_what_is_held(db: Database) -> None:
    user_id, team_id, channel_id = await new_user(db), await new_team(db), await new_channel(db)
    there = {
        "users": user_id,
        "teams": team_id,
        "channels": channel_id,
        "posts": await new_post(db, channel_id),
    }
    async with db.transaction() as tx:
        assert await hold(tx)
        assert await hold(tx, **{kind: [one] for kind, one in there.items()})
        for kind, one in there.items():
            assert await hold(tx, **{kind: [one]})
            assert not await hold(tx, **{kind: [one, new_id()]})
    for kind, one in there.items():
        delete = f"DELETE FROM {kind} WHERE id = $1"
        async with at_the_same_time(db, lambda tx, query=delete, one=one: tx.execute(query, one)) as tx:
            await hold(tx, **{kind: [one]})
            # What is announced meanwhile is numbered: it does not wait.
            await db.execute(
                f"UPDATE {kind} SET {'update_at' if kind == 'posts' else 'event_n'} = 7 WHERE id = $1", one
            )


async def test_nothing_is_announced_to_what_is_gone(db: Database) -> None:
    user_id = await new_user(db)

    async def announce(tx: Any) -> None:
        tx.announce("u:" + user_id, b"hello")

    with pytest.raises(AppError) as raised:
        async with at_the_same_time(db, announce) as tx:
            await delete_users(tx, user_id)
    assert raised.value.status == 404


async def mentions(db: Any, parent_id: str) -> list[str]:
    """Return the tables with rows that name the parent, but the indexer's own state."""
    tables = await db.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'search_state' ORDER BY 1"
    )
    return [
        name
        for (name,) in tables
        if await db.fetchval(f"SELECT count(*) FROM {name} x WHERE position($1 in x::text) > 0", parent_id)
    ]
