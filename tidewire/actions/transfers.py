"""What administrators bring for an import and fetch of exports: objects in two folders of the file store, by name.

Source: Mattermost API v4, imports and exports.
"""

from typing import Literal

from tidewire.actions import permissions
from tidewire.actions.files import Shown
from tidewire.actions.services import Services
from tidewire.store.objects import Missing
from tidewire.wire.errors import AppError, url_param
from tidewire.wire.file_types import clean_name
from tidewire.wire.models import Session

Folder = Literal["import", "export"]
ZIP = "application/zip"


def check_may(session: Session) -> None:
    """Raise 403 unless the caller may take a workspace out or bring one: an admin himself, through no OAuth app."""
    permissions.check_not_oauth(session)
    permissions.check_system(session, "manage_system")


def key(folder: Folder, name: str) -> str:
    """Return the object of a name. Raises: 400 for what is none: a path, or one that hides."""
    if name != clean_name(name) or name.startswith("."):
        raise url_param(f"{folder}_name")
    return f"{folder}/{name}"


async def list_names(services: Services, session: Session, folder: Folder) -> list[str]:
    """Return the names in a folder. Raises: 403; Unavailable."""
    check_may(session)
    found = await services.files.objects.keys(folder)
    return [one.removeprefix(f"{folder}/") for one in found]


async def access_export(services: Services, session: Session, name: str) -> Shown:
    """Return an export, to be sent. Raises: 400, 403, 404; Unavailable."""
    check_may(session)
    wanted = key("export", name)
    try:
        found = await services.files.objects.facts(wanted)
    except Missing as error:
        raise AppError("api.export.export_not_found.app_error", 404, "There is no such export.") from error
    return Shown(wanted, found.size, ZIP, name, False, found.version, found.at)


async def do_delete(services: Services, session: Session, folder: Folder, name: str) -> None:
    """Delete a file; one that is not there is no error. Raises: 400, 403; Unavailable."""
    check_may(session)
    await services.files.objects.delete([key(folder, name)])
