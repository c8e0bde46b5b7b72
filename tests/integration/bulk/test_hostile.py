"""Lines that are wrong, one by one and together: each is named and left out, all others come in, nothing is thrown."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.postgres import Postgres, cloned
from tests.fixtures.redis import Redis
from tests.integration.bulk import town
from tests.integration.bulk.town import AT, Place, channel, line, post, reasons, reply, team, user, write

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOWN = [team("town"), channel("town", "square"), user("ann", "town/square"), user("bob", "town/square")]
BIG = 2**62
SQUARE = "town/square"


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


# line → (type, reason) of what is left out; the rest of such a line comes in where the reason is not "skipped".
BAD: list[tuple[Any, str, str]] = [
    (team("Bad Name!"), "team", "A name has lower-case letters, digits and dashes only."),
    (team("admin"), "team", "This name is reserved."),
    (team("x" * 65, display_name="X"), "team", "Invalid name."),
    (team("ok", type="X"), "team", "Invalid type."),
    (team("ok", display_name="x" * 65), "team", "Invalid display name."),
    (channel("town", "Bad Name"), "channel", "A name has 1 to 64 lower-case letters, digits, dashes and underscores."),
    (channel("nowhere", "x"), "channel", "there is no such team"),
    (channel("town", "x", type="D"), "channel", "Invalid type."),
    (channel("town", "x", header="x" * 1025), "channel", "Invalid header."),
    (channel("town", "x", deleted_at=BIG), "channel", "deleted_at is no time of the past"),
    (user("all"), "user", "Invalid username."),
    (user("x y"), "user", "Invalid username."),
    (user("eve", email="nonsense"), "user", "Invalid email."),
    (user("eve", email="ann@example.org"), "user", "another account has this e-mail address"),
    (user("eve", nickname="x" * 65), "user", "Invalid nickname."),
    (user("eve", delete_at=BIG), "user", "delete_at is no time of the past"),
    (user("eve", notify_props={"mention_keys": "x" * 9000}), "user", "Invalid notify_props."),
    (line("bot", username="ann"), "bot", "a person has this name"),
    (line("bot", username="b o t"), "bot", "Invalid username."),
    (line("emoji", name="Bad!", image="x.png"), "emoji", "A name is 1 to 64 of a-z, 0-9, _, + and -."),
    (line("emoji", name="smile", image="x.png"), "emoji", "There is a system emoji of this name."),
    (line("emoji", name="nope", image="../../etc/passwd"), "emoji", "picture: the path is not a relative one"),
    (line("emoji", name="nope", image="text.png"), "emoji", "picture: it cannot be read"),
    (post("town/nowhere", "ann", "x", 0), "post", "there is no such channel"),
    (post("nowhere/square", "ann", "x", 0), "post", "there is no such team"),
    (post(SQUARE, "nobody", "x", 0), "post", "there is no such user"),
    (post(SQUARE, "ann", "x" * 16_384, 0), "post", "The message is too long."),
    (post(SQUARE, "ann", "x", BIG), "post", "create_at is no time of the past"),
    (post(SQUARE, "ann", "x", -AT), "post", "create_at is no time of the past"),
    (post(SQUARE, "ann", "x", -2 * AT), "post", "create_at is no time of the past"),
    (post(SQUARE, "ann", "x", 0, type="evil"), "post", "its type is unknown"),
    (post(SQUARE, "ann", "x", 0, type="system_" + "x" * 30), "post", "its type is unknown"),
    (post(SQUARE, "ann", "x", 0, props={"x": "y" * 900_000}), "post", "The post's props are too large."),
    (post(SQUARE, "ann", "x", 0, props={"x": [0] * 10_000}), "post", "The post's props are too large."),
    (post(SQUARE, "ann", "x", 0, props={"x": [{}] * 5_000, "y": {str(n): n for n in range(5_000)}}), "post",
        "The post's props are too large."),
    (post(SQUARE, "ann", "nul \0 here", 0), "line", "a text has a NUL in it"),
    (post(SQUARE, "ann", "x", 0, props={"a\0b": 1}), "line", "a text has a NUL in it"),
    (post(SQUARE, "ann", "x", 0, reactions="tada"), "post", "Expected `array | null`, got `str`"),
    (line("direct_post", channel_members=["ann", "nobody"], user="ann", message="x", create_at=AT), "direct_post",
     "there is no such user"),
    (line("direct_channel", members=[]), "direct_channel", "a channel is of 1 to 8 people"),
    (line("direct_channel", members=["ann", "nobody"]), "direct_channel", "there is no such user"),
    (line("direct_channel", members=["ann", "bob"], header="x" * 1025), "direct_channel", "Invalid header."),
    ("{", "line", "it is not JSON"),
    ('{"type":"post","post":' + deep(5000) + "}", "line", "it is nested too deeply"),
    (b'{"type":"team","team":{"name":"\xff\xfe"}}', "line", "it is not UTF-8"),
    (line("castle", name="x"), "line", "its type is unknown"),
    ({"type": "post"}, "post", "the object of its type is missing"),
    (line("scheme", name="s"), "scheme", "there are no permission schemes here"),
]  # fmt: skip
# What is left out of lines that come in.
PARTS: list[tuple[Any, str, str]] = [
    (user("p1", "nowhere/x"), "membership", "there is no such team"),
    (user("p2", "town/nowhere"), "membership", "there is no such channel"),
    (user("p3", teams=[{"name": "town", "roles": "system_admin"}]), "membership",
     "This role is not one of such a membership."),
    (user("p4", roles="system_admin evil_role"), "user", "there is no such system role"),
    (user("p5", password="x"), "user", "Your password must contain at least 8 characters."),
    (user("p6", password_hash="md5:abc"), "user", "password_hash is none that can be checked here"),
    (user("p7", theme="no json"), "user", "Invalid theme."),
    (user("p8", custom_status={"emoji": "nope nope"}), "user", "the custom status is over or none"),
    (user("p9", profile_image="/etc/passwd"), "user", "picture: the path is not a relative one"),
    (user("p10", teams=[{"name": "town", "channels": [{"name": "square", "last_viewed_at": BIG}]}]), "membership",
     "last_viewed_at is no time of the past"),
    (user("p11", colour="red"), "user", "a member is unknown"),
    (post(SQUARE, "ann", "m1", 1, reactions=[{"user": "nobody", "emoji_name": "x", "create_at": 1}]), "reaction",
     "there is no such user"),
    (post(SQUARE, "ann", "m2", 2, reactions=[{"user": "bob", "emoji_name": "x y", "create_at": 1}]), "reaction",
     "Invalid emoji name."),
    (post(SQUARE, "ann", "m3", 3, replies=[reply("nobody", "x", 4)]), "reply", "there is no such user"),
    (post(SQUARE, "ann", "m4", 4, replies=[reply("bob", "same", 9, type="evil")]), "reply", "its type is unknown"),
    (post(SQUARE, "ann", "m5", 5, flagged_by=["nobody"]), "flagged_by", "there is no such user"),
    (post(SQUARE, "ann", "m6", 6, thread_followers=[{"user": "nobody"}]), "thread_follower", "there is no such user"),
    (post(SQUARE, "ann", "m7", 7, attachments=[{"path": "../../etc/passwd"}]), "attachment",
     "the path is not a relative one"),
    (post(SQUARE, "ann", "m8", 8, attachments=[{"path": "none"}]), "attachment", "there is no such file"),
    (post(SQUARE, "ann", "m9", 9, priority={"priority": "evil"}), "post", "there is no such priority"),
    (user("bob", "town/square", roles="system_guest"), "user",
     "guests are made and unmade for the whole account, not by an import"),
    (line("direct_channel", members=["ann", "bob"], shown_by=["p1"]), "direct_channel", "it is no member's choice"),
]  # fmt: skip


async def test_each_wrong_line_is_named_and_the_others_come_in(
    postgres: Postgres, redis: Redis, tmp_path: Path
) -> None:
    lines: list[Any] = [*TOWN]
    for number, (bad, _, _) in enumerate([*BAD, *PARTS]):
        lines += [bad, post(SQUARE, "ann", f"good {number}", 100 + number)]
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        report = await town.run(
            place.settings, write(tmp_path / "x.jsonl", *lines, files={"text.png": b"no picture"})
        )
        assert {(type_, reason) for _, type_, reason in [*BAD, *PARTS]} <= reasons(report)
        rows = await place.rows("SELECT message FROM posts WHERE message LIKE 'good %' OR message LIKE 'm_'")
        assert len(rows) == len(BAD) + len(PARTS) + 9
        by_line = {number for one in report.reasons if one.whole for number in one.lines}
        assert by_line == {len(TOWN) + 2 + 2 * number for number in range(len(BAD))}
        people = await place.rows("SELECT username, roles, password_hash FROM users WHERE username LIKE 'p%'")
        assert len(people) == 11
        assert {row["roles"] for row in people} == {"system_user", "system_admin system_user"}
        assert not any(row["password_hash"] for row in people)
        assert not [one for one in (tmp_path / "data").iterdir() if one.name != "text.png"]


async def test_names_of_files_lose_what_is_none_of_them(postgres: Postgres, redis: Redis, tmp_path: Path) -> None:
    names = ["../../etc/passwd", "a\r\nSet-Cookie: x", "\u202efdp.exe", "x" * 5000 + ".txt", "..", "con", "a\\b", ""]
    files = [[{"path": "text.png", "name": name}] for name in names]
    posts = [post(SQUARE, "ann", f"p{number}", number, attachments=some) for number, some in enumerate(files)]
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        path = write(tmp_path / "x.zip", *TOWN, *posts, files={"text.png": b"no picture"})
        report = await town.run(place.settings, path)
        assert report.made["attachment"] == len(names)
        rows = await place.rows("SELECT name, key FROM files ORDER BY create_at")
        assert all(row["key"].count("/") == 3 and ".." not in row["key"] for row in rows)
        short = [row["name"] for row in rows]
        assert short[:3] == ["passwd", "aSet-Cookie: x", "fdp.exe"]
        assert len(short[3]) == 255
        assert short[4:] == ["unnamed", "con", "b", "text.png"]


async def test_what_only_the_database_refuses_does_not_break_the_batch(
    postgres: Postgres, redis: Redis, tmp_path: Path
) -> None:
    """A rule that nobody thought of: here a constraint that the code does not know."""
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        await place.rows("ALTER TABLE posts ADD CONSTRAINT no_walrus CHECK (message <> 'walrus')")
        posts = [post(SQUARE, "ann", "walrus" if n == 5 else f"p{n}", n) for n in range(10)]
        report = await town.run(place.settings, write(tmp_path / "x.jsonl", *TOWN, *posts))
        assert report.made["post"] == 9
        [only] = report.reasons
        assert (only.reason, only.lines) == ("the database refuses it", [len(TOWN) + 2 + 5])
        [row] = await place.rows("SELECT total_msg_count FROM channels WHERE name = 'square'")
        assert row["total_msg_count"] == 9


async def test_the_report_stays_small(postgres: Postgres, redis: Redis, tmp_path: Path) -> None:
    lines = [line("x" * (n % 50) + str(n), name="x") for n in range(3000)]
    strange = [post(SQUARE, "ann", f"p{n}", n, **{f"member{n}": 1}) for n in range(500)]
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        report = await town.run(place.settings, write(tmp_path / "x.jsonl", *TOWN, *lines, *strange))
        assert report.made["post"] == 500
        assert len(report.reasons) == 2
        assert report.skipped == 3000
        assert all(len(one.lines) == 20 for one in report.reasons)


async def test_made_up_lines_never_throw(postgres: Postgres, redis: Redis, tmp_path: Path) -> None:
    rng = random.Random(7)
    values: list[Any] = [
        None, True, 0, -1, BIG, 1.5, "", "x", "ann", "town", "town-square", "\u202e", "💥" * 70, "'; DROP TABLE x",
        [], [None], ["ann", "ann"], {}, {"a": [1]}, [{}], "\ud83d", "%s", "\\x00", "a" * 70,
    ]  # fmt: skip
    shapes = [one for one, _, _ in [*BAD, *PARTS] if isinstance(one, dict)]

    def broken(value: Any) -> Any:
        if rng.random() < 0.15:
            return rng.choice(values)
        if isinstance(value, dict):
            return {name: broken(inner) for name, inner in value.items() if rng.random() > 0.05}
        return [broken(inner) for inner in value] if isinstance(value, list) else value

    lines = [{name: value if name == "type" else broken(value) for name, value in one.items()} for one in shapes * 30]
    async with cloned(postgres) as url:
        place = Place.at(url, redis.url)
        end = post(SQUARE, "ann", "the end", 10**6)
        report = await town.run(place.settings, write(tmp_path / "x.jsonl", *TOWN, *lines, end))
        assert report.lines == len(TOWN) + len(lines) + 2
        assert await place.rows("SELECT FROM posts WHERE message = 'the end'")
        assert ("post", "the database refuses it") not in reasons(report)
