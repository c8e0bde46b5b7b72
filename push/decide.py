"""Decides many posts, reads and badges at once: loads what the rules need, asks them, and makes the jobs.

At most eight statements and three questions to Redis for a batch, whatever its size. The rules are in decide_rules,
the words in tidewire.actions.push_messages. What is read is as of now: who has left since gets nothing, and nobody does
for a deleted post.
"""

import asyncio
from collections.abc import Container, Sequence
from functools import partial
from time import monotonic

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from msgspec import Struct, field
from prometheus_client import Counter

from push.decide_jobs import jobs_for
from push.decide_people import KINDS, Person, noisy, persons, props_of
from push.decide_rules import Case, Presence, decide
from tidewire.actions import collapsed_threads, mention_map, push_messages, status
from tidewire.actions.config import Config
from tidewire.actions.push_messages import Style
from tidewire.actions.push_text import Named
from tidewire.bus.cache import Cache
from tidewire.bus.envelope import BadgePush, Decision, PostPush, ReadPush
from tidewire.bus.redis_client import RedisClient
from tidewire.store import push as store
from tidewire.store import statuses
from tidewire.store.db import Database
from tidewire.store.push import Device, PushedPost, Recipient
from tidewire.wire.ids import now_ms
from tidewire.wire.push import Job, Notification

OLD_MS = 3_600_000  # what is an hour old is no news any more
NOWHERE = Counter(
    "tidewire_push_nowhere", "Pushes to phones of an app that this server has no credentials for."
)
TURN_S = 0.005  # then the loop's other tasks, which send, get theirs


class _Batch(Struct):
    """What a batch is about, while it grows."""

    posts: dict[str, tuple[Decision, PostPush]] = field(default_factory=dict)
    reads: list[tuple[Decision, ReadPush]] = field(default_factory=list)
    badges: list[tuple[Decision, BadgePush]] = field(default_factory=list)
    followers: dict[str, set[str]] = field(default_factory=dict)  # root → who follows its thread


def weight(decision: Decision) -> int:
    """Return how many users a decision is about, roughly."""
    return 1 + len(decision.push.mentions) if isinstance(decision.push, PostPush) else 1


def _weigh(users: list[str]) -> int:
    return 1 + len(users) // mention_map.WEIGHT_MEMBERS


class Decider:
    """Makes jobs of decisions.

    cache: this process's own, which holds nothing else. key: signs pushes. targets: what the send queue's other end can
    send to: whatever else would wait there for ever.
    """

    def __init__(
        self,
        db: Database,
        redis: RedisClient,
        config: Config,
        cache: Cache,
        key: EllipticCurvePrivateKey,
        *,
        targets: Container[str],
        heartbeat_s: float,
    ) -> None:
        self._db = db
        self._redis = redis
        self._config = config
        self._cache = cache
        self._key = key
        self._targets = targets
        self._heartbeat_s = heartbeat_s

    async def decide(self, decisions: Sequence[Decision]) -> list[Job]:
        """Return the pushes that these lead to. Raises: Unavailable."""
        if not push_messages.is_on(self._config):
            return []
        batch = _Batch()
        oldest = now_ms() - OLD_MS
        for decision in decisions:
            match decision.push:
                case PostPush() as push if decision.at >= oldest:
                    batch.posts.setdefault(push.post_id, (decision, push))
                case ReadPush() as push if decision.at >= oldest:
                    batch.reads.append((decision, push))
                case BadgePush() as push if decision.at >= oldest:
                    batch.badges.append((decision, push))
        style = push_messages.style_of(self._config)
        posts = await store.posts(self._db, list(batch.posts)) if batch.posts else []
        candidates = {
            post.id: users for post, users in zip(posts, await self._candidates(posts, batch), strict=True)
        }
        readers = {push.user_id for _, push in batch.reads} | {push.user_id for _, push in batch.badges}
        everybody = readers.union(*candidates.values())
        devices = await store.devices(self._db, everybody, now_ms()) if everybody else {}
        if not devices:
            return []
        recipients = await self._recipients(posts, candidates, batch, devices)
        people = await self._judge(posts, candidates, batch, recipients)
        return await self._make(style, people, batch, recipients, devices)

    # -- who may be concerned --------------------------------------------------------------------------------------

    async def _candidates(self, posts: Sequence[PushedPost], batch: _Batch) -> list[set[str]]:
        """Return, for each post, everybody whom one of the lists may hold."""
        if not posts:
            return []
        mode = self._config.text("ServiceSettings.CollapsedThreads")
        asked = {
            post.channel_id
            for post in posts
            if batch.posts[post.id][1].every_push is None and post.channel_type != "D"
        }
        every = await self._every_push(asked) if asked else {}
        roots = {post.root_id for post in posts if post.root_id}
        batch.followers = await store.thread_followers(self._db, roots) if roots else {}
        found: list[set[str]] = []
        for post in posts:
            push = batch.posts[post.id][1]
            users = set(push.mentions)
            if post.channel_type != "D":
                users.update(every.get(post.channel_id, ()) if push.every_push is None else push.every_push)
            if post.root_id:
                users.update(batch.followers[post.root_id])
                if mode != "always_on":
                    users.update(post.participants, [post.root_user_id])
            if post.props.get("from_webhook") != "true":
                users.discard(post.user_id)
            users.discard("")
            found.append(users)
        return found

    async def _every_push(self, channel_ids: set[str]) -> dict[str, list[str]]:
        """Return who wants every post of large channels; one statement for those that are not in memory."""
        # Under the key that members who come, go or choose anew make stale.
        found: dict[str, list[str]] = {}
        missing: list[str] = []
        for channel_id in channel_ids:
            known: list[str] | None = self._cache.peek(mention_map.key(channel_id))
            if known is None:
                missing.append(channel_id)
            else:
                found[channel_id] = known
        if not missing:
            return found
        loading = asyncio.ensure_future(store.every_push(self._db, missing))

        async def load(channel_id: str) -> list[str]:
            return (await loading)[channel_id]

        async def get(channel_id: str) -> list[str]:
            return await self._cache.get(mention_map.key(channel_id), partial(load, channel_id), _weigh) or []

        loaded = await asyncio.gather(*map(get, missing))
        return found | dict(zip(missing, loaded, strict=True))

    async def _recipients(
        self,
        posts: Sequence[PushedPost],
        candidates: dict[str, set[str]],
        batch: _Batch,
        devices: dict[str, list[Device]],
    ) -> dict[tuple[str, str], Recipient]:
        pairs = {(user, post.channel_id) for post in posts for user in candidates[post.id] if user in devices}
        for _, read in batch.reads:
            if read.user_id in devices:
                pairs.update((read.user_id, channel_id) for channel_id in ("", *read.unread_ids))
        pairs.update((badge.user_id, "") for _, badge in batch.badges if badge.user_id in devices)
        return await store.recipients(self._db, pairs) if pairs else {}

    # -- the decision ----------------------------------------------------------------------------------------------

    async def _judge(
        self,
        posts: Sequence[PushedPost],
        candidates: dict[str, set[str]],
        batch: _Batch,
        recipients: dict[tuple[str, str], Recipient],
    ) -> list[Person]:
        """Return those who get a push for a post."""
        mode = self._config.text("ServiceSettings.CollapsedThreads")
        found: list[Person] = []
        for post in posts:
            decision, push = batch.posts[post.id]
            there = [
                one
                for user in candidates[post.id]
                if (one := recipients.get((user, post.channel_id))) is not None and one.member
            ]
            followers = batch.followers.get(post.root_id, set()) if mode != "disabled" else set()
            found += persons(post, decision.at, set(push.mentions), there, followers, mode)
        presences = await self._presences({person.recipient.user_id for person in found})
        now = now_ms()
        for person in found:
            post, recipient = person.post, person.recipient
            person.verdict = decide(
                Case(
                    props_of(recipient),
                    presences[recipient.user_id],
                    person.mention,
                    channel_id=post.channel_id,
                    channel_type=post.channel_type,
                    now_ms=now,
                    is_reply=bool(post.root_id),
                    crt=person.crt,
                    follows=person.follows,
                    is_bot=recipient.is_bot,
                    forced=bool(post.props.get("force_notification")),
                )
            )
        return [person for person in found if person.verdict.push]

    async def _presences(self, user_ids: set[str]) -> dict[str, Presence]:
        ids = list(user_ids)
        if not ids:
            return {}
        seen, viewed = await status.load_open(self._redis, ids, heartbeat_s=self._heartbeat_s)
        noted = {row.user_id: row for row in await statuses.of_users(self._db, ids)}
        now = now_ms()
        found: dict[str, Presence] = {}
        for user_id, socket, view in zip(ids, seen, viewed, strict=True):
            what = status.status_of(user_id, socket, noted.get(user_id), now)
            # Both say which channel is open; who has sockets and said nothing since by them keeps what he opened.
            newest = socket if socket.channel_id and socket.last_activity_at > view.last_activity_at else view
            found[user_id] = Presence(
                what.status, newest.channel_id, max(what.last_activity_at, view.last_activity_at)
            )
        return found

    # -- the words -------------------------------------------------------------------------------------------------

    async def _make(
        self,
        style: Style,
        people: list[Person],
        batch: _Batch,
        recipients: dict[tuple[str, str], Recipient],
        devices: dict[str, list[Device]],
    ) -> list[Job]:
        mode = self._config.text("ServiceSettings.CollapsedThreads")
        crt = {one.user_id: collapsed_threads.sees(mode, one.collapsed) for one in recipients.values()}
        wanted = {person.recipient.user_id for person in people}
        wanted |= {user for user, channel_id in recipients if not channel_id}
        if not wanted:
            return []
        badges = await store.badges(self._db, {user: crt[user] for user in wanted})
        group_ids = {person.post.channel_id for person in people if person.post.channel_type == "G"}
        groups = {
            channel_id: {user_id: Named(*names) for user_id, *names in members}
            for channel_id, members in (await store.groups(self._db, group_ids) if group_ids else {}).items()
        }
        jobs: list[Job] = []
        turn = monotonic()

        async def tell(what: Notification, user_id: str, name: str, at: int, *, but: str = "") -> None:
            nonlocal turn
            for device in devices[user_id]:
                if device.session_id != but:
                    made = jobs_for(style, what, device, name=name, at=at, key=self._key)
                    reachable = [job for job in made if job.target in self._targets]
                    NOWHERE.inc(len(made) - len(reachable))
                    jobs.extend(reachable)
            if monotonic() - turn > TURN_S:
                await asyncio.sleep(0)
                turn = monotonic()

        said: dict[str, str] = {}
        for person in people:
            if person.post.id not in said:
                said[person.post.id] = push_messages.said_in(style, person.post)
            what = push_messages.message(
                style,
                person.post,
                person.recipient,
                kind=KINDS[person.mention],
                as_crt=person.verdict.as_crt,
                crt=person.crt,
                badge=badges[person.recipient.user_id],
                people=groups.get(person.post.channel_id, {}),
                said=said[person.post.id],
            )
            await tell(what, person.recipient.user_id, person.post.id, person.at)
        for decision, read in batch.reads:
            user_id = read.user_id
            if (user_id, "") in recipients:
                for channel_id in [*read.channel_ids, *noisy(read, recipients)]:
                    what = push_messages.clear(
                        style, channel_id, read.root_id, badge=badges[user_id], crt=crt[user_id]
                    )
                    name = f"clear {decision.at} {channel_id} {read.root_id} {user_id}"
                    await tell(what, user_id, name, decision.at, but=read.session_id)
        for decision, badge in batch.badges:
            user_id = badge.user_id
            if (user_id, "") in recipients:
                what = push_messages.update_badge(style, badge=badges[user_id], crt=crt[user_id])
                await tell(what, user_id, f"badge {decision.at} {user_id}", decision.at)
        return jobs
