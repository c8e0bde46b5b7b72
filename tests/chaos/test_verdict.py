"""The judge can say no."""

from typing import cast

from tests.chaos.crowd import Crowd, Member, Post, Site
from tests.chaos.verdict import Truth, problems


def crowd_and_truth() -> tuple[Crowd, Truth]:
    """Return one member who knows, heard and wrote everything there is: posts a, b, c."""
    site = cast(Site, None)  # no server is asked
    member = Member(site, "token", "user", "channel")
    rows = {post_id: Post(post_id, 1, 1, 0, f"says {post_id}") for post_id in "abc"}
    member.posts = dict(rows)
    member.stretches = [["a", "b"], ["c"]]
    member.acknowledged = {row.message: row.id for row in rows.values()}
    return Crowd(site, [member]), Truth({"channel": rows}, {"channel": {"a": 0, "b": 1, "c": 2}})


async def test_all_is_well() -> None:
    assert problems(*crowd_and_truth()) == []


async def test_broken_promises_are_found() -> None:
    crowd, truth = crowd_and_truth()
    member = crowd.members[0]
    member.stretches = [["a", "c"]]
    assert problems(crowd, truth) == ["user: heard post 2 of the channel after 0"]
    member.stretches = [["b", "a"]]
    assert problems(crowd, truth) == ["user: heard post 0 of the channel after 1"]
    member.stretches = []
    del member.posts["b"]
    assert "misses 1 of 3" in problems(crowd, truth)[0]
    member.posts["b"] = Post("b", 1, 1, 0, "an older text")
    assert "misses 1 of 3" in problems(crowd, truth)[0]
    crowd, truth = crowd_and_truth()
    del truth.rows["channel"]["b"]
    assert len(problems(crowd, truth)) == 2  # known but not stored, acknowledged but not stored
    crowd, truth = crowd_and_truth()
    truth.rows["channel"]["d"] = Post("d", 1, 1, 0, "says b")
    crowd.members[0].posts["d"] = truth.rows["channel"]["d"]
    assert "acknowledged as b, stored as ['b', 'd']" in problems(crowd, truth)[0]
    crowd, truth = crowd_and_truth()
    crowd.members[0].faults.append("seq 3 instead of 2")
    assert problems(crowd, truth) == ["user: seq 3 instead of 2"]
    crowd, truth = crowd_and_truth()
    crowd.dismissed.append(Member(cast(Site, None), "token", "gone", "channel"))
    crowd.dismissed[0].faults.append("POST /posts: 401")
    assert problems(crowd, truth) == ["gone: POST /posts: 401"]
