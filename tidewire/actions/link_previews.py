"""What a post shows of the first link in it, and the sizes of its images: found out after the post, told by an edit.

A post never waits for strangers' servers: it goes out with `{type: link}`; what is found makes it a `post_edited` of
which nobody is told that it was edited (edit_at stays), as with a pin. What the event said stays with the post.

That a post's links are to be looked at is committed with it, and stays until it is done. What a worker that died has
left, another one takes over.

Source: Mattermost API v4, PostMetadata. The reference asks before it answers, for up to 5 s.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic

import structlog
from prometheus_client import Counter

from tidewire.actions import link_fetch, posts
from tidewire.actions.link_shown import asks, wanted_of
from tidewire.actions.link_text import Links
from tidewire.actions.services import Services
from tidewire.loops import again
from tidewire.outbound import FetchError
from tidewire.outbound.client import parse
from tidewire.store import links as store
from tidewire.store import posts as post_store
from tidewire.store.db import Transaction
from tidewire.store.links import Look
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.links import Preview, Target
from tidewire.wire.models import Post

WAITING_MAX = 1000  # posts of one worker whose links are being looked at; beyond, theirs are never shown
AT_ONCE, AT_ONCE_PER_HOST = 16, 4  # requests; a server that does not answer holds up its own links only
WAITING_PER_HOST = 64  # addresses; beyond, they are not looked at
URLS_MAX = 12  # of one post, with the images of the page that it links to
# How long what was found goes for other posts: pages change, and what was not there may have been restarted.
FOUND_MS, NONE_MS = 24 * 3_600_000, 600_000
PRUNE_EVERY_S, PRUNE_ROWS = 60.0, 10_000  # 166 addresses a second and worker
KEEP_S = 2.0  # how often a worker looks for what others left: shown within 5 s of a death if the server answers
CLAIM_ROWS = 100
GRACE_MS = 1000  # a worker that has just started does not yet say that it lives
LOST_MS = 30_000  # what this worker does not know of, and its commit is over: its author went, or the database was away
TRIES, LAST_TRY_MS = 3, 600_000  # a page that kills workers kills four
AGE_MS = 24 * 3_600_000
_LOOKS = Counter("tidewire_link_looks", "Addresses in posts that were asked what they are.", ["result"])
log = structlog.get_logger("links")


class _Changed(Exception):
    """The post names other addresses by now, or none, or another worker has taken the look over."""


class _Host:
    """The places of one host, and how many have one or wait for one."""

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(AT_ONCE_PER_HOST)
        self.users = 0


class LinkPreviews:
    """Looks at the links of the posts that this worker writes. What is under way at its end is left to others."""

    def __init__(self) -> None:
        self._services: Services | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._posts: dict[asyncio.Task[None], str] = {}  # → post id
        self._looks: dict[str, asyncio.Task[Target | None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._hosts: dict[str, _Host] = {}
        self._pruned_at = monotonic()

    def start(self, services: Services) -> None:
        """Look from now on, and take over from workers that are gone."""
        self._services = services
        self._keeper = asyncio.get_running_loop().create_task(
            again("links that others left", lambda: self._keep(services), KEEP_S, rest_first=True)
        )

    async def close(self) -> None:
        """Stop."""
        tasks = [*self._posts, *self._looks.values()]
        if self._keeper is not None:
            tasks.append(self._keeper)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def takes(self, wanted: Links) -> bool:
        """Tell whether the addresses of a post will be looked at: then its write notes that, and `written` follows."""
        services = self._services
        if not (wanted.links or wanted.images) or services is None or not asks(services, wanted):
            return False
        if len(self._posts) >= WAITING_MAX:
            _LOOKS.labels("given up").inc()
            return False
        return True

    def written(self, post_id: str, at: int, wanted: Links) -> None:
        """Look at the addresses of a post that is committed. at: of the row that says so."""
        services = self._services
        assert services is not None, "it takes none before its start"
        self._begin(services, Look(post_id, services.db.worker, at), wanted)

    def _begin(self, services: Services, look: Look, wanted: Links) -> None:
        task = asyncio.get_running_loop().create_task(self._show(services, look, wanted))
        self._posts[task] = look.post_id
        task.add_done_callback(self._posts.pop)

    async def _keep(self, services: Services) -> None:
        await self._take_over(services)
        await self._prune(services)

    async def _take_over(self, services: Services) -> None:
        """Go on with what others left, and with what this worker lost."""
        room = min(WAITING_MAX - len(self._posts), CLAIM_ROWS)
        if room <= 0:
            return
        looks = await store.claim(
            services.db,
            list(self._posts.values()),
            now_ms=now_ms(),
            lost_ms=LOST_MS,
            grace_ms=GRACE_MS,
            limit=room,
            tries=TRIES,
        )
        if not looks:
            return
        live = {post.id: post for post in await post_store.load(services.db, [look.post_id for look in looks])}
        over = []
        for look in looks:
            post = live.get(look.post_id)
            wanted = None if post is None else wanted_of(services, post)
            if wanted is not None and asks(services, wanted):
                self._begin(services, look, wanted)
            else:
                over.append(look)
        await store.end_all(services.db, over)
        log.info("took over links of posts", posts=len(looks))

    async def _show(self, services: Services, look: Look, wanted: Links) -> None:
        try:
            try:
                preview = await self._find(services, wanted)
                if preview.page is not None or preview.images:
                    await _do_show(services, look, wanted, preview)
                else:
                    await store.end(services.db, look)
            except (AppError, _Changed) as error:
                # The post is gone, was edited meanwhile or is another worker's.
                log.info("links of a post are not shown", post_id=look.post_id, reason=type(error).__name__)
                await store.end(services.db, look)
        except Unavailable:
            log.info("links of a post wait for the database", post_id=look.post_id)
        except Exception:  # this task's boundary; it is tried again, TRIES times
            log.exception("links of a post cannot be shown", post_id=look.post_id)

    async def _find(self, services: Services, wanted: Links) -> Preview:
        first = wanted.links[0] if wanted.links else ""
        found = await self._look(services, [*wanted.links[:1], *wanted.images])
        page = found[first].page if first in found else None
        if page is not None:
            shown = [image.secure_url or image.url for image in page.images]
            more = [url for url in shown if url not in found and link_fetch.permits(services, url)]
            found |= await self._look(services, more[: URLS_MAX - len(found)])
        images = {url: one.image for url, one in found.items() if one.image is not None}
        return Preview(first, page, images)

    async def _look(self, services: Services, urls: Sequence[str]) -> dict[str, Target]:
        """Return url → what is there, known or asked for now."""
        if not urls:
            return {}
        now = now_ms()
        found = await store.known(services.db, urls, found_since=now - FOUND_MS, none_since=now - NONE_MS)
        asked = [url for url in dict.fromkeys(urls) if url not in found and not link_fetch.is_own(services, url)]
        if asked:
            targets = await asyncio.gather(*[self._shared(services, url) for url in asked])
            new = {url: target for url, target in zip(asked, targets, strict=True) if target is not None}
            if new:
                await store.keep(services.db, new, now_ms())
            found |= new
        return found

    async def _shared(self, services: Services, url: str) -> Target | None:
        """Ask an address, once for all posts that wait for it. None: it was not asked."""
        task = self._looks.get(url)
        if task is None:
            task = self._looks[url] = asyncio.get_running_loop().create_task(self._ask(services, url))
            task.add_done_callback(lambda _: self._looks.pop(url, None))
        return await asyncio.shield(task)

    async def _ask(self, services: Services, url: str) -> Target | None:
        try:
            name = parse(url).host_str or ""
        except FetchError:
            return None
        host = self._hosts.get(name) or _Host()
        if host.users >= WAITING_PER_HOST:
            _LOOKS.labels("given up").inc()
            return None
        self._hosts[name] = host
        host.users += 1
        try:
            # The host's place first: who waits for it holds nobody else up.
            async with host.room, self._room:
                target = await link_fetch.look(services, url)
        finally:
            host.users -= 1
            if not host.users:
                del self._hosts[name]
        found = "page" if target.page is not None else "image" if target.image is not None else "nothing"
        _LOOKS.labels(found).inc()
        return target

    async def _prune(self, services: Services) -> None:
        if monotonic() - self._pruned_at > PRUNE_EVERY_S:
            self._pruned_at = monotonic()
            now = now_ms()
            await store.prune(services.db, now - FOUND_MS, PRUNE_ROWS)
            await store.give_up(services.db, since_ms=now - AGE_MS, tries=TRIES, before_ms=now - LAST_TRY_MS)


async def _do_show(services: Services, look: Look, wanted: Links, preview: Preview) -> None:
    async def change(tx: Transaction, post: Post, now: int) -> bool:
        if wanted_of(services, post) != wanted or not await store.end(tx, look):
            raise _Changed
        await store.put(tx, look.post_id, preview)
        return False

    await posts.do_change(services, look.post_id, change)
