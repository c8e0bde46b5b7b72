"""The picture of those who have none: the first letter of a name on a colour. Deterministic, drawn once per process."""

from functools import cache
from unicodedata import normalize
from zlib import crc32

from PIL import Image, ImageDraw, ImageFont

from tidewire.pictures.squares import SIDE, encode

# Dark enough for white letters: contrast of 4.5 and more (WCAG 2.2, 1.4.3).
COLOURS = (
    "#0b6e4f", "#1c58d9", "#2d6a4f", "#3d405b", "#4a148c", "#5c3d2e", "#6a1b9a", "#7a4419",
    "#8e244d", "#9c2c77", "#a4303f", "#006d77", "#00695c", "#283593", "#374151", "#b02a30",
)  # fmt: skip
_SIZE = 72  # of the letter, in pixels
_DRAW_LARGER = 2  # drawn at twice the size and made smaller, for soft edges of the silhouette


def initial(name: str) -> str:
    """Return what stands for a name: its first letter or digit, in upper case, without accents; "" if there is none."""
    return next((normalize("NFKD", char).upper()[0] for char in name if char.isalnum()), "")


def colour(owner_id: str) -> str:
    """Return whose colour it is, the same on every node and after every start."""
    return COLOURS[crc32(owner_id.encode()) % len(COLOURS)]


def picture_for(name: str, owner_id: str) -> tuple[str, bytes]:
    """Return (version, PNG). The version changes when the picture does. Cost: 3 ms the first time, then a look-up."""
    letter, tint = initial(name), colour(owner_id)
    return f"{tint[1:]}{ord(letter) if letter else 0:x}", draw(letter, tint)


@cache  # of at most a thousand: names have the letters that usernames may have
def draw(letter: str, tint: str) -> bytes:
    """Return the PNG of a letter on a colour, or of a silhouette where the font that we have cannot draw it."""
    font = _font()
    if not letter or _mask(font, letter) == _mask(font, "\U0010ffff"):  # what is drawn for what is missing
        return _silhouette(tint)
    picture = Image.new("RGB", (SIDE, SIDE), tint)
    ImageDraw.Draw(picture).text((SIDE / 2, SIDE / 2), letter, "white", font, anchor="mm")
    return encode(picture)


@cache
def _font() -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(_SIZE)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


def _mask(font: ImageFont.FreeTypeFont, char: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(char)
    return mask.size, bytes(mask)


def _silhouette(tint: str) -> bytes:
    side = SIDE * _DRAW_LARGER
    picture = Image.new("RGB", (side, side), tint)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((side * 0.34, side * 0.18, side * 0.66, side * 0.5), "white")
    pen.ellipse((side * 0.18, side * 0.56, side * 0.82, side * 1.2), "white")
    return encode(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
