"""Pushes from the queue to a strict stand-in of Apple's."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from h2.errors import ErrorCodes

from push.dead import count_dead, list_dead, replay
from push.providers.apns import GUARD_LEAST, JWT_YOUNG_S
from push.providers.contract import Provider
from push.start import providers_of
from tests.fixtures.apns_peer import KEY_ID, TEAM_ID, TOPIC, ApnsPeer, error
from tests.fixtures.authority import authority
from tests.fixtures.http2_peer import GoAway, HangUp, Reply, Reset, Silence, running
from tests.integration.push.world import (
    apple_target,
    push_for,
    sending,
    settings_for,
    until,
    until_empty,
    write_config,
)
from tidewire.bus.push_queue import GROUP, PushQueue, RemovedReader, ensure_group, stream_of
from tidewire.bus.redis_client import RedisClient
from tidewire.settings import Settings


@pytest.fixture
async def apple(tmp_path: Path) -> AsyncIterator[ApnsPeer]:
    async with running(ApnsPeer(authority().issue(tmp_path))) as peer:
        yield peer
    assert peer.violations == []


@pytest.fixture
def settings(apple: ApnsPeer, redis_url: str, tmp_path: Path) -> Settings:
    config = write_config(tmp_path, apple=[apple_target(tmp_path)])
    return settings_for(
        redis_url, mattermost_config=str(config), apns_url=apple.url, ca_file=str(tmp_path / "ca.pem")
    )


async def depth(redis_url: str) -> int:
    queue = PushQueue(redis_url)
    found = await queue.depth("apple_rn")
    await queue.close()
    return found


async def test_pushes_reach_apple_once_and_the_queue_ends_empty(
    apple: ApnsPeer, settings: Settings, redis_url: str
) -> None:
    jobs = [push_for(f"{n:064x}") for n in range(300)]
    async with sending(settings) as sender:
        await sender.add(jobs)
        await until(lambda: len(apple.received) >= len(jobs))
    assert {one.apns_id for one in apple.received} == {job.apns_id for job in jobs}
    assert len(apple.received) == len(jobs)
    assert await depth(redis_url) == 0
    assert apple.connections <= 2 and len(apple.tokens) == 1
    one = apple.received[0]
    assert one.body["aps"]["alert"] == {"title": "Town Square", "body": "hello"}
    assert one.headers["apns-collapse-id"].startswith("ack-")


@pytest.mark.parametrize(
    "answer", [GoAway(keep=3), GoAway(), HangUp(), Reset(), Reset(ErrorCodes.REFUSED_STREAM)]
)
async def test_what_a_connection_loses_is_sent_again_with_the_same_id(
    apple: ApnsPeer, settings: Settings, redis_url: str, answer: GoAway | HangUp | Reset
) -> None:
    jobs = [push_for(f"{n:064x}") for n in range(60)]
    apple.script.say(jobs[20].device, answer)
    async with sending(settings) as sender:
        await sender.add(jobs)
        await until(lambda: {one.apns_id for one in apple.received} == {job.apns_id for job in jobs})
        await until_empty(redis_url)
    # What was answered before is not sent again.
    assert len(apple.received) <= len(jobs) + (0 if isinstance(answer, Reset) else 59)
    devices = {job.apns_id: job.device for job in jobs}
    assert all(devices[one.apns_id] == one.device for one in apple.received)


async def test_a_dead_peer_costs_a_deadline_and_a_slow_one_nothing(
    apple: ApnsPeer, settings: Settings, redis_url: str
) -> None:
    dead, slow = push_for("d" * 64), push_for("e" * 64)
    apple.script.say(dead.device, Silence())
    apple.script.say(slow.device, Reply(delay_s=0.5))
    async with sending(settings) as sender:
        await sender.add([dead, slow])
        await until(lambda: {one.device for one in apple.received} == {dead.device, slow.device})
        await until_empty(redis_url)
    assert len(apple.received) == 2


async def test_fewer_streams_are_heeded_at_once(apple: ApnsPeer, settings: Settings, redis_url: str) -> None:
    async with sending(settings) as sender:
        await sender.add([push_for(f"{n:064x}") for n in range(10)])
        await until_empty(redis_url)
        acknowledged = apple.acknowledged
        apple.set_streams(1)
        await until(lambda: apple.acknowledged == acknowledged + len(apple.open))
        apple.most_streams = 0
        await sender.add([push_for(f"{n:064x}") for n in range(10, 40)])
        await until_empty(redis_url)
        assert apple.most_streams == 1
        apple.set_streams(1000)
        await sender.add([push_for(f"{n:064x}") for n in range(40, 60)])
        await until_empty(redis_url)
    assert len(apple.received) == 60


async def test_a_peer_that_asks_for_time_gets_it(apple: ApnsPeer, settings: Settings, redis_url: str) -> None:
    job, other = push_for("a" * 64), push_for("b" * 64)
    apple.script.say(job.device, error(503, "ServiceUnavailable", retry_after=2))
    started = asyncio.get_running_loop().time()
    async with sending(settings) as sender:
        await sender.add([job, other])
        await until(lambda: len(apple.received) == 2)
        await until_empty(redis_url)
    assert asyncio.get_running_loop().time() - started >= 2
    assert [one.apns_id for one in apple.received] == [other.apns_id, job.apns_id]


async def test_a_device_that_is_gone_is_told(apple: ApnsPeer, settings: Settings, redis_url: str) -> None:
    job = push_for("c" * 64)
    apple.script.say(job.device, error(410, "Unregistered", timestamp=1_700_000_000_000))
    bad = push_for("../../secret")
    async with sending(settings) as sender:
        await sender.add([job, bad])
        await until_empty(redis_url)
    reader = RemovedReader(redis_url, consumer="c")
    removed = {one.device: one for _, one in await reader.read()}
    await reader.close()
    assert removed[job.device].reason == "Unregistered" and removed[job.device].at == 1_700_000_000_000
    assert removed[job.device].platform == "apple_rn-v2" and removed[job.device].server_id == "server"
    assert removed[bad.device].reason == "BadDeviceToken"
    assert apple.received == [] and apple.requests == 1


async def test_what_only_an_operator_can_mend_is_a_dead_letter_until_replayed(
    apple: ApnsPeer, settings: Settings, redis_url: str
) -> None:
    job, test = push_for("d" * 64), push_for("d" * 64, "test")
    apple.script.always[job.device] = error(400, "TopicDisallowed")
    client = RedisClient(redis_url)
    async with sending(settings) as sender:
        await sender.add([job, test])
        await until_empty(redis_url)
        letters = await list_dead(client)
        assert [(letter.reason, letter.push, letter.attempts) for letter in letters] == [
            ("TopicDisallowed", job.apns_id, 1)
        ]
        assert job.device not in str(letters) and job.device[:16] in str(letters)
        apple.script.always.clear()
        assert await replay(client, [letters[0].id, "1-1"]) == (1, ["1-1"])
        await until(lambda: len(apple.received) == 1)
        await until_empty(redis_url)
    assert apple.received[0].apns_id == job.apns_id
    assert await count_dead(client) == 0
    await client.close()


async def test_a_token_that_is_refused_is_renewed_and_one_that_is_wrong_rests_the_target(
    apple: ApnsPeer, settings: Settings, redis_url: str
) -> None:
    providers, _ = providers_of(settings.push)
    signer = providers["apple_rn"]._signer  # type: ignore[attr-defined]
    async with sending(settings, providers) as sender:
        await sender.add([push_for("1" * 64)])
        await until_empty(redis_url)
        # As after a night in a suspended machine whose clock says that the token is younger.
        claims = {"iss": TEAM_ID, "iat": int(time.time()) - 3700}
        signer._token = jwt.encode(claims, signer._key, "ES256", {"kid": KEY_ID})
        signer._made = time.time() - JWT_YOUNG_S - 1
        await sender.add([push_for("2" * 64)])
        await until(lambda: len(apple.received) == 2)
        assert apple.violations == ["ExpiredProviderToken"] and len(apple.tokens) == 3
        apple.violations.clear()
        apple.public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
        await sender.add([push_for(f"{n:064x}") for n in range(3, 40)])
        await until(lambda: not sender.stations["apple_rn"].breaker.closed)
        await until(lambda: sender.stations["apple_rn"]._under_way == {})
        assert set(apple.violations) == {"InvalidProviderToken"}
        assert not sender.ready
    apple.violations.clear()
    # Nothing is lost or removed: they wait for the operator.
    assert await depth(redis_url) == 37
    reader = RemovedReader(redis_url, consumer="c")
    assert await reader.read() == []
    await reader.close()


async def test_when_nearly_every_device_is_refused_none_is_removed(
    apple: ApnsPeer, settings: Settings, redis_url: str
) -> None:
    apple.script.everywhere = error(400, "BadDeviceToken")
    async with sending(settings) as sender:
        await sender.add([push_for(f"{n:064x}") for n in range(60)])
        await until_empty(redis_url)
    reader = RemovedReader(redis_url, consumer="c")
    assert len(await reader.read()) < GUARD_LEAST
    await reader.close()
    client = RedisClient(redis_url)
    assert await count_dead(client) > 60 - GUARD_LEAST
    await client.close()


async def test_the_newest_badge_wins(apple: ApnsPeer, settings: Settings, redis_url: str) -> None:
    updates = [push_for(kind="update_badge", badge=n, message="") for n in range(1, 6)]
    clear = push_for(kind="clear", badge=9, message="")
    message = push_for(badge=7)
    queue = PushQueue(redis_url)
    await queue.add([*updates[:2], clear, *updates[2:], message])
    await queue.close()
    async with sending(settings):
        await until_empty(redis_url)
    # The message goes first and has the newest badge; the clear goes without a number, the updates not at all.
    assert [(one.body["type"], one.body["aps"].get("badge")) for one in apple.received] == [
        ("message", 7),
        ("clear", None),
    ]


async def test_messages_go_before_silent_pushes(apple: ApnsPeer, settings: Settings, redis_url: str) -> None:
    queue = PushQueue(redis_url)
    await queue.add([push_for(f"{n:064x}", "clear") for n in range(400)])
    await queue.add([push_for(f"{n:064x}") for n in range(400, 500)])
    await queue.close()
    async with sending(settings):
        await until_empty(redis_url)
    kinds = [one.body["type"] for one in apple.received]
    assert len(kinds) == 500
    assert kinds[:200].count("message") == 100


async def test_what_a_dead_worker_had_is_taken_over_but_for_what_kills(
    apple: ApnsPeer, settings: Settings, redis_url: str
) -> None:
    """One that was under way, one that was taken six times and never finished, and one that nobody can read."""
    good, poison = push_for("1" * 64), push_for("2" * 64)
    client, queue, stream = RedisClient(redis_url), PushQueue(redis_url), stream_of("apple_rn", "high")
    await queue.add([good, poison])
    await queue.close()
    await client.call("XADD", stream, "*", "d", '{"notification":')
    await ensure_group(client, stream, GROUP)
    read = await client.call("XREADGROUP", "GROUP", GROUP, "dead", "COUNT", 2, "STREAMS", stream, ">")
    entries = [entry for entry, _ in read[0][1]]
    for entry, times in zip(entries, (1, 6), strict=True):
        await client.call(
            "XCLAIM", stream, GROUP, "dead", 0, entry, "IDLE", 60_000, "RETRYCOUNT", times, "JUSTID"
        )
    async with sending(settings):
        await until_empty(redis_url)
    assert [one.apns_id for one in apple.received] == [good.apns_id]
    letters = {letter.reason: letter.push for letter in await list_dead(client)}
    assert letters == {"Poison": poison.apns_id, "Unreadable": ""}
    await client.close()


async def test_what_is_too_old_is_not_sent(apple: ApnsPeer, settings: Settings, redis_url: str) -> None:
    message, clear = push_for("1" * 64), push_for("2" * 64, "clear")
    message.created_at -= 3_601_000
    clear.created_at -= 301_000
    async with sending(settings) as sender:
        await sender.add([message, clear])
        await until_empty(redis_url)
    client = RedisClient(redis_url)
    assert [letter.reason for letter in await list_dead(client)] == ["TooOld"]
    await client.close()
    assert apple.received == []


async def test_by_certificate(tmp_path: Path, redis_url: str) -> None:
    files = authority().issue(tmp_path)
    identity = authority().issue_client(tmp_path / "identity.pem", password=b"pass word")
    config = write_config(
        tmp_path,
        apple=[
            {
                "Type": "apple_rn",
                "ApplePushTopic": TOPIC,
                "ApplePushCertPrivate": identity.name,
                "ApplePushCertPassword": "pass word",
            }
        ],
    )
    async with running(ApnsPeer(files, certificates=True)) as peer:
        settings = settings_for(
            redis_url, mattermost_config=str(config), apns_url=peer.url, ca_file=str(files.authority)
        )
        async with sending(settings) as sender:
            await sender.add([push_for(), push_for(transport="voip")])
            await until(lambda: len(peer.received) == 2)
        assert peer.violations == []


async def test_keys_are_read_again_when_their_file_changes(
    apple: ApnsPeer, settings: Settings, redis_url: str, tmp_path: Path
) -> None:
    providers, _ = providers_of(settings.push)
    key = ec.generate_private_key(ec.SECP256R1())
    async with sending(settings, providers) as sender:
        await sender.add([push_for("1" * 64)])
        await until_empty(redis_url)
        apple.public_key = key.public_key()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (tmp_path / "key.p8").write_bytes(b"no key")
        await _look(providers["apple_rn"])
        (tmp_path / "key.p8").write_bytes(pem)
        await _look(providers["apple_rn"])
        await sender.add([push_for("2" * 64)])
        await until(lambda: len(apple.received) == 2)


async def _look(provider: Provider) -> None:
    provider._looked = 0.0  # type: ignore[attr-defined]  # the time of the next look has come
    await provider.keep()
