"""Which emoji names clients know without a server. Source: Mattermost API v4, system emojis (emoji_names.txt)."""

from functools import cache
from importlib.resources import files

_TONES = [f"_{tone}_skin_tone" for tone in ("light", "medium_light", "medium", "medium_dark", "dark")]
_PAIRS = [one + other for one in _TONES for other in _TONES]
_ENDINGS = {
    "*": _TONES,
    "**": [*_TONES, *(one + other for one in _TONES for other in _TONES if one != other)],
    "***": _PAIRS,
}


def is_system_emoji(name: str) -> bool:
    """Tell whether clients have an emoji of this name."""
    return name in _system_names()


@cache
def _system_names() -> frozenset[str]:
    found: set[str] = set()
    for line in files("tidewire.wire").joinpath("emoji_names.txt").read_text().splitlines():
        if not line.startswith("#"):
            words = line.split(" ")
            endings = _ENDINGS[words.pop(0)] if words[0] in _ENDINGS else []
            found.update(name + ending for name in words for ending in ("", *endings))
    return frozenset(found)
