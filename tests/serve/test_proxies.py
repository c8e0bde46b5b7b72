"""What Caddy, HAProxy and nginx with the files of deploy/ make of bytes that two servers may cut apart differently.

Security case G5. A relay between balancer and servers keeps every byte of what is passed on.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.fixtures.api import PASSWORD, Client
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.gateway.world import Client as Socket
from tests.serve import smuggling
from tests.serve.balancers import BACKENDS, start
from tests.serve.cluster import Cluster, until_served
from tests.serve.tap import Request, Tap
from tests.serve.wander import PATIENCE_S
from tidewire.embedded.binaries import caddy_programs
from tidewire.wire.ids import new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Backends:
    """An API and a gateway, each behind a relay. user: somebody at the API itself, with a channel."""

    api: Tap
    gateway: Tap
    user: Client
    channel_id: str

    def post(self, text: str) -> bytes:
        """Return the user's post as a request."""
        body = json.dumps({"channel_id": self.channel_id, "message": text}).encode()
        lines = ["POST /api/v4/posts HTTP/1.1", "Host: x", f"Authorization: {self.user.http.headers['Authorization']}"]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body

    async def texts(self) -> list[str]:
        """Return the texts of the channel's posts by people."""
        posts = (await self.user.get(f"/channels/{self.channel_id}/posts"))["posts"].values()
        return [post["message"] for post in posts if not post["type"]]


@dataclass
class Front:
    """A balancer before them."""

    port: int
    backends: Backends

    async def answers(self, data: bytes) -> list[int]:
        """Send this, wait until the connection is closed; return the statuses. The next client is answered as ever."""
        self.backends.api.forget()
        self.backends.gateway.forget()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(PATIENCE_S):
                answer = await reader.read()
        finally:
            writer.close()
        async with httpx.AsyncClient(headers=self.backends.user.http.headers, timeout=30) as http:
            me = await http.get(f"http://127.0.0.1:{self.port}/api/v4/users/me")
        assert me.json()["id"] == self.backends.user.id
        return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]

    @property
    def passed_on(self) -> list[Request]:
        """What the API was sent for the last bytes: nothing ambiguous, each with the balancer's word whose it is."""
        found = self.backends.api.requests("x")
        assert all(one.headers["x-real-ip"] == "127.0.0.1" for one in found)
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def backends(postgres: Postgres, redis: Redis) -> AsyncIterator[Backends]:
    redis.flush()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(cloned(postgres))
        cluster = Cluster({"TIDEWIRE_DATABASE_URL": url, "TIDEWIRE_REDIS_URL": redis.url})
        stack.push_async_callback(cluster.end_all)
        await asyncio.gather(cluster.start("api1"), cluster.start("gateway1"))
        api = await stack.enter_async_context(Tap(cluster.ports["api1"]))
        gateway = await stack.enter_async_context(Tap(cluster.ports["gateway1"]))
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{cluster.ports['api1']}", timeout=30)
        user = Client(await stack.enter_async_context(http))
        await user.post("/users", {"username": "ann", "email": "ann@example.org", "password": PASSWORD})
        await user.log_in("ann")
        team = await user.new_team("seagulls")
        channel = await user.new_channel(team["id"], "harbour")
        yield Backends(api, gateway, user, channel["id"])


# Go's server, and so Caddy, takes several of the forms for what they say, and goes on behind them (docs/hardening.md).
strict = pytest.mark.parametrize("front", ["haproxy", "nginx"], indirect=True, scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["caddy", "haproxy", "nginx"])
async def front(request: pytest.FixtureRequest, backends: Backends) -> AsyncIterator[Front]:
    ports = {name: (backends.api if name.startswith("api") else backends.gateway).port for name in BACKENDS}
    ports["web"] = free_port()
    if request.param == "caddy":
        program = str((await caddy_programs())[0].path)  # as `tidewire serve` would
    else:
        program = request.getfixturevalue(request.param)
    balancer = start(request.param, program, ports)
    await until_served(f"http://127.0.0.1:{ports['web']}")
    yield Front(ports["web"], backends)
    balancer.kill()


NAMES = {
    kind: list(getattr(smuggling, kind)(b"x" * 99)) for kind in ("refused", "whole", "upgrades", "plain_upgrades")
}


async def test_requests_of_their_own_are_seen(front: Front, backends: Backends) -> None:
    """What the other tests look for would be found."""
    first = b"GET /api/v4/system/ping HTTP/1.1\r\nHost: x\r\n\r\n"
    assert await front.answers(first + backends.post("seen") + smuggling.LAST_REQUEST) == [200, 201, 200]
    assert sorted(one.path for one in front.passed_on) == ["/api/v4/posts", "/api/v4/system/ping", smuggling.LAST]
    assert "seen" in await backends.texts()


@strict
@pytest.mark.parametrize("name", NAMES["refused"])
async def test_ambiguous_requests_are_refused(front: Front, backends: Backends, name: str) -> None:
    (status,) = await front.answers(smuggling.refused(backends.post(hidden := new_id()))[name])
    # 422, 501: a transfer coding that the balancer does not know (RFC 9112 6.1).
    assert status in (400, 422, 501)
    assert [one.path for one in front.passed_on] in ([], [smuggling.FIRST])
    assert hidden not in await backends.texts()


@strict
@pytest.mark.parametrize("name", NAMES["whole"])
async def test_other_oddities_are_passed_on_as_one_or_refused(front: Front, backends: Backends, name: str) -> None:
    request = backends.post(hidden := new_id())
    statuses = await front.answers(smuggling.whole(request)[name])
    passed_on = sorted((one.path, one.body) for one in front.passed_on)
    assert (statuses, passed_on) in (
        ([400], []),
        ([400, 200], [(smuggling.LAST, b""), (smuggling.FIRST, request)]),
    )
    assert hidden not in await backends.texts()


@pytest.mark.parametrize("front", ["caddy"], indirect=True, scope="module")
@pytest.mark.parametrize("name", NAMES["refused"] + NAMES["whole"])
async def test_caddy_passes_on_what_it_answers(front: Front, backends: Backends, name: str) -> None:
    request = backends.post(hidden := new_id())
    statuses = await front.answers((smuggling.refused(request) | smuggling.whole(request))[name])
    if statuses == [502]:  # what was passed on broke off in a body
        assert hidden not in await backends.texts()
    elif len(statuses) == 1:
        assert statuses[0] in (400, 501) and front.passed_on == []
    else:
        assert len(front.passed_on) == len(statuses)


@pytest.mark.parametrize("name", NAMES["upgrades"])
async def test_nothing_behind_an_upgrade_is_a_request(front: Front, backends: Backends, name: str) -> None:
    (status,) = await front.answers(smuggling.upgrades(backends.post(hidden := new_id()))[name])
    assert status in (101, 400, 426)
    (asked,) = backends.gateway.requests("x")
    assert asked.path == "/api/v4/websocket"
    assert front.passed_on == []
    assert hidden not in await backends.texts()


@pytest.mark.parametrize("name", NAMES["plain_upgrades"])
async def test_an_api_hears_of_no_upgrade(front: Front, backends: Backends, name: str) -> None:
    """The request behind is one for the balancer too, which cut it off and wrote whose it is."""
    assert await front.answers(smuggling.plain_upgrades(backends.post("own"))[name]) == [200, 201, 200]
    assert len(front.passed_on) == 3
    assert not any("upgrade" in one.headers or one.headers.get("connection") == "upgrade" for one in front.passed_on)


async def test_a_refusal_comes_as_the_gateway_gave_it(front: Front, backends: Backends) -> None:
    ports = (front.port, backends.gateway.port)
    async with httpx.AsyncClient(timeout=30) as http:
        found, given = [await http.get(f"http://127.0.0.1:{port}/api/v4/websocket") for port in ports]
    assert found.status_code == given.status_code == 400
    assert found.json() | {"request_id": ""} == given.json() | {"request_id": ""}
    assert found.headers["content-type"] == given.headers["content-type"]
    assert found.headers.get_list("content-length") == [str(len(found.content))]


async def test_sockets(front: Front, backends: Backends) -> None:
    url = f"ws://127.0.0.1:{front.port}/api/v4/websocket"
    headers = {"Authorization": backends.user.http.headers["Authorization"]}
    async with connect(url, additional_headers=headers, compression=None) as connection:
        socket = Socket(connection)
        await socket.event("hello")
        await front.answers(backends.post("for the socket") + smuggling.LAST_REQUEST)
        (post,) = await socket.posts(1)
        assert json.loads(post)["message"] == "for the socket"
