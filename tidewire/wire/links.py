"""What is known of an address that a post names: a page's own description, or an image's size.

Source: Mattermost API v4, PostEmbed, PostImage, OpenGraph.
"""

from typing import Any, Literal

from msgspec import Struct, field

Found = Literal["opengraph", "image", "none"]


class PostImage(Struct, frozen=True):
    """An image's size in pixels as it is looked at. frame_count: of a GIF, else 0."""

    width: int
    height: int
    format: str
    frame_count: int = 0


class PageImage(Struct):
    """An image that a page shows of itself; 0 and "" are what it does not say."""

    url: str = ""
    secure_url: str = ""
    type: str = ""
    width: int = 0
    height: int = 0


class OpenGraph(Struct):
    """How a page describes itself. What the reference cuts off is None, as there."""

    type: str = ""
    url: str = ""
    title: str = ""
    description: str = ""
    determiner: str = ""
    site_name: str = ""
    locale: str = ""
    locales_alternate: list[str] | None = None
    images: list[PageImage] = field(default_factory=list)
    audios: list[Any] | None = None
    videos: list[Any] | None = None


class Target(Struct):
    """What was found at an address: one of the two, or neither."""

    page: OpenGraph | None = None
    image: PostImage | None = None


class Preview(Struct, omit_defaults=True):
    """What is kept of a post's addresses. url: the one that `page` or an image in `images` is shown for."""

    url: str = ""
    page: OpenGraph | None = None
    images: dict[str, PostImage] = field(default_factory=dict)
