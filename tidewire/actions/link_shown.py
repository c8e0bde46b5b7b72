"""What posts show of the addresses that they name, for every answer and event. Finding it out: link_previews.

Source: Mattermost API v4, PostMetadata, `embeds` and `images`.
"""

from collections.abc import Collection

from tidewire.actions import link_fetch, link_text, post_links
from tidewire.actions.link_text import Links
from tidewire.actions.services import Services
from tidewire.store import links as store
from tidewire.store.db import Database, Transaction
from tidewire.store.links import Look
from tidewire.wire.links import Preview
from tidewire.wire.models import Post, PostEmbed


def wanted_of(services: Services, post: Post) -> Links:
    """Return the addresses of a post that are looked at: its first link that may be shown, and its images."""
    if not link_text.may_have(post.message, post.props) or post.props.get("unsafe_links") == "true":
        return link_text.NONE
    found = link_text.find(post.message, post.props)
    first = ""
    site_url = services.config.text("ServiceSettings.SiteURL").rstrip("/")
    # Of a link to a post nothing is said here: not every reader may know whether there is such a post.
    may_show = "attachments" not in post.props and post_links.permalink_in(post.message, site_url) is None
    if may_show and services.config.flag("ServiceSettings.EnableLinkPreviews"):
        first = next((url for url in found.links if link_fetch.permits(services, url)), "")
    images = tuple(url for url in found.images if link_fetch.permits(services, url))
    return Links((first,) if first else (), images)


def asks(services: Services, wanted: Links) -> bool:
    """Tell whether anything is found out of these addresses: a link to this site is none to be asked."""
    return bool(wanted.images) or any(not link_fetch.is_own(services, url) for url in wanted.links)


def begin(services: Services, post: Post) -> Links:
    """Put into a post that is being written what it shows at first; return what may be looked at."""
    if not link_text.may_have(post.message, post.props):
        return link_text.NONE
    wanted = wanted_of(services, post)
    _put(post, wanted, None)
    return wanted


async def add_to_posts(services: Services, source: Database | Transaction, posts: Collection[Post]) -> None:
    """Put into live posts what they show: one query, or none if none of them names an address that was asked."""
    named = [
        (post, wanted_of(services, post))
        for post in posts
        if not post.delete_at and link_text.may_have(post.message, post.props)
    ]
    asked = [post.id for post, wanted in named if asks(services, wanted)]
    found = await store.of_posts(source, asked) if asked else {}
    for post, wanted in named:
        _put(post, wanted, found.get(post.id))


def _put(post: Post, wanted: Links, preview: Preview | None) -> None:
    """Put into a post what it shows: its attachments or its first link, and the sizes of images."""
    shown = set(wanted.images)
    images = preview.images if preview is not None else {}
    if "attachments" in post.props:
        post.metadata.embeds = [PostEmbed("message_attachment")]
    for url in wanted.links:
        if preview is not None and preview.url == url and preview.page is not None:
            post.metadata.embeds = [PostEmbed("opengraph", url, preview.page)]
            shown.update(image.secure_url or image.url for image in preview.page.images)
        else:
            post.metadata.embeds = [PostEmbed("image" if url in images else "link", url)]
            shown.add(url)
    post.metadata.images = {url: image for url, image in images.items() if url in shown}


async def do_rename(services: Services, tx: Transaction, before: Links, post: Post) -> Links | None:
    """Forget what a locked post showed if it names other addresses than `before`; return those to look at, if any."""
    wanted = wanted_of(services, post)
    if wanted == before:
        return None
    if before != link_text.NONE:
        await store.forget(tx, post.id)
    if not services.links.takes(wanted):
        return None
    await store.begin(tx, Look(post.id, services.db.worker, post.update_at))
    return wanted
