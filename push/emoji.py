"""`:name:` in a push's text becomes the character, for what shows it knows no names.

Source: mattermost-push-proxy: the character and one space; `:flag-xx:` two regional indicators without a space; unknown
names stay; a name ends at white space; letters' case counts. The table is rich's: 3,600 names, GitHub's among them.
"""

import re
from functools import lru_cache

from rich.emoji import Emoji, NoEmoji

_CODE = re.compile(r":([^\s:]+):")
_FLAG = re.compile(r"flag-([a-z])([a-z])\Z")
_REGIONAL_A = 0x1F1E6


def with_characters(text: str) -> str:
    """Return the text with the names that are known replaced."""
    return _CODE.sub(lambda found: _character(found[1]) or found[0], text) if text.count(":") > 1 else text


@lru_cache(4096)
def _character(name: str) -> str:
    if flag := _FLAG.match(name):
        return "".join(chr(_REGIONAL_A + ord(letter) - ord("a")) for letter in flag.groups())
    try:
        return f"{Emoji(name)} "
    except NoEmoji:
        return ""
