"""Files that posts name by path: through the file store as uploads go, each streamed, none kept that is there already.

Objects are doomed before they are written and spared by the transaction that writes their rows, as uploads are.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from tidewire.actions import file_uploads
from tidewire.actions.file_janitor import GRACE_MS
from tidewire.actions.file_uploads import Prepared, Received
from tidewire.bulk.archive import BadArchive, NoFile, OpenedFile
from tidewire.bulk.kit import Kit
from tidewire.bulk.lines import Attachment
from tidewire.bulk.reading import PIECE_BYTES
from tidewire.bulk.streams import READ_ERRORS
from tidewire.store import files as store
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.file_types import clean_name
from tidewire.wire.files import StoredFile
from tidewire.wire.ids import now_ms

FILES_MAX = 50  # of one post; clients make 10


class Attachments:
    """Files of the posts of one batch."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._ready: list[Prepared] = []
        self.stored = 0

    async def add(
        self,
        line: int,
        place: int,
        given: Sequence[Attachment],
        *,
        post_id: str,
        user_id: str,
        channel_id: str,
        at: int,
        before: Sequence[StoredFile],
    ) -> list[str]:
        """Store the files of a post that it does not have yet; return their ids, in order. place: the first one's."""
        ids = []
        had = list(before)
        for number, one in enumerate(given):
            if number >= FILES_MAX:
                self._kit.report.part(line, "attachment", f"a post has at most {FILES_MAX} files", one.path)
                break
            try:
                with self._kit.source.open_file(one.path) as opened:
                    if opened.size > self._kit.config.number("FileSettings.MaxFileSize"):
                        raise NoFile("it is larger than FileSettings.MaxFileSize")
                    if self._kit.dry:
                        self.stored += 1
                        continue
                    found = await self._store(
                        opened, one.name or opened.name, self._kit.stable_id(at, line, place + number),
                        post_id=post_id, user_id=user_id, channel_id=channel_id, at=at, before=had,
                    )  # fmt: skip
            except (NoFile, BadArchive) as error:
                self._kit.report.part(line, "attachment", str(error), one.path)
            except AppError as error:
                self._kit.report.part(line, "attachment", error.message, one.path)
            except READ_ERRORS as error:
                self._kit.report.part(
                    line, "attachment", f"it cannot be read ({type(error).__name__})", one.path
                )
            else:
                if found is not None:
                    ids.append(found)
        return ids

    async def _store(
        self,
        opened: OpenedFile,
        name: str,
        file_id: str,
        *,
        post_id: str,
        user_id: str,
        channel_id: str,
        at: int,
        before: list[StoredFile],
    ) -> str | None:
        """Store one file; None if the post has it."""
        kit = self._kit
        async with AsyncExitStack() as stack:
            incoming = await stack.enter_async_context(kit.files.new_incoming())
            while piece := opened.stream.read(PIECE_BYTES):
                await incoming.write(piece)
            await incoming.finish()
            shown = clean_name(name) or file_uploads.NAMELESS
            same = next((f for f in before if (f.name, f.sha256) == (shown, incoming.digest)), None)
            if same is not None:
                before.remove(same)
                return None
            ready = await file_uploads.describe(
                kit.config,
                kit.workshop,
                Received(incoming, name),
                file_id=file_id,
                user_id=user_id,
                channel_id=channel_id,
                at=at,
                post_id=post_id,
            )
            await store.doom(kit.db, ready.row.keys, now_ms() + GRACE_MS)
            self._ready.append(ready)
            await file_uploads.put(kit.files.objects, ready)
        self.stored += 1
        return ready.row.id

    async def write(self, tx: Transaction) -> None:
        """Write the rows. Raises: Unavailable if that took too long."""
        if self._ready:
            await file_uploads.insert(tx, self._ready)

    async def close(self) -> None:
        """Let the janitor have what no row names. After a commit nothing of it is doomed any more."""
        keys = [key for one in self._ready for key in one.row.keys]
        if keys:
            await store.hasten(self._kit.db, keys, now_ms())
