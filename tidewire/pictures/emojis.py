"""An uploaded file into an emoji. Runs in the workshop's process only: its input is hostile."""

import warnings
from io import BytesIO

from PIL import Image, ImageSequence

from tidewire.pictures.previews import PNG, Small
from tidewire.pictures.squares import NotAPicture, TooManyPixels, encode, upright

SIDE = 128  # Mattermost API v4: what is larger is made smaller, a GIF with all its frames
FORMATS = ("PNG", "JPEG", "GIF")
FRAMES_MAX = 500  # some 8 s at the usual pace; each is decoded here
_GIF = "image/gif"
_SHORTEST_MS = 20  # what browsers take for the shortest time of a frame


def make_emoji(path: str, max_pixels: int) -> Small:
    """Return the emoji of a file: a moving GIF as GIF, all else as PNG. Raises: NotAPicture, TooManyPixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our limit is checked below
            return _emoji(path, max_pixels)
    except TooManyPixels:
        raise
    except Image.DecompressionBombError:
        raise TooManyPixels from None
    # As in squares.make_square: decoders may raise anything, and it is the file's fault.
    except Exception as error:
        raise NotAPicture(type(error).__name__) from None


def _emoji(path: str, max_pixels: int) -> Small:
    with Image.open(path, formats=FORMATS) as picture:
        if picture.width * picture.height > max_pixels:
            raise TooManyPixels
        if picture.format == "GIF" and getattr(picture, "is_animated", False):
            return _moving(picture, max_pixels)
        picture.load()
        turned = upright(picture)
        plain = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
    plain.info.clear()
    plain.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return Small(encode(plain), PNG)


def _moving(picture: Image.Image, max_pixels: int) -> Small:
    frames: list[Image.Image] = []
    times: list[int] = []
    for frame in ImageSequence.Iterator(picture):
        if len(frames) == FRAMES_MAX or frame.width * frame.height > max_pixels:
            raise TooManyPixels
        made = frame.convert("RGBA")
        made.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        times.append(max(_SHORTEST_MS, int(frame.info.get("duration") or 0)))
        frames.append(made)
    for made in frames:
        made.info.clear()
    out = BytesIO()
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, disposal=2, optimize=False
    )
    return Small(out.getvalue(), _GIF)
