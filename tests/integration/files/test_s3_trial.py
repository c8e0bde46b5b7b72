"""`POST /file/s3_test`: the bucket of a configuration that is not in force yet."""

from typing import Any

import pytest

from tests.fixtures.ports import free_port
from tests.fixtures.seaweed import Seaweed
from tests.integration.people.crew import Crew
from tidewire.store.objects import Objects, Place
from tidewire.wire.config import MASK

pytestmark = pytest.mark.asyncio(loop_scope="package")


def given(seaweed: Seaweed, **changes: Any) -> dict[str, Any]:
    """Return a configuration that names the S3."""
    return {"FileSettings": {name.partition(".")[2]: value for name, value in seaweed.config.items()} | changes}


async def test_a_bucket_is_tried(crew: Crew, seaweed: Seaweed) -> None:
    admin = crew.people.admin
    assert await admin.post("/file/s3_test", given(seaweed)) == {"status": "OK"}
    for wrong in (
        {"AmazonS3SecretAccessKey": "wrong"},
        {"AmazonS3Endpoint": f"127.0.0.1:{free_port()}", "AmazonS3RequestTimeoutMilliseconds": 300},
        {"AmazonS3Endpoint": "no host"},
        {"AmazonS3Bucket": "a b"},
        {"AmazonS3Region": "\n"},
        {"AmazonS3AccessKeyId": "\r\nX: y"},
        {"AmazonS3SecretAccessKey": "\r\n"},
        {"AmazonS3PathPrefix": "../.."},
    ):
        answer = await admin.post("/file/s3_test", given(seaweed, **wrong), expect=500)
        assert answer["id"] == "api.file.test_connection.app_error"
        assert "127.0.0.1" not in str(answer)
    # Nothing is left, and what is in force has not changed.
    keys = seaweed.config
    there = Place(
        crew.people.api.settings.files.directory, s3=True, bucket=keys["FileSettings.AmazonS3Bucket"],
        endpoint=keys["FileSettings.AmazonS3Endpoint"], access_key=keys["FileSettings.AmazonS3AccessKeyId"],
        secret_key=keys["FileSettings.AmazonS3SecretAccessKey"], prefix=keys["FileSettings.AmazonS3PathPrefix"],
        tls=False,
    )  # fmt: skip
    assert not [key for key in await Objects(there).keys() if key.startswith("check/")]
    assert (await admin.get("/config"))["FileSettings"]["DriverName"] == "local"


async def test_masked_secrets_are_the_stored_ones(crew: Crew, seaweed: Seaweed) -> None:
    admin = crew.people.admin
    stored = given(seaweed)["FileSettings"] | {"DriverName": "local"}
    before = (await admin.get("/config"))["FileSettings"]
    await admin.put("/config/patch", {"FileSettings": stored})
    try:
        shown = (await admin.get("/config"))["FileSettings"]
        assert shown["AmazonS3SecretAccessKey"] == MASK
        assert await admin.post("/file/s3_test", {"FileSettings": shown}) == {"status": "OK"}
        # Without a body it is the configuration in force.
        assert (await admin.request("POST", "/file/s3_test")).json() == {"status": "OK"}
    finally:
        await admin.put("/config/patch", {"FileSettings": {name: before[name] for name in stored}})


async def test_who_may_and_what_is_refused(crew: Crew) -> None:
    for who in (crew.people.owner, crew.people.member):
        assert (await who.post("/file/s3_test", {}, expect=403))["id"] == "api.context.permissions.app_error"
    admin = crew.people.admin
    assert (await admin.post("/file/s3_test", {}, expect=400))["id"] == "api.admin.test_s3.missing_s3_bucket"
    for body in ({"FileSettings": []}, {"FileSettings": {"AmazonS3Bucket": 7}}, {"FileSettings": {"AmazonS3SSL": "x"}}):
        assert (await admin.post("/file/s3_test", body, expect=400))["id"] == "api.context.invalid_body_param.app_error"
