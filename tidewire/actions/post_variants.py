"""The body of an event that holds a post, with pieces for those who can read what the post refers to.

The post stands in the event as JSON in a string. What differs by receiver are members of its props and metadata.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct, structs

from tidewire.actions import permissions, post_refs
from tidewire.actions.post_refs import Found
from tidewire.actions.services import Services
from tidewire.bus.variants import ChannelReaders, Piece, Variants
from tidewire.store.post_refs import Place
from tidewire.wire.events import encode_prefix
from tidewire.wire.models import Post

_encode = msgspec.json.Encoder().encode
# Places in the post's text. JSON has no such bytes: in strings they are escaped.
_IN_MENTIONS, _IN_PROPS, _IN_EMBEDS, _IN_METADATA = _MARKS = b"\x01", b"\x02", b"\x03", b"\x04"
_PLACES = re.compile(rb"([\x01-\x04])")


class _Readers:
    """Gives channels their bits. Who gets the event reads the channel it goes to: nothing of that one differs."""

    def __init__(self, services: Services, channel_id: str) -> None:
        self._team_reads = permissions.team_reads_public(services)
        self._bits = {channel_id: 0}
        self.channels: list[ChannelReaders] = []

    def bit(self, place: Place) -> int:
        """Return the bit of a channel's readers; 0: everybody is one."""
        bit = self._bits.get(place.id)
        if bit is None:
            bit = self._bits[place.id] = 1 << len(self.channels)
            team_id = place.team_id if place.type == "O" and self._team_reads else ""
            self.channels.append(ChannelReaders(place.id, place.n, team_id, place.team_n))
        return bit


class MarkedPost(Struct):
    """A post's JSON with marks where something may stand for some. text is JSON only once `append` has put it in.

    pieces: by mark (text, bits of its readers, whether it is an item, as in Piece). channels: those of the bits.
    """

    text: bytes
    pieces: dict[bytes, list[tuple[bytes, int, bool]]]
    channels: list[ChannelReaders]


def encode(
    services: Services, event: str, data: dict[str, Any], post: Post, found: Found
) -> tuple[bytes, Variants | None]:
    """Return the event's shared bytes, `data` with the post as its last member, and what some receivers get besides."""
    body = encode_prefix(event, data, channel_id=post.channel_id)
    marked = mark(services, post, found)
    return append(body, "post", marked.text, marked)


def append(body: bytes, member: str, text: bytes, marked: MarkedPost) -> tuple[bytes, Variants | None]:
    """Return shared bytes with one more member of `data`, a JSON text that holds a marked post, and its variants."""
    body += b'%b"%b":"' % (b"" if body.endswith(b"{") else b",", member.encode())
    placed: list[Piece] = []
    for part in _PLACES.split(text):
        if part in marked.pieces:
            placed += [Piece(len(body), _escaped(one), bits, item) for one, bits, item in marked.pieces[part]]
        else:
            body += _escaped(part)
    return body + b'"', Variants(marked.channels, placed) if placed else None


def mark(services: Services, post: Post, found: Found) -> MarkedPost:
    """Return a post for readers who may know different things of what it refers to."""
    readers = _Readers(services, post.channel_id)
    for_all: dict[str, Any] = {}
    for_some: list[tuple[bytes, int]] = []
    for name, (place, told) in post_refs.named(post, found).items():
        if bit := readers.bit(place):
            for_some.append((_encode(name) + b":" + _encode(told), bit))
        else:
            for_all[name] = told
    shown = post_refs.preview(services, post, found)
    shown_to = readers.bit(shown[0]) if shown is not None else 0
    props, embeds = dict(post.props), post_refs.other_embeds(post)
    pieces: dict[bytes, list[tuple[bytes, int, bool]]] = {mark: [] for mark in _MARKS}
    if shown is not None and not shown_to:
        props["previewed_post"] = shown[1].data.post_id
        embeds = [shown[1], *embeds]
    elif shown is not None:
        pieces[_IN_PROPS].append((b'"previewed_post":' + _encode(shown[1].data.post_id), shown_to, True))
        if embeds:
            pieces[_IN_EMBEDS].append((_encode(shown[1]) + b",", shown_to, False))
        else:
            pieces[_IN_METADATA].append((b'"embeds":[' + _encode(shown[1]) + b"]", shown_to, True))
    if for_all:
        props["channel_mentions"] = Raw(_encode(for_all)[:-1] + _IN_MENTIONS + b"}")
        pieces[_IN_MENTIONS] += [(text, bit, True) for text, bit in for_some]
    elif for_some:
        any_bit = sum({bit for _, bit in for_some})
        pieces[_IN_PROPS].append((b'"channel_mentions":{', any_bit, True))
        pieces[_IN_PROPS] += [(text, bit, True) for text, bit in for_some]
        pieces[_IN_PROPS].append((b"}", any_bit, False))
    in_list = Raw(b"[" + _IN_EMBEDS + _encode(embeds)[1:]) if embeds else []
    metadata = _encode(structs.replace(post.metadata, embeds=in_list))
    marked = structs.replace(
        post,
        props=Raw(_encode(props)[:-1] + _IN_PROPS + b"}"),
        metadata=Raw(metadata[:-1] + _IN_METADATA + b"}"),
    )
    return MarkedPost(_encode(marked), pieces, readers.channels)


def _escaped(text: bytes) -> bytes:
    """Return a part of a JSON text as it stands in a string."""
    return _encode(text.decode())[1:-1]
