"""What the server says about itself: version, client configuration, licence. Nothing in it is secret.

The version id is the same on all nodes of an installation and changes with what clients must fetch again.
"""

from functools import lru_cache
from hashlib import sha256

import msgspec

from tidewire.actions.services import Services
from tidewire.settings import Settings
from tidewire.store import system, users
from tidewire.store.db import Database
from tidewire.store.migrate import migrations
from tidewire.wire.client_config import FLAGS, FULL, LIMITED
from tidewire.wire.ids import new_token, now_ms

API_VERSION = "11.6.0"  # of the Mattermost API that we speak; clients switch features by it
BUILD = "tidewire"


def version_id(settings: Settings, server_id: str) -> str:
    """Return `<version>.<build>.<configuration hash>.<licensed>`, the value of X-Version-ID and of hello."""
    config = _limited(settings, server_id) | _full(settings)
    return f"{API_VERSION}.{BUILD}.{sha256(msgspec.json.encode(config)).hexdigest()}.false"


async def load_server_id(db: Database) -> str:
    """Return the installation's id, made by whoever asks first. Raises: Unavailable."""
    return await system.keep(db, "DiagnosticId", new_token())


async def load_version_id(settings: Settings, db: Database) -> str:
    """Return the installation's version id. Raises: Unavailable."""
    await system.keep(db, "InstallationDate", str(now_ms()))
    return version_id(settings, await load_server_id(db))


@lru_cache(maxsize=4)
def _limited(settings: Settings, server_id: str) -> dict[str, str]:
    return LIMITED | {
        "AsymmetricSigningPublicKey": "",
        "BuildDate": "",
        "BuildHash": BUILD,
        "BuildNumber": BUILD,
        "DiagnosticId": server_id,
        "EnableOpenServer": _text(settings.users.open_signup),
        "EnableUserCreation": _text(settings.users.open_signup),
        "SiteName": settings.site.name,
        "SiteURL": settings.site.url.rstrip("/"),
        "TelemetryId": server_id,
        "Version": API_VERSION,
    }


@lru_cache(maxsize=4)
def _full(settings: Settings) -> dict[str, str]:
    return (
        FULL
        | FLAGS
        | {
            "SchemaVersion": str(migrations()[-1][0]),
            "ShowEmailAddress": _text(settings.users.show_email),
            "ShowFullName": _text(settings.users.show_full_name),
        }
    )


def _text(flag: bool) -> str:
    return "true" if flag else "false"


async def client_config(services: Services, *, logged_in: bool) -> dict[str, str]:
    """Return the flat map of strings; strangers get the part that a login page needs. Raises: Unavailable."""
    config = _limited(services.settings, await _fact(services, "DiagnosticId"))
    if not logged_in:
        return config | {"NoAccounts": _text(not await users.any_user(services.db))}
    installed = await _fact(services, "InstallationDate")
    return config | _full(services.settings) | {"NoAccounts": "false", "InstallationDate": installed}


async def _fact(services: Services, name: str) -> str:
    """Return what load_version_id made at the start; it never changes."""

    async def load() -> str:
        return await system.keep(services.db, name, "")

    key = "system:" + name
    known: str | None = services.cache.peek(key) or await services.cache.get(key, load)
    return known or ""
