"""What the tests of files share: uploads, pictures, and what lies in the store."""

import io
from typing import Any

import httpx
from PIL import Image

from tests.fixtures.api import Client
from tests.integration.people.crew import Crew
from tidewire.store.objects import Objects, Place

BYTES = bytes(range(256)) * 512  # 128 KiB


def drawn(form: str = "PNG", size: tuple[int, int] = (300, 200), **options: Any) -> bytes:
    """Return a picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", size, "red")
    picture.paste((0, 0, 255), (size[0] // 2, 0, size[0], size[1]))
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


async def send(who: Client, channel_id: str, *files: tuple[str, bytes], **data: Any) -> httpx.Response:
    """Upload by a form and return the answer."""
    parts = [("files", (name, content, "application/octet-stream")) for name, content in files]
    return await who.request("POST", "/files", files=parts, data={"channel_id": channel_id, **data})


async def upload(who: Client, channel_id: str, name: str = "note.bin", content: bytes = BYTES) -> dict[str, Any]:
    """Upload one file and return its info."""
    answer = await send(who, channel_id, (name, content))
    assert answer.status_code == 201, answer.text
    info: dict[str, Any] = answer.json()["file_infos"][0]
    return info


def objects(crew: Crew, place: str, config: dict[str, Any]) -> Objects:
    """Return the store of the test."""
    directory = crew.people.api.settings.files.directory
    if place == "disk":
        return Objects(Place(directory))
    keys = {name.removeprefix("FileSettings."): value for name, value in config.items()}
    there = Place(
        directory,
        s3=True,
        bucket=keys["AmazonS3Bucket"],
        endpoint=keys["AmazonS3Endpoint"],
        access_key=keys["AmazonS3AccessKeyId"],
        secret_key=keys["AmazonS3SecretAccessKey"],
        prefix=keys["AmazonS3PathPrefix"],
        tls=False,
    )
    return Objects(there)


async def stored(crew: Crew, place: str, config: dict[str, Any]) -> list[str]:
    """Return the keys of all objects that are there."""
    return await objects(crew, place, config).keys()
