"""What posts refer to, for each reader: the post that a message links to, and the channels that it names by `~name`.

Noted when a post is written (`refer`), read anew for every answer and event (`look_up`): the shown post is what it is
now, and only who can read its channel gets it. How events do that is in tidewire.actions.post_variants.

Source: Mattermost API v4, permalink previews, `previewed_post` and `channel_mentions` of posts.
"""

from collections.abc import Collection, Iterable

from msgspec import Struct, field

from tidewire.actions import files, link_shown, permissions, post_emojis, post_links
from tidewire.actions.mention_text import texts_of
from tidewire.actions.services import Services
from tidewire.store import acknowledgements, post_refs, reactions
from tidewire.store.db import Database, Transaction
from tidewire.store.post_refs import Place
from tidewire.wire.models import Channel, Post, PostEmbed, PostRefs, PreviewPost, Session

# Private channels that one post names: who reads which of them is asked for each receiver of its events.
PRIVATE_MAX = 5
# Longest props of a post that are shown in others, in characters: sixty links to one post make sixty of it.
SHOWN_PROPS_MAX = 64_000
# Embeds that stand for the message's first link, which is the link to the post.
_OF_A_LINK = frozenset({"opengraph", "image", "link"})


class Found(Struct):
    """What some posts refer to, as it is now, and what of it one reader may know.

    places, linked: by id; by_name: by (team name, name). readable: ids of the channels that he can read.
    """

    places: dict[str, Place] = field(default_factory=dict)
    by_name: dict[tuple[str, str], Place] = field(default_factory=dict)
    linked: dict[str, tuple[Post, Place]] = field(default_factory=dict)
    readable: set[str] = field(default_factory=set)

    def add(self, services: Services, session: Session | None, places: Iterable[Place]) -> None:
        """Add places as the caller stands to them."""
        for place in places:
            self.places[place.id] = self.by_name[place.team_name, place.name] = place
            if session is None:
                continue
            if permissions.may_read(services, session, place.type, place.roles, place.team_roles):
                self.readable.add(place.id)


def _site_url(services: Services) -> str:
    return services.config.text("ServiceSettings.SiteURL").rstrip("/")


def _shows_linked(services: Services) -> bool:
    return services.config.flag("ServiceSettings.EnablePermalinkPreviews")


def may_refer(post: Post) -> bool:
    """Tell, at next to no cost, whether a post may refer to something: whether it does, not every reader may know."""
    message = post.message
    if post.refs is not None or "/pl/" in message or ("~" in message and post_links.may_name(message)):
        return True
    return "attachments" in post.props and any(map(post_links.may_name, texts_of("", post.props)))


async def refer(
    services: Services, source: Database | Transaction, session: Session, channel: Channel, post: Post
) -> Found | None:
    """Note on a post that is being written what it refers to; return that, None for nothing.

    Of channels, those of its team that the caller can read. A post with attachments shows none that it links to.
    Cost: no query for a message without `~` and `/pl/`, else one for each of the two; two if the linked post has files.
    """
    if post.refs is not None:
        post.refer(None)
    if not may_refer(post):
        return None
    texts = texts_of(post.message, post.props)
    names = post_links.channel_names(texts) if channel.team_id else []
    link = None if "attachments" in post.props else post_links.permalink_in(post.message, _site_url(services))
    if not names and link is None:
        return None
    found, refs = Found(), PostRefs()
    if names:
        places = await post_refs.by_names(source, names, session.user_id, channel.team_id)
        found.add(services, session, places)
        private = 0
        for place in sorted(places, key=lambda place: names.index(place.name)):
            if place.id not in found.readable:
                continue  # as if it were not there
            private += place.type == "P"
            if place.type == "O" or private <= PRIVATE_MAX:
                shown = {"display_name": place.display_name, "team_name": place.team_name}
                refs.channels[place.name] = {"id": place.id, **shown}
    if link is not None:
        await _add_linked(services, source, session, [link[1]], found)
        refs.previewed = link[1] if link[1] in found.linked else ""
    if not refs.previewed and not refs.channels:
        return None
    post.refer(refs)
    return found


async def look_up(
    services: Services, source: Database | Transaction, session: Session | None, posts: Collection[Post]
) -> Found | None:
    """Return what posts refer to; None if they refer to nothing. session: of the reader, if there is one.

    Cost: one query for the channels that they name, two where imported posts do; one for the posts they link to, and
    for the metadata of those.
    """
    refs = [post.refs for post in posts if post.refs is not None]
    if not refs:
        return None
    found, user_id = Found(), session.user_id if session is not None else ""
    named = [(name, channel) for one in refs for name, channel in one.channels.items()]
    if channel_ids := list({channel["id"] for _, channel in named if "id" in channel}):
        found.add(services, session, await post_refs.by_ids(source, channel_ids, user_id))
    if lost := list({_full_name(name, one) for name, one in named if one.get("id") not in found.places}):
        found.add(services, session, await post_refs.by_full_names(source, lost, user_id))
    linked = list({one.previewed for one in refs if one.previewed})
    if linked and _shows_linked(services):
        await _add_linked(services, source, session, linked, found)
    return found


async def _add_linked(
    services: Services,
    source: Database | Transaction,
    session: Session | None,
    post_ids: list[str],
    found: Found,
) -> None:
    user_id = session.user_id if session is not None else ""
    rows = await post_refs.linked_posts(source, post_ids, user_id, props_max=SHOWN_PROPS_MAX)
    found.linked.update((post.id, (post, place)) for post, place in rows)
    found.add(services, session, [place for _, place in rows])
    posts = [post for post, _ in rows]
    await files.add_to_posts(source, posts)
    await acknowledgements.add_to_posts(source, posts)
    if reacted := [post for post in posts if post.has_reactions]:
        of_posts = await reactions.of_posts(source, [post.id for post in reacted])
        for post in reacted:
            post.metadata.reactions = of_posts.get(post.id, [])
    await post_emojis.add_to_posts(services, source, posts)
    await link_shown.add_to_posts(services, source, posts)
    for post in posts:
        post.metadata.embeds = other_embeds(post)


def named(post: Post, found: Found) -> dict[str, tuple[Place, dict[str, str]]]:
    """Return name → (channel, what is told of it) of the channels that a post names."""
    told: dict[str, tuple[Place, dict[str, str]]] = {}
    for name, one in post.refs.channels.items() if post.refs is not None else ():
        place = found.places.get(one.get("id", "")) or found.by_name.get(_full_name(name, one))
        if place is not None:
            told[name] = place, {"display_name": place.display_name, "team_name": place.team_name}
    return told


def _full_name(name: str, channel: dict[str, str]) -> tuple[str, str]:
    """Return (team name, name) of a channel as a post's row has it."""
    return channel.get("team_name", ""), name


def preview(services: Services, post: Post, found: Found) -> tuple[Place, PostEmbed] | None:
    """Return what shows the post that a post links to, and where that one stands; None if there is nothing to show."""
    shown = found.linked.get(post.refs.previewed) if post.refs is not None else None
    if shown is None or not _shows_linked(services):
        return None
    linked, place = shown
    link = post_links.permalink_in(post.message, _site_url(services))
    data = PreviewPost(linked.id, linked, place.team_name, place.display_name, place.type, place.id)
    return place, PostEmbed("permalink", link[0] if link else "", data)


def other_embeds(post: Post) -> list[PostEmbed]:
    """Return the embeds beside the one of the linked post: none of that link, whoever may see what it leads to."""
    embeds: list[PostEmbed] = post.metadata.embeds
    if post.refs is None or not post.refs.previewed:
        return embeds
    return [embed for embed in embeds if embed.type not in _OF_A_LINK]


def put(services: Services, posts: Iterable[Post], found: Found) -> None:
    """Put into posts what the reader of `found` may know of what they refer to."""
    for post in posts:
        if post.refs is None:
            continue
        channels = {name: told for name, (place, told) in named(post, found).items() if place.id in found.readable}
        if channels:
            post.props["channel_mentions"] = channels
        post.metadata.embeds = other_embeds(post)
        shown = preview(services, post, found)
        if shown is not None and shown[0].id in found.readable:
            post.props["previewed_post"] = shown[1].data.post_id
            post.metadata.embeds = [shown[1], *post.metadata.embeds]


async def add_to_posts(
    services: Services, source: Database | Transaction, session: Session, posts: Collection[Post]
) -> None:
    """Put into live posts what the caller may know of what they refer to. Cost: as look_up, nothing for most."""
    marked = [post for post in posts if post.refs is not None and not post.delete_at]
    if marked:
        found = await look_up(services, source, session, marked)
        assert found is not None, "they refer to something"
        put(services, marked, found)
