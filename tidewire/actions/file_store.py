"""The object store that the configuration names, opened anew when that changes; and how public links are signed."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac
from pathlib import Path
from typing import Protocol

from tidewire.actions.config import Config
from tidewire.settings import Settings, default_data_dir
from tidewire.store import system
from tidewire.store.db import Database
from tidewire.store.incoming import Incoming
from tidewire.store.objects import Objects, Place
from tidewire.wire.ids import new_token


class Keys(Protocol):
    """Keys of the configuration, as Config has them."""

    def text(self, name: str) -> str:
        """Return a text."""

    def flag(self, name: str) -> bool:
        """Return a flag."""

    def number(self, name: str) -> int:
        """Return a number."""


def place_in(config: Keys, directory: Path) -> Place:
    """Return where files are by a configuration. directory: on this machine's disk."""
    if config.text("FileSettings.DriverName") != "amazons3":
        return Place(str(directory))
    return Place(
        str(directory),
        s3=True,
        bucket=config.text("FileSettings.AmazonS3Bucket"),
        endpoint=config.text("FileSettings.AmazonS3Endpoint"),
        region=config.text("FileSettings.AmazonS3Region"),
        access_key=config.text("FileSettings.AmazonS3AccessKeyId"),
        secret_key=config.text("FileSettings.AmazonS3SecretAccessKey"),
        prefix=config.text("FileSettings.AmazonS3PathPrefix"),
        tls=config.flag("FileSettings.AmazonS3SSL"),
        timeout_ms=config.number("FileSettings.AmazonS3RequestTimeoutMilliseconds"),
    )


class FileStore:
    """`objects` is the store in force; what is under way at a change ends at the old one."""

    def __init__(self, settings: Settings, config: Config, salt: str) -> None:
        directory = settings.files.directory or str(default_data_dir() / "files")
        self.directory = Path(directory).expanduser().absolute()
        self._config = config
        self._salt = salt
        self._place: Place | None = None
        self._objects: Objects | None = None

    @classmethod
    async def open(cls, settings: Settings, config: Config, db: Database) -> "FileStore":
        """Return the store of this process; nothing is asked of it yet. Raises: Unavailable (the database)."""
        return cls(settings, config, await system.keep(db, "PublicLinkSalt", new_token() + new_token()))

    @property
    def objects(self) -> Objects:
        """The store. Raises: Unavailable if its folder cannot be made."""
        place = self._wanted()
        if self._objects is None or place != self._place:
            self._objects, self._place = Objects(place), place
        return self._objects

    async def check(self) -> None:
        """Raise Unavailable unless the store takes a file and gives it up again."""
        await self.objects.check()

    def new_incoming(self) -> Incoming:
        """Return a file to receive into. Raises: Unavailable."""
        return Incoming(self.objects.incoming)

    def _wanted(self) -> Place:
        return place_in(self._config, self.directory)

    def sign(self, file_id: str) -> str:
        """Return what makes a public link of a file one of ours: all of them end when PublicLinkSalt changes."""
        salt = self._config.text("FileSettings.PublicLinkSalt") or self._salt
        return urlsafe_b64encode(hmac(salt.encode(), file_id.encode(), sha256)).rstrip(b"=").decode()

    def is_signed(self, file_id: str, given: str) -> bool:
        """Tell whether a public link is one of ours."""
        return compare_digest(self.sign(file_id).encode(), given.encode())
