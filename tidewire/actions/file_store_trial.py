"""A try of the S3 that an administrator is about to configure. Source: Mattermost API v4, "Test AWS S3 connection"."""

from typing import Any

from msgspec import structs

from tidewire.actions import permissions
from tidewire.actions.file_store import place_in
from tidewire.actions.services import Services
from tidewire.store.objects import Objects
from tidewire.wire.config import ITEMS, fault, is_masked
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.models import Session

WAIT_MS = 5_000  # an administrator looks at a spinner


class _Given:
    """Keys of a configuration that is not in force."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        return str(self._values[name])

    def flag(self, name: str) -> bool:
        return bool(self._values[name])

    def number(self, name: str) -> int:
        return int(self._values[name])


async def do_test_s3(services: Services, session: Session, given: dict[str, Any]) -> None:
    """Write and delete an object in the bucket of the configuration, with the given keys over it.

    given: flat; a secret that is masked is the stored one. Raises: 403; 400 for bad values and without a bucket; 500 if
    the store does not take it.
    """
    permissions.check_system(session, "test_s3")
    known = {name: value for name, value in given.items() if name.startswith("FileSettings.")}
    for name, value in known.items():
        if why := fault(ITEMS[name], value):
            raise AppError("api.context.invalid_body_param.app_error", 400, f"{name} {why}.")
    values = services.config.values | {name: value for name, value in known.items() if not is_masked(value)}
    place = place_in(_Given(values | {"FileSettings.DriverName": "amazons3"}), services.files.directory)
    if not place.bucket:
        raise AppError("api.admin.test_s3.missing_s3_bucket", 400, "S3 Bucket is required.")
    try:
        await Objects(structs.replace(place, timeout_ms=min(place.timeout_ms, WAIT_MS))).check()
    except Unavailable as error:
        # The store's words stay here: they would tell of machines that the caller cannot reach himself.
        text = "The file store could not be used with these settings."
        raise AppError("api.file.test_connection.app_error", 500, text) from error
