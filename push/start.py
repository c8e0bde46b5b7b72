"""From settings to providers: which targets there are, each with its credentials. Reads files, opens no connection."""

from pathlib import Path

import structlog

from push.providers.aes128gcm import Vapid
from push.providers.apns import Apns
from push.providers.contract import Provider
from push.providers.fcm import Fcm
from push.providers.http2 import Line
from push.providers.relay import Relay
from push.providers.webpush import WebPush
from push.targets import BadConfig, MattermostConfig, Targets, read_config
from tidewire.settings.tree import Push

log = structlog.get_logger("push")


def config_of(push: Push) -> tuple[MattermostConfig, Path]:
    """Return the reference's configuration and the folder of its relative names. Raises: BadConfig."""
    if not push.mattermost_config:
        return MattermostConfig(), Path()
    path = Path(push.mattermost_config)
    return read_config(path), path.parent


def line_of(push: Push) -> Line:
    """Return how providers are reached."""
    return Line(push.attempt_timeout_s, push.connections, push.ca_file)


def providers_of(push: Push, *, vapid: Vapid | None = None) -> tuple[dict[str, Provider], list[str]]:
    """Return the providers by target, and a line for each target that cannot work: others still do.

    vapid: who sends Web Push, instead of the settings' key. Raises: BadConfig if the file itself is wrong.
    """
    config, folder = config_of(push)
    targets, line = Targets.of(config, folder), line_of(push)
    found: dict[str, Provider] = {}
    wrong: list[str] = []
    for name, apple in targets.apple.items():
        try:
            found[name] = Apns(
                apple, line, folder=folder, url=push.apns_url, background=push.apple_background
            )
        except BadConfig as error:
            wrong += [f"target {name}: {problem}" for problem in error.lines]
    for name, android in targets.android.items():
        if android.android_api_key:
            wrong.append(
                f"target {name}: AndroidApiKey is of no use any more, Google wants ServiceFileLocation"
            )
        try:
            found[name] = Fcm(android, line, folder=folder, url=push.fcm_url)
        except BadConfig as error:
            wrong += [f"target {name}: {problem}" for problem in error.lines]
    try:
        if push.proxy_url:
            found["proxy"] = Relay(push.proxy_url, line, secret=push.secret)
        vapid = vapid or _vapid(push)
        if vapid is not None:
            found["webpush"] = WebPush(vapid, line, allowed=push.webpush_allowed)
    except BadConfig as error:
        wrong += error.lines
    return found, wrong


def _vapid(push: Push) -> Vapid | None:
    if not push.vapid_key:
        return None
    try:
        return Vapid(Path(push.vapid_key).read_bytes(), push.vapid_subject)
    except OSError as error:
        raise BadConfig(f"push.vapid_key {push.vapid_key}: {error.strerror}") from error
    except ValueError as error:
        raise BadConfig(f"push.vapid_key {push.vapid_key}: {error}") from error
