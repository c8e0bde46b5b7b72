"""An image's format and size out of its first bytes. Pure, linear, no pixel is decoded: for images of strangers.

What browsers show as images and nothing else; SVG is a document. Sources: PNG (ISO 15948) 5.6 and 11.2.1, GIF89a,
JPEG (T.81) B.1 and Exif 2.3 4.6, WebP container specification, BMP, ICO.
"""

import struct

from tidewire.pictures.squares import NotAPicture
from tidewire.wire.links import PostImage

TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "ico": "image/x-icon",
    "avif": "image/avif",
}
NEEDED = 18  # bytes that tell the format
SEGMENTS_MAX, ENTRIES_MAX = 1000, 200  # of a JPEG before its size, of its EXIF block
BLOCKS_MAX = 20_000  # of a GIF that are walked through, parts of blocks too; 2 ms. What is read of one has some 4,000
_NO_SIZE = frozenset({0xC4, 0xC8, 0xCC})
_TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap the sides


def format_of(data: bytes) -> str:
    """Return the format (a key of TYPES) of what begins so, or "". Needs NEEDED bytes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:2] == b"BM" and len(data) >= 18 and data[6:10] == b"\0\0\0\0":
        return "bmp"
    if data.startswith(b"\0\0\1\0"):
        return "ico"
    return "avif" if data[4:12] in (b"ftypavif", b"ftypavis") else ""


def measure(data: bytes) -> PostImage | None:
    """Return an image's size, or None while more bytes are needed to tell.

    data: its beginning. frame_count: of a GIF, the frames among these bytes. Raises: NotAPicture.
    """
    if len(data) < 32:
        return None
    kind = format_of(data)
    if kind not in _SIZES:
        raise NotAPicture("no image that can be measured")
    try:
        size = _SIZES[kind](data)
    except (struct.error, IndexError):
        return None
    if size is None:
        return None
    if not all(0 < side < 1 << 31 for side in size):
        raise NotAPicture("an image without a size")
    return PostImage(*size, kind, _frames(data) if kind == "gif" else 0)


def _png(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise NotAPicture("a PNG without a header")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _bmp(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] < 40:
        raise NotAPicture("a BMP of long ago")
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)


def _webp(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L" and data[20] == 0x2F:
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise NotAPicture("a WebP of an unknown kind")


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at, turned = 2, False
    for _ in range(SEGMENTS_MAX):
        if data[at] != 0xFF:
            raise NotAPicture("a JPEG without its marks")
        mark = data[at + 1]
        if mark == 0xFF:  # fill
            at += 1
            continue
        if mark == 0x01 or 0xD0 <= mark <= 0xD8:
            at += 2
            continue
        length = struct.unpack_from(">H", data, at + 2)[0]
        if length < 2 or mark in (0xD9, 0xDA):
            raise NotAPicture("a JPEG without a size")
        if 0xC0 <= mark <= 0xCF and mark not in _NO_SIZE:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return (height, width) if turned else (width, height)
        if mark == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            turned = _orientation(data[at + 10 : at + 2 + length]) in _TURNED
        at += 2 + length
    raise NotAPicture("a JPEG of too many parts")


def _orientation(block: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        at = struct.unpack_from(order + "I", block, 4)[0]
        count = struct.unpack_from(order + "H", block, at)[0]
        for entry in range(at + 2, at + 2 + 12 * min(count, ENTRIES_MAX), 12):
            tag, kind = struct.unpack_from(order + "HH", block, entry)
            if tag == 0x0112 and kind == 3:
                return int(struct.unpack_from(order + "H", block, entry + 8)[0])
    except struct.error:
        pass  # a picture with a broken EXIF block is still a picture
    return 1


def _frames(data: bytes) -> int:
    """Return how many frames of a GIF begin in these bytes, 1 at least."""
    frames, steps = 0, iter(range(BLOCKS_MAX))
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    try:
        for _ in steps:
            kind = data[at]
            if kind == 0x2C:
                frames += 1
                packed = data[at + 9]
                at += 11 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
            elif kind == 0x21:
                at += 2
            elif kind == 0:
                at += 1
                continue
            else:
                break
            for _ in steps:
                length = data[at]
                at += 1 + length
                if not length:
                    break
    except IndexError:
        pass  # the rest was not read
    return max(1, frames)


_SIZES = {"png": _png, "gif": _gif, "bmp": _bmp, "webp": _webp, "jpeg": _jpeg}
