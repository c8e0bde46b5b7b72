"""Channels that a header or a purpose names by `~name`: clients make links of those that `props.channel_mentions` has.

Source: Mattermost API v4, `channel_mentions` of a channel's props; only public channels of the same team are named.
"""

import re

from msgspec import structs

from tidewire.store import channels as store
from tidewire.store.channels import Source
from tidewire.wire.models import Channel

_NAMED = re.compile(r"\B~([a-z0-9][a-z0-9_-]{0,63})")


def _names(channel: Channel) -> set[str]:
    return set(_NAMED.findall(f"{channel.header} {channel.purpose}".lower()))


async def fill(source: Source, found: list[Channel]) -> list[Channel]:
    """Return the channels, those that name others with `channel_mentions`: one query, none if nobody is named."""
    wanted = {
        (channel.team_id, name)
        for channel in found
        if channel.team_id and "~" in channel.header + channel.purpose
        for name in _names(channel)
    }
    if not wanted:
        return found
    known = await store.public_by_names(source, sorted(wanted))
    return [_filled(channel, known) for channel in found]


def _filled(channel: Channel, known: dict[tuple[str, str], tuple[str, str]]) -> Channel:
    mentions = {
        name: {"display_name": row[0], "team_name": row[1]}
        for name in sorted(_names(channel))
        if (row := known.get((channel.team_id, name)))
    }
    return structs.replace(channel, props=channel.props | {"channel_mentions": mentions}) if mentions else channel
