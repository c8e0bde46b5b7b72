"""Several API workers, also without Redis or PostgreSQL: what one changes the others know; nothing fails open."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest_asyncio

from tests.fixtures.api import PASSWORD, Api, Client, new_settings
from tests.fixtures.postgres import TEMPLATE, Postgres
from tests.fixtures.redis import Redis


async def becomes(status: int, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask until the status comes; other workers hear of a change a moment later."""
    async with asyncio.timeout(30):
        while (answer := await ask()).status_code != status:
            await asyncio.sleep(0.01)
    return answer


def elsewhere(api: Api, client: Client) -> Client:
    """Return the same login at another worker."""
    twin = api.anonymous(Authorization=client.http.headers["Authorization"])
    twin.me = client.me
    return twin


@pytest_asyncio.fixture
async def two(database_url: str, own_redis: Redis) -> AsyncIterator[tuple[Api, Api]]:
    """Two workers of one installation."""
    workers = [Api(new_settings(database_url, own_redis.url)) for _ in range(2)]
    for worker in workers:
        await worker.start()
    yield workers[0], workers[1]
    for worker in workers:
        await worker.stop()


async def warm(*requests: Awaitable[Any]) -> None:
    """Make requests that fill the caches."""
    for request in requests:
        await request


async def test_what_one_worker_changes_the_other_knows(two: tuple[Api, Api]) -> None:
    one, other = two
    owner, member = await one.user("owner"), await one.user("member")
    team = await owner.new_team("terns")
    await owner.add_to_team(team["id"], member)
    channel = await owner.new_channel(team["id"], "pier", "P", member)
    twin = elsewhere(other, member)
    path = f"/channels/{channel['id']}"
    await warm(twin.get(path), twin.get(f"/users/{owner.id}"))

    await owner.put("/users/me/patch", {"nickname": "Boss"})
    async with asyncio.timeout(30):
        while (await twin.get(f"/users/{owner.id}"))["nickname"] != "Boss":
            await asyncio.sleep(0.01)
    await owner.delete(f"{path}/members/{member.id}")
    await becomes(403, lambda: twin.request("GET", path))
    # In again: at once everywhere, since nobody remembers a "no".
    await owner.post(f"{path}/members", {"user_id": member.id})
    await twin.get(path, expect=200)
    await owner.delete(path)
    await becomes(
        400, lambda: twin.request("POST", "/posts", json={"channel_id": channel["id"], "message": "x"})
    )
    await owner.delete(f"/teams/{team['id']}/members/{member.id}")
    await becomes(403, lambda: twin.request("GET", f"/teams/{team['id']}/members"))
    await member.post("/users/me/sessions/revoke/all")
    await becomes(401, lambda: twin.request("GET", "/users/me"))


async def test_without_redis_everything_is_checked_in_the_database(
    two: tuple[Api, Api], own_redis: Redis
) -> None:
    one, other = two
    owner, member = await one.user("owner"), await one.user("member")
    team = await owner.new_team("terns")
    twin = elsewhere(other, member)
    await twin.get("/users/me")
    await asyncio.to_thread(own_redis.kill)
    await becomes(200, lambda: twin.request("GET", "/users/me"))
    fresh = await other.anonymous().log_in("member")
    await owner.add_to_team(team["id"], member)
    channel = await fresh.new_channel(team["id"], "pier")
    await fresh.post("/posts", {"channel_id": channel["id"], "message": "still here"}, expect=201)
    # Other workers keep rows for at most 2.5 s after they last heard of changes; then each asks.
    await member.post("/users/me/sessions/revoke/all")
    await becomes(401, lambda: twin.request("GET", "/users/me"))
    await other.anonymous().post("/users/login", {"login_id": "member", "password": "x"}, expect=401)
    await asyncio.to_thread(own_redis.start)
    again = await other.anonymous().log_in("member")
    await again.get(f"/channels/{channel['id']}")


async def test_without_the_database_nobody_gets_in_and_it_heals(
    own_postgres: Postgres, redis_url: str
) -> None:
    server = Api(new_settings(own_postgres.url(TEMPLATE), redis_url))
    await server.start()
    try:
        member = await server.user("member")
        await asyncio.to_thread(own_postgres.stop)
        login = {"login_id": "member", "password": PASSWORD}
        for path, body in (
            ("/users/login", login),
            ("/teams", {"name": "terns", "display_name": "T", "type": "O"}),
        ):
            answer = await member.request("POST", path, json=body)
            assert answer.status_code == 503, (path, answer.text)
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.json()["id"] == "api.context.server_busy.app_error"
        forged = server.anonymous(Authorization="Bearer " + "x" * 26)
        assert (await forged.request("GET", "/users/me")).status_code == 503
        ping = await server.anonymous().request("GET", "/system/ping?get_server_status=true")
        assert (ping.status_code, ping.json()["database_status"]) == (500, "UNHEALTHY")
        rest = await server.anonymous().request(
            "GET", "/system/ping?get_server_status=true&use_rest_semantics=true"
        )
        assert (rest.status_code, rest.json()["status"]) == (200, "UNHEALTHY")
        await asyncio.to_thread(own_postgres.start)
        await becomes(200, lambda: server.anonymous().request("POST", "/users/login", json=login))
        await member.new_team("terns")
    finally:
        await server.stop()


async def test_too_many_logins_at_once_are_told_to_come_again(database_url: str, redis_url: str) -> None:
    server = Api(new_settings(database_url, redis_url, limits={"logins_per_minute": 0}))
    await server.start()
    try:
        member = await server.user("member")
        caller = server.anonymous()
        bodies = [{"login_id": f"ghost{number}", "password": "x"} for number in range(150)]
        answers = await asyncio.gather(
            *(caller.request("POST", "/users/login", json=body) for body in bodies)
        )
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {401, 503}
        assert statuses.count(401) >= 64
        assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
        await member.get("/users/me")
        await server.anonymous().log_in("member")
    finally:
        await server.stop()
