"""Sizes of images by their first bytes, held against Pillow."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tidewire.pictures.headers import BLOCKS_MAX, format_of, measure
from tidewire.pictures.squares import NotAPicture

SIZES = [(1, 1), (3, 700), (640, 480)]


def drawn(form: str, size: tuple[int, int], **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("BMP", {}), ("GIF", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("JPEG", {}),
     ("JPEG", {"progressive": True}), ("WEBP", {"exif": Image.Exif()})],
)  # fmt: skip
def test_sizes(form: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    found = measure(drawn(form, size, **options))
    assert found is not None
    frames = 1 if form == "GIF" else 0
    assert (found.width, found.height, found.format, found.frame_count) == (*size, form.lower(), frames)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = measure(drawn("JPEG", (30, 20), exif=exif))
    assert found is not None and (found.width, found.height) == ((20, 30) if orientation > 4 else (30, 20))


def test_frames() -> None:
    frames = [Image.new("RGB", (9, 9), (shade, 0, 0)) for shade in range(0, 250, 50)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    whole = measure(out.getvalue())
    assert whole is not None and whole.frame_count == 5
    cut = measure(out.getvalue()[: len(out.getvalue()) // 2])
    assert cut is not None and 1 <= cut.frame_count < 5
    # Made of blocks of one byte: the walk ends.
    head = b"GIF89a" + b"\1\0\1\0" + b"\0\0\0"
    endless = measure(head + b"!\xff" + b"\1x" * (2 * BLOCKS_MAX))
    assert endless is not None and endless.frame_count == 1
    # Frames of many tiny parts: all that is walked through is counted, not each frame's parts anew.
    frame = b"\x2c" + bytes(10) + b"\x01x" * BLOCKS_MAX
    tiny = measure(b"GIF89a" + b"\x01\0\x01\0" + bytes(3) + frame * 20)
    assert tiny is not None and tiny.frame_count == 1


@pytest.mark.parametrize("data", [b"<svg xmlns='x'>", b"", b"\xff\xd8\xff\xd9", b"%PDF-1.7", b"\0\0\1\0"])
def test_no_images(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        measure(data + b"\0" * 40)


@settings(max_examples=200)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP"]), st.data())
def test_broken_ones(form: str, data: st.DataObject) -> None:
    """Any bytes give a size, need more, or are none."""
    image = bytearray(drawn(form, (5, 4)))
    for _ in range(data.draw(st.integers(0, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = measure(bytes(image[: data.draw(st.integers(0, len(image)))]))
    except NotAPicture:
        return
    assert found is None or (found.width > 0 and found.height > 0)


@given(st.binary(max_size=64))
def test_formats(data: bytes) -> None:
    assert format_of(data) in ("", "png", "jpeg", "gif", "webp", "bmp", "ico", "avif")
