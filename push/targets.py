"""Where pushes may go: app builds with their credentials, from the reference's configuration file. Reads files, once.

Source: mattermost-push-proxy, its JSON configuration; every key of it is known here, whatever the letters' case.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


class BadConfig(Exception):
    """What is wrong with a configuration file or a credential; one line each, without secrets."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class Apple(msgspec.Struct, rename="pascal"):
    """ApplePushSettings[]: one app build at Apple."""

    type: str
    apple_push_use_development: bool = False
    apple_push_cert_private: str = ""
    apple_push_cert_password: str = ""
    apple_push_topic: str = ""
    apple_auth_key_file: str = ""
    apple_auth_key_id: str = msgspec.field(default="", name="AppleAuthKeyID")
    apple_team_id: str = msgspec.field(default="", name="AppleTeamID")

    @property
    def by_token(self) -> bool:
        """Token authentication wins where all three of its keys are set."""
        return bool(self.apple_auth_key_file and self.apple_auth_key_id and self.apple_team_id)


class Android(msgspec.Struct, rename="pascal"):
    """AndroidPushSettings[]: one app build at Google."""

    type: str
    service_file_location: str = ""
    android_api_key: str = ""


class MattermostConfig(msgspec.Struct, rename="pascal"):
    """The file. Defaults are what the reference does without a key."""

    listen_address: str = ""
    throttle_per_sec: int = 0
    throttle_memory_store_size: int = 0
    throttle_vary_by_header: str = ""
    enable_metrics: bool = False
    send_timeout_sec: int = 0
    retry_timeout_sec: int = 0
    apple_push_settings: list[Apple] = []
    android_push_settings: list[Android] = []
    enable_console_log: bool = False
    enable_file_log: bool = False
    log_file_location: str = ""
    log_format: str = ""


@dataclass(frozen=True)
class Targets:
    """The app builds by name, and where relative file names begin."""

    apple: dict[str, Apple] = field(default_factory=dict)
    android: dict[str, Android] = field(default_factory=dict)
    folder: Path = Path()

    @classmethod
    def of(cls, config: MattermostConfig, folder: Path) -> "Targets":
        """Return the targets of a file. Raises: BadConfig for a name that is missing or given twice."""
        names = [target.type for target in config.apple_push_settings]
        names += [target.type for target in config.android_push_settings]
        wrong = [f"Type {name!r} is given twice" for name in sorted({n for n in names if names.count(n) > 1})]
        wrong += ["a target has no Type"] * ("" in names)
        wrong += [
            f"Type {name!r}: only letters, digits, _ and . may be in it"
            for name in names
            if not _is_name(name)
        ]
        if wrong:
            raise BadConfig(*wrong)
        return cls(
            {target.type: target for target in config.apple_push_settings},
            {target.type: target for target in config.android_push_settings},
            folder,
        )

    @property
    def names(self) -> list[str]:
        """Every target's name, as platforms have it."""
        return [*self.apple, *self.android]


def read_config(path: Path) -> MattermostConfig:
    """Return a configuration file. Raises: BadConfig."""
    try:
        plain = json.loads(path.read_text())
    except OSError as error:
        raise BadConfig(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadConfig(f"{path}: not JSON: {error}") from error
    try:
        return msgspec.convert(_known(plain), MattermostConfig)
    except msgspec.ValidationError as error:
        raise BadConfig(f"{path}: {error}") from error


def _known(plain: Any) -> Any:
    """Return the file's values under the names as they are spelled here: Go reads keys whatever their case."""
    if not isinstance(plain, dict):
        return plain
    top = _spelled(plain, MattermostConfig)
    for name, kind in (("ApplePushSettings", Apple), ("AndroidPushSettings", Android)):
        if isinstance(rows := top.get(name), list):
            top[name] = [_spelled(row, kind) if isinstance(row, dict) else row for row in rows]
    return top


def _spelled(values: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    names = {name.lower(): name for name in kind.__struct_encode_fields__}
    return {
        names[key.lower()]: value
        for key, value in values.items()
        if key.lower() in names and value is not None
    }


def _is_name(name: str) -> bool:
    return name.replace("_", "").replace(".", "").isalnum() and name.isascii() if name else True
