"""The run-time configuration of this process: always the newest one that all nodes share.

Defaults, over them what is stored, over that what the settings give explicitly. It is changed by
tidewire.actions.config_edit.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from tidewire.actions import push_keys
from tidewire.settings import Settings
from tidewire.store import config as store
from tidewire.store import system
from tidewire.store.db import Database
from tidewire.store.migrate import migrations
from tidewire.wire.client_config import FULL, LIMITED, client_values
from tidewire.wire.config import DEFAULTS
from tidewire.wire.ids import new_token, now_ms

API_VERSION = "11.6.0"  # of the Mattermost API that we speak; clients switch features by it
BUILD = "tidewire"

# Which settings of ours stand behind which keys: they give the default, and when given explicitly they win.
SETTINGS: dict[str, tuple[str, str]] = {
    "ExperimentalSettings.RestrictSystemAdmin": ("site", "restrict_admin"),
    "FileSettings.AmazonS3AccessKeyId": ("files", "s3_access_key"),
    "FileSettings.AmazonS3Bucket": ("files", "s3_bucket"),
    "FileSettings.AmazonS3Endpoint": ("files", "s3_endpoint"),
    "FileSettings.AmazonS3PathPrefix": ("files", "s3_prefix"),
    "FileSettings.AmazonS3Region": ("files", "s3_region"),
    "FileSettings.AmazonS3SSL": ("files", "s3_tls"),
    "FileSettings.AmazonS3SecretAccessKey": ("files", "s3_secret_key"),
    "FileSettings.DriverName": ("files", "driver"),
    "PrivacySettings.ShowEmailAddress": ("users", "show_email"),
    "PrivacySettings.ShowFullName": ("users", "show_full_name"),
    "ServiceSettings.MaximumLoginAttempts": ("limits", "login_attempts"),
    "ServiceSettings.MaximumPayloadSizeBytes": ("api", "body_limit_bytes"),
    "ServiceSettings.SessionLengthMobileInHours": ("session", "length_hours"),
    "ServiceSettings.SessionLengthSSOInHours": ("session", "length_hours"),
    "ServiceSettings.SessionLengthWebInHours": ("session", "length_hours"),
    "ServiceSettings.SiteURL": ("site", "url"),
    "TeamSettings.EnableOpenServer": ("users", "open_signup"),
    "TeamSettings.MaxChannelsPerTeam": ("teams", "max_channels"),
    "TeamSettings.SiteName": ("site", "name"),
}


def explicit(settings: Settings) -> dict[str, Any]:
    """Return the keys, with values, that the environment or the settings file decides."""
    return {
        name: getattr(getattr(settings, section), field)
        for name, (section, field) in SETTINGS.items()
        if field in getattr(settings, section).given
    }


class Config:
    """Look-ups cost one dict access and are never out of date by more than revisions.RECHECK_S.

    values: everything, flat. client, limited: what clients get, with and without a login, but for what is computed at
    each call. version_id: the value of X-Version-ID and of hello; the same on all nodes.
    """

    name = "config"

    def __init__(
        self,
        settings: Settings,
        db: Database,
        *,
        server_id: str = "",
        installed_at: str = "",
        signing_key: str = "",
    ) -> None:
        self._db = db
        self._explicit = explicit(settings)
        self.server_id = server_id
        self.installed_at = installed_at
        self.signing_key = signing_key
        self.on_change: Callable[[], None] = lambda: None
        self._schema = str(migrations()[-1][0])
        self.n = -1
        self.apply(0, {})

    @classmethod
    async def open(cls, settings: Settings, db: Database) -> "Config":
        """Return the configuration in force. Raises: Unavailable."""
        server_id = await system.keep(db, "DiagnosticId", new_token())
        installed_at = await system.keep(db, "InstallationDate", str(now_ms()))
        signing_key = (await push_keys.get_pair(settings, db, push_keys.SIGNING)).public
        config = cls(settings, db, server_id=server_id, installed_at=installed_at, signing_key=signing_key)
        await config.reload()
        return config

    async def reload(self) -> None:
        """Take the newest revision from the database. Raises: Unavailable."""
        n, stored = await store.load(self._db)
        self.apply(n, stored)

    def effective(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Return all values that would be in force with these stored ones. Stored keys of another version are left."""
        known = {name: value for name, value in stored.items() if name in DEFAULTS}
        return DEFAULTS | known | self._explicit

    @property
    def fixed(self) -> dict[str, Any]:
        """The keys that the environment or the settings file decides."""
        return self._explicit

    def apply(self, n: int, stored: dict[str, Any]) -> None:
        """Put a revision in force in this process, unless a newer one is."""
        if n < self.n:
            return
        self.n = n
        self.stored = stored
        self.values = self.effective(stored)
        self._flags = {name: value for name, value in self.values.items() if type(value) is bool}
        self._numbers = {name: value for name, value in self.values.items() if type(value) is int}
        self._texts = {name: value for name, value in self.values.items() if type(value) is str}
        self._words = {name: value for name, value in self.values.items() if type(value) is list}
        self.limited, self.client = self.client_config(self.values)
        digest = sha256(msgspec.json.encode(self.client, order="sorted")).hexdigest()
        self.version_id = f"{API_VERSION}.{BUILD}.{digest}.false"
        self.on_change()

    def client_config(self, values: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Return what strangers and what members would be told of these values."""
        limited = client_values(LIMITED, values) | {
            "AsymmetricSigningPublicKey": self.signing_key,
            "BuildDate": "",
            "BuildHash": BUILD,
            "BuildNumber": BUILD,
            "DiagnosticId": self.server_id,
            "NoAccounts": "false",
            "SiteURL": values["ServiceSettings.SiteURL"].rstrip("/"),
            "TelemetryId": self.server_id,
            "Version": API_VERSION,
        }
        computed = {"InstallationDate": self.installed_at, "SchemaVersion": self._schema}
        return limited, limited | client_values(FULL, values) | computed

    def flag(self, name: str) -> bool:
        """Return a key that is true or false. Raises: KeyError for one that does not exist or is no flag."""
        return self._flags[name]

    def number(self, name: str) -> int:
        """Return a key that is a whole number. Raises: KeyError."""
        return self._numbers[name]

    def text(self, name: str) -> str:
        """Return a key that is a text. Raises: KeyError."""
        return self._texts[name]

    def words(self, name: str) -> list[str]:
        """Return a key that is a list of texts. Raises: KeyError."""
        return self._words[name]
