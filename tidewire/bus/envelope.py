"""What one announcement holds, and its bytes.

Shapes only: no I/O, no clock, no idea what an event means. The number *n* of an announcement is not inside: the
database gives it at commit, so it travels beside the bytes (fields `k`, `n`, `e` of a stream entry).
"""

import enum
import zlib
from typing import Any

import msgspec

from hotpath import Entries, first_wanted
from tidewire.bus.variants import Variants

# One array per struct instead of a map: 40 % fewer bytes, and the names are the producer's and the reader's alone.
# Adding a field at the end with a default is compatible in both directions; anything else needs new stream names.


class Only(enum.IntEnum):
    """Which receivers of an audience a copy is for."""

    ANY = 0
    ADMINS = 1
    NON_ADMINS = 2


class JoinChannel(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The user is a member of the channel from this announcement on, its own copies included."""

    user_id: str
    channel_id: str


class LeaveChannel(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The user is no member any more; of this announcement he gets only copies addressed to him."""

    user_id: str
    channel_id: str


class JoinTeam(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The user is a member of the team from this announcement on, its own copies included."""

    user_id: str
    team_id: str


class LeaveTeam(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The user is no member of the team any more; its channels are left by their own announcements."""

    user_id: str
    team_id: str


class EndSessions(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Sockets of these sessions fall silent at once and close; an empty list means all of the user's."""

    user_id: str
    session_ids: list[str] = []


class Roles(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The user's system roles are these from now on (space separated, as in the contract)."""

    user_id: str
    roles: str


class Resync(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """So much changed around the user, unannounced, that his connections load everything anew.

    A gateway of the release before cannot read it, and does the same for that reason.
    """

    user_id: str


class After(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Whatever the user's key told up to number n comes before this announcement: it takes some of that back.

    A gateway of the release before cannot read it; there the audience loads everything anew.
    """

    user_id: str
    n: int


Effect = JoinChannel | LeaveChannel | JoinTeam | LeaveTeam | EndSessions | Roles | Resync | After


class Copy(msgspec.Struct, frozen=True, array_like=True):
    """One body and who gets it.

    body: `{"event":…,"broadcast":{…},"data":{…` without the closing brace of data; the gateway appends
    `[,"mentions":"[\\"<own id>\\"]"][,"followers":…][,"should_ack":true]},"seq":N}` per receiver.
    user_id together with channel_id or team_id means that user only.
    connection_id: that connection only; omit_connection_id: all but that one.
    mentions, followers: users whose tail names them. notified: others who notify their users of it. ack_author: the
    author, who alone of all these is not asked to acknowledge (empty: nobody is asked).
    droppable: may be skipped for a connection that is behind. name: the event's name, for presence filters and counts.
    to_each: these users, each told of himself: a NUL in the body (at most 512 bytes) stands for the receiver's id.
    Counts only in a copy that names nobody else.
    guests: of the guests in the audience only these hear it; None: all do.
    variants: what stands in the body for some of the receivers besides.
    """

    body: bytes
    user_id: str = ""
    channel_id: str = ""
    team_id: str = ""
    everyone: bool = False
    omit_users: list[str] = []
    only: Only = Only.ANY
    connection_id: str = ""
    omit_connection_id: str = ""
    mentions: list[str] = []
    followers: list[str] = []
    ack_author: str = ""
    droppable: bool = False
    name: str = ""
    to_each: list[str] = []
    notified: list[str] = []
    guests: list[str] | None = None
    variants: Variants | None = None


class PostPush(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A new post that phones may have to hear of.

    mentions: whom it mentions, as its first copy has them. every_push: members who want every post pushed; None: ask.
    """

    post_id: str
    mentions: list[str] = []
    every_push: list[str] | None = None


class ReadPush(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A user has read something at one of his sessions: what his other devices show of it may go.

    channel_ids: channels that held mentions; unread_ids: others that held unread posts. root_id: a thread of the one
    channel instead.
    """

    user_id: str
    session_id: str
    channel_ids: list[str] = []
    unread_ids: list[str] = []
    root_id: str = ""


class BadgePush(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The number on the apps of a user may have changed, and nothing else."""

    user_id: str


Push = PostPush | ReadPush | BadgePush


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """One announcement: effects are applied before any copy goes out.

    key: the ordering key, see `channel_key` and its siblings.
    at: creation, Unix milliseconds. invalidates: cache keys, as in tidewire/bus/invalidation.py.
    push: what the push worker is to decide on, if this can lead to a push; of a post without its mentions.
    """

    key: str
    effects: list[Effect] = []
    copies: list[Copy] = []
    at: int = 0
    invalidates: list[str] = []
    push: Push | None = None


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """A push that waits for its decision. at: ms, when what it is about was announced."""

    at: int
    push: Push


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)
_copy_decoder = msgspec.msgpack.Decoder(Copy)
_decision_decoder = msgspec.msgpack.Decoder(Decision)


def encode(envelope: Envelope) -> bytes:
    """Return the envelope's bytes (MessagePack)."""
    return _encoder.encode(envelope)


def decode(data: bytes) -> Envelope:
    """Return the envelope of these bytes.

    Raises: msgspec.DecodeError (ValidationError included) if they are not one.
    """
    return _decoder.decode(data)


# Envelope of six: a channel's key of 28 bytes; then no effects and one Copy of 18 whose body has a 16-bit length. Both
# numbers of fields are fixed here: who adds one has to see whether it names receivers.
_HEAD, _ONE_COPY = b"\x96\xbcc:", b"\x90\x91\xdc\x00\x12\xc5"
# What follows a Copy's body: no user, a channel id of 26 bytes; then no team, not everyone, nobody left out, for any
# role, no connection.
_TO_CHANNEL, _TO_NOBODY_ELSE = b"\xa0\xba", b"\xa0\xc2\x90\x00\xa0"


def first_of_interest(
    entries: Entries | list[tuple[str, int, bytes]], start: int, lines: dict[str, Any], heard: dict[str, int]
) -> int:
    """Return the index of the first entry from `start` on that may concern somebody; the number of entries if none.

    Passed over is what has its key in neither dict, changes nothing and goes to the members of the key's channel alone,
    which is seen from a few bytes. Nearly all events are such ones; a process in which nobody hears the channel drops
    them by this, at a tenth of what decoding costs (bench/reader.py).
    """
    return first_wanted(entries, start, lines, heard, _HEAD, _ONE_COPY, _TO_CHANNEL, _TO_NOBODY_ELSE)


def goes_to_key_only(key: str, data: bytes) -> bool:
    """Tell from a few bytes that the announcement changes nothing and goes to the members of the key's channel alone.

    False: it does not, or more than a few bytes must be read to know.
    """
    return first_of_interest([(key, 0, data)], 0, {}, {}) == 1


# The end of an envelope that names no cache keys and no push: its time as 64 bits, an empty array, nil. No id or cache
# key, which are ASCII, has the byte that says "64 bits follow".
_AT_64, _AND_NO_MORE = 0xCF, b"\x90\xc0"


def is_for_gateways_only(data: bytes) -> bool:
    """Tell from a few bytes that an announcement drops nothing from caches and leads to no push, as nearly all.

    False: it does, or more than a few bytes must be read to know.
    """
    return data.endswith(_AND_NO_MORE) and len(data) > 11 and data[-11] == _AT_64


def encode_decision(envelope: Envelope) -> bytes | None:
    """Return what the push worker is to decide on, or None: the announcement leads to no push."""
    push = envelope.push
    if push is None:
        return None
    if type(push) is PostPush:  # in the outbox its mentions stand once
        push = PostPush(push.post_id, envelope.copies[0].mentions, push.every_push)
    return _encoder.encode(Decision(envelope.at, push))


def decode_decision(data: bytes) -> Decision:
    """Return the decision of these bytes.

    Raises: msgspec.DecodeError if they are not one.
    """
    return _decision_decoder.decode(data)


def encode_copy(copy: Copy) -> bytes:
    """Return the bytes of a copy that travels alone: an ephemeral event (typing, status), which has no number."""
    return _encoder.encode(copy)


def decode_copy(data: bytes) -> Copy:
    """Return the copy of these bytes.

    Raises: msgspec.DecodeError if they are not one.
    """
    return _copy_decoder.decode(data)


def channel_key(channel_id: str) -> str:
    """Return the ordering key of everything announced to a channel."""
    return "c:" + channel_id


def team_key(team_id: str) -> str:
    """Return the ordering key of what is announced to a team."""
    return "t:" + team_id


def user_key(user_id: str) -> str:
    """Return the ordering key of what is announced to a user alone, or about him to everyone."""
    return "u:" + user_id


def shard_of(key: str, shards: int) -> int:
    """Return the shard of a key, 0 ≤ shard < shards. Every process must use the same `shards`."""
    return zlib.crc32(key.encode()) % shards
