"""What a file is, by its name and by its first bytes, and how a browser is told. Pure functions.

A name says what clients show (an icon, a player); what a browser may do with the bytes only the bytes say.
"""

import mimetypes
import unicodedata
from urllib.parse import quote

NAME_BYTES = 255  # as file systems have it: whoever saves the file can keep its name
EXTENSION_CHARS = 16
UNKNOWN = "application/octet-stream"
_BY_EXTENSION = mimetypes.MimeTypes(filenames=()).types_map[True] | {
    ".7z": "application/x-7z-compressed",
    ".aac": "audio/aac",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".flac": "audio/flac",
    ".gz": "application/gzip",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/ogg",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}
# What may run or be styled in a page that it is opened in: never named as what it is.
_ACTIVE = ("html", "xml", "svg", "javascript", "ecmascript", "x-shockwave-flash", "xsl", "css", "multipart", "message")
_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)
_SOUNDS = ((b"ID3", "audio/mpeg"), (b"\x1aE\xdf\xa3", "video/webm"), (b"OggS", "audio/ogg"), (b"fLaC", "audio/flac"))
# Pictures come in the same boxes (ISO/IEC 23008-12, AVIF): as "video/mp4" no browser shows them.
_MP4_BRANDS = {b"M4A ": "audio/mp4", b"qt  ": "", b"jp2 ": "", b"crx ": ""} | dict.fromkeys(
    (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), ""
)


def clean_name(name: str) -> str:
    """Return a file's name without what is none of it: folders, control and direction characters, surrogates.

    At most NAME_BYTES of UTF-8, its extension kept; "" if nothing is left.
    """
    base = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode()).replace("\\", "/")
    base = base.rstrip("/").rpartition("/")[2]
    # Cc: CR, LF, NUL, …; Cf: text direction, zero width; but the joiner that emojis are made with stays.
    kept = "".join(char for char in base if unicodedata.category(char) not in ("Cc", "Cf", "Cs") or char == "\u200d")
    kept = kept.strip()
    if kept.strip(".") == "":
        return ""
    if len(kept.encode()) <= NAME_BYTES:
        return kept
    stem, dot, end = kept.rpartition(".")
    tail = dot + end if dot and len(end) <= EXTENSION_CHARS else ""
    stem = stem if tail else kept
    return stem.encode()[: NAME_BYTES - len(tail.encode())].decode(errors="ignore") + tail


def extension(name: str) -> str:
    """Return a name's extension in small letters, without the dot; "" if it has none."""
    _, dot, end = name.rpartition(".")
    good = bool(dot) and 0 < len(end) <= EXTENSION_CHARS and end.isalnum()
    return end.lower() if good else ""


def type_of_name(name: str) -> str:
    """Return the media type that a file's extension stands for."""
    return _BY_EXTENSION.get("." + extension(name), UNKNOWN)


def picture_type(head: bytes) -> str:
    """Return the media type if a file begins like a picture that we decode, else ""."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _PICTURES if head.startswith(magic)), "")


def played_type(head: bytes) -> str:
    """Return the media type if a file begins like sound or film that browsers play, else ""."""
    if head[4:8] == b"ftyp":
        return _MP4_BRANDS.get(head[8:12], "video/mp4")
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return "audio/mpeg"
    return next((kind for magic, kind in _SOUNDS if head.startswith(magic)), "")


def harmless(media_type: str) -> str:
    """Return what a download may be called: its type, unless a browser might run it."""
    return UNKNOWN if any(word in media_type for word in _ACTIVE) else media_type


def disposition(name: str, *, inline: bool) -> str:
    """Return a Content-Disposition. RFC 6266 4.3: a plain form for old clients, the one of RFC 8187 for all others."""
    plain = "".join(char if " " <= char <= "~" and char not in '"\\%' else "_" for char in name)
    encoded = quote(name, safe="!#$&+-.^_`|~")  # RFC 8187 3.2.1, attr-char
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
