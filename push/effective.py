"""What the settings and the configuration file of Mattermost's push proxy say together."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from push.start import config_of
from push.targets import BadConfig
from tidewire.settings import Settings
from tidewire.settings.tree import Push

LONGEST_WAIT_S = 25  # Mattermost's server gives up after 30


def effective(settings: Settings) -> Settings:
    """Return the settings with what the reference's configuration file says where nothing else was set.

    Raises: BadConfig.
    """
    push = settings.push
    config, _ = config_of(push)
    if not push.mattermost_config:
        return settings
    host, _, port = config.listen_address.rpartition(":")
    from_file: dict[str, Any] = {"metrics": config.enable_metrics}
    if config.listen_address:
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise BadConfig(f"{push.mattermost_config}: ListenAddress {config.listen_address!r} has no port")
        from_file |= {"host": host.strip("[]") or "0.0.0.0", "port": int(port)}  # Go's meaning of ":8066"
    if config.throttle_memory_store_size > 0:
        from_file["throttle_callers"] = config.throttle_memory_store_size
    if config.throttle_vary_by_header:
        from_file["throttle_headers"] = tuple(config.throttle_vary_by_header.split())
    if config.send_timeout_sec > 0:
        from_file["answer_wait_s"] = float(min(config.send_timeout_sec, LONGEST_WAIT_S))
    if config.retry_timeout_sec > 0:
        # An attempt must end before another worker takes the push over.
        from_file["attempt_timeout_s"] = float(min(config.retry_timeout_sec, 30))
    fields = {name: value for name, value in from_file.items() if name not in push.given}
    # ThrottlePerSec never worked there, so nobody has chosen it for a limit that does (docs/push.md).
    try:
        return replace(settings, push=_merged(push, fields))  # type: ignore[type-var]  # each section is a dataclass
    except ValueError as error:
        raise BadConfig(f"push, with {push.mattermost_config}: {error}") from error


def _merged(push: Push, fields: Mapping[str, Any]) -> Push:
    merged: Push = replace(push, **fields)  # type: ignore[type-var]  # as above
    object.__setattr__(merged, "given", push.given)
    return merged
