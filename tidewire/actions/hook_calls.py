"""Calls outgoing webhooks after posts, beside the requests that made them; what they answer is posted.

A call is tried once: it is lost if the worker ends before it is made, as with the reference. Source: Mattermost API v4.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
import structlog
from msgspec import Struct
from prometheus_client import Counter

from tidewire.actions import integration_posts, integration_text, outgoing_call, permissions
from tidewire.actions.program_owners import may_speak, owner_in_team
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.store import webhooks as store
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.integrations import OutgoingWebhook
from tidewire.wire.models import Channel, Post, PostPriority, Session

# Posts whose webhooks are still to be called, of all teams and of one; beyond them the oldest of the team with the most
# is given up: else four teams whose programs do not answer would leave no place to the others.
WAITING_MAX, TEAM_WAITING_MAX = 1000, 250
AT_ONCE, TEAM_AT_ONCE = 32, 4  # half of the places that all requests to programs share
HOOKS_MAX = 500
ERROR = "api.webhook.outgoing.failed.app_error"
_CALLS = Counter("tidewire_outgoing_webhooks", "Calls of outgoing webhooks.", ["result"])
log = structlog.get_logger()


class Call(Struct):
    """What a webhook is told. Source: Mattermost API v4, OutgoingWebhookPayload."""

    token: str
    team_id: str
    team_domain: str
    channel_id: str
    channel_name: str
    timestamp: int
    user_id: str
    user_name: str
    post_id: str
    text: str
    trigger_word: str
    file_ids: str


class Answer(Struct):
    """What a webhook may answer. Source: Mattermost API v4, OutgoingWebhookResponse."""

    text: str = ""
    username: str = ""
    icon_url: str = ""
    props: dict[str, Any] | None = None
    attachments: list[Any] | None = None
    type: str = ""
    response_type: str = ""
    priority: PostPriority | None = None


class _Waiting(NamedTuple):
    post: Post
    channel: Channel
    sender: str


def cache_key(team_id: str) -> str:
    """Return the cache key of a team's webhooks."""
    return "outgoing hooks:" + team_id


class _Team:
    """What waits for a team's webhooks, and how many tasks are at it."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.at_work = 0


class HookCalls:
    """The calls of one worker. Each team has its own places: a program that does not answer holds up nobody else's."""

    def __init__(self) -> None:
        self._services: Services | None = None
        self._teams: dict[str, _Team] = {}
        self._waiting = 0  # of all teams, those at work included
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, services: Services) -> None:
        """Call from now on."""
        self._services = services

    async def close(self) -> None:
        """Stop; what waits is given up."""
        self._services = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def posted(self, post: Post, channel: Channel, sender: str) -> None:
        """Take note of a person's post in a public channel. Costs a look into the cache where the team has none."""
        services = self._services
        if channel.type != "O" or services is None:
            return
        known = services.cache.peek(cache_key(channel.team_id))
        if known is not None and not any(_trigger(hook, post) is not None for hook in known):
            return
        team = self._teams.get(channel.team_id) or _Team()
        full = team if len(team.waiting) >= TEAM_WAITING_MAX else None
        if full is None and self._waiting >= WAITING_MAX:
            full = max(self._teams.values(), key=lambda one: len(one.waiting))
        if full is not None:
            _CALLS.labels("given up").inc()
            if not full.waiting:
                return
            full.waiting.popleft()
            self._waiting -= 1
        team.waiting.append(_Waiting(post, channel, sender))
        self._waiting += 1
        self._teams[channel.team_id] = team
        if team.at_work < TEAM_AT_ONCE:
            team.at_work += 1
            task = asyncio.get_running_loop().create_task(self._work(services, channel.team_id, team))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, services: Services, team_id: str, team: _Team) -> None:
        """Deal with what waits of a team, until nothing does."""
        while team.waiting:
            await self._one(services, team.waiting.popleft())
            self._waiting -= 1
        # No await from the test above to here: what comes now finds no task, and starts one.
        team.at_work -= 1
        if not team.at_work:
            del self._teams[team_id]

    async def _one(self, services: Services, one: _Waiting) -> None:
        try:
            await _call_all(services, one, self._room)
        except (AppError, Unavailable) as error:
            _CALLS.labels("failed").inc()
            log.info("outgoing webhooks failed", post_id=one.post.id, reason=str(error))
        except Exception:  # the task's edge: the team's next posts are not to suffer for it
            _CALLS.labels("failed").inc()
            log.exception("outgoing webhooks failed", post_id=one.post.id)


async def hooks_of(services: Services, team_id: str) -> Sequence[OutgoingWebhook]:
    """Return a team's webhooks."""

    async def load() -> list[OutgoingWebhook]:
        return await store.page_of_outgoing(
            services.db, team_id=team_id, channel_id="", creator_id="", limit=HOOKS_MAX, offset=0
        )

    key = cache_key(team_id)
    found: list[OutgoingWebhook] | None = services.cache.peek(key)
    if found is None:
        found = await services.cache.get(key, load)
    return found or []


def _trigger(hook: OutgoingWebhook, post: Post) -> str | None:
    """Return the word by which a post concerns a webhook, "" for its channel alone; None if it does not."""
    if hook.channel_id and hook.channel_id != post.channel_id:
        return None
    if not hook.trigger_words:
        return ""
    words = post.message.split(None, 1)
    first = words[0] if words else ""
    for word in hook.trigger_words:
        if first == word or (hook.trigger_when and first.startswith(word)):
            return word
    return None


async def _call_all(services: Services, one: _Waiting, room: asyncio.Semaphore) -> None:
    """Call what a post concerns. A place is held for one call: a post may concern hundreds that do not answer."""
    if not services.config.flag("ServiceSettings.EnableOutgoingWebhooks"):
        return
    for hook in await hooks_of(services, one.channel.team_id):
        word = _trigger(hook, one.post)
        if word is None or await _listener(services, hook, one.channel) is None:
            continue
        for url in hook.callback_urls:
            try:
                async with room:
                    await _call(services, hook, url, word, one)
                _CALLS.labels("answered").inc()
            except AppError as error:  # the next one may be well
                _CALLS.labels("failed").inc()
                log.info("an outgoing webhook failed", hook_id=hook.id, reason=str(error))


async def _listener(services: Services, hook: OutgoingWebhook, channel: Channel) -> Session | None:
    """Return a session of a webhook's creator while he may read the channel himself, else None: it is told nothing."""
    creator = await owner_in_team(services, hook.creator_id, channel.team_id)
    if creator is None or not await permissions.reads_channel(services, creator, channel):
        return None
    return creator


async def _call(services: Services, hook: OutgoingWebhook, url: str, word: str, one: _Waiting) -> None:
    post, channel = one.post, one.channel
    team = await permissions.load_team(services, channel.team_id)
    told = Call(
        hook.token, channel.team_id, team.name if team else "", channel.id, channel.name, post.create_at,
        post.user_id, one.sender, post.id, post.message, word, ",".join(post.file_ids),
    )  # fmt: skip
    as_json = hook.content_type == "application/json"
    body = msgspec.json.encode(told) if as_json else urlencode(msgspec.structs.asdict(told)).encode()
    kind = "application/json" if as_json else "application/x-www-form-urlencoded"
    answer = await outgoing_call.call(services, url, body, Answer, ERROR, content_type=kind, text=True)
    if isinstance(answer, str):
        return  # only JSON is posted: many servers answer a page
    names = await integration_posts.usernames_in(services, answer.text, answer.attachments)
    attachments = integration_text.clean_attachments(answer.attachments, names)
    if not answer.text and not attachments:
        return
    author = await _listener(services, hook, channel)  # he may have left while the program thought
    if author is None or not await may_speak(services, author, channel):
        return
    who = integration_posts.speaker(
        services, answer.username or hook.username, answer.icon_url or hook.icon_url
    )
    await integration_posts.do_post(
        services,
        await get_user(services, author.user_id),
        channel,
        integration_text.to_markdown(answer.text, names),
        attachments=attachments,
        given=answer.props,
        props={"from_webhook": "true", **who},
        type=answer.type,
        root_id=(post.root_id or post.id) if answer.response_type == "comment" else "",
        priority=answer.priority,
    )
