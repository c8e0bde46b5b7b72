"""The audit log: what was done about accounts and logins, whether it succeeded or not. Kept for limits.audit_days."""

import structlog

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.store import audits
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Audit, Session

EXTRA_MAX = 1024  # characters
DAY_MS = 86_400_000
# What one caller can make us keep: far above what people do, so that nobody fills the disk by wrong links.
ROWS_PER_MINUTE = 300
STRANGERS_ROWS_PER_MINUTE = 60  # from one address, about no account that is known
PRUNE_EVERY_MS = 60_000
PRUNE_ROWS = 1000  # per turn: far more than are written in that time
_log = structlog.get_logger("audits")
_pruned_at_ms = 0


async def do_write(
    services: Services, *, user_id: str, action: str, extra: str, address: str, session_id: str = ""
) -> None:
    """Store one audit; what it is about has happened already, so a database that is gone now is only reported."""
    who, most = (user_id, ROWS_PER_MINUTE) if user_id else (address, STRANGERS_ROWS_PER_MINUTE)
    if not await services.throttle.take("audit:" + who, 60, most):
        return
    now = now_ms()
    row = Audit(
        new_id(now), now, user_id, _storable(action), _storable(extra), _storable(address), session_id
    )
    try:
        await audits.insert(services.db, row)
        await _prune(services, now)
    except Unavailable:
        _log.warning("an audit was not stored", action=action)


def _storable(text: str) -> str:
    """Return what PostgreSQL takes of a text that a client chose."""
    return text[:EXTRA_MAX].replace("\0", "").encode("utf-8", "replace").decode()


async def _prune(services: Services, now: int) -> None:
    global _pruned_at_ms
    if now - _pruned_at_ms < PRUNE_EVERY_MS:
        return
    _pruned_at_ms = now
    before = now - services.settings.limits.audit_days * DAY_MS
    await audits.delete_old(services.db, before=before, limit=PRUNE_ROWS)


async def list_audits(services: Services, session: Session, *, limit: int, offset: int) -> list[Audit]:
    """Return a page of everybody's audits, the newest first. Raises: 403."""
    permissions.check_system(session, "read_audits")
    return await audits.page(services.db, limit=limit, offset=offset)


async def list_audits_of(
    services: Services, session: Session, user_id: str, *, limit: int, offset: int
) -> list[Audit]:
    """Return a page of a user's audits, the newest first. Raises: 403."""
    permissions.check_self(session, user_id)
    return await audits.page(services.db, user_id=user_id, limit=limit, offset=offset)
