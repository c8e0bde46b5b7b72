"""Posts out of lines: roots with replies, reactions, followers, files and who saved them, a batch in one transaction.

Nobody is told post by post. A post that is there already, by channel, author and time, is brought up to date.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from tidewire.actions import action_rows, post_rules
from tidewire.bulk.attachments import Attachments
from tidewire.bulk.directs import NewDirects, people_of
from tidewire.bulk.kit import Item, Kit
from tidewire.bulk.lines import (
    Attachment,
    DirectPostLine,
    Follower,
    PostBody,
    PostLine,
    Priority,
    ReactionPart,
    Reply,
)
from tidewire.bulk.names import Person
from tidewire.bulk.post_writing import write_posts
from tidewire.store import files as file_store
from tidewire.store import imports as store
from tidewire.store.db import Record, Transaction
from tidewire.store.posts import encode_priority
from tidewire.wire.errors import AppError
from tidewire.wire.files import StoredFile
from tidewire.wire.models import PostPriority

PLACES = 1 << 20  # of a line: posts from 0 on, files in the upper half
FIRST_FILE = 1 << 19
REACTIONS_MAX = 5000  # of a post
PRIORITIES = frozenset({"", "important", "urgent"})


class Row(Struct, eq=False):
    """A post to be. before: as it is written already. place: in its line."""

    line: int
    place: int
    type_: str
    channel_id: str
    user_id: str
    create_at: int
    edit_at: int
    message: str
    kind: str
    props: dict[str, Any]
    hashtags: str
    pinned: bool
    attachments: Sequence[Attachment]
    root: "Row | None" = None
    priority: str = ""
    integrations: dict[str, Any] = field(default_factory=dict)
    reactions: list[tuple[str, str, int]] = field(default_factory=list)
    saved_by: list[str] = field(default_factory=list)
    followers: list[tuple[str, int, int]] | None = None  # (user id, viewed at, mentions)
    before: Record | None = None
    id: str = ""
    file_ids: list[str] = field(default_factory=list)

    @property
    def root_id(self) -> str:
        """The root's id, "" of a root."""
        return self.root.id if self.root is not None else ""

    @property
    def counted(self) -> bool:
        """Whether it adds to the channel's message count."""
        return self.kind not in post_rules.UNCOUNTED

    @property
    def changes(self) -> bool:
        """Whether a post that is there already is to be another one: edited since, pinned or not, with more files."""
        before = self.before
        return before is not None and (
            self.edited or self.pinned != before["is_pinned"] or bool(self.file_ids)
        )

    @property
    def edited(self) -> bool:
        """Whether it has another text since."""
        before = self.before
        return before is not None and self.message != before["message"] and self.edit_at > before["edit_at"]

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What a post that is written already has in common with it, but for the message."""
        return self.channel_id, self.create_at, self.user_id, self.root_id


class Refused(Exception):
    """Why a post cannot be written; the second argument is an example."""


class Posts:
    """Lines of posts and of direct posts."""

    def __init__(self, kit: Kit, items: list[Item[PostLine | DirectPostLine]]) -> None:
        self._kit, self._items = kit, items
        self._rows: list[Row] = []
        self._directs = NewDirects(kit)
        self._files = Attachments(kit)
        self._shortest_tag = kit.config.number("ServiceSettings.MinimumHashtagLength")

    # -- reading

    async def prepare(self) -> None:
        """Find names, tell new posts from known ones, store files."""
        kit = self._kit
        known = await kit.names.people({name.lower() for _, value in self._items for name in _names(value)})
        channels = await self._channels(known)
        for (line, value), channel_id in zip(self._items, channels, strict=True):
            if channel_id:
                self._thread(line, value, channel_id, known)
        if not self._rows:
            return
        if not kit.dry:
            await self._find_known()
        for row in self._rows:
            row.id = (
                row.before["id"]
                if row.before is not None
                else kit.stable_id(row.create_at, row.line, row.place)
            )
        self._rows = [row for row in self._rows if not _is_deleted(row)]
        await self._store_files()
        self._count()

    async def _channels(self, known: dict[str, Person]) -> list[str]:
        """Return the channel's id of each line, "" for one that cannot be imported."""
        kit, report = self._kit, self._kit.report
        teams = await kit.names.teams(v.team.lower() for _, v in self._items if isinstance(v, PostLine))
        keys = [
            (teams.get(value.team.lower(), ""), value.channel) if isinstance(value, PostLine) else None
            for _, value in self._items
        ]
        channels = await kit.names.channels(key for key in keys if key is not None and key[0])
        found, groups = [], []
        for (line, value), key in zip(self._items, keys, strict=True):
            if isinstance(value, DirectPostLine):
                people = people_of(kit, line, "direct_post", value.channel_members, known)
                found.append("" if people is None else "direct")
                groups += [people] if people is not None else []
            elif key is not None and not key[0]:
                report.skip(line, "post", "there is no such team", value.team)
                found.append("")
            else:
                assert key is not None
                found.append(channels.get(key, ""))
                if not found[-1]:
                    report.skip(line, "post", "there is no such channel", f"{value.team}/{value.channel}")
        directs = iter(await self._directs.find(groups))
        kit.report.count("made", "direct_channel", self._directs.count)
        return [next(directs)[1] if one == "direct" else one for one in found]

    def _thread(self, line: int, value: PostBody, channel_id: str, known: dict[str, Person]) -> None:
        """Take a root and its replies."""
        kit = self._kit
        type_ = "post" if isinstance(value, PostLine) else "direct_post"
        try:
            root = self._row(line, 0, type_, channel_id, value, known)
        except Refused as error:
            kit.report.skip(line, type_, *error.args)
            return
        root.priority = self._priority(line, value.priority)
        root.followers = self._followers(line, value.thread_followers, known)
        self._rows.append(root)
        for place, reply in enumerate(value.replies or (), 1):
            if place >= FIRST_FILE:
                kit.report.part(line, "reply", "the thread is too long")
                break
            try:
                row = self._row(line, place, "reply", channel_id, reply, known)
                row.create_at = max(row.create_at, root.create_at)
            except Refused as error:
                kit.report.part(line, "reply", *error.args)
                continue
            row.root = root
            self._rows.append(row)

    def _row(
        self,
        line: int,
        place: int,
        type_: str,
        channel_id: str,
        value: PostBody | Reply,
        known: dict[str, Person],
    ) -> Row:
        """Return a checked post. Raises: Refused."""
        kit = self._kit
        author = known.get(value.user.lower())
        if author is None:
            raise Refused("there is no such user", value.user)
        if not kit.good_time(value.create_at):
            raise Refused("create_at is no time of the past", str(value.create_at))
        kind = value.type or ""
        if not (kind in post_rules.USER_TYPES or kind.startswith(("system_", "custom_"))) or len(kind) > 26:
            raise Refused("its type is unknown", kind)
        props = value.props or {}
        try:
            post_rules.check_message(value.message)
            post_rules.check_props(props)
        except AppError as error:
            raise Refused(error.message, value.user) from error
        except RecursionError as error:
            raise Refused("its props are nested too deeply") from error
        edit_at = value.edit_at or 0
        row = Row(
            line,
            place,
            type_,
            channel_id,
            author.id,
            value.create_at,
            edit_at if kit.good_time(edit_at) else 0,
            value.message,
            kind,
            props,
            post_rules.find_hashtags(value.message, shortest=self._shortest_tag),
            bool(value.is_pinned),
            value.attachments or (),
        )
        if "attachments" in props:
            row.integrations = _take_integrations(props["attachments"])
        row.reactions = self._reactions(line, value.reactions, row, known)
        row.saved_by = [person.id for person in self._people(line, "flagged_by", value.flagged_by, known)]
        return row

    def _reactions(
        self, line: int, given: list[ReactionPart] | None, row: Row, known: dict[str, Person]
    ) -> list[tuple[str, str, int]]:
        found: dict[tuple[str, str], int] = {}
        for one in given or ():
            person = known.get(one.user.lower())
            try:
                post_rules.check_emoji_name(one.emoji_name)
                if person is None:
                    raise Refused("there is no such user", one.user)
                if len(found) >= REACTIONS_MAX:
                    raise Refused(f"a post has at most {REACTIONS_MAX} reactions")
            except AppError as error:
                self._kit.report.part(line, "reaction", error.message, one.emoji_name)
            except Refused as error:
                self._kit.report.part(line, "reaction", *error.args)
            else:
                at = one.create_at if self._kit.good_time(one.create_at) else row.create_at
                found.setdefault((person.id, one.emoji_name), max(at, row.create_at))
        return [(*key, at) for key, at in found.items()]

    def _people(
        self, line: int, type_: str, names: list[str] | None, known: dict[str, Person]
    ) -> list[Person]:
        found = []
        for name in names or ():
            person = known.get(name.lower())
            if person is None:
                self._kit.report.part(line, type_, "there is no such user", name)
            else:
                found.append(person)
        return found

    def _followers(
        self, line: int, given: list[Follower] | None, known: dict[str, Person]
    ) -> list[tuple[str, int, int]] | None:
        if given is None:
            return None
        found: dict[str, tuple[str, int, int]] = {}
        for one in given:
            for person in self._people(line, "thread_follower", [one.user], known):
                viewed = one.last_viewed if one.last_viewed is not None else self._kit.at
                viewed = viewed if viewed == 0 or self._kit.good_time(viewed) else self._kit.at
                found[person.id] = person.id, viewed, min(max(one.unread_mentions or 0, 0), 1 << 31)
        return list(found.values())

    def _priority(self, line: int, given: Priority | None) -> str:
        if given is None:
            return ""
        if (given.priority or "") not in PRIORITIES:
            self._kit.report.part(line, "post", "there is no such priority", given.priority or "")
            return ""
        return encode_priority(PostPriority(given.priority or "", bool(given.requested_ack), False))

    # -- what is there already

    async def _find_known(self) -> None:
        moments = {(row.channel_id, row.create_at) for row in self._rows}
        rows = await store.fetch(
            self._kit.db, "posts_at", [one[0] for one in moments], [one[1] for one in moments]
        )
        there: Candidates = {}
        for row in sorted(rows, key=lambda row: str(row["id"])):
            there.setdefault(
                (row["channel_id"], row["create_at"], row["user_id"], row["root_id"]), []
            ).append(row)
        if not there:
            return
        roots = [row for row in self._rows if row.root is None]
        _match(self._kit, roots, there)
        for root in roots:
            root.id = root.before["id"] if root.before is not None else ""
        _match(self._kit, [row for row in self._rows if row.root is not None and row.root.id], there)

    async def _store_files(self) -> None:
        known = [
            file_id
            for row in self._rows
            if row.before is not None and row.attachments
            for file_id in row.before["file_ids"]
        ]
        files = await file_store.by_ids(self._kit.db, known, deleted=True) if known else {}
        place: dict[int, int] = {}
        for row in self._rows:
            if not row.attachments:
                continue
            start = place.get(row.line, FIRST_FILE)
            place[row.line] = start + len(row.attachments)
            held: list[StoredFile] = []
            if row.before is not None:
                held = [files[file_id] for file_id in row.before["file_ids"] if file_id in files]
            row.file_ids = await self._files.add(
                row.line, start, row.attachments,
                post_id=row.id, user_id=row.user_id, channel_id=row.channel_id, at=row.create_at, before=held,
            )  # fmt: skip

    def _count(self) -> None:
        report = self._kit.report
        for row in self._rows:
            outcome = "made" if row.before is None else "changed" if row.changes else "same"
            report.count(outcome, row.type_)
            if row.before is None:
                report.count("made", "reaction", len(row.reactions))
        report.count("made", "attachment", self._files.stored)

    # -- writing

    async def write(self, tx: Transaction) -> set[str]:
        """Write all of it; return the channels that got posts, or whose posts changed."""
        await self._directs.write(tx)
        await self._directs.write_members(tx)
        await self._files.write(tx)
        return await write_posts(self._kit, tx, self._rows)

    async def close(self) -> None:
        """Let go of files that no row names."""
        await self._files.close()


def _is_deleted(row: Row) -> bool:
    """Tell whether somebody deleted the post, or its root, since it was imported: it stays so."""
    own = row.before is not None and row.before["delete_at"] > 0
    return own or (row.root is not None and _is_deleted(row.root))


Candidates = dict[tuple[str, int, str, str], list[Record]]


def _match(kit: Kit, rows: list[Row], there: Candidates) -> None:
    """Give each post the one that it is: of the same text, else one that was edited, where only one can be meant.

    What another line of this file made is another post, be it of the same author, moment and text.
    """
    left: dict[tuple[str, int, str, str], list[Row]] = {}
    for row in rows:
        candidates = there.get(row.key, [])
        own = kit.stable_id(row.create_at, row.line, row.place)
        same = (one for one in candidates if one["message"] == row.message)
        row.before = next((one for one in candidates if one["id"] == own), None) or next(
            (one for one in same if not kit.made(one["id"], row.create_at)), None
        )
        if row.before is not None:
            candidates.remove(row.before)
        elif candidates:
            left.setdefault(row.key, []).append(row)
    for key, some in left.items():
        candidates = [one for one in there[key] if not kit.made(one["id"], key[1])]
        if len(some) == len(candidates) == 1:
            some[0].before = candidates[0]
            there[key].remove(candidates[0])


def _names(value: PostBody) -> Iterable[str]:
    """Yield every username of a line."""
    if isinstance(value, DirectPostLine):
        yield from value.channel_members
    for post in (value, *(value.replies or ())):
        yield post.user
        yield from (one.user for one in post.reactions or ())
        yield from post.flagged_by or ()
    yield from (one.user for one in value.thread_followers or ())


def _take_integrations(attachments: Any) -> dict[str, Any]:
    """Take what buttons call out of a post's attachments: no client may see that."""
    taken: dict[str, Any] = {}
    for attachment in attachments if isinstance(attachments, list) else ():
        actions = attachment.get("actions") if isinstance(attachment, dict) else None
        for action in actions if isinstance(actions, list) else ():
            integration = action.pop("integration", None) if isinstance(action, dict) else None
            name = action.get("id") if isinstance(action, dict) else None
            if isinstance(integration, dict) and isinstance(name, str) and 1 <= len(name) <= 64:
                taken[name] = action_rows.row_of(action, integration)
    return taken
