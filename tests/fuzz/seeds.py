"""The inputs that fuzzing begins with: every kind of frame, every border of the format, the faults that it names.

Layout of an input: see parser.c. Writes files; runs nothing.
"""

import struct
import zlib
from pathlib import Path

from tests.protocol.raw import frame

# Places in parser.c's lists: max_message 8192, unlimited, and small ones; max_fragments 64 and 3.
USUAL, UNLIMITED, SMALL = 10, 15, (3, 6)
MANY, FEW = 3, 2
COMPRESSED = 0x80  # beside them: permessage-deflate was agreed on

BORDERS = (0, 1, 7, 8, 124, 125, 126, 127, 8191, 8192, 8193, 65535, 65536)
TEXTS = ("", "a", "zwölf", "€" * 40, "𝄞 clef", "a" * 7 + "ö" + "b" * 9)
BAD_TEXTS = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82", b"a" * 8 + b"\x80")
CLOSE_CODES = (0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 2999, 3000, 4999, 5000, 65535)


def streams() -> dict[str, bytes]:
    """Return what peers send, by name."""
    found = {f"binary {size}": frame(2, b"b" * size) for size in BORDERS}
    found |= {f"text {n}": frame(1, text.encode()) for n, text in enumerate(TEXTS)}
    found |= {f"not text {n}": frame(1, text) for n, text in enumerate(BAD_TEXTS)}
    found |= {f"close {code}": frame(8, struct.pack(">H", code) + b"why") for code in CLOSE_CODES}
    for opcode in range(16):
        found[f"opcode {opcode}"] = frame(opcode, b"x") + frame(1, b"later")
        found[f"part of opcode {opcode}"] = frame(opcode, b"x", fin=False) + frame(0, b"later")
    message = "zwölf Boxkämpfer".encode()
    found["fragments"] = b"".join(frame(0 if i else 1, message[i : i + 1], fin=i == len(message) - 1)
                                  for i in range(len(message)))
    found["fragments and control frames"] = (
        frame(1, b"one ", fin=False) + frame(9, b"p" * 125) + frame(0, b"", fin=False) + frame(10) + frame(0, b"two"))
    found["too many fragments"] = frame(2, b"", fin=False) + frame(0, b"", fin=False) * 64
    found["long fragments"] = frame(2, b"a" * 5000, fin=False) + frame(0, b"b" * 3192, fin=False) + frame(0, b"")
    found["fragments beyond the limit"] = frame(2, b"a" * 5000, fin=False) + frame(0, b"b" * 3193)
    found["many messages"] = (frame(1, b"ping") + frame(9) + frame(2, bytes(range(256)))) * 8 + frame(8)
    found["close of one byte"] = frame(8, b"\x03")
    found["close without code"] = frame(8)
    found["bad close reason"] = frame(8, b"\x03\xe8\xff")
    found["long ping"] = frame(9, b"p" * 126)
    found["unmasked"] = b"\x81\x01a"
    for bits in (0x10, 0x20, 0x40):
        for opcode in (1, 2, 0, 9):
            found[f"reserved bit {bits} of opcode {opcode}"] = bytes([0x80 | opcode | bits]) + frame(1, b"a")[1:]
    packed = zlib.compressobj(wbits=-15)
    body = packed.compress(b"hello " * 40) + packed.flush(zlib.Z_SYNC_FLUSH)
    found["compressed"] = b"\xc1" + frame(1, body[:-4])[1:] + frame(1, b"plain")
    found["compressed fragments"] = b"\x41" + frame(1, body[:9], fin=False)[1:] + frame(9, b"p") + frame(0, body[9:-4])
    found["compressed too long"] = b"\xc2" + frame(2, b"\xff" * (8192 + 1024 + 65))[1:]
    found["announces 125 in 16 bits"] = b"\x82\xfe" + struct.pack(">H", 125) + b"mask"
    for length in (65535, 65536, 1 << 62, 1 << 63, (1 << 64) - 1):
        found[f"announces {length}"] = b"\x82\xff" + struct.pack(">Q", length) + b"mask"
    return found


def write(folder: Path) -> int:
    """Write an input per stream and limits; return how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, stream) in enumerate(streams().items()):
        limits = [(USUAL, MANY), (USUAL, MANY | COMPRESSED), (UNLIMITED, MANY)]
        if len(stream) < 400:
            limits += [(SMALL[0], FEW), (SMALL[1], FEW | COMPRESSED)]
        for size, fragments in limits:
            header = bytes([size, fragments]) + struct.pack("<I", 2654435761 * (number + 1) & 0xFFFFFFFF)
            (folder / f"{name.replace(' ', '-')}-{size}-{fragments}").write_bytes(header + stream)
    return len(list(folder.iterdir()))
