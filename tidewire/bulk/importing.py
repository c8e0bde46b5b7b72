"""The import of a file: its lines in batches, each in a transaction that also says how far it is; then the read states.

A batch ends where the next line is of another kind, has the same key, or would make it too large, so that batches are
the same whenever an import is resumed. Nothing is announced post by post: see `settling`.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
import structlog

from tidewire.bulk.archive import BadArchive
from tidewire.bulk.decoding import BadLine, Decoded, decode_line
from tidewire.bulk.directs import Directs
from tidewire.bulk.images import Emojis
from tidewire.bulk.kit import Batch, Item, Kit
from tidewire.bulk.lines import PostBody, Shape, UserLine
from tidewire.bulk.people import Bots, Users
from tidewire.bulk.places import Channels, Teams
from tidewire.bulk.posts import Posts
from tidewire.bulk.reading import RawLine, read_lines
from tidewire.bulk.report import Report
from tidewire.bulk.settling import settle, tell_caches
from tidewire.bulk.streams import READ_ERRORS
from tidewire.store import imports as store
from tidewire.wire.ids import now_ms

# Lines of a batch, with what is in them (see _weight), and their bytes. Of 2,000 posts a transaction takes some 200 ms.
BATCH_WEIGHT, BATCH_BYTES = 2000, 8 << 20
BATCH_LINES = 2000
ATTACHMENT_WEIGHT = 20
ATTEMPTS = 5
SKIPPED = {
    "role": "what roles permit here is not changed by an import",
    "scheme": "there are no permission schemes here",
}
MAKERS: dict[str, Callable[[Kit, list[Any]], Batch]] = {
    "team": Teams,
    "channel": Channels,
    "user": Users,
    "bot": Bots,
    "emoji": Emojis,
    "direct_channel": Directs,
    "post": Posts,
    "direct_post": Posts,
}
log = structlog.get_logger("import")


class Stopped(Exception):
    """The import did not come to its end, and can be begun again; the message says why."""


class State(NamedTuple):
    """Where an import is, for who shows it: bytes of the lines that are done, the report so far."""

    at_byte: int
    report: Report


class Noted(NamedTuple):
    """What is to be said of a line."""

    line: int
    type: str
    reason: str
    detail: str
    whole: bool


class Importer:
    """One run. `stop()` ends it after the batch that is under way, or begun."""

    def __init__(
        self, kit: Kit, *, stop_on_error: bool = False, progress: Callable[[State], None] = lambda _: None
    ) -> None:
        self._kit = kit
        self._stop_on_error = stop_on_error
        self._progress = progress
        self._stopping = False
        self._line = 0
        self._items: list[Item[Shape]] = []
        self._keys: set[object] = set()
        self._family = ""
        self._weight = self._bytes = 0
        self._notes: list[Noted] = []
        self._first = True

    def stop(self) -> None:
        """Write what was read, and end."""
        self._stopping = True

    async def run(self, line: int, at_byte: int) -> Report:
        """Import from behind a line on, whose end is at_byte. Raises: Stopped; Unavailable."""
        kit = self._kit
        self._line, self._first = line, line == 0
        end = RawLine(line, at_byte, None)
        try:
            with kit.source.open_lines(at_byte) as stream:
                for raw in read_lines(stream, number=line, offset=at_byte):
                    if self._stopping:
                        break
                    await self._take(raw, end)
                    end = raw
        except (*READ_ERRORS, BadArchive) as error:
            raise Stopped(f"the file cannot be read behind line {end.number}: {error}") from error
        await self._flush(end)
        if self._stopping:
            raise Stopped("it was told to stop")
        if self._first:
            raise Stopped("the first line is not the format's version: there is none")
        if not kit.dry:
            await settle(kit)
        return kit.report

    async def _take(self, raw: RawLine, before: RawLine) -> None:
        """Add a line to the batch, which is written first if the line is not of it."""
        try:
            if raw.data is None:
                raise BadLine("it is too long")
            if not raw.data.strip():
                return
            decoded = decode_line(raw.data)
            if self._first and decoded.type != "version":
                raise Stopped("the first line is not the format's version")
            self._first = False
        except BadLine as error:
            if self._first:
                raise Stopped(f"the first line is not the format's version: {error.reason}") from error
            self._note(raw.number, error.type, error.reason, error.detail, whole=True)
            if self._stop_on_error or len(self._notes) >= BATCH_LINES:
                await self._flush(raw)
            return
        for name in decoded.unknown:
            self._note(raw.number, decoded.type, "a member is unknown", name, whole=False)
        if decoded.type in SKIPPED:
            self._note(raw.number, decoded.type, SKIPPED[decoded.type], "", whole=True)
        elif decoded.value is not None:
            await self._add(raw, before, decoded, decoded.value)

    async def _add(self, raw: RawLine, before: RawLine, decoded: Decoded, value: Shape) -> None:
        family = "post" if decoded.type == "direct_post" else decoded.type
        weight, size, keys = _weight(value), len(raw.data or b""), _keys(value)
        full = (
            self._weight + weight > BATCH_WEIGHT
            or self._bytes + size > BATCH_BYTES
            or len(self._items) >= BATCH_LINES
        )
        if self._items and (full or family != self._family or not self._keys.isdisjoint(keys)):
            notes = [one for one in self._notes if one.line == raw.number]
            self._notes = [one for one in self._notes if one.line != raw.number]
            await self._flush(before)
            self._notes = notes
        self._family = family
        self._weight += weight
        self._bytes += size
        self._keys.update(keys)
        self._items.append(Item(raw.number, value))

    def _note(self, line: int, type_: str, reason: str, detail: str, *, whole: bool) -> None:
        self._notes.append(Noted(line, type_, reason, detail, whole))

    # -- writing

    async def _flush(self, end: RawLine) -> None:
        """Write what was taken, up to a line."""
        if end.number <= self._line:
            return
        items, notes = self._items, self._notes
        self._items, self._notes, self._weight, self._bytes = [], [], 0, 0
        self._keys.clear()
        try:
            await self._write(items, notes, end)
        except Exception as error:
            if not store.is_refusal(error) or len(items) <= 1:
                raise
            # One line has what the database does not take: the others are not to suffer for it.
            log.info("a batch is written line by line", lines=len(items), reason=type(error).__name__)
            await self._one_by_one(items, notes, end)

    async def _one_by_one(self, items: list[Item[Shape]], notes: list[Noted], end: RawLine) -> None:
        refused: list[Noted] = []
        for item in items:
            # Not where the import is, which moves on with the last of them: each of these, again, changes nothing.
            try:
                await self._write([item], [], None)
            except Exception as error:
                if not store.is_refusal(error):
                    raise
                refused.append(
                    Noted(item.line, self._family, "the database refuses it", type(error).__name__, True)
                )
        await self._write([], [*notes, *refused], end)

    async def _write(self, items: list[Item[Shape]], notes: Iterable[Noted], end: RawLine | None) -> None:
        """Write some lines in one transaction, again where others were in the way."""
        kit, committed = self._kit, self._kit.report
        for attempt in range(1, ATTEMPTS + 1):
            kit.report = _copy(committed)
            for note in notes:
                (kit.report.skip if note.whole else kit.report.part)(
                    note.line, note.type, note.reason, note.detail
                )
            try:
                await self._once(items, end, committed)
            except Exception as error:
                kit.report = committed
                if attempt == ATTEMPTS or not store.may_pass(error):
                    raise
                kit.names.forget()
            except BaseException:
                kit.report = committed
                raise
            else:
                break
        if items and self._family in ("user", "bot"):
            kit.names.forget()  # roles may be others
        if end is not None:
            self._line = end.number
            self._progress(State(end.end, kit.report))

    async def _once(self, items: list[Item[Shape]], end: RawLine | None, committed: Report) -> None:
        kit = self._kit
        batch = MAKERS[self._family](kit, items) if items else None
        try:
            if batch is not None:
                await batch.prepare()
            if end is not None:
                kit.report.lines = end.number
            if self._stop_on_error and kit.report.skipped > committed.skipped:
                raise Stopped(_first_skip(kit.report, committed))
            if kit.dry:
                return
            async with kit.db.transaction() as tx:
                touched = await batch.write(tx) if batch is not None else set()
                if touched:
                    await store.touch(tx, kit.digest, touched)
                if batch is not None and self._family != "post":
                    await tell_caches(tx)
                if end is not None and not await store.advance(
                    tx, kit.digest, self._line, end.number, end.end, msgspec.to_builtins(kit.report), now_ms()
                ):
                    raise Stopped("another process imports this file")
        finally:
            if batch is not None and not kit.dry:
                await batch.close()


def _weight(value: Shape) -> int:
    """Return how much work a line is."""
    if isinstance(value, UserLine):
        return 1 + sum(1 + len(team.channels or ()) for team in value.teams or ()) // 4
    if not isinstance(value, PostBody):
        return 1
    posts = (value, *(value.replies or ()))
    files = sum(len(post.attachments or ()) for post in posts)
    return len(posts) + sum(len(post.reactions or ()) for post in posts) // 2 + ATTACHMENT_WEIGHT * files


def _keys(value: Any) -> list[object]:
    """Return what must not be twice in one batch."""
    kind = type(value).__name__
    if isinstance(value, PostBody):
        return []
    if hasattr(value, "email"):
        return [(kind, value.username.lower()), ("email", value.email.lower())]
    if hasattr(value, "username"):
        return [(kind, value.username.lower())]
    if hasattr(value, "participants"):
        names = [one.username for one in value.participants or ()] or value.members or []
        return [(kind, *sorted(name.lower() for name in names))]
    return [(kind, getattr(value, "team", "").lower(), value.name.lower())]


def _copy(report: Report) -> Report:
    return msgspec.convert(msgspec.to_builtins(report), Report)


def _first_skip(report: Report, before: Report) -> str:
    counts = {(one.type, one.reason): one.count for one in before.reasons if one.whole}
    for one in report.reasons:
        if one.whole and one.count > counts.get((one.type, one.reason), 0):
            example = f" ({one.example})" if one.example else ""
            return f"line {one.lines[-1]}: {one.type}: {one.reason}{example}"
    return "a line was left out"
