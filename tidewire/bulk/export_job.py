"""What the parts of an export share: what is wanted, where it goes, and what is told of it at the end."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from msgspec import Struct

from tidewire.bulk.export_file import Archive, Spool
from tidewire.bulk.export_rows import Snapshot
from tidewire.bulk.lines import Shape

Progress = Callable[[str, int, int], None]  # what is being written, how many are, about how many there will be
_encode = msgspec.json.Encoder().encode


class Options(Struct, frozen=True, kw_only=True):
    """What is exported. team: the name of the only one; "" for the whole workspace."""

    team: str = ""
    attachments: bool = True
    passwords: bool = True
    archived_channels: bool = True
    profile_pictures: bool = True


class Report(Struct):
    """What was done. lines: type → number; left_out: what → number."""

    lines: Counter[str] = msgspec.field(default_factory=Counter)
    replies: int = 0
    files: int = 0
    file_bytes: int = 0
    left_out: Counter[str] = msgspec.field(default_factory=Counter)

    @property
    def posts(self) -> int:
        """Return how many posts there are, replies among them."""
        return self.lines["post"] + self.lines["direct_post"] + self.replies


_NAMES = {
    "role": "roles",
    "emoji": "emojis",
    "team": "teams",
    "channel": "channels",
    "user": "users",
    "bot": "bots",
    "direct_channel": "direct channels",
}


def sentences(report: Report) -> tuple[str, list[str]]:
    """Return what was exported and what was left out, in words."""
    parts = [f"{report.lines[kind]:,} {name}" for kind, name in _NAMES.items() if report.lines[kind]]
    parts.append(f"{report.posts:,} posts")
    if report.files:
        parts.append(f"{report.files:,} attachments ({report.file_bytes / 1e6:,.1f} MB)")
    return ", ".join(parts), [f"{count:,} {what}" for what, count in sorted(report.left_out.items())]


class NoSuchTeam(Exception):
    """There is no team of that name, or it is archived."""


class Gone(NamedTuple):
    """Posts that a channel has counted and that are not exported. times: when those that are known were written, ms."""

    times: "array[int]"
    rest: int

    def until(self, at_ms: int) -> int:
        """Return how many of them one has read who looked at the channel then."""
        return bisect_right(self.times, at_ms) + self.rest


NOTHING_GONE = Gone(array("q"), 0)


@dataclass
class Job:
    """An export under way.

    team_id: of the only team, "" for all; people: ids of those who belong to it, None for all. gone: channel id → what
    its counters, of posts and of roots, have beside its live posts. archive: None for a plain file. attachments:
    objects that are still to be copied.
    """

    rows: Snapshot
    options: Options
    archive: Archive | None
    attachments: Spool
    progress: Progress
    report: Report = field(default_factory=Report)
    team_id: str = ""
    people: frozenset[str] | None = None
    total: int = 0
    gone: dict[str, tuple[Gone, Gone]] = field(default_factory=dict)
    write: Callable[[bytes], object] = lambda data: None

    @property
    def scope(self) -> tuple[str, list[str]]:
        """The team's id and its people, as queries about accounts want them."""
        return self.team_id, list(self.people or ())

    @property
    def pictures(self) -> bool:
        """Whether profile pictures are written."""
        return self.options.profile_pictures and self.archive is not None

    def put(self, kind: str, shapes: Iterable[Shape]) -> None:
        """Write lines of one type."""
        lines = [_encode({"type": kind, kind: shape}) for shape in shapes]
        if lines:
            lines.append(b"")
            self.write(b"\n".join(lines))
            self.report.lines[kind] += len(lines) - 1

    def advance(self) -> None:
        """Tell how far it is."""
        self.progress("posts", self.report.posts, max(self.total, self.report.posts))
