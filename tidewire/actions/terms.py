"""Terms of service: written by admins, accepted by users."""

from msgspec import Struct, structs

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.actions.users import announce_updated, get_user, missing
from tidewire.store import terms, users
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id, new_id, now_ms
from tidewire.wire.models import Session, TermsOfService

TEXT_MAX = 16_383  # characters; Mattermost API v4


class Accepted(Struct):
    """Which terms a user has accepted, and when."""

    user_id: str
    terms_of_service_id: str
    create_at: int


def _none() -> AppError:
    return AppError("app.terms_of_service.get.no_rows.app_error", 404, "There are no terms of service.")


async def get_terms(services: Services) -> TermsOfService:
    """Return the terms that hold. Raises: 404 if there are none."""
    found = await terms.latest(services.db)
    if found is None:
        raise _none()
    return found


async def do_create_terms(services: Services, session: Session, text: str) -> TermsOfService:
    """Store terms that hold from now on. Raises: 403, 400."""
    permissions.check_system(session, "manage_system")
    if not text.strip():
        raise AppError(
            "api.create_terms_of_service.empty_text.app_error", 400, "Please enter text for the terms."
        )
    if len(text) > TEXT_MAX:
        raise body_param("text")
    now = now_ms()
    made = TermsOfService(new_id(now), now, session.user_id, text)
    await terms.insert(services.db, made)
    return made


async def do_answer_terms(
    services: Services, session: Session, user_id: str, terms_id: str, *, accepted: bool
) -> None:
    """Store that the caller accepts terms, or does not. Raises: 403 for another's id, 400, 404."""
    if user_id != session.user_id:
        raise forbidden()  # nobody accepts for another one
    if not is_id(terms_id):
        raise body_param("termsOfServiceId")
    async with services.db.transaction() as tx:
        if not await terms.exist(tx, terms_id):
            raise _none()
        user = await users.lock(tx, user_id)
        if user is None:
            raise missing()
        now = max(now_ms(), user.update_at + 1)
        at = now if accepted else 0
        user = structs.replace(
            user,
            terms_of_service_id=terms_id if accepted else "",
            terms_of_service_create_at=at,
            update_at=now,
        )
        await users.set_terms(tx, user_id, user.terms_of_service_id, accepted_at=at, at=now)
        await announce_updated(services, tx, user)


async def get_answer(services: Services, session: Session, user_id: str) -> Accepted:
    """Return what a user has accepted. Raises: 403 for another's id, 404 if nothing."""
    if user_id != session.user_id:
        raise forbidden()
    user = await get_user(services, user_id)
    if not user.terms_of_service_id:
        raise AppError(
            "app.user_terms_of_service.get_by_user.no_rows.app_error", 404, "No terms were accepted."
        )
    return Accepted(user_id, user.terms_of_service_id, user.terms_of_service_create_at)
