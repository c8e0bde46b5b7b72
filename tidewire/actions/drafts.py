"""Drafts: what a user has begun to write, shared by his devices. The device that wrote it is not told.

Source: Mattermost API v4, drafts and the events `draft_created` and `draft_deleted`.
"""

from collections.abc import Sequence

import msgspec
from msgspec import structs

from tidewire.actions import permissions, post_rules
from tidewire.actions.services import Services
from tidewire.bus.envelope import Copy, Envelope, encode, user_key
from tidewire.store import drafts as store
from tidewire.store import files
from tidewire.store.db import Database, Transaction
from tidewire.store.holds import hold
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.events import as_text, encode_prefix
from tidewire.wire.ids import is_id, now_ms
from tidewire.wire.models import Draft, DraftView, Session

DRAFTS_MAX, DRAFTS_BYTES = 1000, 8 << 20  # of one user: clients ask for all of them at once
PRIORITY_BYTES = 1024
FILES_MAX = 10


def check_on(services: Services) -> None:
    """Raise 501 where drafts stay in the clients."""
    if not services.config.flag("ServiceSettings.AllowSyncedDrafts"):
        raise AppError("api.drafts.disabled.app_error", 501, "Drafts are not kept on this server.")


async def do_put_draft(services: Services, session: Session, draft: Draft, connection_id: str) -> DraftView:
    """Store a draft; one without text and files deletes what is there. Tells the user's other connections.

    connection_id: the connection that is not told, or "". Raises: 400, 403, 501.
    """
    check_on(services)
    draft.user_id, draft.delete_at = session.user_id, 0
    draft.file_ids, draft.priority = draft.file_ids or [], draft.priority or {}
    _check(draft)
    channel = await permissions.access_channel_for_post(services, session, draft.channel_id)
    if channel.delete_at:
        raise AppError("api.draft.create_draft.can_not_draft_to_deleted.error", 400, "The channel is archived.")
    if not draft.message and not draft.file_ids:
        await _delete(services, draft.user_id, draft.channel_id, draft.root_id, connection_id)
        return DraftView(*structs.astuple(draft))
    async with services.db.transaction() as tx:
        if not await store.put(tx, draft, now_ms=now_ms(), most=DRAFTS_MAX, most_bytes=DRAFTS_BYTES):
            if not await hold(tx, channels=[draft.channel_id]):
                raise permissions.channel_missing()
            text = f"More than {DRAFTS_MAX} drafts, or too long ones."
            raise AppError("api.draft.create_draft.too_many.app_error", 400, text)
        [shown] = await _shown(tx, draft.user_id, [draft])
        _announce(tx, "draft_created", shown, connection_id)
    return shown


async def do_delete_draft(
    services: Services, session: Session, user_id: str, channel_id: str, root_id: str, connection_id: str
) -> None:
    """Delete a draft, if there is one, and tell the user's other connections. Raises: 403, 501.

    Clients call this after every post: without a draft it costs one look.
    """
    check_on(services)
    permissions.check_self(session, user_id)
    await _delete(services, user_id, channel_id, root_id, connection_id)


async def list_drafts(services: Services, session: Session, user_id: str, team_id: str) -> list[DraftView]:
    """Return a user's drafts in a team and in his direct and group channels. Raises: 403, 501."""
    check_on(services)
    permissions.check_self(session, user_id)
    await permissions.check_team(services, session, team_id, "view_team")
    return await _shown(services.db, user_id, await store.of_user(services.db, user_id, team_id))


async def _shown(db: Database | Transaction, user_id: str, drafts: Sequence[Draft]) -> list[DraftView]:
    """Return a user's drafts with those of their files that he may attach to a post."""
    shown = [DraftView(*structs.astuple(draft)) for draft in drafts]
    wanted = {one for draft in shown for one in draft.file_ids or ()}
    found = await files.by_ids(db, wanted) if wanted else {}
    for draft in shown:
        held = [found[one] for one in draft.file_ids or () if one in found]
        draft.metadata.files = [file.info() for file in held if file.user_id == user_id and not file.post_id]
    return shown


async def _delete(
    services: Services, user_id: str, channel_id: str, root_id: str, connection_id: str
) -> None:
    if not await store.has(services.db, user_id, channel_id, root_id):
        return
    async with services.db.transaction() as tx:
        gone = await store.delete(tx, user_id, channel_id, root_id)
        if gone is not None:
            _announce(tx, "draft_deleted", gone, connection_id)


def _check(draft: Draft) -> None:
    if not is_id(draft.channel_id):
        raise body_param("channel_id")
    if draft.root_id and not is_id(draft.root_id):
        raise body_param("root_id")
    if len(draft.type) > 26 or (draft.type not in post_rules.USER_TYPES and not draft.type.startswith("custom_")):
        raise body_param("type")
    if draft.file_ids and (len(draft.file_ids) > FILES_MAX or not all(is_id(file) for file in draft.file_ids)):
        raise body_param("file_ids")
    if draft.priority and len(msgspec.json.encode(draft.priority)) > PRIORITY_BYTES:
        raise body_param("priority")
    post_rules.check_message(draft.message)
    post_rules.check_props(draft.props)


def _announce(tx: Transaction, event: str, draft: Draft, connection_id: str) -> None:
    data = {"draft": as_text(draft)}
    body = encode_prefix(event, data, user_id=draft.user_id, omit_connection_id=connection_id)
    copy = Copy(body, user_id=draft.user_id, omit_connection_id=connection_id, name=event)
    key = user_key(draft.user_id)
    tx.announce(key, encode(Envelope(key, [], [copy], now_ms())))
