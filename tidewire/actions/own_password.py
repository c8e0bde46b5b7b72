"""The caller's own password, asked for again before what a stolen session must not do."""

from tidewire.actions import login_limits, passwords
from tidewire.actions.services import Services
from tidewire.store import users
from tidewire.wire.errors import AppError


async def check(services: Services, user_id: str, password: str, *, wrong: str) -> None:
    """Check the caller's own password before a change that a stolen session must not make.

    wrong: id of the 400 for another password, which counts as a failed login. Raises: 401 after too many of them.
    """
    stored = await users.credentials(services.db, user_id)
    limit = services.config.number("ServiceSettings.MaximumLoginAttempts")
    if stored is None or (limit and stored.failed_attempts >= limit):
        raise login_limits.too_many()
    if not await passwords.verify(stored.password_hash, password):
        await users.note_attempt(services.db, user_id, failed=True)
        raise AppError(wrong, 400, "The password is wrong.")
