"""The smaller pictures of an uploaded file. Runs in the workshop's process only: its input is hostile.

As in `squares`: what comes out was encoded here, from pixels.
"""

from io import BytesIO
from math import ceil
from typing import NamedTuple

from PIL import Image, ImageCms

from tidewire.pictures.squares import TooManyPixels, opened, upright

# Mattermost API v4, FileInfo: thumbnails 120 × 100, previews 1920 wide, mini previews 16 × 16.
THUMBNAIL, PREVIEW_WIDTH, MINI = (120, 100), 1920, (16, 16)
PREVIEW_HEIGHT = 10_800  # of what is no screen any more; JPEG ends at 65,535
_QUALITY, _MINI_QUALITY = 88, 60
_PNG_LEVEL = 3  # half the time of 6 for some percent more bytes
_TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap the sides
_ORIENTATION = 0x0112
JPEG, PNG = "image/jpeg", "image/png"


class Small(NamedTuple):
    """An encoded picture and its media type."""

    data: bytes
    type: str


class Previews(NamedTuple):
    """What was found in a picture: its media type, its size as it is looked at, and its smaller forms.

    preview: None for what moves, which is shown as it is.
    """

    type: str
    width: int
    height: int
    thumbnail: Small
    preview: Small | None
    mini: bytes


def make_previews(path: str, max_pixels: int) -> Previews:
    """Return the smaller pictures of a file, turned as its EXIF says; of an animation the first frame.

    max_pixels: width times height, tested before any pixel is decoded. Raises: NotAPicture, TooManyPixels.
    """
    with opened(path, max_pixels) as picture:
        width, height = picture.size
        turned = _orientation(picture) in _TURNED
        moves = bool(getattr(picture, "is_animated", False))
        media_type = Image.MIME[picture.format or ""]
        shown = (height, width) if turned else (width, height)
        size = _within(shown, (PREVIEW_WIDTH, PREVIEW_HEIGHT))
        # JPEG: decodes a fraction of the pixels where that is enough.
        picture.draft("RGB", size[::-1] if turned else size)
        picture.load()
        if picture.width * picture.height > max_pixels:  # a frame may be larger than its canvas
            raise TooManyPixels
        profile = picture.info.get("icc_profile")
        plain = _plain(upright(picture))
        small = plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0) if size != plain.size else plain
        small.info.clear()
        small = _in_srgb(small, profile)
        tiny = small.resize(_within(shown, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=3.0)
        mini = _flat(tiny).resize(MINI, Image.Resampling.BILINEAR)
        return Previews(
            media_type, *shown, _encode(tiny), None if moves else _encode(small), _jpeg(mini, _MINI_QUALITY)
        )


def _orientation(picture: Image.Image) -> int:
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # a picture with a broken EXIF block is still a picture
        return 1
    return value if isinstance(value, int) else 1


def _within(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """Return a size reduced to fit into a box, never enlarged, its sides 1 at least."""
    scale = min(1.0, box[0] / size[0], box[1] / size[1])
    return max(1, min(box[0], ceil(size[0] * scale))), max(1, min(box[1], ceil(size[1] * scale)))


def _plain(picture: Image.Image) -> Image.Image:
    """Return the picture in a mode that can be resized and saved."""
    wanted = "RGBA" if picture.has_transparency_data else "CMYK" if picture.mode == "CMYK" else "RGB"
    return picture if picture.mode == wanted else picture.convert(wanted)


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in the colours of browsers, which its own profile is not told to."""
    if profile and picture.mode != "RGBA":
        try:
            own = ImageCms.ImageCmsProfile(BytesIO(profile))
            made = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if made is not None:
                return made
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that is wrong is as good as none
    return picture.convert("RGB") if picture.mode == "CMYK" else picture


def _encode(picture: Image.Image) -> Small:
    if picture.mode == "RGBA":
        out = BytesIO()
        picture.save(out, "PNG", compress_level=_PNG_LEVEL)
        return Small(out.getvalue(), PNG)
    return Small(_jpeg(picture, _QUALITY), JPEG)


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    out = BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _flat(picture: Image.Image) -> Image.Image:
    """Return the picture on white."""
    if picture.mode != "RGBA":
        return picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white
