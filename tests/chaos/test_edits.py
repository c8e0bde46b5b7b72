"""Two workers edit one post at the same time while processes die: every client's last state is the row."""

import asyncio
import random
from pathlib import Path

import aiohttp
import asyncpg

from tests.chaos import parts
from tests.chaos.crowd import Crowd, Member, open_site
from tests.fixtures.postgres import TEMPLATE, Postgres
from tests.fixtures.redis import Redis
from tests.fixtures.servers import Server

CLIENTS = 20
KILLS = 8  # per 500 edits
HEAL_S = 120  # only so that a failure ends


async def edit(member: Member, api: parts.Part, post_id: str, message: str) -> None:
    """Edit until it is acknowledged."""
    url = f"{api.url}/api/v4/posts/{post_id}/patch"
    headers = {"Authorization": f"Bearer {member.token}"}
    while True:
        try:
            async with member.site.http.put(url, json={"message": message}, headers=headers) as answer:
                await answer.read()
                if answer.status == 200:
                    return
                assert answer.status >= 500, f"edit answered {answer.status}"
        except (aiohttp.ClientError, TimeoutError):
            member.site.counts["edits without answer"] += 1
        await asyncio.sleep(random.uniform(0.02, 0.2))


async def kill_and_start(victim: Server) -> None:
    await asyncio.to_thread(victim.kill)
    await asyncio.to_thread(victim.start)


async def row_of(postgres: Postgres, post_id: str) -> tuple[str, int, int]:
    """Return message, update_at and edit_at as stored."""
    connection = await asyncpg.connect(postgres.url(TEMPLATE))
    row = await connection.fetchrow("SELECT message, update_at, edit_at FROM posts WHERE id = $1", post_id)
    await connection.close()
    assert row is not None
    return row[0], row[1], row[2]


async def test_two_workers_edit_one_post(
    own_postgres: Postgres, own_redis: Redis, tmp_path: Path, rounds: int
) -> None:
    edits = 500 if rounds == 1 else 5000
    lines = await asyncio.to_thread(parts.seed, own_postgres, tmp_path / "tokens", users=CLIENTS)
    apis = [parts.api(own_postgres, own_redis) for _ in range(2)]
    gateways = [parts.gateway(own_postgres, own_redis) for _ in range(2)]
    started = [*apis, *gateways]
    victims: list[Server] = [*started, own_redis, own_postgres]
    try:
        await asyncio.gather(*[asyncio.to_thread(part.start) for part in started])
        async with (
            open_site(apis[0].url, gateways[0].url) as site,
            open_site(apis[1].url, gateways[1].url) as other,
            Crowd.of_tokens(site, lines[: CLIENTS // 2]) as crowd,
            Crowd.of_tokens(other, lines[CLIENTS // 2 :]) as others,
        ):
            await crowd.arrive()
            await others.arrive()
            everybody = [*crowd.members, *others.members]
            author = everybody[0]
            await author.post("edit 0")
            post_id = author.acknowledged["edit 0"]
            kills = sorted(random.sample(range(2, edits - 1), KILLS * edits // 500))
            healing: list[asyncio.Task[None]] = []
            for number in range(1, edits, 2):
                while kills and kills[0] <= number:
                    kills.pop(0)
                    await asyncio.gather(*healing)
                    healing = [asyncio.create_task(kill_and_start(random.choice(victims)))]
                await asyncio.gather(
                    edit(author, apis[0], post_id, f"edit {number}"),
                    edit(author, apis[1], post_id, f"edit {number + 1}"),
                )
            await asyncio.gather(*healing)
            truth = await row_of(own_postgres, post_id)
            await _wait_until(everybody, post_id, truth)
            assert [state_of(member, post_id) for member in everybody] == [truth] * CLIENTS
            assert [fault for member in everybody for fault in member.faults] == []
    finally:
        for part in started:
            await asyncio.to_thread(part.kill)  # a gateway that stops waits for those who might go on elsewhere


def state_of(member: Member, post_id: str) -> tuple[str, int, int] | None:
    post = member.posts.get(post_id)
    return (post.message, post.update_at, post.edit_at) if post else None


async def _wait_until(members: list[Member], post_id: str, truth: tuple[str, int, int]) -> None:
    try:
        async with asyncio.timeout(HEAL_S):
            for member in members:
                while state_of(member, post_id) != truth or not member.synced.is_set():
                    member.heard.clear()
                    await member.heard.wait()
    except TimeoutError:
        return  # the caller's comparison says who differs
