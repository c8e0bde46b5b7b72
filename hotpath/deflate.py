"""permessage-deflate (RFC 7692) without context takeover: one compression for all receivers of an event.

Knows bytes and zlib; knows no frames and no sockets. Not compiled and without a twin: the work is zlib's, once per
event or compressed message. Nothing is kept between two calls, for no connection.
"""

import zlib

# Below this a frame saves less than compressing costs: typing, status and the like.
PACK_FROM_BYTES = 256
# Events are about 2 KB: a small window finds the same repetitions in them, and its state is 32 instead of 268 KiB.
SMALL_BYTES = 4096
LEVEL, WINDOW, MEMORY, SMALL_WINDOW, SMALL_MEMORY = 6, 15, 8, 12, 5

_SYNC = b"\0\0\xff\xff"  # ends every sync flush: LEN and NLEN of an empty stored block
_LAST = b"\x03\0"  # an empty last block
# RFC 7692 7.2.3.4: a sender may set BFINAL; one byte of an empty block is behind the end then.
_AFTER_FINAL = frozenset({b"", b"\0" + _SYNC + _LAST})


class BadMessage(Exception):
    """A compressed message that is refused: close with `code`."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


def pack(prefix: bytes) -> bytes | None:
    """Return the shared part of an event compressed, up to a stored block whose LEN, NLEN and bytes are to follow.

    None if that does not make it shorter. The rest of the message is end_of(tail).
    """
    small = len(prefix) <= SMALL_BYTES
    window, memory = (SMALL_WINDOW, SMALL_MEMORY) if small else (WINDOW, MEMORY)
    stream = zlib.compressobj(LEVEL, zlib.DEFLATED, -window, memory)
    packed = stream.compress(prefix) + stream.flush(zlib.Z_SYNC_FLUSH)
    packed = packed.removesuffix(_SYNC)
    return packed if len(packed) + len(end_of(b"")) < len(prefix) else None


def end_of(tail: bytes) -> bytes:
    """Return what goes behind pack(): the receiver's own end (at most 65,535 bytes) as a stored block.

    The header bits of the block are the last ones of pack(). The closing zero is the header of the empty block whose
    other four bytes RFC 7692 7.2.1 leaves out.
    """
    size = len(tail)
    return size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + tail + b"\0"


def inflate(data: bytes, limit: int, text: bool) -> bytes:
    """Return the message that was compressed into data.

    Raises: BadMessage: 1009 if it has more than limit bytes, which is noticed before more are made; 1007 if data is
    no complete stream, or a text is not UTF-8.
    """
    stream = zlib.decompressobj(-WINDOW)
    try:
        # The empty last block is only found as such where a block may begin: nothing of the message is missing.
        message = stream.decompress(data + _SYNC + _LAST, limit + 1)
    except zlib.error as error:
        raise BadMessage(1007, "not a deflate stream") from error
    if len(message) > limit:
        raise BadMessage(1009, "message too big")
    if not stream.eof or stream.unused_data not in _AFTER_FINAL:
        raise BadMessage(1007, "not a whole deflate stream")
    if text:
        try:
            message.decode()
        except UnicodeDecodeError as error:
            raise BadMessage(1007, "not UTF-8") from error
    return message
