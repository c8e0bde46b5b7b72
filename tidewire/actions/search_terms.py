"""What is typed into the search box, read into conditions. Pure, linear in its input.

Source: Mattermost API v4, "Search for posts": from:, in:, before:, after:, on:, ext:, "phrases", -exclusion, #hashtags,
beginnings*.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

TERMS_MAX = 512  # characters, as on the reference
WORDS_MAX = 64
_TOKEN = re.compile(r'(-?)(?:(from|in|channel|before|after|on|ext):\s*)?("[^"]*"|\S+)', re.I)
_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})\Z")
_EDGES = re.compile(r"^[^\w#@]+|[^\w*]+$")
# Characters of languages whose words are not told apart: each is a word of the index, as search_text() in SQL makes it.
_UNSPACED = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]"
)
_FIELDS = {"from": "users", "in": "channels", "channel": "channels", "ext": "extensions"}
FOREVER = 1 << 53


@dataclass(slots=True)
class Names:
    """What a modifier names: only these, none of those."""

    wanted: list[str] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Terms:
    """The conditions of a search. words and unwanted are texts for to_tsquery, hashtags one for a cast to tsquery.

    since, until: ms, since <= create_at < until. days_without: (begin, end) in ms of days that are left out.
    """

    words: str = ""
    hashtags: str = ""
    unwanted: str = ""
    users: Names = field(default_factory=Names)
    channels: Names = field(default_factory=Names)
    extensions: Names = field(default_factory=Names)
    since: int = 0
    until: int = FOREVER
    days_without: list[tuple[int, int]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        named = any(one.wanted or one.unwanted for one in (self.users, self.channels, self.extensions))
        dated = self.since > 0 or self.until < FOREVER or self.days_without
        return not (self.words or self.hashtags or self.unwanted or named or dated)


def read(text: str, *, any_word: bool = False, offset_s: int = 0) -> Terms:
    """Return what is asked for. any_word: one of the words is enough; offset_s: of the searcher's clock from UTC."""
    terms = Terms()
    wanted: list[str] = []
    hashtags: list[str] = []
    unwanted: list[str] = []
    for minus, name, value in _TOKEN.findall(text[:TERMS_MAX])[:WORDS_MAX]:
        name, value = name.lower(), value.strip('"').strip()
        if name in ("before", "after", "on"):
            _narrow(terms, name, value, offset_s, excluded=bool(minus))
        elif name:
            names: Names = getattr(terms, _FIELDS[name])
            (names.unwanted if minus else names.wanted).append(value.lower().lstrip("@~.,"))
        elif value.startswith("#") and len(value) > 1 and not minus:
            hashtags.append(_quoted(value.lower()))
        elif query := _query(value):
            (unwanted if minus else wanted).append(query)
    join = " | " if any_word else " & "
    terms.words, terms.hashtags, terms.unwanted = join.join(wanted), join.join(hashtags), " | ".join(unwanted)
    return terms


def _query(value: str) -> str:
    """Return a word, a phrase or the beginning of a word as to_tsquery reads it; "" where nothing is left of it."""
    word = _EDGES.sub("", value)
    prefix = word.endswith("*")
    word = word.replace("*", " ").strip()
    if not any(map(str.isalnum, word)):
        return ""
    return _quoted(_UNSPACED.sub(r" \g<0> ", word).strip()) + (":*" if prefix else "")


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _narrow(terms: Terms, name: str, value: str, offset_s: int, *, excluded: bool) -> None:
    """Apply a date; one that is none is ignored, as on the reference."""
    found = _DATE.match(value)
    try:
        day = date(*map(int, found.groups())) if found else None
    except ValueError:
        day = None
    if day is None or not 1970 <= day.year < 9000:
        return
    zone = timedelta(seconds=max(-86_400, min(offset_s, 86_400)))
    begin = int((datetime(day.year, day.month, day.day, tzinfo=UTC) - zone).timestamp() * 1000)
    end = begin + 86_400_000
    if excluded:
        # "not before" is "at or after", "not after" is "up to its end".
        name = {"before": "from", "after": "to", "on": "without"}[name]
    if name == "without":
        terms.days_without.append((begin, end))
    if name in ("on", "from"):
        terms.since = max(terms.since, begin)
    if name in ("on", "to"):
        terms.until = min(terms.until, end)
    if name == "before":
        terms.until = min(terms.until, begin)
    if name == "after":
        terms.since = max(terms.since, end)
