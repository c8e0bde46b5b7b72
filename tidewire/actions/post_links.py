"""What a message says of other posts and channels: `~name`, and links to posts of this site. Pure; linear in the text.

Source: Mattermost API v4, `channel_mentions` and permalink previews. Code names nothing.
"""

import re
from collections.abc import Sequence

from tidewire.actions.mention_text import plain, without_code

# Names looked up for one post: 16,383 characters hold 5,000 and more, and nobody means so many.
NAMES_MAX = 20
_NAMED = re.compile(r"\B~([a-z0-9][a-z0-9_-]{0,63})(?![a-z0-9_-])", re.A | re.I)
_MAY_NAME = re.compile(r"\B~[\w-]", re.A)
_LINK = re.compile(r"https?://[^\s<>]+", re.I)
_PATH = re.compile(r"/[0-9a-z_-]{1,64}/pl/([a-z0-9]{26})")
_PATH_MAX = 128  # of a link to a post, with what ends the sentence
_ENDS = "?!.,:;*_~'\"|"  # may stand in an address, or end the sentence after it


def may_name(text: str) -> bool:
    """Tell, at less cost than channel_names, whether a text may name a channel: true for every text that does."""
    return "~" in text and _MAY_NAME.search(text) is not None


def channel_names(texts: Sequence[str]) -> list[str]:
    """Return the channel names in the texts, lower-case, each once, in their order; at most NAMES_MAX."""
    names: dict[str, None] = {}
    for text in texts:
        if "~" in text:
            for match in _NAMED.finditer(plain(text)):
                names[match[1].lower()] = None
                if len(names) == NAMES_MAX:
                    return list(names)
    return list(names)


def permalink_in(message: str, site_url: str) -> tuple[str, str] | None:
    """Return (address, post id) if the message's first bare link leads to a post of this site; else None.

    site_url: without a slash at its end; "": the site has no address, and no links to it. Links with a text of their
    own, `[text](address)`, and addresses of pictures do not count.
    """
    if "/pl/" not in message or not site_url:
        return None
    text = without_code(message)
    for match in _LINK.finditer(text):
        start = match.start()
        if text.endswith("](", 0, start):  # no [text](address)
            continue
        address = _without_end(match[0]) if len(match[0]) <= len(site_url) + _PATH_MAX else ""
        path = _PATH.fullmatch(address, len(site_url)) if address.startswith(site_url) else None
        return (address, path[1]) if path else None
    return None


def _without_end(address: str) -> str:
    """Return an address without what ends the sentence, or the bracket, in which it stands."""
    while address:
        last = address[-1]
        if last not in _ENDS and not (last == ")" and address.count(")") > address.count("(")):
            break
        address = address[:-1]
    return address
